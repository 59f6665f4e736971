"""Conservation: what the callers saw, what the engine counted, what the function took, and that it agrees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from loadtests.common.deliveries import RecordDeliveries
from loadtests.common.plan import Plan

_SUCCESS, _FAILURE = _ENDS = ("success", "failure")


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """A count that must be the same on both sides.

    Attributes:
        what: What is counted.
        sent: As the callers have it.
        found: As the engine has it, or the function and the dead-letter queue together.
        where: Where it was found, in words.
    """

    what: str
    sent: int
    found: int
    where: str

    @property
    def agrees(self) -> bool:
        """Whether both sides counted the same."""
        return self.sent == self.found


def compared(
    plan: Plan,
    client: Mapping[str, Any],
    metrics: str,
    deliveries: Mapping[str, RecordDeliveries],
    dead: Mapping[str, int],
) -> list[Count]:
    """Every sum of a run.

    Args:
        plan: What was to be sent.
        client: The findings of Locust.
        metrics: The metrics page of an engine that ran nothing else.
        deliveries: By stream, what the function took of those that send records.
        dead: By stream, messages in the dead-letter queue.
    """
    return [
        *_answered(plan, client["streams"], metrics),
        *_recorded(plan, client["streams"], deliveries, dead),
    ]


def _answered(plan: Plan, seen: Mapping[str, Any], metrics: str) -> list[Count]:
    """Of callers that wait: successes and failures by function and trigger, throttles by function."""
    ended, throttles = _engine_counts(metrics)
    waiting = {name: stream for name, stream in plan.streams.items() if not stream.numbered}
    ends = dict.fromkeys((one.function, one.send, end) for one in waiting.values() for end in _ENDS)
    counts = [
        Count(
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
            Count(what=f"{function}, throttled", sent=refused, found=found, where="engine_throttles_total")
        )
    return counts


def _recorded(
    plan: Plan, seen: Mapping[str, Any], deliveries: Mapping[str, RecordDeliveries], dead: Mapping[str, int]
) -> list[Count]:
    """Of records that are sent on: each is taken, or a dead letter. Refused ones were never accepted."""
    return [
        Count(
            what=f"{name}, records",
            sent=seen[name]["records"],
            found=deliveries[name].delivered + dead.get(name, 0),
            where=f"{deliveries[name].delivered:,} delivered + {dead.get(name, 0):,} dead letters",
        )
        for name, stream in plan.streams.items()
        if stream.numbered
    ]


def _engine_counts(metrics: str) -> tuple[Counter[tuple[str, str, str]], Counter[str]]:
    ended: Counter[tuple[str, str, str]] = Counter()
    throttles: Counter[str] = Counter()
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            labels = sample.labels
            if sample.name == "engine_invocations_total":
                outcome = _SUCCESS if labels["outcome"] == _SUCCESS else _FAILURE
                ended[labels["function"], labels["trigger"], outcome] += int(sample.value)
            elif sample.name == "engine_throttles_total":
                throttles[labels["function"]] += int(sample.value)
    return ended, throttles
