"""The event and answer of an Application Load Balancer's Lambda target group.

Absent things are empty in the event. Source: Elastic Load Balancing, "Use Lambda functions as targets of
an Application Load Balancer".
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from engine.core.event import MISSING
from engine.core.outcome import Outcome, Status
from engine.ports import Binding
from engine.protocols.http.server import Request
from engine.sources.http.error_responses import error_responses
from engine.sources.http.headers import (
    LEFT_OUT,
    REPLACED,
    HeaderNames,
    forwarded_for,
    lower_case,
    text_or_base64,
)
from engine.sources.http.payload import GatewayIdentity, stable_id
from engine.sources.http.responses import (
    NO_STATUS,
    Answer,
    ResponseHeads,
    base64_bytes,
    header_map,
    header_text,
    http_status,
    identified,
    is_encoded,
    parse,
    text_bytes,
)
from engine.sources.http.settings import FrontDoor, HttpEvent
from engine.sources.http.target import grouped, sent_pairs
from engine.sources.http.timestamps import Timestamp

MAX_BYTES: Final = 1024 * 1024
"""Largest request body, and largest response as JSON."""

_TEXT_TYPES: Final = frozenset({"application/json", "application/javascript", "application/xml"})


class TargetAlb(NamedTuple):
    """`path` and the query as they were sent."""

    path: str
    query: dict[str, list[str]]


class PayloadAlb:
    """One listener rule in front of one target group. Nothing of the query is decoded.

    Headers keep their hop-by-hop members, as a load balancer's events do; only `transfer-encoding` is
    left out, because the body has been put together.
    """

    __slots__ = (
        "_gateway",
        "_group",
        "_heads",
        "_multi",
        "_names",
        "error_responses",
        "front_door",
        "max_body",
    )

    def __init__(self, binding: Binding, settings: HttpEvent, gateway: GatewayIdentity) -> None:
        self.front_door = FrontDoor.ALB
        self.max_body = MAX_BYTES
        self.error_responses = error_responses(self.front_door).saying(gateway.say)
        account, name = gateway.account, binding.function.name
        self._group = (
            f"arn:aws:elasticloadbalancing:{account.region}:{account.account_id}"
            f":targetgroup/{name[:32]}/{stable_id('target-group', name, 16)}"
        )
        self._multi = settings.multi_value_headers
        self._gateway = gateway
        self._names = HeaderNames(lower_case, REPLACED | {b"transfer-encoding"})
        self._heads = ResponseHeads("application/octet-stream")

    def target(self, path: str, query: str, parameters: dict[str, str]) -> TargetAlb:
        """A load balancer knows no path parameters."""
        return TargetAlb(path, grouped(sent_pairs(query)))

    def event(
        self, request: Request, target: TargetAlb, request_id: str, timestamp: Timestamp, trace: str
    ) -> dict[str, Any]:
        """The event: one pair of maps, single (the last value wins) or multi-value, never both."""
        event: dict[str, Any] = {
            "requestContext": {"elb": {"targetGroupArn": self._group}},
            "httpMethod": request.method,
            "path": target.path,
        }
        names, sent_headers = self._names, request.headers
        headers = {names[name]: value.decode("latin-1") for name, value in sent_headers}
        headers.pop(LEFT_OUT, None)
        added = {
            "x-forwarded-for": forwarded_for(headers.get("x-forwarded-for"), request.peer),
            "x-forwarded-port": self._gateway.port,
            "x-forwarded-proto": "http",
            "x-amzn-trace-id": trace,
        }
        if self._multi:
            multi = grouped((names[name], value.decode("latin-1")) for name, value in sent_headers)
            multi.pop(LEFT_OUT, None)
            multi.update({name: [value] for name, value in added.items()})
            query = target.query
            event["multiValueQueryStringParameters"] = {name: query[name].copy() for name in query}
            event["multiValueHeaders"] = multi
        else:
            event["queryStringParameters"] = {name: values[-1] for name, values in target.query.items()}
            event["headers"] = headers | added
        event["body"], event["isBase64Encoded"] = _event_body(request.body, headers)
        return event

    def answer(self, outcome: Outcome, request: Request, result: Any = MISSING) -> Answer:
        """An object with an integer `statusCode`; anything else is malformed, and so is JSON over 1 MB.

        `statusDescription` must be text and is not sent: the server writes the standard reason. With
        multi-value headers on, only `multiValueHeaders` count, else only `headers`. Not confirmed by a
        primary source: the default content type application/octet-stream.
        """
        if outcome.status is not Status.SUCCESS:
            return self.error_responses.of(outcome)
        if len(outcome.body) > MAX_BYTES:
            return self.error_responses.malformed_by(outcome.request_id, "it is over 1 MB")
        try:
            if result is MISSING:
                result = parse(outcome.body)
            if type(result) is not dict or type(result.get("statusCode")) is not int:
                return self.error_responses.malformed_by(outcome.request_id, NO_STATUS)
            if type(result.get("statusDescription", "")) not in (str, type(None)):
                raise ValueError("statusDescription is not a string")
            status = http_status(result["statusCode"])
            if self._multi:
                head = self._heads.lines(_multi_pairs(header_map(result.get("multiValueHeaders"))))
            else:
                head = self._heads.render(result.get("headers"))
            return status, identified(head, outcome.request_id), _answer_body(result)
        except ValueError as error:
            return self.error_responses.malformed_by(outcome.request_id, str(error))


def _event_body(body: bytes, headers: dict[str, str]) -> tuple[str, bool]:
    """Text for text/*, JSON, JavaScript and XML without content encoding; `""` for no body."""
    if not body:
        return "", False
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    is_text = kind.startswith("text/") or kind in _TEXT_TYPES
    return text_or_base64(body, is_text=is_text and "content-encoding" not in headers)


def _multi_pairs(headers: dict[str, Any]) -> list[tuple[str, str]]:
    pairs = []
    for name, values in headers.items():
        if type(values) is not list:
            raise ValueError("a multiValueHeaders value is not a list")
        pairs += [(name, header_text(value)) for value in values if value is not None]
    return pairs


def _answer_body(result: dict[str, Any]) -> bytes:
    body = result.get("body")
    encoded = is_encoded(result)
    if body is None:
        return b""
    if type(body) is not str:
        raise ValueError("body is not a string")
    return base64_bytes(body) if encoded else text_bytes(body)
