"""Sends requests to where a stream is: the engine's partner, any server by its URL, or AWS itself."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import urlsplit

import anyio.to_thread
import orjson

from engine.core.streams.records import ReadFailure
from engine.ports import Clock
from engine.protocols.aws.signing import MADE_UP, signed
from engine.protocols.http.client import HttpClientError, HttpConnection, Response
from engine.services.partner.moto_process import PartnerFailed
from engine.services.partner.service import MOTO, Partner
from engine.sources.streams.credentials import CredentialFinder
from engine.sources.streams.port import StreamError, StreamThrottled

T = TypeVar("T")

MAX_ANSWER_BYTES: Final = 32 * 1024 * 1024
"""A page has 10 MB of data at most, which base64 and JSON make up to half larger."""
_CONNECT_S: Final = 10.0
_ANSWER_S: Final = 30.0
_KEPT_CONNECTIONS: Final = 8
_LONGEST_REASON: Final = 300
_KINDS: Final[Mapping[str, ReadFailure]] = {
    "ExpiredIteratorException": ReadFailure.EXPIRED,
    "TrimmedDataAccessException": ReadFailure.TRIMMED,
    "ResourceNotFoundException": ReadFailure.GONE,
}
_THROTTLES: Final = frozenset(
    {"ProvisionedThroughputExceededException", "LimitExceededException", "ThrottlingException"}
)
_REFUSED: Final = frozenset({"InvalidArgumentException", "ValidationException", "ResourceNotFoundException"})
_NUMBERS: Final = frozenset({"StartingSequenceNumber", "SequenceNumber"})


class Transport(Protocol):
    """A way to one server."""

    is_moto: bool
    """Whether moto answers, some of whose answers have to be put right."""

    @property
    def generation(self) -> int:
        """Grows whenever all that the server kept is known to be lost."""

    async def post(self, headers: list[tuple[str, str]], body: bytes) -> Response:
        """Send a signed POST. Raises HttpClientError, PartnerFailed or StreamError."""

    def close(self) -> None:
        """Let go of connections."""


class PartnerTransport:
    """To the engine's partner, in process: a connection for each request, as moto ends them anyway."""

    def __init__(self, partner: Partner, clock: Clock, service: str, region: str) -> None:
        """Nothing is sent yet."""
        self._partner, self._clock, self._service, self._region = partner, clock, service, region
        self.is_moto = partner.answers_for == MOTO

    @property
    def generation(self) -> int:
        """How often moto was started."""
        return self._partner.starts

    async def post(self, headers: list[tuple[str, str]], body: bytes) -> Response:
        """Send it."""
        sent = signed(
            headers,
            body,
            host=f"{self._service}.{self._region}.amazonaws.com",
            service=self._service,
            region=self._region,
            credentials=MADE_UP,
            wall_s=self._clock.wall(),
        )
        return await self._partner.ask(
            self._service, sent, body, most_bytes=MAX_ANSWER_BYTES, timeout_s=_ANSWER_S
        )

    def close(self) -> None:
        """Nothing is kept."""


