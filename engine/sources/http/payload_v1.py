"""Payload format 1.0: REST APIs with Lambda proxy integration.

Absent things are null in the event. Source: API Gateway Developer Guide, "Lambda proxy integrations in
API Gateway" for REST APIs; recorded events and answers.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from engine.core.event import MISSING
from engine.core.outcome import Outcome, Status
from engine.ports import Binding
from engine.protocols.http.server import Request
from engine.sources.http import rest_rules
from engine.sources.http.error_responses import bad_query, error_responses, unsupported_coding
from engine.sources.http.headers import (
    LEFT_OUT,
    NOT_SHOWN,
    HeaderNames,
    forwarded_for,
    text_or_base64,
)
from engine.sources.http.payload import GatewayIdentity, RequestRefused, stable_id
from engine.sources.http.responses import (
    NO_STATUS,
    Answer,
    ResponseHeads,
    base64_bytes,
    header_map,
    http_status,
    identified,
    is_encoded,
    merged_headers,
    parse,
    text_bytes,
)
from engine.sources.http.settings import DEFAULT_PATH, FrontDoor, HttpEvent
from engine.sources.http.target import decoded_pairs, grouped
from engine.sources.http.timestamps import Timestamp

_ALLOWED: Final = frozenset({"statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded"})
_NOBODY: Final = (
    "accessKey",
    "accountId",
    "caller",
    "cognitoAuthenticationProvider",
    "cognitoAuthenticationType",
    "cognitoIdentityId",
    "cognitoIdentityPoolId",
    "principalOrgId",
    "sourceIp",
    "user",
    "userAgent",
    "userArn",
)


class TargetV1(NamedTuple):
    """What a target says.

    Attributes:
        path: As the event has it.
        context_path: As the event's `requestContext` has it, without the stage.
        query, multi_query, parameters: None when empty.
        resource, resource_id: Of the route.
        is_refused: Whether no event is to be made of it.
    """

    path: str
    context_path: str
    query: dict[str, str] | None
    multi_query: dict[str, list[str]] | None
    parameters: dict[str, str] | None
    resource: str
    resource_id: str
    is_refused: bool = False


class PayloadV1:
    """One route in payload format 1.0. `$default` is shown as the resource `/{proxy+}`, or `/` itself."""

    __slots__ = (
        "_binary",
        "_context",
        "_gateway",
        "_greedy",
        "_heads",
        "_identity",
        "_names",
        "_path",
        "_stage",
        "_variables",
        "error_responses",
        "front_door",
        "max_body",
    )

    def __init__(self, binding: Binding, settings: HttpEvent, gateway: GatewayIdentity) -> None:
        self.front_door = FrontDoor.REST
        self.max_body = 10 * 1024 * 1024
        self.error_responses = error_responses(self.front_door).saying(gateway.say)
        account = gateway.account
        api_id = stable_id("rest-api", account.account_id, 10)
        self._context = {
            "accountId": account.account_id,
            "apiId": api_id,
            "deploymentId": stable_id("deployment", account.account_id, 6),
            "domainName": f"{api_id}.execute-api.{account.region}.amazonaws.com",
            "domainPrefix": api_id,
        }
        self._identity: dict[str, str | None] = dict.fromkeys(_NOBODY)
        self._path = settings.path
        self._greedy = (
            settings.path.rpartition("{")[2].removesuffix("+}") if settings.path.endswith("+}") else None
        )
        self._stage = settings.stage_name
        self._variables = settings.stage_variables
        self._binary = settings.binary_media_types
        self._gateway = gateway
        self._names = HeaderNames(rest_rules.spelling, NOT_SHOWN | rest_rules.LEFT_OUT_OF_EVENTS)
        self._heads = ResponseHeads(rules=rest_rules.ANSWER_RULES)

    def target(self, path: str, query: str, parameters: dict[str, str]) -> TargetV1:
        """Query values are decoded; path and parameters keep their percent-encoding.

        A `{name+}` parameter loses a trailing slash that `path` keeps. Slashes before the first segment count
        as one, but stay in the context's path. A semicolon in the query divides it as `&` does.
        """
        sent_path, path = path, "/" + path.lstrip("/")
        resource = self._path
        if resource == DEFAULT_PATH:
            rest = path.removeprefix("/").removesuffix("/")
            resource = "/{proxy+}" if rest else "/"
            parameters = {"proxy": rest} if rest else {}
        elif self._greedy is not None:
            parameters = {**parameters, self._greedy: parameters[self._greedy].removesuffix("/")}
        multi = grouped(decoded_pairs(query.replace(";", "&")))
        single = {name: values[-1] for name, values in multi.items()}
        return TargetV1(
            path,
            sent_path,
            single or None,
            multi or None,
            parameters or None,
            resource,
            stable_id("resource", resource, 6),
            rest_rules.is_refused(query),
        )

    def event(
        self, request: Request, target: TargetV1, request_id: str, timestamp: Timestamp, trace: str
    ) -> dict[str, Any]:
        """The event; single-value maps hold the last value of a repeated name. Raises RequestRefused."""
        if target.is_refused:
            raise RequestRefused("invalid_payload", bad_query())
        headers, multi_headers = self._headers(request, trace)
        agent = headers.get("User-Agent") or _text(request.header(b"user-agent"))
        identity = self._identity.copy()
        identity["sourceIp"] = request.peer
        identity["userAgent"] = agent
        body, encoded = self._body(request)
        query, multi_query, parameters = target.query, target.multi_query, target.parameters
        return {
            "resource": target.resource,
            "path": target.path,
            "httpMethod": request.method,
            "headers": headers,
            "multiValueHeaders": multi_headers,
            "queryStringParameters": query.copy() if query is not None else None,
            "multiValueQueryStringParameters": (
                {name: values.copy() for name, values in multi_query.items()}
                if multi_query is not None
                else None
            ),
            "pathParameters": parameters.copy() if parameters is not None else None,
            "stageVariables": self._variables.copy() or None,
            "requestContext": {
                **self._context,
                "extendedRequestId": f"{request_id[24:36]}{request_id[:3]}=",
                "httpMethod": request.method,
                "identity": identity,
                "path": f"/{self._stage}{target.context_path}",
                "protocol": f"HTTP/{request.version}",
                "requestId": request_id,
                "requestTime": timestamp.text,
                "requestTimeEpoch": timestamp.epoch_ms,
                "resourceId": target.resource_id,
                "resourcePath": target.resource,
                "stage": self._stage,
            },
            "body": body,
            "isBase64Encoded": encoded,
        }

    def _headers(self, request: Request, trace: str) -> tuple[dict[str, str], dict[str, list[str]]]:
        """Names as the client spelled them; the front door's own in AWS's spelling."""
        names, sent_headers = self._names, self._sent_headers(request)
        headers = {names[name]: value.decode("latin-1") for name, value in sent_headers}
        if len(headers) == len(sent_headers):
            headers.pop(LEFT_OUT, None)
            multi = {name: [value] for name, value in headers.items()}
        else:
            multi = grouped((names[name], value.decode("latin-1")) for name, value in sent_headers)
            headers.pop(LEFT_OUT, None)
            multi.pop(LEFT_OUT, None)
        sent = multi.get("X-Forwarded-For")
        added = {
            "X-Forwarded-For": forwarded_for(", ".join(sent) if sent else None, request.peer),
            "X-Forwarded-Port": self._gateway.port,
            "X-Forwarded-Proto": "http",
            "X-Amzn-Trace-Id": trace,
        }
        for name, value in added.items():
            headers[name] = value
            multi[name] = [value]
        return headers, multi

    def _sent_headers(self, request: Request) -> list[tuple[bytes, bytes]]:
        """Those of the request, without a signature of AWS's: the function does not see it."""
        authorization = request.header(b"authorization")
        if authorization is None or not rest_rules.is_signature(authorization):
            return request.headers
        return [header for header in request.headers if header[0].lower() != b"authorization"]

    def _body(self, request: Request) -> tuple[str | None, bool]:
        """Base64 if the content type is a binary media type, else text: bytes that are not UTF-8 are lost.

        Without the content coding, which a REST API undoes.
        """
        if not request.body:
            return None, False
        coding = request.header(b"content-encoding")
        if coding is not None:
            request.body = self._decoded(request.body, coding)
        if self._binary:
            kind = _text(request.header(b"content-type")) or "application/json"
            if _is_binary(kind, self._binary):
                return text_or_base64(request.body, is_text=False)
        return request.body.decode("utf-8", "replace"), False

    def _decoded(self, body: bytes, coding: bytes) -> bytes:
        try:
            return rest_rules.decoded(body, coding, self.max_body)
        except rest_rules.NotDecodable:
            raise RequestRefused("invalid_payload", unsupported_coding()) from None
        except rest_rules.DecodedTooLarge:
            raise RequestRefused("payload_too_large", self.error_responses.too_large) from None

    def answer(self, outcome: Outcome, request: Request, result: Any = MISSING) -> Answer:
        """A response object with known keys only; anything else is malformed.

        Without `statusCode` it is a 200 unless it is empty. `multiValueHeaders` go before `headers` of the
        same name; a pair that is in both is sent once. `isBase64Encoded` decodes only if the first media
        type of the request's `Accept` is a binary media type; else the base64 text itself is sent.
        """
        if outcome.status is not Status.SUCCESS:
            return self.error_responses.of(outcome)
        try:
            if result is MISSING:
                result = parse(outcome.body)
            if type(result) is not dict or not result or not result.keys() <= _ALLOWED:
                return self.error_responses.malformed_by(outcome.request_id, _no_response(result))
            code = result.get("statusCode")
            status = 200 if code is None else http_status(code)
            multi = result.get("multiValueHeaders")
            head = (
                self._heads.lines(merged_headers(header_map(multi), header_map(result.get("headers"))))
                if multi
                else self._heads.render(result.get("headers"))
            )
            return status, identified(head, outcome.request_id), self._answer_body(result, request)
        except ValueError as error:
            return self.error_responses.malformed_by(outcome.request_id, str(error))

    def _answer_body(self, result: dict[str, Any], request: Request) -> bytes:
        body = result.get("body")
        encoded = is_encoded(result)
        if body is None:
            return b""
        if type(body) is not str:
            raise ValueError("body is not a string")
        if encoded and self._binary:
            accept = _text(request.header(b"accept")) or ""
            if _is_binary(accept.partition(",")[0], self._binary):
                return base64_bytes(body)
        return text_bytes(body)


def _no_response(result: Any) -> str:
    if type(result) is not dict or not result:
        return NO_STATUS
    return f"unknown keys: {', '.join(sorted(map(repr, result.keys() - _ALLOWED)))}"


def _text(value: bytes | None) -> str | None:
    return value.decode("latin-1") if value is not None else None


def _is_binary(media_type: str, binary: tuple[str, ...]) -> bool:
    """Whether `binary` holds the type, its `type/*`, or `*/*`. Parameters do not count."""
    kind = media_type.partition(";")[0].strip().lower()
    return "*/*" in binary or kind in binary or f"{kind.partition('/')[0]}/*" in binary
