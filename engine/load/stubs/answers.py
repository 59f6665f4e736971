"""Answers of stubs, in the protocol that the request speaks: empty and valid, or an error of its shape.

Source of the shapes: AWS's protocols as Smithy describes them (awsJson1_0, awsJson1_1, awsQuery, restJson1,
restXml, rpcv2Cbor), and what botocore's parsers read.
"""

from __future__ import annotations

import json
import re
from enum import IntEnum
from http import HTTPStatus
from typing import Final, NamedTuple

from engine.load.stubs.specification import Stub

_ACTION: Final = re.compile(rb"(?:^|[?&])Action=([A-Za-z0-9]{1,128})(?:&|$)")
_REQUEST_ID: Final = "00000000-0000-0000-0000-000000000000"
_XML_PROTOCOLS: Final = ("rest-xml", "query", "ec2")
_MESSAGE: Final = "answered by a stub of engine load"


class StubOutcome(IntEnum):
    """What becomes of one request."""

    GOOD = 0
    ERROR = 1
    THROTTLED = 2


class StubRequest(NamedTuple):
    """What an answer depends on; header names in lower case. `body` may be the beginning alone."""

    method: bytes
    target: bytes
    headers: dict[bytes, bytes]
    body: bytes


class _Protocol(NamedTuple):
    """Statuses, codes and how a body is made, by outcome."""

    kind: str
    statuses: tuple[int, int]
    codes: tuple[str, str]


_CODES: Final = {
    "dynamodb": ((500, 400), ("InternalServerError", "ProvisionedThroughputExceededException")),
    "kinesis": ((500, 400), ("InternalFailure", "ProvisionedThroughputExceededException")),
    "s3": ((500, 503), ("InternalError", "SlowDown")),
    "lambda": ((500, 429), ("ServiceException", "TooManyRequestsException")),
    "": ((500, 503), ("InternalServerError", "ServiceUnavailable")),
}
"""Of a server's error and of a throttle, where not as below; the empty name is that of HTTP upstreams.

Source: the API references of the services, "Common errors" and the operations' own.
"""
_JSON_CODES: Final = ((500, 400), ("InternalServerError", "ThrottlingException"))
_XML_CODES: Final = ((500, 400), ("InternalFailure", "Throttling"))


class StubAnswers:
    """The answers of one stub, each as the bytes to write."""

    def __init__(self, stub: Stub, protocol: str) -> None:
        """`protocol`: the service's own, for requests that do not show theirs."""
        self._stub = stub
        self._protocol = protocol

    def answer(self, request: StubRequest, outcome: StubOutcome) -> bytes:
        """Status line, headers and body."""
        kind, action = self._kind(request)
        if outcome is StubOutcome.GOOD:
            status, code = 200, ""
            body = self._good(kind, action)
        else:
            statuses, codes = _CODES.get(
                self._stub.service, _XML_CODES if kind.endswith("xml") else _JSON_CODES
            )
            status, code = statuses[outcome - 1], codes[outcome - 1]
            body = self._bad(kind, code, action)
        head = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", f"content-length: {len(body)}"]
        head += self._headers(kind, code)
        text = "\r\n".join([*head, "", ""]).encode("latin-1")
        return text if request.method == b"HEAD" else text + body

    def _kind(self, request: StubRequest) -> tuple[str, str]:
        """Media type of the answer, and the action of a Query request."""
        if not self._stub.service:
            return "application/json", ""
        if request.headers.get(b"smithy-protocol") == b"rpc-v2-cbor":
            return "application/cbor", ""
        if b"x-amz-target" in request.headers:
            sent = request.headers.get(b"content-type", b"")
            return f"application/x-amz-json-{'1.1' if sent.endswith(b'1.1') else '1.0'}", ""
        found = _ACTION.search(request.body) or _ACTION.search(request.target)
        if found is not None:
            return "text/xml", found[1].decode()
        return "application/xml" if self._protocol in _XML_PROTOCOLS else "application/json", ""

    def _good(self, kind: str, action: str) -> bytes:
        if self._stub.body is not None:
            return self._stub.body.encode()
        if kind == "application/cbor":
            return _CBOR_EMPTY
        if action:
            text = (
                f"<{action}Response><{action}Result/><ResponseMetadata><RequestId>{_REQUEST_ID}</RequestId>"
                f"</ResponseMetadata></{action}Response>"
            )
            return text.encode()
        return b"" if kind.endswith("xml") else b"{}"  # an object of S3 without content, say

    def _bad(self, kind: str, code: str, action: str) -> bytes:
        if kind == "application/cbor":
            return _cbor_map({"__type": code, "message": _MESSAGE})
        if not kind.endswith("xml"):
            return json.dumps({"__type": code, "message": _MESSAGE}).encode()
        error = f"<Code>{code}</Code><Message>{_MESSAGE}</Message>"
        if not action:
            return f"<Error>{error}<RequestId>{_REQUEST_ID}</RequestId></Error>".encode()
        return (
            f"<ErrorResponse><Error><Type>Receiver</Type>{error}</Error>"
            f"<RequestId>{_REQUEST_ID}</RequestId></ErrorResponse>"
        ).encode()

    def _headers(self, kind: str, code: str) -> list[str]:
        headers = [f"content-type: {kind}"]
        if self._stub.service:
            headers.append(f"x-amzn-requestid: {_REQUEST_ID}")
        if kind == "application/cbor":
            headers.append("smithy-protocol: rpc-v2-cbor")
        elif code and self._stub.service:
            headers.append(f"x-amzn-errortype: {code}")
        return headers


_CBOR_EMPTY: Final = b"\xa0"


def _cbor_map(members: dict[str, str]) -> bytes:
    """A map of texts as CBOR. Source: RFC 8949, 3.1."""
    parts = [bytes([0xA0 + len(members)])]
    for text in (word for pair in members.items() for word in pair):
        data = text.encode()
        parts += [bytes([0x60 + len(data)]) if len(data) < 24 else bytes([0x78, len(data)]), data]
    return b"".join(parts)