class UrlTransport:
    """To a server by its URL, on connections that are kept as long as it keeps them."""

    generation = 0
    is_moto = False

    def __init__(
        self, url: str, clock: Clock, service: str, region: str, profile: str | None, *, at_aws: bool = False
    ) -> None:
        """`at_aws`: credentials are needed; else made-up ones will do where none are found."""
        parts = urlsplit(url)
        self._tls = parts.scheme == "https"
        self._host, self._port = parts.hostname or "", parts.port or (443 if self._tls else 80)
        self._authority = parts.netloc
        self._clock, self._service, self._region = clock, service, region
        self._finder = CredentialFinder(clock, profile, required=at_aws)
        self._context: ssl.SSLContext | None = None
        self._idle: list[HttpConnection] = []
        self._closed = False

    async def post(self, headers: list[tuple[str, str]], body: bytes) -> Response:
        """Send it."""
        credentials = await self._finder.find()
        sent = signed(
            headers,
            body,
            host=self._authority,
            service=self._service,
            region=self._region,
            credentials=credentials,
            wall_s=self._clock.wall(),
        )
        connection = self._kept() or await self._open()
        try:
            answer = await connection.request("POST", "/", sent, body, timeout_s=_ANSWER_S)
        except BaseException:
            connection.close()
            raise
        if connection.is_open and not self._closed and len(self._idle) < _KEPT_CONNECTIONS:
            self._idle.append(connection)
        else:
            connection.close()
        return answer

    def close(self) -> None:
        """Close what is not in use now; what is, when it is answered."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def _kept(self) -> HttpConnection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
        return None

    async def _open(self) -> HttpConnection:
        if self._tls and self._context is None:
            self._context = await anyio.to_thread.run_sync(ssl.create_default_context)
        return await HttpConnection.open(
            self._host, self._port, _CONNECT_S, tls=self._context, max_answer_bytes=MAX_ANSWER_BYTES
        )


class StreamEndpoint:
    """Calls operations of one service in AWS's JSON protocol.

    Attributes:
        is_moto: Whether moto answers.
        in_doubt: The server could not be reached since this was last set to False. It may have lost what it
            kept.
    """

    def __init__(self, transport: Transport, target: str, content_type: str) -> None:
        """`target` is what stands before the operation's name in `X-Amz-Target`."""
        self._transport, self._target, self._content_type = transport, target, content_type
        self._generation: int | None = None
        self.is_moto = transport.is_moto
        self.in_doubt = False
        self._lost: str | None = None

    def lose(self, reason: str) -> StreamError:
        """What was read before is not there any more: an error, which a listing raises once more."""
        self._lost = reason
        return StreamError(ReadFailure.GONE, reason)

    @contextmanager
    def telling_lost(self) -> Iterator[None]:
        """Around a listing: raises StreamError if the stream was lost and no listing has told of it yet."""
        lost, self._lost = self._lost, None
        if lost is not None:
            raise StreamError(ReadFailure.GONE, lost)
        try:
            yield
        except StreamError as error:
            if error.kind is ReadFailure.GONE:
                self._lost = None
            raise

    async def iterator(self, document: dict[str, Any]) -> str:
        """A shard iterator. Raises StreamError: TRIMMED if the server does not know the sequence number.

        Servers differ in how they say so: by InvalidArgumentException (Kinesis), ValidationException
        (DynamoDB Streams), or (kinesis-mock) as if there were no such stream.
        """
        try:
            answer = await self.call("GetShardIterator", document)
        except StreamError as error:
            if error.code not in _REFUSED or not _NUMBERS.intersection(document):
                raise
            oldest = {name: value for name, value in document.items() if name not in _NUMBERS}
            await self.call("GetShardIterator", {**oldest, "ShardIteratorType": "TRIM_HORIZON"})
            raise StreamError(ReadFailure.TRIMMED, error.reason, error.code) from None
        return AnswerMembers("GetShardIterator", answer).text("ShardIterator")

    async def call(self, operation: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """The answer's members.

        Raises:
            StreamError: With AWS's code and message, or what is wrong with the answer.
        """
        headers = [("Content-Type", self._content_type), ("X-Amz-Target", f"{self._target}.{operation}")]
        try:
            answer = await self._transport.post(headers, orjson.dumps(document))
        except (HttpClientError, PartnerFailed, OSError, ssl.SSLError) as error:
            self.in_doubt = True
            raise StreamError(ReadFailure.ERROR, f"{operation}: {error}") from None
        before, self._generation = self._generation, self._transport.generation
        if before not in (None, self._generation):
            raise self.lose("the partner was started anew, and has lost what it kept")
        return _members(operation, answer)

    def close(self) -> None:
        """Let go of connections."""
        self._transport.close()


class AnswerMembers:
    """Reads members of an answer; one that is absent or of another type is the server's error."""

    def __init__(self, operation: str, members: Mapping[str, Any]) -> None:
        self._operation, self._members = operation, members

    def text(self, name: str) -> str:
        """A text that is not empty. Raises StreamError."""
        value = self._members.get(name)
        if not isinstance(value, str) or not value:
            raise self._wrong(name)
        return value

    def table(self, name: str) -> dict[str, Any]:
        """An object. Raises StreamError."""
        value = self._members.get(name)
        if not isinstance(value, dict):
            raise self._wrong(name)
        return value

    def each(self, name: str, made: Callable[[Any], T]) -> list[T]:
        """What `made` makes of each item of an array; of none if it is absent. Raises StreamError."""
        try:
            return [made(one) for one in self._members.get(name) or ()]
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            raise self._wrong(name) from None

    def _wrong(self, name: str) -> StreamError:
        return StreamError(ReadFailure.ERROR, f"{self._operation}: answered {name} that cannot be read")


def _members(operation: str, answer: Response) -> dict[str, Any]:
    """Raises StreamError unless it is a success with a JSON object."""
    document: Any = None
    if answer.body[:1] == b"{":
        try:
            document = orjson.loads(answer.body)
        except orjson.JSONDecodeError:
            document = None
    if answer.status == 200 and isinstance(document, dict):
        return document
    raise _failure(operation, answer, document)


def _failure(operation: str, answer: Response, document: Any) -> StreamError:
    """The error that an answer is, in one line."""
    if not isinstance(document, dict):
        kind = (answer.header(b"content-type") or b"something").split(b";")[0].decode("latin-1")
        return StreamError(
            ReadFailure.ERROR, f"{operation}: answered {answer.status} with {kind} in place of JSON"
        )
    code = str(document.get("__type", "")).rpartition("#")[2] or f"status {answer.status}"
    message = str(document.get("message") or document.get("Message") or "")
    reason = " ".join(f"{operation}: {code}: {message}".split())[:_LONGEST_REASON]
    error = StreamThrottled if code in _THROTTLES else StreamError
    return error(_KINDS.get(code, ReadFailure.ERROR), reason, code)


def aws_url(host: str, region: str) -> str:
    """Of a service at AWS, whose host's first labels are given."""
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"https://{host}.{region}.{suffix}"
