"""Drives the kernel of one stream mapping: reads shards, invokes the function, tells what became of it.

Source: Lambda Developer Guide, "Using Lambda to process records from Amazon Kinesis Data Streams", "Using
AWS Lambda with Amazon DynamoDB"; what the kernel decides has its sources there.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from random import getrandbits
from typing import Any, Final

import anyio

from engine.core.event import MISSING, Event
from engine.core.late_dataclass import dataclass
from engine.core.outcome import Outcome, Status
from engine.core.streams.commands import (
    BatchResult,
    DiscardedBatch,
    InvokeBatch,
    ListShards,
    ReadShard,
    ResultKind,
    SendToDestination,
    StreamBatch,
    StreamCommand,
    StreamNoticeKind,
)
from engine.core.streams.poller import StreamPoller
from engine.core.streams.records import PositionType, ReadFailure, ShardCheckpoint, StreamPosition
from engine.core.streams.settings import MAX_PAYLOAD_BYTES
from engine.core.trace_context import ROOT_BITS, new_root
from engine.errors import FunctionNotFound, NotAccepting
from engine.ports import Clock, Sink
from engine.sources.streams.batch_sizes import BatchSizes
from engine.sources.streams.events import event_of
from engine.sources.streams.port import StreamClient, StreamError, StreamThrottled
from engine.sources.streams.starts import Starts, StreamClock
from engine.timer import Timer

_log = logging.getLogger("engine.streams")

NOTHING_YET: Final = "No records processed"
_OK: Final = "OK"
_PROBLEM: Final = "PROBLEM: Function call failed"
_QUIET_S: Final = 60.0
"""How often trouble with a stream, or a lost window, is said, at most: it may come and go."""
_KINDS: Final = {
    Status.SUCCESS: ResultKind.SUCCEEDED,
    Status.THROTTLED: ResultKind.THROTTLED,
    Status.CANCELLED: ResultKind.THROTTLED,  # the engine stops: how far the handler got is unknown
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPlan:
    """What a mapping does.

    Attributes:
        function, qualifier: What it runs.
        trigger: `kinesis` or `dynamodb`.
        name: What lines for the operator call it.
    """

    function: str
    qualifier: str | None
    trigger: str
    name: str


class StreamDriver:
    """One mapping, from `run` until it is told to stop.

    Attributes:
        poller: The kernel.
        last_result: AWS's `LastProcessingResult`.
        positioned: Set once it is known where reading begins, or that this cannot be known yet.
        stream: `StreamClient.identity` of the stream that is read; None = not known.
    """

    def __init__(
        self,
        plan: StreamPlan,
        poller: StreamPoller,
        client: StreamClient,
        sink: Sink,
        clock: Clock,
        new_request_id: Callable[[], str],
        *,
        sizes: BatchSizes,
        say: Callable[[str], None],
        discarded: Callable[[DiscardedBatch], None],
        stream: str | None = None,
    ) -> None:
        """Nothing is asked or read yet.

        Args:
            plan: What it does.
            poller: The kernel, new or paused.
            client: The stream.
            sink: Takes the events.
            clock: The engine's.
            new_request_id: For the events.
            sizes: Of the batches that ran.
            say: Takes a line for the operator.
            discarded: Sends the record of what was given up; it may not raise.
            stream: Identity of the stream that the poller's checkpoints are of.
        """
        self.poller = poller
        self.last_result = NOTHING_YET
        self.positioned = asyncio.Event()
        self.stream = stream
        self._plan, self._client, self._sink = plan, client, sink
        self._times, self._engine_clock = StreamClock(clock), clock
        self._new_request_id, self._say, self._discarded = new_request_id, say, discarded
        self._sizes = sizes
        self._agenda: deque[StreamCommand] = deque()
        self._obeying = False
        self._open = False
        self._stopping = asyncio.Event()
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._group: asyncio.TaskGroup | None = None
        self._calls: set[asyncio.Task[None]] = set()
        self._unpositioned: set[str] = set()
        self._listed_s: float | None = None
        self._troubled: set[str] = set()
        self._is_invocation_troubled = False
        self._is_said = False
        self._quiet_until_s = self._window_quiet_until_s = float("-inf")
        self._starts = Starts(client, by_time=plan.trigger == "kinesis")
        self._timer = Timer(asyncio.get_running_loop(), clock, self._due)

    async def run(self, stopping: asyncio.Event) -> None:
        """Read and invoke until `stopping`; then read nothing more, and let batches that run end."""
        self._open = True
        self._stopping = stopping
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._obey(self.poller.open(self._times.now()))
                await stopping.wait()
                self._pause()
                for call in self._calls:
                    call.cancel()
            await self._idle.wait()
        finally:
            self._pause()
            self._timer.cancel()
            self.positioned.set()

    def checkpoints(self) -> tuple[ShardCheckpoint, ...]:
        """How far it is. `LATEST` is not among them: where nothing was read, a time says from when on."""
        return tuple(map(self._dated, self.poller.checkpoints()))

    def _dated(self, checkpoint: ShardCheckpoint) -> ShardCheckpoint:
        if checkpoint.position.type is not PositionType.LATEST or self._listed_s is None:
            return checkpoint
        since = StreamPosition(PositionType.AT_TIMESTAMP, timestamp_s=self._listed_s)
        return checkpoint._replace(position=since)

    # --- the kernel

    def _pause(self) -> None:
        if self._open:
            self._open = False
            self._obey(self.poller.pause(self._times.now()))

    def _obey(self, commands: Iterable[StreamCommand]) -> None:
        """Carry them out in order, those that follow from them too, then set the timer."""
        self._agenda.extend(commands)
        if self._obeying:
            return
        self._obeying = True
        try:
            while self._agenda:
                self._carry_out(self._agenda.popleft())
        finally:
            self._obeying = False
        due_s = self.poller.next_due_s
        if due_s is not None:
            self._timer.at(self._times.engine_s(due_s))

    def _due(self, _now_s: float) -> float | None:
        self._obey(self.poller.due(self._times.now()))
        due_s = self.poller.next_due_s
        return None if due_s is None else self._times.engine_s(due_s)

    def _carry_out(self, command: StreamCommand) -> None:
        if isinstance(command, InvokeBatch):
            self._invoke(command.batch)
        elif isinstance(command, ReadShard):
            if self._listed_s is None and command.cursor is None:
                self._unpositioned.add(command.shard_id)
            self._start(self._read, command)
        elif isinstance(command, ListShards):
            self._start(self._list, command)
        elif isinstance(command, SendToDestination):
            self._discarded(command.discarded)
        elif command.kind is not StreamNoticeKind.WINDOW_LOST or self._is_next_window_said():
            self._say(f"{self._plan.name}: {command.text}")

    def _is_next_window_said(self) -> bool:
        """Whether a lost window is said: once in a while; all are counted."""
        now_s = self._times.now()
        if now_s < self._window_quiet_until_s:
            return False
        self._window_quiet_until_s = now_s + _QUIET_S
        return True

    def _start(self, work: Callable[[Any], Coroutine[Any, Any, None]], command: StreamCommand) -> None:
        if self._group is not None and self._open:
            call = self._group.create_task(work(command))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)

    # --- reading

    async def _list(self, command: ListShards) -> None:
        await self._until(command.not_before_s)
        try:
            shards = await self._client.list_shards()
        except Exception as error:  # noqa: BLE001  # a bug of ours must not end the other mappings
            kind = self._failure(error, "")
            self.positioned.set()
            self._obey(self.poller.listing_failed(self._times.now(), kind))
            return
        self._recovered("")
        before, self.stream = self.stream, self._client.identity
        is_other, now_s = before not in (None, self.stream), self._times.now()
        self._obey(
            self.poller.shards_listed(now_s, shards, is_other=is_other, retention_s=self._client.retention_s)
        )
        if self._listed_s is None:
            self._listed_s = now_s
        self._position(None)

    async def _read(self, command: ReadShard) -> None:
        await self._until(command.not_before_s)
        shard_id, cursor = command.shard_id, command.cursor
        try:
            if cursor is None:
                cursor = await self._starts.cursor(shard_id, command.position)
                self._position(shard_id)
            page = await self._client.read(shard_id, cursor, command.limit)
            self._starts.came_to(shard_id, command.position, page.cursor)
        except Exception as error:  # noqa: BLE001
            kind = self._failure(error, shard_id)
            if kind is ReadFailure.EXPIRED:
                self._starts.expired(shard_id)
                if command.cursor is None:
                    kind = ReadFailure.ERROR  # another one at once would not do
            self._position(shard_id)
            self._obey(self.poller.read_failed(self._times.now(), command, kind))
        else:
            self._recovered(shard_id)
            self._obey(self.poller.read(self._times.now(), command, page))

    async def _until(self, not_before_s: float) -> None:
        wait_s = not_before_s - self._times.now()
        if wait_s > 0:
            await anyio.sleep(wait_s)

    def _position(self, shard_id: str | None) -> None:
        """A shard of the first listing has its cursor, or cannot have it."""
        if shard_id is not None:
            self._unpositioned.discard(shard_id)
        if self._listed_s is not None and not self._unpositioned:
            self.positioned.set()

    def _failure(self, error: Exception, shard_id: str) -> ReadFailure:
        """Of which kind it is; the first of several is said."""
        if not isinstance(error, StreamError):
            _log.error("the mapping of %s failed", self._plan.name, exc_info=error)
            return ReadFailure.ERROR
        if error.kind is ReadFailure.ERROR and not isinstance(error, StreamThrottled):
            now_s = self._times.now()
            if not self._troubled and now_s >= self._quiet_until_s:
                self._say(f"{self._plan.name}: {error}; it is tried again")
                self._is_said, self._quiet_until_s = True, now_s + _QUIET_S
            self._troubled.add(shard_id)
        return error.kind

    def _recovered(self, shard_id: str) -> None:
        if shard_id in self._troubled:
            self._troubled.discard(shard_id)
            if not self._troubled and self._is_said:
                self._is_said = False
                self._say(f"{self._plan.name}: the stream answers again")

    # --- invoking

    def _invoke(self, batch: StreamBatch) -> None:
        plan, records = self._plan, batch.records
        self._running += 1
        self._idle.clear()
        if len(records) == 1 and records[0].size_bytes > MAX_PAYLOAD_BYTES:
            place = f"{batch.shard_id}, {records[0].sequence_number}"
            self._say_once(f"a record ({place}) is more than an event of 6 MB may have: its batch fails")
            self.last_result = _PROBLEM
            self._end(batch, BatchResult(ResultKind.FAILED))
            return
        event = Event(
            plan.function,
            event_of(batch, self._client.arn),
            self._new_request_id(),
            self._engine_clock.now(),
            plan.trigger,
            MISSING,
            new_root(int(self._engine_clock.wall()), getrandbits(ROOT_BITS)),
            None,
            plan.qualifier,
        )
        try:
            self._sink.submit(event, partial(self._answered, batch, event))
        except FunctionNotFound as error:
            self._say_once(f"{error}: its records wait for it")
            self._end(batch, BatchResult(ResultKind.THROTTLED))
        except NotAccepting:  # the engine stops
            self._stopping.set()
            self._end(batch, BatchResult(ResultKind.THROTTLED))

    def _say_once(self, text: str) -> None:
        """A line about what the function does not get, until it gets something."""
        if not self._is_invocation_troubled:
            self._is_invocation_troubled = True
            self._say(f"{self._plan.name}: {text}")

    def _answered(self, batch: StreamBatch, event: Event, outcome: Outcome) -> None:
        kind = _KINDS.get(outcome.status, ResultKind.FAILED)
        if kind is not ResultKind.THROTTLED:
            self._is_invocation_troubled = False
            self._sizes.sent(len(batch.records))
            self.last_result = _OK if kind is ResultKind.SUCCEEDED else _PROBLEM
        self._end(batch, BatchResult(kind, outcome.body, outcome.request_id, event.version))

    def _end(self, batch: StreamBatch, result: BatchResult) -> None:
        self._running -= 1
        if not self._running:
            self._idle.set()
        self._obey(self.poller.ended(self._times.now(), batch, result))
