"""Reads what the function `delivering` wrote, and what the dead-letter queues hold."""

from __future__ import annotations

from collections import Counter
from dataclasses import field
from pathlib import Path
from typing import Final, Self

from engine.core.late_dataclass import dataclass
from engine.load.generator.tally import Tally
from engine.load.metric_catalogue import RESPONSE_BOUNDS_S
from engine.load.planning.plan import Plan
from engine.load.running.wiring import messages_in

DELIVERIES_VARIABLE: Final = "LOADTEST_DELIVERIES"
"""Environment variable with the path of the file."""


@dataclass(slots=True)
class RecordDeliveries:
    """What became of the records of one stream.

    Attributes:
        attempts: How often the function was given a record.
        delivered: Different records that it took.
        duplicates: Times that it took one again.
        times: From the intended sending to the function's taking it.
        drained_s: Monotonic time of the last delivery.
        seconds: Deliveries by the second of the monotonic clock.
    """

    attempts: int = 0
    delivered: int = 0
    duplicates: int = 0
    times: Tally = field(default_factory=lambda: Tally(RESPONSE_BOUNDS_S))
    drained_s: float = 0.0
    seconds: Counter[int] = field(default_factory=Counter)


class Channel:
    """Reads the file as it grows, so that a flood of lines is read once."""

    def __init__(self, path: Path, streams: list[str]) -> None:
        path.touch()
        self._file = path.open("rb")
        self._rest = b""
        self._taken: set[bytes] = set()
        self.streams = {name: RecordDeliveries() for name in streams}

    def read(self) -> dict[str, RecordDeliveries]:
        """Read what was written until now; return it by stream."""
        while chunk := self._file.read(1 << 20):
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            for line in lines:
                self._count(line)
        return self.streams

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _count(self, line: bytes) -> None:
        name, poison, sent_s, done_s = line.split(b" ")
        stream = self.streams[name.rpartition(b"/")[0].decode()]
        stream.attempts += 1
        if poison == b"1":
            return
        if name in self._taken:
            stream.duplicates += 1
            return
        self._taken.add(name)
        stream.delivered += 1
        stream.seconds[int(float(done_s))] += 1
        stream.drained_s = max(stream.drained_s, float(done_s))
        stream.times.add(float(done_s) - float(sent_s))


def dead_letters(plan: Plan) -> dict[str, int]:
    """By stream, what its dead-letter queue holds."""
    return {
        name: messages_in(plan.urls["aws"], stream.dead_letter_queue).total()
        for name, stream in plan.streams.items()
        if stream.dead_letter_queue
    }
