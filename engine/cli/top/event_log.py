"""The log of `engine top`: lines made of the changes between two status documents."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Final, Literal, NamedTuple

from engine.cli.top.reading import Document, gained, nodes_of

Tone = Literal["quiet", "good", "bad"]

_KEPT: Final = 200
_GOES_ON_S: Final = 5.0
_ENGINE: Final = "the engine"


class LoggedEvent(NamedTuple):
    """One line of the log.

    Attributes:
        at_s: The engine's uptime when it was last seen.
        function: Whose it is.
        what: A few words.
        times: How many times, if that can be counted; else 0.
        tone: How it is shown.
    """

    at_s: float
    function: str
    what: str
    times: int
    tone: Tone

    def __str__(self) -> str:
        """The event as text, without its time."""
        counted = f"{self.times:,} " if self.times else ""
        return f"{self.function}: {counted}{self.what}"


class EventLog:
    """The last lines, oldest first. What goes on is one line that counts up."""

    def __init__(self) -> None:
        self._lines: deque[LoggedEvent] = deque(maxlen=_KEPT)

    def __iter__(self) -> Iterator[LoggedEvent]:
        return iter(self._lines)

    def add(self, before: Document | None, after: Document) -> list[LoggedEvent]:
        """Take over what happened between two documents; gives just that."""
        new = list(_between(before, after)) if before is not None else []
        for one in new:
            known = next((line for line in reversed(self._lines) if _goes_on(line, one)), None)
            if known is None:
                self._lines.append(one)
            else:
                self._lines.remove(known)
                self._lines.append(one._replace(times=known.times + one.times))
        return new


def _goes_on(line: LoggedEvent, one: LoggedEvent) -> bool:
    same = (line.function, line.what) == (one.function, one.what)
    return same and one.times > 0 and one.at_s - line.at_s <= _GOES_ON_S


def _between(before: Document, after: Document) -> Iterator[LoggedEvent]:
    now_s = after["uptime_s"]
    if now_s < before["uptime_s"]:
        yield LoggedEvent(now_s, _ENGINE, "was started anew", 0, "bad")
        return
    old, new = before["functions"], after["functions"]
    for name in new.keys() - old.keys():
        yield LoggedEvent(now_s, name, "is there", 0, "quiet")
    for name in old.keys() - new.keys():
        yield LoggedEvent(now_s, name, "is gone", 0, "quiet")
    for name in [name for name in new if name in old]:
        yield from _of_function(name, old[name], new[name], now_s)
    yield from _of_nodes(nodes_of(before), nodes_of(after), now_s)
    for reason, count in gained(before["rejected"], after["rejected"]).items():
        yield LoggedEvent(now_s, _ENGINE, f"rejected ({reason.replace('_', ' ')})", count, "bad")


def _of_nodes(
    before: Mapping[str, Document], after: Mapping[str, Document], now_s: float
) -> Iterator[LoggedEvent]:
    for name, node in after.items():
        old = before.get(name, {"joins": 0, "losses": {}})
        for reason in gained(old["losses"], node["losses"]):
            tone: Tone = "quiet" if reason in ("left", "replaced") else "bad"
            yield LoggedEvent(now_s, f"node {name}", f"is lost ({reason})", 0, tone)
        if node["joins"] > old["joins"]:
            yield LoggedEvent(now_s, f"node {name}", "has joined", 0, "good")


def _of_function(name: str, before: Document, after: Document, now_s: float) -> Iterator[LoggedEvent]:
    for direction, reasons in after["scaled"].items():
        for reason, count in gained(before["scaled"].get(direction, {}), reasons).items():
            cause = reason.replace("_", " ")
            tone: Tone = "bad" if reason in ("crash", "timeout", "init_failed") else "good"
            if direction == "to_zero":
                yield LoggedEvent(now_s, name, f"scaled to zero ({cause})", 0, tone)
            else:
                word = "environments more" if direction == "up" else "environments fewer"
                yield LoggedEvent(now_s, name, f"{word} ({cause})", count, tone)
    for reason, count in gained(before["throttles"], after["throttles"]).items():
        yield LoggedEvent(now_s, name, f"throttled ({reason.replace('_', ' ')})", count, "bad")
    for outcome, count in gained(before["invocations"], after["invocations"]).items():
        if outcome != "success":
            yield LoggedEvent(now_s, name, f"ended in {outcome.replace('_', ' ')}", count, "bad")
