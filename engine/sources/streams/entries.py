"""One stream mapping of an engine, and what its checkpoints are kept by."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import field
from itertools import chain, count
from typing import NamedTuple

import orjson

from engine.core.late_dataclass import dataclass
from engine.core.streams.counts import StreamCounts
from engine.core.streams.records import ShardCheckpoint
from engine.core.streams.subshard import Tried
from engine.sources.streams.batch_sizes import BatchSizes
from engine.sources.streams.checkpoint_files import StreamCheckpoints
from engine.sources.streams.driver import NOTHING_YET, StreamDriver
from engine.sources.streams.port import StreamClient
from engine.sources.streams.settings import StreamEvent


class StreamTotals(NamedTuple):
    """What a mapping did for one function: what became of records, sizes of batches, records delivered.

    Attributes:
        counts, sizes, destination_deliveries, destination_failures: See `StreamEntry`.
    """

    counts: StreamCounts
    sizes: BatchSizes
    destination_deliveries: int
    destination_failures: int


@dataclass(slots=True, kw_only=True)
class StreamEntry:
    """One mapping.

    Attributes:
        uuid: AWS's name for it.
        kept_as: What its checkpoints are kept by: the UUID, if it is the same after a restart.
        function, qualifier: What it runs.
        settings: How it reads.
        modified_s: Wall time of the last change, seconds.
        client: Its stream.
        counts: What became of its records, while it ran this function.
        sizes: Of the batches that the function ran for.
        earlier: What it did for functions that it ran before, by name.
        begun: Set once it is known, and kept on disk, where its reading begins; or that this cannot be yet.
        changed: Set to have what runs for it end; there is another one then, unless it is closed.
        checkpoints: How far it is, while nothing runs for it.
        tried: The batches that failed and are not given up, then: `StreamPoller.tried`.
        stream: What tells the stream that they are of from others of its name; None = not known.
        driver: What reads for it; None before and after, and while it is disabled.
        result: What `last_result` is then.
        destination_deliveries, destination_failures: Records of what was given up that were, and could not be
            delivered.
        is_closed: It was removed.
    """

    uuid: str
    kept_as: str
    function: str
    qualifier: str | None
    settings: StreamEvent
    modified_s: float
    client: StreamClient
    counts: StreamCounts
    sizes: BatchSizes
    begun: asyncio.Event
    changed: asyncio.Event
    checkpoints: tuple[ShardCheckpoint, ...] = ()
    tried: Mapping[str, Mapping[int, Tried]] | None = None
    stream: str | None = None
    driver: StreamDriver | None = None
    result: str = NOTHING_YET
    destination_deliveries: int = 0
    destination_failures: int = 0
    is_closed: bool = False
    earlier: dict[str, StreamTotals] = field(default_factory=dict)

    def run(self, function: str, qualifier: str | None) -> None:
        """Run that function from the next batch on. What was done for another is counted as that one's."""
        before, self.function, self.qualifier = self.function, function, qualifier
        if function != before:
            self.earlier[before] = StreamTotals(
                self.counts, self.sizes, self.destination_deliveries, self.destination_failures
            )
            known = self.earlier.pop(function, None) or StreamTotals(StreamCounts(), BatchSizes(), 0, 0)
            self.counts, self.sizes, self.destination_deliveries, self.destination_failures = known

    @property
    def name(self) -> str:
        """The metric label `source`: stream and function."""
        return self.name_with(self.function)

    def name_with(self, function: str) -> str:
        """The same, while it ran that function."""
        return f"{self.settings.stream_name}:{function}"

    @property
    def title(self) -> str:
        """What lines for the operator call it."""
        return f"functions.{self.function}: {self.settings.type} {self.settings.stream_name!r}"

    @property
    def last_result(self) -> str:
        """AWS's `LastProcessingResult`."""
        return self.result if self.driver is None else self.driver.last_result

    def now(self) -> StreamCheckpoints | None:
        """How far it is now; None if that is not known, or would not tell of which stream it is."""
        shards, stream = self.checkpoints, self.stream
        if self.driver is not None:
            shards, stream = self.driver.checkpoints(), self.driver.stream
        return StreamCheckpoints(stream, shards) if shards and stream is not None else None

    def take(self, kept: StreamCheckpoints) -> None:
        """Go on from there with the next driver."""
        self.stream, self.checkpoints = kept


def name_of(function: str, qualifier: str | None, settings: StreamEvent, others: Collection[str]) -> str:
    """What the checkpoints of a mapping of the configuration are kept by; none of `others`.

    It is the same in every engine as long as the function, the stream and where reading began are.
    """
    name = orjson.dumps(
        [
            function,
            qualifier,
            settings.type,
            settings.given_name,
            settings.region,
            settings.endpoint_url,
            settings.starting_position,
            getattr(settings, "starting_position_timestamp_s", None),
        ]
    ).decode()
    numbered = (f"{name} {number}" for number in count(2))
    return next(one for one in chain((name,), numbered) if one not in others)
