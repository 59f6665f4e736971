"""The last invocations of each function with what they logged, for the console and `engine logs`.

Those that failed are always kept. Of the others, `KEPT` of each function are kept from one read to the next,
and `KEPT_PER_S` a second after these, so that what an engine spends on them does not grow with its load.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import orjson

from engine.core.invocation import LOG_KEPT_CHARACTERS, Invocation
from engine.core.outcome import Outcome, Status
from engine.ports import Clock
from engine.telemetry.report_lines import (
    end_line,
    failure_lines,
    iso_utc,
    report_line,
    start_line,
    status_and_type,
)

KEPT: Final = 200
"""Invocations of one function, whatever became of them."""
KEPT_PER_S: Final = 100
"""Successful ones of one function in a second, once `KEPT` of them were kept since the last read."""
KEPT_FAILURES: Final = 20
"""Failed ones of one function, which those that follow do not push out."""
KEPT_CHARACTERS: Final = 32 * 2**20
"""Of all functions together; above it the older half of each function's invocations goes."""
ERROR_CHARACTERS: Final = 4096
"""Of an error object, which are kept whole or not at all."""

_RECORD_CHARACTERS: Final = 600
"""What a record takes besides its texts, about."""


class RecentInvocation(NamedTuple):
    """One that ended.

    Attributes:
        number: Counts the invocations of its function that ended, also those that were not kept.
        outcome: How it ended, without the body; a failed one has its error object if that is short.
        error_type: The platform's name of the error, if the platform gave it.
        trigger: What it came by.
        start: Its START line.
        memory_mb: Configured memory of its function.
        ended_s: Engine clock.
        node: Which node of the cluster it ran on; "" for the engine's own machine.
        log: The end of what the handler wrote, at most `LOG_KEPT_CHARACTERS`.
    """

    number: int
    outcome: Outcome
    error_type: str | None
    trigger: str
    start: str
    execution_arn: str | None
    memory_mb: int
    ended_s: float
    node: str
    log: str

    @property
    def characters(self) -> int:
        """What it counts against `KEPT_CHARACTERS`."""
        return _RECORD_CHARACTERS + len(self.log) + len(self.outcome.body)


class _Kept:
    """What is kept of one function, the oldest first."""

    __slots__ = ("failed", "last")

    def __init__(self) -> None:
        self.last: deque[RecentInvocation] = deque()
        self.failed: deque[RecentInvocation] = deque()  # which `last` no longer has


