"""Payload format 2.0: Function URLs and HTTP APIs.

Absent things are left out of the event. Source: Lambda Developer Guide, "Invoking Lambda function URLs";
API Gateway Developer Guide, "Create AWS Lambda proxy integrations for HTTP APIs"; recorded answers of both.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from engine.core.event import MISSING
from engine.core.outcome import Outcome, Status
from engine.core.payload_limits import MAX_EVENT_BYTES
from engine.core.response_stream import INTEGRATION_RESPONSE
from engine.ports import Binding
from engine.protocols.http.header_cache import HeaderCache
from engine.protocols.http.server import Request
from engine.sources.http.error_responses import error_responses
from engine.sources.http.headers import (
    LEFT_OUT,
    NOT_SHOWN,
    HeaderNames,
    forwarded_for,
    lower_case,
    text_or_base64,
)
from engine.sources.http.payload import GatewayIdentity, stable_id
from engine.sources.http.responses import (
    Answer,
    ResponseHeads,
    base64_bytes,
    compact,
    http_status,
    identified,
    is_encoded,
    parse,
    plain_body,
    set_cookies,
    text_bytes,
)
from engine.sources.http.settings import DEFAULT_PATH, FrontDoor, HttpEvent
from engine.sources.http.streamed_answers import StreamForm
from engine.sources.http.target import decoded_pairs, decoded_path, joined, shown_path
from engine.sources.http.timestamps import Timestamp

_MAX_BODY: Final = {FrontDoor.URL: MAX_EVENT_BYTES, FrontDoor.HTTP_API: 10 * 1024 * 1024}


class TargetV2(NamedTuple):
    """Paths and `raw_query` as the event has them, `path` as `rawPath`; the two maps are None when empty."""

    path: str
    decoded_path: str
    raw_query: str
    query: dict[str, str] | None
    parameters: dict[str, str] | None


class SentV2(NamedTuple):
    """What a request's head says. Shared by all requests that send the same: never changed.

    Attributes:
        headers: As the event has them, without cookies.
        cookies: Or None.
        is_text: The content type is that of a text.
        context: The event's `requestContext`, whose members of each request's own are empty.
    """

    headers: dict[str, str]
    cookies: list[str] | None
    is_text: bool
    context: dict[str, Any]


class PayloadV2:
    """One route in payload format 2.0.

    A Function URL keeps `rawPath` as it was sent, decodes the path of the context, and shows `accountId`
    "anonymous" (auth type NONE), and as its domain name the host that the request names; an HTTP API decodes
    both paths, puts a stage other than `$default` before them, and decodes path parameters. The
    headers of TLS that a Function URL adds are left out: there is no TLS here.
    """

    __slots__ = (
        "_account_id",
        "_api_id",
        "_domain",
        "_gateway",
        "_heads",
        "_known",
        "_names",
        "_prefix",
        "_route_key",
        "_stage",
        "_streamed",
        "_variables",
        "error_responses",
        "front_door",
        "max_body",
    )

    def __init__(self, binding: Binding, settings: HttpEvent, gateway: GatewayIdentity) -> None:
        self.front_door = settings.front_door
        self.max_body = _MAX_BODY[self.front_door]
        self.error_responses = error_responses(self.front_door).saying(gateway.say)
        account = gateway.account
        if self.front_door is FrontDoor.URL:
            self._account_id = "anonymous"
            self._api_id = stable_id("url", binding.function.name, 32)
            self._domain = f"{self._api_id}.lambda-url.{account.region}.on.aws"
        else:
            self._account_id = account.account_id
            self._api_id = stable_id("http-api", account.account_id, 10)
            self._domain = f"{self._api_id}.execute-api.{account.region}.amazonaws.com"
        self._stage = settings.stage_name
        self._prefix = "" if self._stage == DEFAULT_PATH else f"/{self._stage}"
        self._route_key = settings.route_key
        self._variables = settings.stage_variables
        self._gateway = gateway
        self._names = HeaderNames(lower_case, NOT_SHOWN)
        self._heads = ResponseHeads()
        is_url = self.front_door is FrontDoor.URL
        self._streamed = StreamForm(self.error_responses, is_rest=False) if is_url else None
        self._known = HeaderCache[SentV2]()

    def target(self, path: str, query: str, parameters: dict[str, str]) -> TargetV2:
        """Query values are decoded, repeated ones joined by a comma."""
        if self.front_door is FrontDoor.URL:
            shown = decoded_path(path)
        else:
            shown = path = self._prefix + shown_path(path)
            parameters = {name: decoded_path(value) for name, value in parameters.items()}
        return TargetV2(path, shown, query, joined(decoded_pairs(query)) or None, parameters or None)

    def event(
        self, request: Request, target: TargetV2, request_id: str, timestamp: Timestamp, trace: str
    ) -> dict[str, Any]:
        """The event. A text body is one whose content type holds `json`, `text` or `xml`."""
        sent = self._known.get(request.head)
        if sent is None:
            sent = self._sent(request)
            self._known.keep(request.head, sent)
        headers, peer = sent.headers.copy(), request.peer
        headers["x-forwarded-for"] = (
            forwarded_for(headers["x-forwarded-for"], peer) if "x-forwarded-for" in headers else peer
        )
        headers["x-forwarded-port"] = self._gateway.port
        headers["x-forwarded-proto"] = "http"
        headers["x-amzn-trace-id"] = trace
        event: dict[str, Any] = {
            "version": "2.0",
            "routeKey": self._route_key,
            "rawPath": target.path,
            "rawQueryString": target.raw_query,
        }
        if sent.cookies is not None:
            event["cookies"] = sent.cookies.copy()
        event["headers"] = headers
        if target.query is not None:
            event["queryStringParameters"] = target.query.copy()
        context = event["requestContext"] = sent.context.copy()
        context["http"] = {
            "method": request.method,
            "path": target.decoded_path,
            "protocol": f"HTTP/{request.version}",
            "sourceIp": peer,
            "userAgent": headers.get("user-agent", ""),
        }
        context["requestId"] = request_id
        context["time"] = timestamp.text
        context["timeEpoch"] = timestamp.epoch_ms
        if target.parameters is not None:
            event["pathParameters"] = target.parameters.copy()
        if self._variables:
            event["stageVariables"] = self._variables.copy()
        if request.body:
            event["body"], event["isBase64Encoded"] = text_or_base64(request.body, is_text=sent.is_text)
        else:
            event["isBase64Encoded"] = False
        return event

    def _sent(self, request: Request) -> SentV2:
        """Lower-case names; a repeated header joined by commas, a repeated cookie by `; `."""
        names, sent_headers = self._names, request.headers
        headers = {names[name]: value.decode("latin-1") for name, value in sent_headers}
        if len(headers) != len(sent_headers):
            headers = {}
            for name, value in sent_headers:
                key, text = names[name], value.decode("latin-1")
                mark = "; " if key == "cookie" else ","
                headers[key] = f"{headers[key]}{mark}{text}" if key in headers else text
        headers.pop(LEFT_OUT, None)
        cookies = [crumb for part in headers.pop("cookie", "").split(";") if (crumb := part.strip())]
        kind = headers.get("content-type", "").lower()
        is_text = "json" in kind or "text" in kind or "xml" in kind
        is_url = self.front_door is FrontDoor.URL
        domain = headers.get("host", self._domain) if is_url else self._domain
        context = {
            "accountId": self._account_id,
            "apiId": self._api_id,
            "domainName": domain,
            "domainPrefix": self._api_id,
            "http": None,
            "requestId": None,
            "routeKey": self._route_key,
            "stage": self._stage,
            "time": None,
            "timeEpoch": None,
        }
        return SentV2(headers, cookies or None, is_text, context)

    def answer(self, outcome: Outcome, request: Request, result: Any = MISSING) -> Answer:
        """A result with `statusCode` is a response; any other JSON value is a 200 with itself as body.

        A string goes out unquoted. `multiValueHeaders` and unknown keys are ignored. Not confirmed by a
        primary source: a `body` that is not a string is sent as compact JSON; that a function URL reads the
        metadata of a response that was streamed, though it sends the whole of it at once.
        """
        if outcome.status is not Status.SUCCESS:
            return self.error_responses.of(outcome)
        if outcome.raw and outcome.content_type == INTEGRATION_RESPONSE and self._streamed is not None:
            return self._streamed.collected(outcome)
        try:
            if result is MISSING:
                result = parse(outcome.body)
            if type(result) is not dict or "statusCode" not in result:
                return self._bare(result, outcome)
            status = http_status(result["statusCode"])
            head = self._heads.render(result.get("headers"))
            cookies = result.get("cookies")
            if cookies:
                head += set_cookies(cookies)
            return status, identified(head, outcome.request_id), _body(result)
        except ValueError as error:
            return self.error_responses.malformed_by(outcome.request_id, str(error))

    def _bare(self, result: Any, outcome: Outcome) -> Answer:
        """An HTTP API takes an object that looks like Lambda's error for one (recorded)."""
        looks_failed = type(result) is dict and "errorMessage" in result
        if looks_failed and self.front_door is FrontDoor.HTTP_API:
            return self.error_responses.malformed_by(outcome.request_id, "it looks like an error of Lambda")
        head = self._heads.render(None)
        return 200, identified(head, outcome.request_id), plain_body(result, outcome.body)


def _body(result: dict[str, Any]) -> bytes:
    body = result.get("body")
    encoded = is_encoded(result)
    if body is None:
        return b""
    if type(body) is str:
        return base64_bytes(body) if encoded else text_bytes(body)
    if encoded:
        raise ValueError("a base64 body is not a string")
    return compact(body)
