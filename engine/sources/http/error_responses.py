"""How each front door answers what the function did not answer itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Final

from engine.core.late_dataclass import dataclass
from engine.core.outcome import Outcome, Status
from engine.protocols.http.server import header_block
from engine.sources.http.responses import JSON_TYPE, Answer, identified
from engine.sources.http.settings import FrontDoor

_REASON_CHARACTERS: Final = 200
_FORBIDDEN: Final = (
    b'"Forbidden. For troubleshooting Function URL authorization issues, see: '
    b'https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorResponses:
    """How one front door answers what the function did not answer itself.

    Attributes:
        failed: The handler raised, ran too long, crashed, or could not start.
        malformed: Its result is not a response this front door takes.
        throttled: Refused for lack of concurrency.
        unavailable: The engine is stopping.
        too_large: The request body is over the front door's limit.
        gone: What it leads to is not there any more; None for `failed`.
        timed_out: The function did not answer within the front door's limit; None if it has none.
        passes_throttle: The client gets Lambda's own throttle message as body.
        say: Takes a line for whoever runs the engine: why a result is malformed, which no client is told.
    """

    failed: Answer
    malformed: Answer
    throttled: Answer
    unavailable: Answer
    too_large: Answer
    gone: Answer | None = None
    timed_out: Answer | None = None
    passes_throttle: bool = False
    say: Callable[[str], object] | None = None

    def of(self, outcome: Outcome) -> Answer:
        """The answer to an outcome that is not a success."""
        if outcome.status is Status.THROTTLED:
            status, head, body = self.throttled
            if self.passes_throttle:
                body = outcome.body
        elif outcome.status is Status.CANCELLED:
            status, head, body = self.unavailable
        else:
            status, head, body = self.failed
        return status, identified(head, outcome.request_id), body

    def malformed_by(self, request_id: str, reason: str) -> Answer:
        """The answer to a success whose result cannot be sent, and why not, which is said in a line."""
        status, head, body = self.malformed
        if self.say is not None:
            why = reason[:_REASON_CHARACTERS]
            self.say(f"invocation {request_id} gave no HTTP response, its client gets {status}: {why}")
        return status, identified(head, request_id), body

    def saying(self, say: Callable[[str], object] | None) -> ErrorResponses:
        """The same, of an engine whose lines `say` takes."""
        return replace(self, say=say)


@cache
def error_responses(front_door: FrontDoor) -> ErrorResponses:
    """Return how `front_door` answers errors.

    Sources: Lambda Developer Guide, "Handling Lambda errors with an API Gateway API" and "Lambda function
    URLs"; Elastic Load Balancing, "Lambda functions as targets". Not confirmed by a primary source: the
    HTTP API's answers to throttles and failures beyond their family 5xx (503 to a
    function that takes too long is from public reports: serverless/serverless#11222), bodies of 413, every
    `unavailable`, and the content type of a Function URL's errors.
    """
    match front_door:
        case FrontDoor.URL:
            return ErrorResponses(
                failed=_plain(502, "Internal Server Error"),
                malformed=_plain(502, "Internal Server Error"),
                throttled=_message(429, "Rate Exceeded.", error_type="TooManyRequestsException"),
                unavailable=_plain(503, "Service Unavailable"),
                too_large=_message(413, "Request Entity Too Large"),
                gone=_denied(_FORBIDDEN),
                passes_throttle=True,
            )
        case FrontDoor.HTTP_API:
            return ErrorResponses(
                failed=_message(500, "Internal Server Error"),
                malformed=_message(500, "Internal Server Error"),
                throttled=_message(503, "Service Unavailable"),
                unavailable=_message(503, "Service Unavailable"),
                too_large=_message(413, "Request Entity Too Large"),
                timed_out=_message(503, "Service Unavailable"),
            )
        case FrontDoor.REST:
            return ErrorResponses(
                failed=_message(502, "Internal server error", error_type="InternalServerErrorException"),
                malformed=_message(502, "Internal server error", error_type="InternalServerErrorException"),
                throttled=_message(500, "Internal server error", error_type="InternalServerErrorException"),
                unavailable=_message(503, "Service Unavailable"),
                too_large=_message(413, "Request Too Long", error_type="RequestTooLargeException"),
                timed_out=_message(
                    504, "Endpoint request timed out", error_type="InternalServerErrorException"
                ),
            )
        case FrontDoor.ALB:
            return ErrorResponses(
                failed=_page(502, "Bad Gateway"),
                malformed=_page(502, "Bad Gateway"),
                throttled=_page(502, "Bad Gateway"),
                unavailable=_page(503, "Service Temporarily Unavailable"),
                too_large=_page(413, "Request Entity Too Large"),
            )


def no_route(*, rest_only: bool) -> Answer:
    """What a request gets that no route takes.

    One rule for a listener on which several front doors may meet: as an HTTP API, 404 `Not Found`,
    unless every route is a REST API's, which answers 403 `Missing Authentication Token`.
    """
    if rest_only:
        return _message(403, "Missing Authentication Token", error_type="MissingAuthenticationTokenException")
    return _message(404, "Not Found")


def unknown_url() -> Answer:
    """What a function URL that nobody has answers (recorded)."""
    return _denied(b"null")


def bad_query() -> Answer:
    """What a REST API answers to a query with a character that it does not take as it is."""
    return _message(400, "Bad Request", error_type="BadRequestException")


def unsupported_coding() -> Answer:
    """What a REST API answers to a body that is not in the coding its `Content-Encoding` names."""
    return _message(415, "Unsupported Media Type", error_type="UnsupportedMediaTypeException")


def _message(status: int, message: str, *, error_type: str | None = None) -> Answer:
    pairs = [("content-type", JSON_TYPE)]
    if error_type:
        pairs.append(("x-amzn-errortype", error_type))
    return status, header_block(pairs), b'{"message":"%b"}' % message.encode()


def _denied(message: bytes) -> Answer:
    """`message` is JSON."""
    pairs = [("content-type", JSON_TYPE), ("x-amzn-errortype", "AccessDeniedException")]
    return 403, header_block(pairs), b'{"Message":%b}' % message


def _plain(status: int, text: str) -> Answer:
    return status, header_block([("content-type", JSON_TYPE)]), text.encode()


def _page(status: int, reason: str) -> Answer:
    title = f"{status} {reason}"
    page = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n"
        f"<body>\r\n<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    )
    return status, header_block([("content-type", "text/html"), ("server", "awselb/2.0")]), page.encode()
