"""What the console's page can have the engine do: invoke, send, put, change executions, mark a phase.

Each is a POST of JSON with the token that this start of the engine made up. A page of another site can
neither read that token nor send such a request unasked; the rules about `Host` and `Origin` hold besides.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import quote, urlencode

import orjson

from engine.app import AwsClient
from engine.console.static_files import SAFE
from engine.ports import Clock
from engine.protocols.http.message import Request, header_block
from engine.telemetry.invocations_page import query_of

JSON_HEAD: Final = header_block([("content-type", "application/json"), ("cache-control", "no-store"), *SAFE])
TOKEN_HEADER: Final = b"x-console-token"
PHASES: Final = 200
"""Marks that are kept, the last ones."""

_JSON_TYPE: Final = {b"content-type": b"application/json"}
_NAME_CHARACTERS: Final = 80
_LISTED: Final = 1000
_CHANGES: Final = ("stop", "pause", "resume")


class Refused(Exception):
    """A request that is not done. Its words are for whoever made it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Actions:
    """The actions of one engine.

    Attributes:
        token: What each request must carry; None if none is taken.
        phases: Names and wall-clock times of marks, the oldest first.
    """

    def __init__(self, client: AwsClient, clock: Clock, *, allowed: bool) -> None:
        self._client = client
        self._clock = clock
        self.token = secrets.token_urlsafe(32) if allowed else None
        self.phases: deque[dict[str, Any]] = deque(maxlen=PHASES)

    def pages(self) -> Mapping[bytes, Callable[[Request], None]]:
        """What answers, by path."""
        steps = {
            b"/console/invoke": self._invoke,
            b"/console/send": self._send,
            b"/console/put": self._put,
            b"/console/targets": self._targets,
            b"/console/phase": self._mark,
            b"/console/executions": self._executions,
            b"/console/execution": self._change_execution,
            b"/console/timeline": self._timeline,
        }
        return {path: partial(self._perform, step) for path, step in steps.items()}

    def _perform(self, step: Callable[[Request], None], request: Request) -> None:
        try:
            self._check(request)
            step(request)
        except Refused as refused:
            request.respond(refused.status, JSON_HEAD, orjson.dumps({"message": str(refused)}))

    def _check(self, request: Request) -> None:
        if self.token is None:
            raise Refused(403, 'actions are off at this address; [engine] console = "full" turns them on')
        if request.method != "POST":
            raise Refused(405, "actions are POST requests")
        kind = (request.header(b"content-type") or b"").partition(b";")[0].strip().lower()
        if kind != b"application/json":
            raise Refused(415, "actions are sent as application/json")
        if not hmac.compare_digest(request.header(TOKEN_HEADER) or b"", self.token.encode()):
            raise Refused(403, "the token is not this engine's: load the page again")
        if request.too_large:
            raise Refused(413, "an action takes 6 MiB at most")

    # ---------------------------------------------------------------- the actions

    def _invoke(self, request: Request) -> None:
        """`?function=NAME`, with `asynchronous=1` for one nobody waits for; the body is the event."""
        query = query_of(request)
        headers = {**_JSON_TYPE, b"x-amz-log-type": b"Tail"}
        if query.get("asynchronous") == "1":
            headers[b"x-amz-invocation-type"] = b"Event"
        target = f"/2015-03-31/functions/{quote(query.get('function', ''), safe='')}/invocations"
        self._client.ask("POST", target, headers, request.body, partial(_answer, request))

    def _send(self, request: Request) -> None:
        """The body is the input of SendMessage."""
        headers = {**_JSON_TYPE, b"x-amz-target": b"AmazonSQS.SendMessage"}
        self._client.ask("POST", "/", headers, request.body, partial(_answer, request))

    def _put(self, request: Request) -> None:
        """`bucket`, `key`, `text` and perhaps `type`, the content type."""
        fields = _fields(request)
        bucket, key = quote(fields.get("bucket", ""), safe=""), quote(fields.get("key", ""))
        if not bucket or not key:
            raise Refused(400, "an object needs a bucket and a key")
        kind = fields.get("type") or "text/plain; charset=utf-8"
        if not (kind.isascii() and kind.isprintable()):
            raise Refused(400, "the content type is no text of printable ASCII characters")
        body = fields.get("text", "").encode(errors="replace")
        headers = {b"content-type": kind.encode(), b"content-length": str(len(body)).encode()}
        self._client.ask("PUT", f"/{bucket}/{key}", headers, body, partial(_answer, request))

    def _targets(self, request: Request) -> None:
        """The URLs of queues."""
        headers = {**_JSON_TYPE, b"x-amz-target": b"AmazonSQS.ListQueues"}
        body = orjson.dumps({"MaxResults": _LISTED})
        self._client.ask("POST", "/", headers, body, partial(_answer, request))

    def _executions(self, request: Request) -> None:
        """`?function=NAME`, and perhaps `status`: the newest durable executions."""
        query = query_of(request)
        statuses = {"Statuses": query["status"]} if query.get("status") else {}
        path = f"/2025-12-01/functions/{quote(query.get('function', ''), safe='')}/durable-executions"
        self._client.ask("GET", f"{path}?{urlencode(statuses)}", {}, b"", partial(_answer, request))

    def _change_execution(self, request: Request) -> None:
        """`arn` and `action`: stop, pause or resume."""
        fields = _fields(request)
        action = fields.get("action", "")
        if action not in _CHANGES:
            raise Refused(400, f"an execution can be changed by {', '.join(_CHANGES)}")
        path = f"{_execution_path(fields)}/{action}"
        self._client.ask("POST", path, _JSON_TYPE, b"{}", partial(_answer, request))

    def _timeline(self, request: Request) -> None:
        """`arn`: its timeline as text, of its first thousand events."""
        path = f"{_execution_path(_fields(request))}/history?MaxItems={_LISTED}"
        self._client.ask("GET", path, {}, b"", partial(self._draw, request))

    def _draw(self, request: Request, status: int, _head: bytes, body: bytes) -> None:
        from engine.report.execution_timeline import read_timeline, text_timeline

        document = orjson.loads(body)
        if status != 200:
            message = document.get("message") or document.get("Message") or f"status {status}"
            request.respond(status, JSON_HEAD, orjson.dumps({"message": message}))
            return
        text = text_timeline(read_timeline(document["Events"], now_s=self._clock.wall()))
        request.respond(200, JSON_HEAD, orjson.dumps({"text": text}))

    def _mark(self, request: Request) -> None:
        """`name`: from now on the load is in that phase."""
        name = _fields(request).get("name", "").strip()
        if not name or len(name) > _NAME_CHARACTERS:
            raise Refused(400, f"a phase has a name of 1 to {_NAME_CHARACTERS} characters")
        self.phases.append({"name": name, "wall_s": self._clock.wall()})
        request.respond(200, JSON_HEAD, b"{}")


def _execution_path(fields: Mapping[str, str]) -> str:
    return f"/2025-12-01/durable-executions/{quote(fields.get('arn', ''), safe='')}"


def _fields(request: Request) -> dict[str, str]:
    try:
        document = orjson.loads(request.body)
    except ValueError:
        document = None
    if not isinstance(document, dict) or not all(isinstance(value, str) for value in document.values()):
        raise Refused(400, "the body is no JSON object of texts")
    return document


def _answer(request: Request, status: int, head: bytes, body: bytes) -> None:
    """Tell the page how the service answered, as text."""
    headers = dict(_header_lines(head))
    document = {
        "status": status,
        "function_error": headers.get("x-amz-function-error"),
        "request_id": headers.get("x-amzn-requestid"),
        "log": _decoded(headers.get("x-amz-log-result", "")),
        "body": body.decode(errors="replace"),
    }
    request.respond(200, JSON_HEAD, orjson.dumps(document))


def _header_lines(head: bytes) -> list[tuple[str, str]]:
    pairs = (line.partition(":") for line in head.decode("latin-1").splitlines())
    return [(name.strip().lower(), value.strip()) for name, _, value in pairs]


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text).decode(errors="replace")
    except binascii.Error:
        return ""
