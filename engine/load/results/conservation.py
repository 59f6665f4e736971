"""Conservation: what the callers saw, what the engine counted, what the function took, and that it agrees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from engine.core.late_dataclass import dataclass
from engine.load.planning.plan import Plan
from engine.load.results.metrics_page import samples
from engine.load.running.deliveries import RecordDeliveries

_SUCCESS, _FAILURE = _ENDS = ("success", "failure")

K = TypeVar("K")


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedCount:
    """A count that must be the same on both sides.

    Attributes:
        what: What is counted.
        sent: As the callers have it.
        found: As the engine has it, or the function and the dead-letter queue together.
        where: Where it was found, in words.
        at_least: More may be found than was sent: others call the function too.
    """

    what: str
    sent: int
    found: int
    where: str
    at_least: bool = False

    @property
    def agrees(self) -> bool:
        """Whether both sides counted the same."""
        return self.sent == self.found or (self.at_least and self.sent < self.found)


class EngineCounts(NamedTuple):
    """What an engine counted.

    Attributes:
        ended: Invocations by function, trigger, and `success` or `failure`.
        throttles: By function.
        deleted: Messages that were taken, by mapping.
        rejected: Requests that never became an event of a function.
    """

    ended: Counter[tuple[str, str, str]]
    throttles: Counter[str]
    deleted: Counter[str]
    rejected: int


def compared(
    plan: Plan,
    client: Mapping[str, Any],
    engine: EngineCounts | None,
    deliveries: Mapping[str, RecordDeliveries],
    dead: Mapping[str, int],
    waiting: Mapping[str, int],
) -> list[ComparedCount]:
    """Every sum of a run.

    Args:
        plan: What was to be sent.
        client: The findings of Locust.
        engine: What the engine counted meanwhile; None if there was none to ask.
        deliveries: By stream, what the function took of those that send numbered records.
        dead: By stream, messages in the dead-letter queue.
        waiting: By stream, records that no function had taken when the run was over.
    """
    counts = [_offered(client)]
    if engine is not None:
        counts += _answered(plan, client["streams"], engine)
        counts += _answered_by_users(plan, client["streams"], engine)
        counts += _sent_on(plan, client["streams"], engine, dead, waiting)
    return [*counts, *_recorded(plan, client["streams"], deliveries, dead)]


def totals(client: Mapping[str, Any]) -> dict[str, int]:
    """What became of all requests that were due: each was answered well, refused, failed, or is open.

    Those that were never sent, because too many were open, have failed; `never_sent` says how many.
    """
    streams = client["streams"].values()
    never_sent = sum(one["dropped"] for one in streams)
    return {
        "offered": sum(one["due"] for one in streams),
        "answered": sum(one[_SUCCESS] for one in streams),
        "refused": sum(one["throttled"] for one in streams),
        "failed": sum(one[_FAILURE] for one in streams) + never_sent,
        "open": client["unanswered"],
        "never_sent": never_sent,
    }


def _offered(client: Mapping[str, Any]) -> ComparedCount:
    found = totals(client)
    parts = ("answered", "refused", "failed", "open")
    return ComparedCount(
        what="offered requests",
        sent=found["offered"],
        found=sum(found[part] for part in parts),
        where=" + ".join(f"{found[part]:,} {part}" for part in parts),
    )


def _answered(plan: Plan, seen: Mapping[str, Any], engine: EngineCounts) -> list[ComparedCount]:
    """Of callers that wait: successes and failures by function and trigger, throttles by function."""
    ended, throttles = engine.ended, engine.throttles
    waiting = {
        name: stream for name, stream in plan.streams.items() if not (stream.is_sent_on or stream.is_users)
    }
    ends = dict.fromkeys((one.function, one.send, end) for one in waiting.values() for end in _ENDS)
    counts = [
        ComparedCount(
            what=f"{function} by {trigger}, {end}",
            sent=sum(
                seen[name][end]
                for name, one in waiting.items()
                if (one.function, one.send) == (function, trigger)
            ),
            found=ended[function, trigger, end],
            where="engine_invocations_total",
        )
        for function, trigger, end in ends
    ]
    for function in dict.fromkeys(stream.function for stream in waiting.values()):
        refused = sum(seen[name]["throttled"] for name, one in waiting.items() if one.function == function)
        found = throttles[function]
        counts.append(
            ComparedCount(
                what=f"{function}, throttled", sent=refused, found=found, where="engine_throttles_total"
            )
        )
    return counts


def _recorded(
    plan: Plan, seen: Mapping[str, Any], deliveries: Mapping[str, RecordDeliveries], dead: Mapping[str, int]
) -> list[ComparedCount]:
    """Of records that are sent on: each is taken, or a dead letter. Refused ones were never accepted."""
    return [
        ComparedCount(
            what=f"{name}, records",
            sent=seen[name]["records"],
            found=deliveries[name].delivered + dead.get(name, 0),
            where=f"{deliveries[name].delivered:,} delivered + {dead.get(name, 0):,} dead letters",
        )
        for name, stream in plan.streams.items()
        if stream.numbered
    ]


def _answered_by_users(plan: Plan, seen: Mapping[str, Any], engine: EngineCounts) -> Iterator[ComparedCount]:
    """Of the user's functions: whatever had an answer is counted, and others may have called as well.

    An answer may be the function's own 404 or 503, so kinds of answers are not told apart.
    """
    waiting = {name: one for name, one in plan.streams.items() if one.is_users and not one.is_sent_on}
    for function, trigger in dict.fromkeys((one.function, one.send) for one in waiting.values()):
        names = [name for name, one in waiting.items() if (one.function, one.send) == (function, trigger)]
        sent = sum(seen[name][end] for name in names for end in (*_ENDS, "throttled"))
        ran = sum(engine.ended[function, trigger, end] for end in _ENDS)
        refused = engine.throttles[function] + engine.rejected
        yield ComparedCount(
            what=f"{function} by {trigger}, answers",
            sent=sent - sum(seen[name]["no_answer"] for name in names),
            found=ran + refused,
            where=f"{ran:,} invocations + {refused:,} refusals",
            at_least=True,
        )


def _sent_on(
    plan: Plan,
    seen: Mapping[str, Any],
    engine: EngineCounts,
    dead: Mapping[str, int],
    waiting: Mapping[str, int],
) -> Iterator[ComparedCount]:
    """Of messages and objects for the user's functions: each was taken, failed, or waits."""
    for name, stream in plan.streams.items():
        if not (stream.is_users and stream.is_sent_on):
            continue
        if stream.send == "sqs":
            taken = engine.deleted[f"{stream.queue}:{stream.function}"]
        else:
            taken = sum(engine.ended[stream.function, stream.send, end] for end in _ENDS)
        lost, left = dead.get(name, 0), waiting.get(name, 0)
        yield ComparedCount(
            what=f"{name} by {stream.send}, records",
            sent=seen[name]["records"],
            found=taken + lost + left,
            where=f"{taken:,} taken + {lost:,} dead letters + {left:,} waiting",
            at_least=stream.send == "s3",
        )


