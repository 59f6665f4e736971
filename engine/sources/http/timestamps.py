"""Wall time in the spellings of AWS events, computed once a second."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from engine.ports import Clock

# strftime's %b would follow the machine's locale
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Timestamp:
    """One instant, never changed.

    Attributes:
        epoch_ms: Milliseconds since the Unix epoch (`timeEpoch`).
        text: `12/Mar/2020:19:03:58 +0000` (`time`).
        trace: `Root=1-5e6a88ee-`: the start of a new `x-amzn-trace-id`.
    """

    __slots__ = ("epoch_ms", "text", "trace")

    def __init__(self, epoch_ms: int, text: str, trace: str) -> None:
        self.epoch_ms = epoch_ms
        self.text = text
        self.trace = trace


class Timestamps:
    """Reads the clock once a request and formats once a second."""

    __slots__ = ("_clock", "_second", "_text", "_trace")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._second = -1
        self._text = ""
        self._trace = ""

    def now(self) -> Timestamp:
        """The present instant, UTC."""
        epoch_ms = int(self._clock.wall() * 1000)
        second = epoch_ms // 1000
        if second != self._second:
            at = datetime.fromtimestamp(second, UTC)
            self._text = f"{at:%d}/{_MONTHS[at.month - 1]}/{at:%Y:%H:%M:%S} +0000"
            self._trace = f"Root=1-{second & 0xFFFFFFFF:08x}-"
            self._second = second
        return Timestamp(epoch_ms, self._text, self._trace)


def new_trace_id(timestamp: Timestamp, request_id: str) -> str:
    """`Root=1-<time>-<24 hex>`, the 24 taken from the request's UUID, so that both can be matched."""
    return f"{timestamp.trace}{request_id[24:36]}{request_id[:8]}{request_id[9:13]}"
