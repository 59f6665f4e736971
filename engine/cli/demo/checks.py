"""Checks what the demo promises to show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from engine.cli.demo.drive import (
    FROM_ZERO,
    HTTP_EVENTS,
    INVOKE_API,
    MIXED_TRAFFIC,
    OVER_THE_LIMIT,
    QUEUE_AND_BUCKET,
    THROTTLED,
    Recording,
    RequestSeries,
)
from engine.cli.demo.load import OK
from engine.cli.demo.queue_and_bucket import QueueAndBucketCounts
from engine.cli.demo.sizes import WANTED_PEAK, DemoSizes
from engine.telemetry.status_sample import StatusSample

REASON: Final = "ConcurrentInvocationLimitExceeded"


class Promise(NamedTuple):
    """One promise of the demo.

    Attributes:
        promise: What it says.
        held: Whether it was kept.
        saw: What was seen instead, or as well.
    """

    promise: str
    held: bool
    saw: str


def promises(
    plan: DemoSizes, recording: Recording, samples: Sequence[StatusSample], exit_code: int | None
) -> list[Promise]:
    """Return every check, in the order of the phases."""
    peak = max(one.in_flight for one in samples)
    at_first = samples[0].environments
    last = samples[-1]
    return [
        Promise("it starts from zero environments", at_first == 0, f"{at_first:,} environments at first"),
        Promise(
            f"concurrency reaches {WANTED_PEAK:,}",
            peak >= WANTED_PEAK,
            f"at most {peak:,} invocations at a time",
        ),
        _answers(
            f"{plan.burst:,} at once from zero: none is refused",
            recording.of(FROM_ZERO),
            {OK: plan.burst},
        ),
        _answers(
            f"{plan.over:,} at once: exactly {plan.refused:,} are refused, with the reason of Lambda",
            recording.of(OVER_THE_LIMIT),
            {OK: plan.burst, THROTTLED: plan.refused},
            {REASON: plan.refused},
        ),
        _as_expected(
            "under load every request is served", recording.of(HTTP_EVENTS) + recording.of(INVOKE_API)
        ),
        _as_expected(
            "in mixed traffic every success and every failure is as on Lambda", recording.of(MIXED_TRAFFIC)
        ),
        _as_expected("the queue and the bucket take all they are given", recording.of(QUEUE_AND_BUCKET)),
        _fed(recording.fed),
        Promise(
            "it goes back to zero by itself",
            recording.is_back_at_zero,
            f"{last.environments:,} environments at the end",
        ),
        Promise("it drains and exits with 0", exit_code == 0, f"exit code {exit_code}"),
    ]


def _answers(
    promise: str,
    series: Sequence[RequestSeries],
    wanted: dict[str, int],
    reasons: dict[str, int] | None = None,
) -> Promise:
    (one,) = series or (None,)
    if one is None:
        return Promise(promise, held=False, saw="it was not tried")
    held = one.tally.answers == wanted and (reasons is None or dict(one.tally.reasons) == reasons)
    counts = {**one.tally.answers, **one.tally.reasons}
    return Promise(promise, held, ", ".join(f"{count:,} × {kind}" for kind, count in counts.items()))


def _fed(fed: QueueAndBucketCounts | None) -> Promise:
    promise = "every message is handled and deleted, every object is noticed once"
    if fed is None:
        return Promise(promise, held=False, saw="it was not tried")
    held = (fed.left, fed.dead, fed.noticed) == (0, 0, fed.objects)
    saw = f"of {fed.messages:,} messages {fed.left:,} left and {fed.dead:,} dead letters"
    return Promise(promise, held, f"{saw}; {fed.objects:,} objects, {fed.noticed:,} invocations")


def _as_expected(promise: str, series: Sequence[RequestSeries]) -> Promise:
    wrong = [
        f"{one.name}: {count:,} × {kind}"
        for one in series
        for kind, count in one.tally.answers.items()
        if kind not in one.expected
    ]
    wrong += [f"{one.name}: no answer" for one in series if not one.tally.count]
    count = sum(one.tally.count for one in series)
    return Promise(promise, bool(series) and not wrong, "; ".join(wrong) or f"{count:,} answers as expected")
