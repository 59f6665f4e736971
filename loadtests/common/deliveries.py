"""Reads what the function `delivering` wrote, and what the dead-letter queues hold."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self
from urllib.error import URLError
from urllib.request import Request, urlopen

from grafana.src.loadtest_metrics import RESPONSE_BOUNDS_S
from loadtests.common.plan import Plan
from loadtests.common.processes import LoadTestError
from loadtests.common.tally import Tally

DELIVERIES_VARIABLE: Final = "LOADTEST_DELIVERIES"
"""Environment variable with the path of the file."""

_COUNTERS: Final = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


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


def messages_in(aws_url: str, queue: str) -> Counter[str]:
    """How many messages a queue holds: waiting, received, delayed. Raises `LoadTestError`."""
    body = {"QueueUrl": f"{aws_url}/000000000000/{queue}", "AttributeNames": list(_COUNTERS)}
    headers = {
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": "AmazonSQS.GetQueueAttributes",
    }
    request = Request(f"{aws_url}/", json.dumps(body).encode(), headers)  # noqa: S310  the engine's own address
    try:
        with urlopen(request, timeout=10) as answer:  # noqa: S310
            attributes: Mapping[str, Any] = json.load(answer)["Attributes"]
    except (URLError, OSError, KeyError, ValueError) as error:
        raise LoadTestError(f"queue {queue}: {error}") from None
    return Counter({name: int(attributes[name]) for name in _COUNTERS})


def dead_letters(plan: Plan) -> dict[str, int]:
    """By stream, what its dead-letter queue holds."""
    return {
        name: messages_in(plan.urls["aws"], stream.dead_letter_queue).total()
        for name, stream in plan.streams.items()
        if stream.dead_letter_queue
    }
