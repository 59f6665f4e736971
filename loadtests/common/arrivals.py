"""When requests are due: the arrivals of an open model, from the stages of a plan. No clock is read here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Literal, NamedTuple

from loadtests.common.plan import LoadStage


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
    stages: Sequence[LoadStage], stream: str, *, spacing: Literal["poisson", "constant"], seed: int
) -> Iterator[Arrival]:
    """The arrivals of `stream`, in order. The same arguments give the same arrivals."""
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


def share_of(all_arrivals: Iterator[Arrival], part: int, parts: int) -> Iterator[Arrival]:
    """Part `part` of `parts`: every arrival is in exactly one of them."""
    return (one for one in all_arrivals if one.number % parts == part)
