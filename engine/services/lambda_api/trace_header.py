"""X-Ray trace headers: the caller's, completed where parts are missing, or a new one.

Source: AWS X-Ray Developer Guide, "Tracing header".
"""

from __future__ import annotations

from random import getrandbits

from engine.core.trace_context import ROOT_BITS, new_root
from engine.ports import Clock


class Traces:
    """Makes trace headers. The digits of a new one are the request id's, so that both can be matched."""

    __slots__ = ("_between", "_high", "_prefix", "_second", "_wall")

    def __init__(self, clock: Clock) -> None:
        self._wall = clock.wall
        self._second = -1
        self._prefix = ""
        self._high = ""  # the digits that are the same in all ids of one source
        self._between = ""

    def new(self, request_id: str) -> str:
        """`Root=1-<time>-<24 hex>;Parent=<16 hex>;Sampled=0` for a UUID text."""
        second = int(self._wall())
        if second != self._second:
            self._second = second
            self._prefix = f"Root=1-{second & 0xFFFFFFFF:08x}-"
        if request_id[:13] != self._high:
            high, low = request_id[:8], request_id[9:13]
            self._high = request_id[:13]
            self._between = f"{high}{low};Parent={low}"
        node = request_id[24:]
        return f"{self._prefix}{node}{self._between}{node};Sampled=0"

    def complete(self, sent: str, request_id: str) -> str:
        """`sent`, with a root in front and a parent and a decision behind it where they are missing."""
        root, parent, sampled = self.new(request_id).split(";")
        if "Root=" not in sent:
            sent = f"{root};{sent}"
        if "Parent=" not in sent:
            sent = f"{sent};{parent}"
        if "Sampled=" not in sent:
            sent = f"{sent};{sampled}"
        return sent


class AdoptedTraces(Traces):
    """The same where spans are made: parent and decision are left to the span of the invocation."""

    __slots__ = ()

    def new(self, request_id: str) -> str:
        """A root alone, of random digits."""
        return new_root(int(self._wall()), getrandbits(ROOT_BITS))

    def complete(self, sent: str, request_id: str) -> str:
        """`sent`, with a root in front if it has none."""
        return sent if "Root=" in sent else f"{self.new(request_id)};{sent}"
