"""What a stream must do for a mapping, wherever it is; `scripted.py` and the clients implement it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from engine.core.streams.records import ReadFailure, ShardInfo, StreamPage, StreamPosition
from engine.errors import EngineError


class StreamError(EngineError):
    """A listing or a read failed: why, in a kind that decides what follows, and a sentence for people.

    `code` is the server's own word for it; empty if it has none.
    """

    def __init__(self, kind: ReadFailure, reason: str, code: str = "") -> None:
        super().__init__(kind, reason, code)
        self.kind = kind
        self.reason = reason
        self.code = code

    def __str__(self) -> str:
        return self.reason


class StreamThrottled(StreamError):
    """The server has answered enough for now: it is asked again later, and nobody need know."""


class StreamClient(Protocol):
    """One stream. Every method but `close` may raise `StreamError`, after seconds at the latest."""

    @property
    def arn(self) -> str:
        """Its ARN, as events name it. What is not known before it was found is left out at the end."""

    @property
    def closed_shards_grow(self) -> bool:
        """Whether closed shards take records, and their children none, as with moto."""

    @property
    def outlives_engine(self) -> bool:
        """Whether its records may be there after a restart of the engine; those of its own moto are not."""

    @property
    def identity(self) -> str | None:
        """What tells the stream that was listed last from others of its name; None if that is not known."""

    @property
    def retention_s(self) -> float | None:
        """How long it keeps a record, by what the last listing found; None if that is not known."""

    async def is_there(self) -> bool:
        """Whether the server has what the ARN names: that stream, and that consumer of it."""

    async def list_shards(self) -> Sequence[ShardInfo]:
        """All shards. GONE if there is no such stream, or it is another one than before of its name."""

    async def cursor(self, shard_id: str, position: StreamPosition) -> Any:
        """Where a read of the shard begins. TRIMMED as well if the server knows no such sequence number."""

    async def read(self, shard_id: str, cursor: Any, limit: int) -> StreamPage:
        """A page of at most `limit` records; their payload is one record of the event, as JSON text."""

    def close(self) -> None:
        """Let go of connections."""
