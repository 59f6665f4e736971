"""What a durable function does, as a text: `step 200; wait 1h; parallel 3 (step exp:50 fails 5%); step 20`.

    step MS [fails P%] [writes SIZE]   runs code; a failed attempt is tried again as the SDK does by default
    wait TIME                          suspends: `90s`, `15m`, `1h`, `2d`
    callback TIME                      suspends until somebody answers, that long after it was asked for
    invoke MS                          another function, which takes so long; suspends meanwhile
    parallel N (...)                   N branches of that, at a time
    replay MS                          what each invocation takes beside its steps
    input SIZE                         of the event that starts an execution

MS is a law of `engine.model.distributions` in milliseconds: `200`, `exp:200`, `lognormal:80:400`. The TIME of
a callback may be a law too, of its unit: `exp:1h`. SIZE is in bytes: `100`, `2kb`, `1mb`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from engine.core.durable.values import MAX_OPERATION_PAYLOAD
from engine.core.late_dataclass import dataclass
from engine.model.distributions import Constant, Distribution, parse_distribution

STEP_BYTES: Final = 100
INPUT_BYTES: Final = 100
"""What a step writes, and how large an event is, where nothing is said."""
MAX_BRANCHES: Final = 1_000

_UNITS_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_SIZES: Final = {"": 1, "b": 1, "kb": 1_000, "mb": 1_000_000}
_TIME: Final = re.compile(r"(?P<law>[a-z]+:)?(?P<numbers>[\d.]+(?::[\d.]+)?)(?P<unit>ms|s|m|h|d)")
_SIZE: Final = re.compile(r"(\d+)([a-z]*)")
_SHARE: Final = re.compile(r"(\d+(?:\.\d+)?)%")
_WORD: Final = re.compile(r"[();]|[^\s();]+")


@dataclass(frozen=True, slots=True)
class Step:
    """Code that runs and whose result is kept.

    Attributes:
        takes: Of one attempt, seconds.
        fail_share: Of the attempts, how many fail.
        written_bytes: Of its result.
    """

    takes: Distribution
    fail_share: float = 0.0
    written_bytes: int = STEP_BYTES


@dataclass(frozen=True, slots=True)
class Wait:
    """A timer, whole seconds."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Callback:
    """Somebody outside answers after that time."""

    after: Distribution


@dataclass(frozen=True, slots=True)
class ChainedInvoke:
    """Another function is invoked, which takes that time."""

    takes: Distribution


@dataclass(frozen=True, slots=True)
class Parallel:
    """Branches that each do the same."""

    branches: int
    body: tuple[Item, ...]


Item = Step | Wait | Callback | ChainedInvoke | Parallel


@dataclass(frozen=True, slots=True)
class Program:
    """What each execution does.

    Attributes:
        items: One after the other.
        replay: What each invocation takes beside its steps, seconds.
        input_bytes: Of the event that starts an execution.
    """

    items: tuple[Item, ...]
    replay: Distribution
    input_bytes: int


def parse_program(text: str) -> Program:
    """Read a program. Raises ValueError with a sentence that names the word that is wrong."""
    return _ProgramReader(text).program()


class _ProgramReader:
    """Reads one text, word by word."""

    def __init__(self, text: str) -> None:
        self._words = _WORD.findall(text.lower())
        self._at = 0
        self._replay: Distribution | None = None
        self._input_bytes: int | None = None

    def program(self) -> Program:
        items = tuple(self._items())
        if self._at < len(self._words):
            raise ValueError("a parenthesis is closed that was not opened")
        if not items:
            raise ValueError("a program has one step, wait, callback or invoke at least")
        replay = Constant(0.0) if self._replay is None else self._replay
        return Program(items, replay, INPUT_BYTES if self._input_bytes is None else self._input_bytes)

    def _items(self) -> Iterator[Item]:
        while (word := self._peek()) not in ("", ")"):
            self._at += 1
            if word != ";":
                item = self._item(word)
                if item is not None:
                    yield item
                if self._peek() not in ("", ")", ";"):
                    raise ValueError(f"{self._peek()!r}: there is a ; between two steps")

    def _item(self, word: str) -> Item | None:
        match word:
            case "step":
                return self._step()
            case "wait":
                seconds = _time(self._next("wait needs a time, as 90s or 1h"))
                if not seconds.fixed or seconds.mean_s < 1 or seconds.mean_s % 1:
                    raise ValueError("wait: a timer is of whole seconds, one at least, as on AWS")
                return Wait(round(seconds.mean_s))
            case "callback":
                return Callback(_time(self._next("callback needs a time, as exp:1h")))
            case "invoke":
                return ChainedInvoke(_law(self._next("invoke needs milliseconds")))
            case "parallel":
                return self._parallel()
            case "replay":
                if self._replay is not None:
                    raise ValueError("replay is said once, for all invocations")
                self._replay = _law(self._next("replay needs milliseconds"))
                return None
            case "input":
                if self._input_bytes is not None:
                    raise ValueError("input is said once, for all executions")
                self._input_bytes = _size(self._next("input needs a size, as 2kb"))
                return None
        raise ValueError(f"{word!r} is none of step, wait, callback, invoke, parallel, replay and input")

    def _step(self) -> Step:
        takes, fails, written = _law(self._next("step needs milliseconds")), 0.0, STEP_BYTES
        while self._peek() in ("fails", "writes"):
            word = self._next("")
            if word == "fails":
                fails = _share(self._next("fails needs a percentage, as 5%"))
            else:
                written = _size(self._next("writes needs a size, as 2kb"))
        return Step(takes, fails, written)

    def _parallel(self) -> Parallel:
        number = self._next("parallel needs the number of its branches")
        if not number.isdecimal() or not 1 <= int(number) <= MAX_BRANCHES:
            raise ValueError(f"{number!r}: parallel takes 1 to {MAX_BRANCHES} branches")
        if self._next("") != "(":
            raise ValueError("parallel needs what its branches do in parentheses")
        body = tuple(self._items())
        if self._next("") != ")":
            raise ValueError("a parenthesis is not closed")
        if not body:
            raise ValueError("parallel needs what its branches do in parentheses")
        return Parallel(int(number), body)

    def _peek(self) -> str:
        return self._words[self._at] if self._at < len(self._words) else ""

    def _next(self, needed: str) -> str:
        word = self._peek()
        if needed and word in ("", ")", "(", ";"):
            raise ValueError(needed)
        self._at += 1
        return word


def _law(text: str) -> Distribution:
    return parse_distribution(text)


def _time(text: str) -> Distribution:
    """A law whose numbers have one unit at the end."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no time: a number and ms, s, m, h or d")
    factor = _UNITS_S[found["unit"]] * 1000
    numbers = ":".join(f"{float(number) * factor:.12g}" for number in found["numbers"].split(":"))
    return parse_distribution(f"{found['law'] or ''}{numbers}")


def _share(text: str) -> float:
    found = _SHARE.fullmatch(text)
    if found is None or float(found[1]) > 100:
        raise ValueError(f"{text!r} is no percentage")
    return float(found[1]) / 100


def _size(text: str) -> int:
    found = _SIZE.fullmatch(text)
    if found is None or found[2] not in _SIZES:
        raise ValueError(f"{text!r} is no size: a number and b, kb or mb")
    size = int(found[1]) * _SIZES[found[2]]
    if size > MAX_OPERATION_PAYLOAD:
        raise ValueError(f"{text!r}: {MAX_OPERATION_PAYLOAD:,} bytes at most")
    return size