class RecentInvocations:
    """Those of one engine. Used on the event loop's thread alone.

    Attributes:
        characters: What is kept, texts and an allowance for each record.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.characters = 0
        self._finish: Callable[[Invocation], object] = _nothing
        self._of: dict[str, _Kept] = {}

    # ---------------------------------------------------------------- writing

    def add(
        self, number: int, invocation: Invocation, outcome: Outcome, error_type: str | None, memory_mb: int
    ) -> None:
        """Keep `invocation`, which has ended as the `number`-th of its function. Takes a few microseconds."""
        self._finish(invocation)
        event = invocation.event
        keeps_body = outcome.status is not Status.SUCCESS and len(outcome.body) <= ERROR_CHARACTERS
        record = RecentInvocation(
            number,
            outcome.trimmed(keeps_body=keeps_body),
            error_type,
            event.trigger,
            start_line(event),
            event.execution_arn,
            memory_mb,
            self._clock.now(),
            invocation.node,
            "".join(invocation.log or ())[-LOG_KEPT_CHARACTERS:],
        )
        kept = self._of.get(event.function)
        if kept is None:
            kept = self._of[event.function] = _Kept()
        kept.last.append(record)
        self.characters += record.characters
        if len(kept.last) > KEPT:
            self._drop_oldest(kept)
        if self.characters > KEPT_CHARACTERS:
            self._halve()

    def watch_output(self, finish: Callable[[Invocation], object]) -> None:
        """Call `finish` before a log is read: its last line may not have ended."""
        self._finish = finish

    def forget(self, function: str) -> None:
        """Drop all of a function."""
        kept = self._of.pop(function, None)
        if kept is not None:
            self.characters -= sum(one.characters for one in (*kept.last, *kept.failed))

    def _drop_oldest(self, kept: _Kept) -> None:
        oldest = kept.last.popleft()
        if oldest.outcome.ok:
            self.characters -= oldest.characters
            return
        kept.failed.append(oldest)
        if len(kept.failed) > KEPT_FAILURES:
            self.characters -= kept.failed.popleft().characters

    def _halve(self) -> None:
        for kept in self._of.values():
            for records in (kept.failed, kept.last):
                for _ in range((len(records) + 1) // 2):
                    self.characters -= records.popleft().characters

    # ---------------------------------------------------------------- reading

    def of(
        self,
        function: str,
        *,
        after: int = 0,
        request_id: str | None = None,
        since_s: float = math.inf,
        execution: str | None = None,
    ) -> list[RecentInvocation]:
        """Those of `function`, the oldest first.

        Args:
            function: Its name.
            after: Only those with a higher number.
            request_id: Only the attempts of that request.
            since_s: Only what ended in so many last seconds.
            execution: Only the invocations of that durable execution, by its ARN or name.
        """
        kept = self._of.get(function)
        if kept is None:
            return []
        earliest_s = self._clock.now() - since_s
        return [
            one
            for records in (kept.failed, kept.last)
            for one in records
            if one.number > after
            and one.ended_s >= earliest_s
            and request_id in (None, one.outcome.request_id)
            and (execution is None or _is_of(one.execution_arn, execution))
        ]

    def left_out(self, function: str, numbers: range, *, after: int = 0, since_s: float = math.inf) -> int:
        """How many of `numbers`, all that ended, `of` no longer has.

        At most so many, if none is kept that ended before the last `since_s`.
        """
        later = self.of(function, after=after)
        recent = self.of(function, after=after, since_s=since_s)
        older = later[len(later) - len(recent) - 1].number if len(recent) < len(later) else 0
        first = max(after + 1, older + 1, numbers.start)
        return max(numbers.stop - first - len(recent), 0)

    def shown(self, one: RecentInvocation, *, with_log: bool) -> dict[str, Any]:
        """`one` as JSON: times in seconds, the cost in US dollars with every digit, perhaps its lines."""
        outcome = one.outcome
        ended_wall_s = one.ended_s + self._clock.wall() - self._clock.now()
        document = {
            "number": one.number,
            "request_id": outcome.request_id,
            "ended_at": iso_utc(ended_wall_s),
            "status": outcome.status.value,
            "error_type": status_and_type(outcome, one.error_type)[1] or _error_type(outcome),
            "error": outcome.body.decode(errors="replace"),
            "trigger": one.trigger,
            "execution_arn": one.execution_arn,
            "cold_start": outcome.cold_start,
            "queue_wait_s": outcome.queue_wait_s,
            "init_s": outcome.init_s,
            "duration_s": outcome.duration_s,
            "billed_ms": outcome.billed_ms if outcome.ran else 0,
            "memory_mb": one.memory_mb,
            "max_memory_mb": outcome.max_memory_mb,
            "cost_usd": f"{outcome.cost_usd:f}",
        }
        if one.node:
            document["node"] = one.node
        if with_log:
            document["log"] = _log(one, ended_wall_s)
        return document


def _nothing(_invocation: Invocation) -> None:
    """Where nothing is captured, no line is open."""


def _is_of(arn: str | None, execution: str) -> bool:
    """Whether `execution` is the ARN, or the name in it."""
    return arn is not None and execution in (arn, arn.rsplit("/", 2)[1])


def _error_type(outcome: Outcome) -> str | None:
    """What a handler's own error is called, if that is kept."""
    try:
        document = orjson.loads(outcome.body)
    except ValueError:
        return None
    return document.get("errorType") if isinstance(document, dict) else None


def _log(one: RecentInvocation, ended_wall_s: float) -> str:
    """START, the handler's lines, END and REPORT."""
    written = one.log if not one.log or one.log.endswith("\n") else one.log + "\n"
    if len(one.log) == LOG_KEPT_CHARACTERS:
        written = "[engine] earlier output of this invocation was not kept\n" + written
    text = "".join(
        (
            one.start,
            written,
            failure_lines(one.outcome, one.error_type, ended_wall_s),
            end_line(one.outcome.request_id),
            report_line(one.outcome, one.memory_mb, one.error_type),
        )
    )
    return text.encode(errors="replace").decode()  # a lone surrogate is in no JSON