def engine_counts(metrics: str, before: str = "") -> EngineCounts:
    """What an engine counted between two pages of its metrics; without the first, since its start."""
    now, then = _counted(metrics), _counted(before)
    return EngineCounts(
        _less(now.ended, then.ended),
        _less(now.throttles, then.throttles),
        _less(now.deleted, then.deleted),
        now.rejected - then.rejected,
    )


def _less(now: Counter[K], then: Counter[K]) -> Counter[K]:
    """Differences, those of 0 too."""
    return Counter({key: count - then[key] for key, count in now.items()})


def _counted(metrics: str) -> EngineCounts:
    ended: Counter[tuple[str, str, str]] = Counter()
    throttles: Counter[str] = Counter()
    deleted: Counter[str] = Counter()
    rejected = 0
    for sample in samples(metrics):
        labels = sample.labels
        if sample.name == "engine_invocations_total":
            outcome = _SUCCESS if labels["outcome"] == _SUCCESS else _FAILURE
            ended[labels["function"], labels["trigger"], outcome] += int(sample.value)
        elif sample.name == "engine_throttles_total":
            throttles[labels["function"]] += int(sample.value)
        elif sample.name == "engine_source_records_total" and labels["result"] == "deleted":
            deleted[labels["source"]] += int(sample.value)
        elif sample.name == "engine_requests_rejected_total":
            rejected += int(sample.value)
    return EngineCounts(ended, throttles, deleted, rejected)
