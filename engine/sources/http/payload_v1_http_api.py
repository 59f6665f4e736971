"""Payload format 1.0 of an HTTP API: the event of a REST API, but for what an HTTP API does in its own way.

Source: API Gateway Developer Guide, "Create AWS Lambda proxy integrations for HTTP APIs", payload format 1.0.
Not confirmed by a primary source: the resource of `$default`, that `path` is decoded and without its stage,
which bodies are base64 (by content type, as in format 2.0), and that a result without `statusCode` fails.
"""

from __future__ import annotations

from typing import Any

from engine.core.event import MISSING
from engine.core.outcome import Outcome, Status
from engine.ports import Binding
from engine.protocols.http.server import Request
from engine.sources.http.error_responses import error_responses
from engine.sources.http.headers import NOT_SHOWN, HeaderNames, text_or_base64
from engine.sources.http.payload import GatewayIdentity, stable_id
from engine.sources.http.payload_v1 import PayloadV1, TargetV1
from engine.sources.http.responses import (
    NO_STATUS,
    Answer,
    ResponseHeads,
    base64_bytes,
    is_encoded,
    parse,
    text_bytes,
)
from engine.sources.http.settings import DEFAULT_PATH, FrontDoor, HttpEvent
from engine.sources.http.target import decoded_pairs, decoded_path, grouped, shown_path
from engine.sources.http.timestamps import Timestamp


class PayloadV1HttpApi(PayloadV1):
    """One route in payload format 1.0 of an HTTP API."""

    __slots__ = ("_before",)

    def __init__(self, binding: Binding, settings: HttpEvent, gateway: GatewayIdentity) -> None:
        super().__init__(binding, settings, gateway)
        self.front_door = FrontDoor.HTTP_API
        self.error_responses = error_responses(self.front_door).saying(gateway.say)
        account = gateway.account
        api_id = stable_id("http-api", account.account_id, 10)
        self._context = {
            "accountId": account.account_id,
            "apiId": api_id,
            "domainName": f"{api_id}.execute-api.{account.region}.amazonaws.com",
            "domainPrefix": api_id,
        }
        self._names = HeaderNames(_spelling, NOT_SHOWN)
        self._heads = ResponseHeads()
        self._before = "" if self._stage == DEFAULT_PATH else f"/{self._stage}"

    def target(self, path: str, query: str, parameters: dict[str, str]) -> TargetV1:
        """Path, parameters and query values are decoded."""
        multi = grouped(decoded_pairs(query))
        single = {name: values[-1] for name, values in multi.items()}
        decoded = {name: decoded_path(value) for name, value in parameters.items()}
        shown = shown_path(path)
        return TargetV1(shown, shown, single or None, multi or None, decoded or None, self._path, "")

    def event(
        self, request: Request, target: TargetV1, request_id: str, timestamp: Timestamp, trace: str
    ) -> dict[str, Any]:
        """The event, which says its version; `resourceId` is null."""
        event = {"version": "1.0", **super().event(request, target, request_id, timestamp, trace)}
        context = event["requestContext"]
        context["authorizer"] = {"claims": None, "scopes": None}
        context["path"], context["resourceId"] = self._before + target.path, None
        return event

    def _sent_headers(self, request: Request) -> list[tuple[bytes, bytes]]:
        return request.headers

    def _body(self, request: Request) -> tuple[str | None, bool]:
        """Text if its content type holds `json`, `text` or `xml`, else base64."""
        if not request.body:
            return None, False
        kind = (request.header(b"content-type") or b"").lower()
        is_text = b"json" in kind or b"text" in kind or b"xml" in kind
        return text_or_base64(request.body, is_text=is_text)

    def answer(self, outcome: Outcome, request: Request, result: Any = MISSING) -> Answer:
        """As a REST API answers, but a result needs its `statusCode`."""
        if outcome.status is Status.SUCCESS:
            try:
                if result is MISSING:
                    result = parse(outcome.body)
            except ValueError as error:
                return self.error_responses.malformed_by(outcome.request_id, str(error))
            if type(result) is not dict or result.get("statusCode") is None:
                return self.error_responses.malformed_by(outcome.request_id, NO_STATUS)
        return super().answer(outcome, request, result)

    def _answer_body(self, result: dict[str, Any], request: Request) -> bytes:
        """A body that `isBase64Encoded` says to be so is decoded, whatever the request accepts."""
        body = result.get("body")
        if body is None:
            return b""
        if type(body) is not str:
            raise ValueError("body is not a string")
        return base64_bytes(body) if is_encoded(result) else text_bytes(body)


def _spelling(name: bytes) -> str:
    """As sent, save the one header that is sent on with more in it."""
    return "X-Forwarded-For" if name.lower() == b"x-forwarded-for" else name.decode("latin-1")
