"""What the callers saw: counted in each Locust process, added up in the one that writes it down."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from engine.load.generator.tally import Tally
from engine.load.metric_catalogue import LAG_BOUNDS_S, OUTCOMES, RESPONSE_BOUNDS_S
from engine.load.planning.plan import Plan
from engine.load.results.comparison import BLOCKS

SUCCESS, FAILURE, THROTTLED = OUTCOMES

COLUMNS: Final = ("due", "sent", *OUTCOMES)
"""What is counted for each second."""

DROPPED: Final = "dropped"
"""How a request was over that never was sent: it waits for no answer."""

_COLUMN: Final = {name: index for index, name in enumerate(COLUMNS)}


SPELLS: Final = 600
"""Parts of the time for which response times are kept: seconds, of runs up to ten minutes."""


def of_digits(time_s: float, digits: int = 3) -> int:
    """Microseconds, rounded to so many significant digits."""
    us = max(1, round(time_s * 1e6))
    return round(us, min(0, digits - len(str(us))))


class RequestOutcome(NamedTuple):
    """How a request ended.

    Attributes:
        outcome: One of `OUTCOMES`.
        error: What a failure was, in a few words.
        records: How many records were taken.
        began: In which environment the handler ran, and when it began (monotonic seconds), if it said so.
        text: What the server said to a failure, its beginning.
        is_answer: Whether the server said anything: a failure may be the connection's.
    """

    outcome: str
    error: str = ""
    records: int = 0
    began: tuple[str, float] | None = None
    is_answer: bool = True
    text: str = ""


class Recorder:
    """Counts everything about the requests of one process, or, after `merge`, of several.

    Attributes:
        begin_s: Monotonic time at which the load begins in this process; infinite until it is known.
        ended_s: When the load ended, seconds from its beginning; None while it goes on.
        in_flight: Requests without an answer.
        users: Users of a closed model that are active.
        walking: Users of an open model that still have something to send or to hear.
        cpu_percent: The highest that this process used of a core.
        answered: Times of the requests, by stage, stream and outcome.
        lag: How late requests were sent, by stage; those of bursts are left out.
        offered: Requests that were due, by the stage in which they were, and stream.
        completed: Answers by the stage in whose time they came, stream and outcome; those that came after the
            last stage have the number after its own.
        asked: Requests that were due, by stream.
        dropped: Those of them that were never sent, by stream.
        no_answer: Failures without any answer of the server, by stream.
        spells: Times of the requests that were answered well, by the spell of time in which they were due:
            microseconds of two digits, and how many. There are `SPELLS` at the most.
        first_errors: The first failure that was not asked for, by the stage in which it came: seconds from
            the beginning, stream, and its text.
        blocks: Times of the requests that were answered well, by stream and the twentieth of the measured
            time in which they were due: microseconds of three digits, and how many. Warm-up is left out.
        stopped: Why the load ended early; empty if it did not.
    """

    answered: dict[tuple[int, str, str], Tally]
    lag: dict[int, Tally]
    offered: Counter[tuple[int, str]]
    completed: Counter[tuple[int, str, str]]
    spells: defaultdict[int, Counter[int]]
    first_errors: dict[int, tuple[float, str, str]]
    blocks: defaultdict[tuple[str, int], Counter[int]]
    asked: Counter[str]
    dropped: Counter[str]
    records: Counter[str]
    no_answer: Counter[str]
    errors: Counter[str]
    unexpected: Counter[str]
    burst_s: dict[int, float]
    ready_s: defaultdict[int, dict[str, float]]
    seconds: dict[int, list[int]]

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.begin_s = math.inf
        self.ended_s: float | None = None
        self.in_flight = 0
        self.users = self.walking = 0
        self.cpu_percent = 0.0
        self.stopped = ""
        # In flight, users and `done` of other processes.
        self.elsewhere: dict[str, tuple[int, int, bool]] = {}
        self._begins = plan.begins()
        self._measured = frozenset(index for index, stage in enumerate(plan.stages) if not stage.warmup)
        self.spell_s = max(1.0, plan.seconds / SPELLS)
        self._block_s = max(plan.seconds - plan.warmup_s, 1e-9) / BLOCKS
        self._clear()

    def _clear(self) -> None:
        self.answered = {}
        self.lag = {}
        self.offered = Counter()
        self.completed = Counter()
        self.spells = defaultdict(Counter)
        self.first_errors = {}
        self.blocks = defaultdict(Counter)
        self.asked = Counter()
        self.dropped = Counter()
        self.records = Counter()
        self.no_answer = Counter()
        self.errors = Counter()
        self.unexpected = Counter()
        self.burst_s = {}
        self.ready_s = defaultdict(dict)
        self.seconds = {}

    # ---------------------------------------------------------------- counting

    def due(self, stream: str, at_s: float) -> None:
        """A request is due now, `at_s` seconds after the beginning."""
        self.asked[stream] += 1
        self.offered[self._stage_of(at_s), stream] += 1
        self._second(at_s)[_COLUMN["due"]] += 1

    def drop(self, stream: str, at_s: float = 0.0) -> None:
        """Count a request that is not sent because too many are unanswered."""
        self.dropped[stream] += 1
        self.completed[self._stage_of(at_s), stream, DROPPED] += 1

    def sent(self, stage: int, at_s: float, lag_s: float, *, burst: bool) -> None:
        """Count a request that is sent now, `lag_s` later than intended."""
        self.in_flight += 1
        self._second(at_s)[_COLUMN["sent"]] += 1
        if burst:
            self.burst_s[stage] = max(self.burst_s.get(stage, 0.0), lag_s)
        else:
            if stage not in self.lag:
                self.lag[stage] = Tally(LAG_BOUNDS_S)
            self.lag[stage].add(lag_s)

    def answer(
        self, stage: int, stream: str, intended_s: float, now_s: float, answer: RequestOutcome
    ) -> None:
        """Count an answer or a failure. Times are monotonic."""
        self.in_flight -= 1
        key = (stage, stream, answer.outcome)
        if key not in self.answered:
            self.answered[key] = Tally(RESPONSE_BOUNDS_S)
        self.answered[key].add(now_s - intended_s)
        if answer.outcome == SUCCESS and stage in self._measured:
            due_s = intended_s - self.begin_s - self.plan.warmup_s
            block = min(max(int(due_s / self._block_s), 0), BLOCKS - 1)
            self.blocks[stream, block][of_digits(now_s - intended_s)] += 1
        if answer.outcome == SUCCESS:
            spell = max(0, int((intended_s - self.begin_s) / self.spell_s))
            self.spells[spell][of_digits(now_s - intended_s, 2)] += 1
        after_s = now_s - self.begin_s
        self._second(after_s)[_COLUMN[answer.outcome]] += 1
        self.completed[self._stage_of(after_s), stream, answer.outcome] += 1
        self.records[stream] += answer.records
        self.no_answer[stream] += not answer.is_answer
        if answer.error:
            self.errors[answer.error] += 1
        if answer.began is not None:
            environment, began_s = answer.began
            self._ready(stage, environment, began_s - intended_s)

    def _ready(self, stage: int, environment: str, after_s: float) -> None:
        """An environment is ready when the first handler begins there."""
        known = self.ready_s[stage]
        known[environment] = min(after_s, known.get(environment, math.inf))

    def surprise(self, text: str) -> None:
        """Count an answer that is not the one expected of its event."""
        self.unexpected[text] += 1

    def failed(self, stream: str, now_s: float, text: str) -> None:
        """Keep the text of a failure that was not asked for, if it is the first of its stage."""
        after_s = now_s - self.begin_s
        self._first_error(self._stage_of(after_s), (round(after_s, 3), stream, text))

    def _first_error(self, stage: int, error: tuple[float, str, str]) -> None:
        self.first_errors[stage] = min(error, self.first_errors.get(stage, error))

    def _stage_of(self, at_s: float) -> int:
        """The stage in whose time that moment is; the number of stages once all are over."""
        if at_s >= self.plan.seconds:
            return len(self._begins)
        return max(0, bisect_right(self._begins, at_s) - 1)

    def _second(self, at_s: float) -> list[int]:
        row = self.seconds.get(int(at_s))
        if row is None:
            row = self.seconds[int(at_s)] = [0] * len(COLUMNS)
        return row

    # ---------------------------------------------------------------- several processes

    def take(self) -> dict[str, Any]:
        """All that was counted since the last time, for `merge` in another process; it is forgotten here."""
        taken = {
            "answered": [[*key, tally.encoded()] for key, tally in self.answered.items()],
            "lag": [[stage, tally.encoded()] for stage, tally in self.lag.items()],
            "offered": [[*key, count] for key, count in self.offered.items()],
            "completed": [[*key, count] for key, count in self.completed.items()],
            "spells": [[spell, list(times.items())] for spell, times in self.spells.items()],
            "first_errors": list(self.first_errors.items()),
            "blocks": [[*key, list(times.items())] for key, times in self.blocks.items()],
            "asked": dict(self.asked),
            "dropped": dict(self.dropped),
            "records": dict(self.records),
            "no_answer": dict(self.no_answer),
            "errors": dict(self.errors),
            "unexpected": dict(self.unexpected),
            "burst_s": list(self.burst_s.items()),
            "ready_s": list(self.ready_s.items()),
            "seconds": list(self.seconds.items()),
            "cpu_percent": self.cpu_percent,
            "now": [self.in_flight, self.users, self.done],
        }
        self._clear()
        return taken

    def merge(self, taken: dict[str, Any], process: str) -> None:
        """Add what another process took."""
        for stage, stream, outcome, encoded in taken["answered"]:
            other = Tally.decoded(encoded, RESPONSE_BOUNDS_S)
            self.answered.setdefault((stage, stream, outcome), Tally(RESPONSE_BOUNDS_S)).merge(other)
        for stage, encoded in taken["lag"]:
            self.lag.setdefault(stage, Tally(LAG_BOUNDS_S)).merge(Tally.decoded(encoded, LAG_BOUNDS_S))
        for stage, stream, count in taken["offered"]:
            self.offered[stage, stream] += count
        for stage, stream, outcome, count in taken["completed"]:
            self.completed[stage, stream, outcome] += count
        for spell, times in taken["spells"]:
            self.spells[spell].update(dict(times))
        for stage, error in taken["first_errors"]:
            self._first_error(stage, tuple(error))
        for stream, block, times in taken["blocks"]:
            self.blocks[stream, block].update(dict(times))
        self.asked.update(taken["asked"])
        self.dropped.update(taken["dropped"])
        self.records.update(taken["records"])
        self.no_answer.update(taken["no_answer"])
        self.errors.update(taken["errors"])
        self.unexpected.update(taken["unexpected"])
        for stage, late_s in taken["burst_s"]:
            self.burst_s[stage] = max(self.burst_s.get(stage, 0.0), late_s)
        for stage, ready_s in taken["ready_s"]:
            for environment, after_s in ready_s.items():
                self._ready(stage, environment, after_s)
        for second, row in taken["seconds"]:
            self.seconds[second] = [a + b for a, b in zip(self._second(second), row, strict=True)]
        self.cpu_percent = max(self.cpu_percent, taken["cpu_percent"])
        self.elsewhere[process] = tuple(taken["now"])

    # ---------------------------------------------------------------- reading

    @property
    def done(self) -> bool:
        """Whether the load ended and everything was answered, in this process and in those it adds up."""
        return (
            self.ended_s is not None
            and self.walking == self.all_in_flight() == 0
            and all(o[2] for o in self.elsewhere.values())
        )

    def all_in_flight(self) -> int:
        """Requests without an answer, of all processes."""
        return self.in_flight + sum(in_flight for in_flight, _, _ in self.elsewhere.values())

    def all_users(self) -> int:
        """Active users of closed models, of all processes."""
        return self.users + sum(users for _, users, _ in self.elsewhere.values())

    def tally(
        self,
        *,
        stage: int | None = None,
        stream: str | None = None,
        outcome: str | None = None,
        measured: bool = False,
    ) -> Tally:
        """Response times of the chosen stages, streams and outcomes, added up; None chooses all.

        `measured`: of all stages but warm-up.
        """
        total = Tally(RESPONSE_BOUNDS_S)
        for (a_stage, a_stream, an_outcome), tally in self.answered.items():
            if measured and a_stage not in self._measured:
                continue
            if stage in (None, a_stage) and stream in (None, a_stream) and outcome in (None, an_outcome):
                total.merge(tally)
        return total

    def offered_in(self, stage: int, stream: str | None = None) -> int:
        """How many were due in that stage."""
        due = self.offered.items()
        return sum(count for (one, name), count in due if one == stage and stream in (None, name))

    def completed_in(self, stage: int, stream: str | None = None, outcome: str | None = None) -> int:
        """How many were answered in the time of that stage, whenever they were due."""
        return sum(
            count
            for (one, name, ending), count in self.completed.items()
            if one == stage and stream in (None, name) and outcome in (None, ending)
        )

    def lag_of(self, stages: Iterable[int]) -> Tally:
        """How late requests were sent, in several stages together."""
        total = Tally(LAG_BOUNDS_S)
        for stage in stages:
            if stage in self.lag:
                total.merge(self.lag[stage])
        return total

    def measured(self, counts: Mapping[tuple[int, str], int]) -> int:
        """Of counts by stage and stream, the sum of all but warm-up."""
        return sum(count for (stage, _), count in counts.items() if stage in self._measured)

    def count(self, **wanted: Any) -> int:
        """The number of those requests."""
        keys = ("stage", "stream", "outcome")
        asked = [(keys.index(name), value) for name, value in wanted.items() if value is not None]
        return sum(
            tally.count
            for key, tally in self.answered.items()
            if all(key[index] == value for index, value in asked)
        )
