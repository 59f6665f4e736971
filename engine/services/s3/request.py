"""A parsed request to S3 (bucket, key, query and headers), and an answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, quote

from engine.protocols.http.message import Request, header_block
from engine.services.s3.blob_store import EMPTY, Content
from engine.services.s3.checksums import Checksum
from engine.services.s3.errors import S3Error, invalid_argument
from engine.services.s3.events import ObjectEvent
from engine.services.s3.names import Hosts, decoded_key

_MAX_PARAMETERS: Final = 200
_IS_OF_BODY: Final = re.compile(
    r"x-amz-(checksum-(?!mode$|algorithm$|type$).*|sdk-checksum-algorithm|trailer|content-sha256"
    r"|decoded-content-length)",
    re.IGNORECASE | re.DOTALL,
)
"""Headers that describe the very body they came with: they do not bind in a query."""
XML_HEAD: Final = b"content-type: application/xml\r\n"


class PostForm(NamedTuple):
    """The form of a POST: the key of its object, and its fields, names in lower case."""

    key: str
    fields: Mapping[str, str]


class Prepared(NamedTuple):
    """What was computed from a request before its operation runs. Members that an operation lacks are empty.

    Attributes:
        document: The checked body of an operation that takes a document.
        content: What is to be stored: a body that was kept as a blob, or a part of another object.
        etag: MD5 of the content in hex, or the ETag of the object that is copied.
        checksum: The checksum that came with the body.
        digest: Checksum of the content, or of an upload's parts, where it had to be computed.
        form: The form of a POST.
    """

    document: bytes = b""
    content: Content = EMPTY
    etag: str = ""
    checksum: Checksum | None = None
    digest: bytes | None = None
    form: PostForm | None = None


_NOTHING: Final = Prepared()


class Preparation(NamedTuple):
    """How an operation gets what it needs before it runs in its one synchronous step.

    Attributes:
        work: Runs first, on a worker thread if it may take long. Changes nothing, but may keep a new blob.
        source: Content of other objects that is retained until the operation has run: a newer version must
            not remove it meanwhile. None if the work reads the request only.
        reads_source: Whether the work reads all of `source`.
    """

    work: Callable[[], Prepared]
    source: Content | None = None
    reads_source: bool = True


class S3Request:
    """A parsed request.

    Attributes:
        bucket: Empty for the service itself.
        key: Empty for a bucket.
        query: The first value of each parameter, decoded.
        headers: By name in lower case, Latin-1 as HTTP has it; of equal names the values joined by commas.
            Parameters of a presigned URL that stand for headers are among them, but for those about the body,
            which whoever made the URL did not know: what counts is the header that was sent with it.
        request_id: 16 hex digits.
        prepared: What was computed before its operation runs.
    """

    __slots__ = ("bucket", "headers", "key", "prepared", "query", "request", "request_id")

    def __init__(self, request: Request, hosts: Hosts, request_id: str) -> None:
        """Raises S3Error for an invalid target."""
        self.request = request
        self.request_id = request_id
        self.prepared = _NOTHING
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
            if parameter[:6].lower() == "x-amz-" and not _IS_OF_BODY.fullmatch(parameter):
                header_line(parameter.lower(), value)
                self.headers.setdefault(parameter.lower(), value)

    @property
    def method(self) -> str:
        """The HTTP method."""
        return self.request.method

    @property
    def document(self) -> bytes:
        """The checked body of an operation that takes a document."""
        return self.prepared.document


class S3Response(NamedTuple):
    """An answer, and the events of the operation.

    Attributes:
        status: HTTP status.
        head: Header lines, each with its CRLF.
        body: Bytes, or the content to be read.
        events: What targets of notifications are notified of.
    """

    status: int = 200
    head: bytes = b""
    body: bytes | Content = b""
    events: Sequence[ObjectEvent] = ()


def object_url(call: S3Request, key: str) -> str:
    """The URL of an object in the bucket of `call`, addressed as `call` was: `/` in the key is `%2F`."""
    path = call.request.target.partition(b"?")[0].removeprefix(b"/")
    is_virtual = decoded_key(path) == call.key
    bucket = "" if is_virtual else f"/{call.bucket}"
    return f"http://{call.headers.get('host', 'localhost')}{bucket}/{quote(key, safe='')}"


def header_line(name: str, value: str) -> bytes:
    """A header line of a value that came in a form or a query string.

    Raises:
        S3Error: InvalidArgument: the value cannot be in a header.
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
