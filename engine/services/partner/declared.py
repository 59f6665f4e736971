"""Makes the streams and tables of the configuration in each partner that starts, before it answers anything.

Source: Kinesis API reference, "CreateStream"; DynamoDB API reference, "CreateTable".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import anyio
import orjson

from engine.protocols.http.client import HttpClientError, Response
from engine.services.partner.settings import ATTRIBUTES, DataStreamSettings, TableSettings, key_of

_DEFAULT_RETENTION_HOURS: Final = 24
_WITHIN_S: Final = 10.0
_LONGEST_REASON: Final = 300
_IN_USE: Final = "ResourceInUseException"
"""There is a stream or table of that name, and it stays as it is; or what follows on it has to wait."""
_ASKED_AGAIN_S: Final = 0.1
_KINESIS: Final = ("kinesis", "Kinesis_20131202", "application/x-amz-json-1.1")
_DYNAMODB: Final = ("dynamodb", "DynamoDB_20120810", "application/x-amz-json-1.0")


class Declaration(NamedTuple):
    """One request.

    Attributes:
        what: What it makes, for people: `stream 'clicks'`.
        service: That it is signed for.
        target: `X-Amz-Target`.
        content_type: `Content-Type`.
        members: Of its body.
        follows: On what the one before it made: left out if that was there already, and sent again until
            it is ready.
    """

    what: str
    service: str
    target: str
    content_type: str
    members: Mapping[str, Any]
    follows: bool = False


def declarations(
    streams: Mapping[str, DataStreamSettings], tables: Mapping[str, TableSettings]
) -> Iterator[Declaration]:
    """The requests, in order; one that fails because there is such a thing already leaves it as it is."""
    for name, stream in streams.items():
        what = f"stream {name!r}"
        members: dict[str, Any] = {"StreamName": name, "ShardCount": stream.shards}
        if stream.tags:
            members["Tags"] = stream.tags
        yield _declared(what, _KINESIS, "CreateStream", members)
        if stream.retention_hours != _DEFAULT_RETENTION_HOURS:
            period = {"StreamName": name, "RetentionPeriodHours": stream.retention_hours}
            yield _declared(what, _KINESIS, "IncreaseStreamRetentionPeriod", period)._replace(follows=True)
    for name, table in tables.items():
        yield _declared(f"table {name!r}", _DYNAMODB, "CreateTable", _table(name, table))


def _declared(
    what: str, service: tuple[str, str, str], operation: str, members: Mapping[str, Any]
) -> Declaration:
    scope, prefix, content_type = service
    return Declaration(what, scope, f"{prefix}.{operation}", content_type, members)


def _table(name: str, settings: TableSettings) -> dict[str, Any]:
    """Members of CreateTable. Those of `create_table` count, and its attributes come to those of the keys."""
    keys = [key_of(key) for key in (settings.partition_key, settings.sort_key) if key is not None]
    own = [{"AttributeName": key, "AttributeType": kind} for key, kind in keys]
    others = settings.create_table.get(ATTRIBUTES, [])
    known = {key for key, _ in keys}
    members: dict[str, Any] = {
        "TableName": name,
        "KeySchema": [
            {"AttributeName": key, "KeyType": kind}
            for (key, _), kind in zip(keys, ("HASH", "RANGE"), strict=False)
        ],
        "BillingMode": "PAY_PER_REQUEST",
        **settings.create_table,
        ATTRIBUTES: [*own, *(one for one in others if one.get("AttributeName") not in known)],
    }
    if settings.stream is not None:
        members["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": settings.stream}
    if settings.tags:
        members["Tags"] = [{"Key": key, "Value": value} for key, value in settings.tags.items()]
    return members


class DeclaredResources:
    """Makes them once for each start of the partner. What cannot be made is said, and the rest goes on."""

    def __init__(self, declared: Iterable[Declaration], say: Callable[[str], None]) -> None:
        self._declared, self._say = tuple(declared), say
        self._start: int | None = None
        self._made = anyio.Event()

    async def make(self, start: int, send: Callable[[Declaration], Awaitable[Response]]) -> None:
        """Return when all is made in the partner that was started as the number `start`.

        Whoever comes first makes it; the others wait. It goes on if the first does not wait any more.
        """
        if not self._declared:
            return
        if self._start == start:
            await self._made.wait()
            return
        self._start, self._made = start, anyio.Event()
        made = self._made
        try:
            with anyio.move_on_after(_WITHIN_S, shield=True) as limit:
                is_new = True
                for one in self._declared:
                    if is_new or not one.follows:
                        is_new = await self._make(one, send)
            if limit.cancelled_caught:
                self._say(
                    f"partner: {one.what} and what follows is not made: no answer within {_WITHIN_S:g} s"
                )
        finally:
            made.set()

    async def _make(self, one: Declaration, send: Callable[[Declaration], Awaitable[Response]]) -> bool:
        """Whether it was made now."""
        try:
            answer = await send(one)
            while one.follows and _is_in_use(answer):
                await anyio.sleep(_ASKED_AGAIN_S)
                answer = await send(one)
        except HttpClientError as error:
            self._say(f"partner: {one.what} could not be made: {error}")
            return False
        if answer.status != 200 and not _is_in_use(answer):
            self._say(f"partner: {one.what} could not be made: {_reason(answer)}")
        return answer.status == 200


def _is_in_use(answer: Response) -> bool:
    return answer.status != 200 and _IN_USE.encode() in answer.body


def _reason(answer: Response) -> str:
    """What the partner says is wrong, on one line."""
    try:
        document = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return f"it answered {answer.status}"
    if not isinstance(document, dict):
        return f"it answered {answer.status}"
    code = str(document.get("__type", f"status {answer.status}")).rpartition("#")[2]
    message = str(document.get("message") or document.get("Message") or "")
    return " ".join(f"{code}: {message}".split())[:_LONGEST_REASON]
