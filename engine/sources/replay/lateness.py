"""How late the events of a replay were sent, and what it was that kept them."""

from __future__ import annotations

from typing import Final

LATE_S: Final = 0.1
"""From here on an event is called late."""


class Lateness:
    """Of one replay: its events in the order in which they are sent.

    Attributes:
        held: Late ones that waited because as many as may be were under way.
        held_s: The most that one of them was late.
        slow: Those that were late although nothing held them: this machine did not get to them.
        slow_s: The most that one of them waited for it.
    """

    __slots__ = ("_free_s", "held", "held_s", "slow", "slow_s")

    def __init__(self) -> None:
        self.held = self.slow = 0
        self.held_s = self.slow_s = 0.0
        self._free_s = float("-inf")

    def had_room(self, now_s: float) -> None:
        """As many as may be were under way until now: all that was due before has waited for that."""
        self._free_s = now_s

    def sent(self, due_s: float, now_s: float) -> None:
        """An event is sent that was due at `due_s`."""
        late_s = now_s - due_s
        if late_s <= LATE_S:
            return
        unheld_s = now_s - max(due_s, self._free_s)
        if unheld_s > LATE_S:
            self.slow += 1
            self.slow_s = max(self.slow_s, unheld_s)
        else:
            self.held += 1
            self.held_s = max(self.held_s, late_s)
