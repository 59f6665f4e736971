"""One request to S3, taken apart: bucket, key, query and headers; and one answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple
from urllib.parse import parse_qsl

from engine.protocols.http.message import Request, header_block
from engine.services.s3.blob_store import Content
from engine.services.s3.body import Received
from engine.services.s3.errors import S3Error, invalid_argument
from engine.services.s3.events import ObjectEvent
from engine.services.s3.names import Hosts, decoded_key
from engine.services.s3.xml import document

_MAX_PARAMETERS: Final = 200
XML_HEAD: Final = b"content-type: application/xml\r\n"


Work = Callable[[], None]
"""Computes what may take long. Writes to its `S3Request` only, so that it may run on a worker thread."""


class Preparation(NamedTuple):
    """What an operation needs before it runs in its one synchronous step.

    Attributes:
        work: Runs first, on a worker thread if it may take long; None for nothing.
        source: Content of other objects that the work reads. It is retained until the operation has run: a
            newer version must not remove it meanwhile. None if the work reads the request only.
    """

    work: Work | None = None
    source: Content | None = None


class S3Request:
    """A request, and what was found out about it on the way.

    Attributes:
        bucket: Empty for the service itself.
        key: Empty for a bucket.
        query: The first value of each parameter, decoded.
        headers: By name in lower case, Latin-1 as HTTP has it; of equal names the values joined by commas.
            Parameters of a presigned URL that stand for headers are among them.
        request_id: 16 hex digits.
        received: The checked body, once there is one.
        content: What is to be stored, once it is kept.
        etag: Of that.
        sum: The checksum of that, where it had to be computed.
    """

    __slots__ = (
        "bucket",
        "content",
        "etag",
        "headers",
        "key",
        "query",
        "received",
        "request",
        "request_id",
        "sum",
    )

    def __init__(self, request: Request, hosts: Hosts, request_id: str) -> None:
        """Raises S3Error for an invalid target."""
        self.request = request
        self.request_id = request_id
        self.headers = _headers(request)
        path, _, query = request.target.partition(b"?")
        self.query = _query(query) if query else {}
        bucket = hosts.bucket(self.headers.get("host", "").encode("latin-1"))
        raw_key = path.removeprefix(b"/")
        if bucket is None:
            name, _, raw_key = raw_key.partition(b"/")
            bucket = decoded_key(name)
        self.bucket = bucket
        self.key = decoded_key(raw_key)
        for parameter, value in self.query.items():
            if parameter[:6].lower() == "x-amz-":
                header_line(parameter.lower(), value)
                self.headers.setdefault(parameter.lower(), value)
        self.received: Received | None = None
        self.content: Content | None = None
        self.etag = ""
        self.sum: bytes | None = None

    @property
    def method(self) -> str:
        """The HTTP method."""
        return self.request.method

    def number(self, name: str, default: int, most: int) -> int:
        """A whole number of the query, no more than `most`. Raises S3Error InvalidArgument."""
        text = self.query.get(name, "")
        if not text:
            return default
        if not text.isascii() or not text.lstrip("-").isdigit() or len(text) > 10:
            raise invalid_argument(f"Provided {name} not an integer or within integer range", name, text)
        value = int(text)
        if not 0 <= value <= 0x7FFFFFFF:
            message = f"Argument {name} must be an integer between 0 and 2147483647"
            raise invalid_argument(message, name, text)
        return min(value, most)

    def body(self) -> bytes:
        """The checked body. A bug if it was not received."""
        assert self.received is not None
        return self.received.data


class S3Response(NamedTuple):
    """What goes back, and what has happened.

    Attributes:
        status: HTTP status.
        head: Header lines, each with its CRLF.
        body: Bytes, or the content to be read.
        events: What is to be told to whoever asked for notifications.
    """

    status: int = 200
    head: bytes = b""
    body: bytes | Content = b""
    events: Sequence[ObjectEvent] = ()


def xml_answer(root: str, content: str, head: bytes = b"", events: Sequence[ObjectEvent] = ()) -> S3Response:
    """200 with a document."""
    return S3Response(200, XML_HEAD + head, document(root, content), events)


def header_line(name: str, value: str) -> bytes:
    """A header that did not come as one, but in a form or a query string.

    Raises:
        S3Error: InvalidArgument: no header could say it.
    """
    try:
        return header_block([(name, value)])
    except ValueError:
        raise invalid_argument("Header value cannot be represented", name[:100], value[:100]) from None


def _headers(request: Request) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in request.headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def _query(raw: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            raw.decode("latin-1"),
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=_MAX_PARAMETERS,
        )
    except ValueError:  # no UTF-8, or too many
        raise S3Error("InvalidURI") from None
    return dict(reversed(pairs))
