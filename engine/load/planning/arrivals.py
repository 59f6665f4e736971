"""When requests are due: the arrivals of an open model, from a plan. No clock is read here."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Literal, NamedTuple

from engine.load.planning.plan import LoadStage, Plan
from engine.model.traffic import shapes


class Arrival(NamedTuple):
    """One request that is to be sent.

    Attributes:
        at_s: Seconds from the beginning of the load.
        stage: Index of its stage.
        number: Of its stream, from 0.
        burst: One of many at the same time: no generator can send those at that very moment.
    """

    at_s: float
    stage: int
    number: int
    burst: bool


def arrivals(
    stages: Sequence[LoadStage],
    stream: str,
    *,
    spacing: Literal["poisson", "constant"],
    seed: int,
    moments: Sequence[float] = (),
) -> Iterator[Arrival]:
    """The arrivals of `stream`, in order. The same arguments give the same arrivals.

    `moments`: further ones, ascending, seconds from the end of the warm-up; the stages after it have no rate.
    """
    random = Random(f"{seed}/{stream}")
    number, begin_s = 0, 0.0
    for index, stage in enumerate(stages):
        for _ in range(stage.at_once.get(stream, 0)):
            yield Arrival(begin_s, index, number, burst=True)
            number += 1
        end_s = begin_s + stage.seconds
        per_s = stage.per_s.get(stream, 0.0)
        at_s = begin_s
        while per_s > 0:
            at_s += random.expovariate(per_s) if spacing == "poisson" else 1 / per_s
            if at_s >= end_s:
                break
            yield Arrival(at_s, index, number, burst=False)
            number += 1
        begin_s = end_s
    warmup_s = sum(stage.seconds for stage in stages if stage.warmup)
    begins = list(accumulate((stage.seconds for stage in stages), initial=0.0))[:-1]
    for moment_s in moments:
        at_s = warmup_s + moment_s
        if at_s >= begin_s:
            break
        yield Arrival(at_s, bisect_right(begins, at_s) - 1, number, burst=False)
        number += 1


def planned_arrivals(plan: Plan, stream: str) -> Iterator[Arrival]:
    """The arrivals of one stream of a plan, in order."""
    return arrivals(plan.stages, stream, spacing=plan.spacing, seed=plan.seed, moments=_moments(plan, stream))


def _moments(plan: Plan, stream: str) -> Sequence[float]:
    if stream in plan.moments:
        moments: list[float] = json.loads(Path(plan.moments[stream]).read_text(encoding="utf-8"))
        return moments
    if stream in plan.profiles:
        shape = shapes.parse_shape(plan.profiles[stream])
        return shapes.arrivals(shape, plan.seconds - plan.warmup_s, Random(f"{plan.seed}/{stream}"))
    return ()


def share_of(all_arrivals: Iterator[Arrival], part: int, parts: int) -> Iterator[Arrival]:
    """Part `part` of `parts`: every arrival is in exactly one of them."""
    return (one for one in all_arrivals if one.number % parts == part)
