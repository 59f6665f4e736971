"""Which shards of a stream may be read: a child when all of its parents are done with, or expired.

Source: Kinesis Data Streams Developer Guide, "Strategies for resharding"; DynamoDB Developer Guide, "Change
data capture for DynamoDB Streams": an application has to process a parent before its children.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from engine.core.streams.records import (
    LATEST,
    TRIM_HORIZON,
    PositionType,
    ShardCheckpoint,
    ShardInfo,
    StreamPosition,
)
from engine.core.streams.settings import StreamSettings
from engine.core.streams.shard import Shard, ShardState
from engine.core.streams.subshard import Tried


class Lineage:
    """The shards of a stream, as far as they are known.

    Attributes:
        shards: By id, in the order in which they became known.
        is_known: Whether the shards were listed, or come from checkpoints: what is new from now on is read
            from its beginning.
    """

    def __init__(
        self,
        settings: StreamSettings,
        checkpoints: Iterable[ShardCheckpoint] = (),
        tried: Mapping[str, Mapping[int, Tried]] | None = None,
    ) -> None:
        self._settings = settings
        known = tried or {}
        self.shards = {
            each.shard_id: Shard.resumed(each, settings, known.get(each.shard_id, {})) for each in checkpoints
        }
        self.is_known = bool(self.shards)
        self._since_s: float | None = None

    def listed(self, infos: Sequence[ShardInfo]) -> None:
        """All shards that there are."""
        start = TRIM_HORIZON if self.is_known else self._start()
        for info in infos:
            shard = self._known(info, start)
            shard.misses, shard.is_listed = 0, True
            shard.ending_sequence = info.ending_sequence
        names = {info.shard_id for info in infos}
        for shard in list(self.shards.values()):
            if shard.shard_id not in names:
                self._missed(shard)
        self.is_known = True

    def not_listed(self, now_s: float) -> None:
        """They could not be listed. `LATEST` is what comes after the first time."""
        if self._since_s is None:
            self._since_s = now_s

    def children(self, infos: Iterable[ShardInfo]) -> bool:
        """A read named the children of a shard that ended. Whether their parents are known too."""
        are_known = True
        for info in infos:
            if info.shard_id not in self.shards:
                self._known(info, TRIM_HORIZON).misses = -1  # a listing that is on its way may lack it
            are_known = are_known and all(parent in self.shards for parent in info.parents)
        return are_known

    def forget(self) -> list[Shard]:
        """The stream is another one: it is read from its beginning. What was known until now."""
        shards = list(self.shards.values())
        for shard in shards:
            shard.state = ShardState.FINISHED
        self.shards = {}
        self.is_known = True
        return shards

    def readable(self) -> Iterator[Shard]:
        """Shards that are held, and need not be any longer."""
        for shard in self.shards.values():
            if shard.state is ShardState.HELD and all(
                self._is_done(parent, expired=shard.is_listed) for parent in shard.parents
            ):
                yield shard

    def _is_done(self, shard_id: str, *, expired: bool) -> bool:
        """Whether a parent is done with. One that is not known: whether that means that it has `expired`."""
        parent = self.shards.get(shard_id)
        if parent is None:
            return expired
        if parent.state is ShardState.FINISHED:
            return True
        return parent.is_passed and parent.is_drained

    def _known(self, info: ShardInfo, start: StreamPosition) -> Shard:
        shard = self.shards.get(info.shard_id)
        if shard is None:
            shard = Shard(info.shard_id, info.parents, start, self._settings.subshards)
            self.shards[info.shard_id] = shard
            is_closed = info.ending_sequence is not None and not self._settings.closed_shards_grow
            if start is LATEST and is_closed:
                shard.state = ShardState.FINISHED  # whatever is in it came before
        elif not shard.parents:
            shard.parents = tuple(info.parents)
        return shard

    def _missed(self, shard: Shard) -> None:
        shard.misses += 1
        if shard.is_expired and shard.state is not ShardState.OPEN:
            del self.shards[shard.shard_id]

    def _start(self) -> StreamPosition:
        settings = self._settings
        if settings.starting_position is PositionType.LATEST:
            if self._since_s is not None:
                return StreamPosition(PositionType.AT_TIMESTAMP, timestamp_s=self._since_s)
            return LATEST
        if settings.starting_position is PositionType.AT_TIMESTAMP:
            return StreamPosition(PositionType.AT_TIMESTAMP, timestamp_s=settings.timestamp_s)
        return TRIM_HORIZON
