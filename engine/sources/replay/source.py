"""The replay source: sends the events of a trace in its own time, or faster, and logs a summary."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Annotated, ClassVar, Final, cast

import anyio
from anyio.abc import TaskStatus

from engine.core.event import Event
from engine.core.outcome import Outcome, Status
from engine.core.table import SettingsTable
from engine.core.table_rules import Bounds, Check, Length
from engine.errors import ConfigError, FunctionNotFound, NotAccepting
from engine.ports import Binding, EventSource, Finding, Host, SettingsModel, Sink
from engine.sources.replay.lateness import Lateness
from engine.sources.replay.reader import Format, rows_of
from engine.sources.replay.trace_file import Row, TraceError

_PROGRESS_S: Final = 10.0
_SAMPLE: Final = 100
_LONG_WAIT_S: Final = 600.0
"""A wait between two rows that is worth a word: milliseconds taken for seconds look like that."""
_TURN: Final = 200
"""Events that are sent before the loop gets a turn, when there is nothing to wait for."""


def _no_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("holds a NUL character")
    return value


class ReplayTrace(SettingsTable):
    """`type = "replay"`: one trace.

    Attributes:
        file: Relative to the working directory. JSON Lines or CSV; `.gz` is unpacked.
        format: `jsonl`, `csv`, or by the name.
        speed: 2 is twice as fast as it was; 0 does not wait at all.
        start_s: Seconds of the trace, from its first row, to leave out.
        most_in_flight: Events that are under way at a time. Above it the trace waits, and is late.
        loop: Begin anew at the end, until the engine stops.
    """

    file: Annotated[str, Length(1), Check(_no_nul)]
    format: Format = "auto"
    speed: Annotated[float, Bounds(ge=0, finite=True)] = 1.0
    start_s: Annotated[float, Bounds(ge=0, finite=True)] = 0.0
    most_in_flight: Annotated[int, Bounds(ge=1)] = 10_000
    loop: bool = False


class Summary:
    """How a replay went.

    Attributes:
        sent: Events that were taken.
        lateness: How many of these were sent late, and why.
        succeeded, failed, throttled: What became of them.
        refused: Rows that became no event: their function does not exist, or the engine takes none.
        skipped: Rows before `start_s`.
        error: Why it ended early, or None.
    """

    __slots__ = (
        "error",
        "failed",
        "lateness",
        "refused",
        "sent",
        "skipped",
        "succeeded",
        "throttled",
    )

    def __init__(self) -> None:
        self.sent = self.succeeded = self.failed = self.throttled = 0
        self.refused = self.skipped = 0
        self.lateness = Lateness()
        self.error: str | None = None

    @property
    def late(self) -> int:
        """How many were sent more than a tenth of a second after their time."""
        return self.lateness.held + self.lateness.slow

    @property
    def latest_s(self) -> float:
        """The most that one of them was late."""
        return max(self.lateness.held_s, self.lateness.slow_s)

    def __str__(self) -> str:
        before = f"{self.skipped} before its start left out, " if self.skipped else ""
        held = f", {self.lateness.held} of them held by most_in_flight" if self.lateness.held else ""
        text = (
            f"{before}{self.sent} sent, {self.late} late (by up to {self.latest_s:.3f} s{held}), "
            f"{self.succeeded} succeeded, {self.failed} failed, "
            f"{self.throttled} throttled, {self.refused} refused"
        )
        return f"{text}; ended early: {self.error}" if self.error is not None else text


class ReplaySource:
    """All traces of an engine, independent of each other. It ends when all are over.

    Attributes:
        summaries: One for each trace, in the order of the configuration.
    """

    Settings: ClassVar[type[SettingsModel]] = ReplayTrace

    def __init__(self, bindings: Sequence[Binding], host: Host) -> None:
        self._bindings, self._host = bindings, host
        self.summaries = [Summary() for _ in bindings]

    @classmethod
    def build(cls, bindings: Sequence[Binding], host: Host) -> EventSource:
        """Look at the first row of each trace. Raises ConfigError for those that cannot be read at all."""
        problems = [
            f"functions.{bindings[found.binding].function.name}.events: {found.sentence}"
            for found in cls.examine(bindings, host.clock.wall())
            if found.refused
        ]
        if problems:
            raise ConfigError(tuple(problems))
        return cls(bindings, host)

    @classmethod
    def examine(cls, bindings: Sequence[Binding], _wall_s: float) -> Iterator[Finding]:
        """Traces that cannot be read, and those whose time may be in another unit than seconds."""
        for number, binding in enumerate(bindings):
            settings = cast("ReplayTrace", binding.settings)
            times_s: list[float] = []
            try:
                with rows_of(Path(settings.file), settings.format) as rows:
                    times_s += (row.at_s for row in islice(rows, 1))
                    times_s += (row.at_s for row in islice(rows, _SAMPLE - 1))
            except TraceError as error:  # after a good row it ends there when it is replayed
                yield Finding(number, str(error), "file", refused=not times_s)
            if settings.speed and (wait_s := _longest_wait_s(times_s) / settings.speed) >= _LONG_WAIT_S:
                sentence = (
                    f"{settings.file}: there is a wait of {wait_s:,.0f} s among its first {len(times_s)} rows"
                )
                yield Finding(number, f"{sentence}; timestamps are seconds", "file", refused=False)

    async def serve(self, sink: Sink, stopping: anyio.Event, *, task_status: TaskStatus[str | None]) -> None:
        """Replay all, until they are over or `stopping`; then wait for what was sent."""
        async with anyio.create_task_group() as group:
            for binding, summary in zip(self._bindings, self.summaries, strict=True):
                group.start_soon(_Replay(binding, self._host, sink, stopping, summary).run)
            task_status.started(None)


class _Replay:
    """The replay of one trace."""

    def __init__(
        self, binding: Binding, host: Host, sink: Sink, stopping: anyio.Event, summary: Summary
    ) -> None:
        self._settings = cast("ReplayTrace", binding.settings)
        self._function = binding.function.name
        self._host = host
        self._now = host.clock.now
        self.summary = summary
        self._sink, self._stop = sink, stopping
        self._in_flight = 0
        self._ended = asyncio.Event()
        self._progress_s = self._now() + _PROGRESS_S

    async def run(self) -> None:
        """Send all rows, wait for their outcomes, and log a summary."""
        try:
            async with anyio.create_task_group() as watching:
                watching.start_soon(self._wake_when_stopping)
                await self._send_all()
                watching.cancel_scope.cancel()
            while self._in_flight:
                self._ended.clear()
                await self._ended.wait()
        finally:
            if self._in_flight and self.summary.error is None:
                self.summary.error = f"{self._in_flight} events were still under way"
            self._host.say(f"replay {self._settings.file}: {self.summary}")

    async def _wake_when_stopping(self) -> None:
        """Wake `_send_in_time`, which may wait for an outcome."""
        await self._stop.wait()
        self._ended.set()

    async def _send_all(self) -> None:
        while not self._stop.is_set():
            sent = self.summary.sent + self.summary.refused
            try:
                with rows_of(Path(self._settings.file), self._settings.format) as rows:
                    for due_s, row in _paced(rows, self._settings, self._now(), self.summary):
                        if row is None:
                            await asyncio.sleep(0)
                        elif not await self._send_in_time(due_s, row):
                            return
            except TraceError as error:
                self.summary.error = str(error)
                return
            if not self._settings.loop or sent == self.summary.sent + self.summary.refused:
                return

    async def _send_in_time(self, due_s: float, row: Row) -> bool:
        """Send a row when it is due. Returns whether to go on."""
        while (left_s := due_s - self._now()) > 0:
            self._log_progress()
            with anyio.move_on_after(min(left_s, max(self._progress_s - self._now(), 0.001))):
                await self._stop.wait()
            if self._stop.is_set():
                return False
        while self._in_flight >= self._settings.most_in_flight and not self._stop.is_set():
            self._ended.clear()
            await self._ended.wait()
            self.summary.lateness.had_room(self._now())
        if self.summary.sent % _TURN == 0:
            await asyncio.sleep(0)
            self._log_progress()
        if self._stop.is_set():
            return False
        self._send(row, due_s)
        return True

    def _send(self, row: Row, due_s: float) -> None:
        summary = self.summary
        function = row.function or self._function
        event = Event(function, row.payload, self._host.new_request_id(), self._now(), "replay")
        self._in_flight += 1
        try:
            self._sink.submit(event, self._on_outcome)
        except (FunctionNotFound, NotAccepting) as error:
            self._in_flight -= 1
            summary.refused += 1
            stopping = isinstance(error, NotAccepting)
            self._host.reject("not_accepting" if stopping else "unknown_function")
            return
        summary.sent += 1
        if self._settings.speed:
            summary.lateness.sent(due_s, event.received_s)

    def _on_outcome(self, outcome: Outcome) -> None:
        self._in_flight -= 1
        if outcome.ok:
            self.summary.succeeded += 1
        elif outcome.status is Status.THROTTLED:
            self.summary.throttled += 1
        else:
            self.summary.failed += 1
        self._ended.set()

    def _log_progress(self) -> None:
        if self._now() >= self._progress_s:
            self._progress_s = self._now() + _PROGRESS_S
            self._host.say(f"replay {self._settings.file}: {self.summary}, {self._in_flight} under way")


def _longest_wait_s(times_s: Sequence[float]) -> float:
    return max((later - earlier for earlier, later in pairwise(times_s)), default=0.0)


def _paced(
    rows: Iterator[Row], settings: ReplayTrace, began_s: float, summary: Summary
) -> Iterator[tuple[float, Row | None]]:
    """Rows with the engine time at which each is due; at times None, to give way, while rows are skipped.

    A row that stands after later ones is due with those: a trace is sent in the order of the file.
    """
    first_s: float | None = None
    due_s = began_s
    for row in rows:
        if first_s is None:
            first_s = row.at_s  # one that is earlier still is due at once, if none is to be left out
        after_s = row.at_s - first_s - settings.start_s
        if after_s < 0 and settings.start_s:
            summary.skipped += 1
            if summary.skipped % _TURN == 0:
                yield due_s, None
            continue
        due_s = max(due_s, began_s + (after_s / settings.speed if settings.speed else 0.0))
        yield due_s, row
