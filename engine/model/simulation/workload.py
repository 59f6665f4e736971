"""What a simulation is given: arrivals with their service times and ends, and how environments initialise.

Everything random is drawn before the simulation begins, and belongs to an event or to the n-th
environment, never to the order of drawing: so two drivers of the same rules see the same world.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from enum import IntEnum, StrEnum
from random import Random
from typing import Final

from engine.core.function import Function
from engine.core.late_dataclass import dataclass
from engine.core.retry import MAX_RETRIES
from engine.model.distributions import Distribution


class AttemptEnding(IntEnum):
    """How a handler ends if its deadline does not come first."""

    SUCCESS = 0
    ERROR = 1  # the environment lives on
    CRASH = 2  # the environment dies


class Trigger(IntEnum):
    """Who sends an event, and so what a refusal or a failure means."""

    SYNCHRONOUS = 0  # the caller is told, and that is that
    ASYNCHRONOUS = 1  # tried again by `core.retry`


class SimulatedOutcome(IntEnum):
    """What became of an event at its last attempt."""

    WARM = 0  # it ran, in an environment that was there
    COLD = 1  # it ran, and waited for an init
    THROTTLED = 2  # it was refused
    INIT_FAILED = 3  # the environment it waited for never came up


class ColdStartRule(StrEnum):
    """Where an event runs that found no environment free, and had one started."""

    OWN = "own"  # it waits for that one, as on Lambda (assumed: AWS does not say)
    FIRST_FREE = "first-free"  # it takes whichever is free first, as this engine does


FAILS: Final = -1.0
"""As an init time: the environment never comes up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """All events of one function.

    Attributes:
        function: Its limits; memory and architecture are what the bill goes by.
        at_s: When events arrive, ascending seconds from 0.
        service_s: How long each takes in the handler.
        endings: How each ends; empty = all succeed.
        inits_s: How long the n-th environment initialises (over again when there are more), or `FAILS`.
        trigger: Who sends them.
        retry_service_s, retry_endings: The same two for the second attempt of each event, and for the
            third; empty = as at the first.
    """

    function: Function
    at_s: Sequence[float]
    service_s: Sequence[float]
    endings: Sequence[int] = ()
    inits_s: Sequence[float] = field(default=(0.0,))
    trigger: Trigger = Trigger.SYNCHRONOUS
    retry_service_s: Sequence[Sequence[float]] = ()
    retry_endings: Sequence[Sequence[int]] = ()

    def __post_init__(self) -> None:
        """Raise `ValueError` for what cannot be simulated."""
        if len(self.service_s) != len(self.at_s) or len(self.endings) not in (0, len(self.at_s)):
            raise ValueError(f"{self.function.name}: each event needs one service time, and one end or none")
        if not self.inits_s:
            raise ValueError(f"{self.function.name}: at least one init time is needed")


def poisson_workload(
    function: Function,
    *,
    rate_per_s: float,
    horizon_s: float,
    service: Distribution,
    init: Distribution,
    rng: Random,
    error_share: float = 0.0,
    crash_share: float = 0.0,
    trigger: Trigger = Trigger.SYNCHRONOUS,
) -> Workload:
    """Poisson arrivals with independent service times and ends; small: for large ones, see `traffic`."""
    at_s: list[float] = []
    now_s = rng.expovariate(rate_per_s)
    while now_s < horizon_s:
        at_s.append(now_s)
        now_s += rng.expovariate(rate_per_s)
    return drawn_workload(
        function,
        at_s,
        service=service,
        init=init,
        rng=rng,
        error_share=error_share,
        crash_share=crash_share,
        trigger=trigger,
    )


def drawn_workload(
    function: Function,
    at_s: Sequence[float],
    *,
    service: Distribution,
    init: Distribution,
    rng: Random,
    error_share: float = 0.0,
    crash_share: float = 0.0,
    trigger: Trigger = Trigger.SYNCHRONOUS,
) -> Workload:
    """Return a workload of the given arrivals, with everything else drawn.

    Of each round of attempts exactly the given shares fail, in random order: the same seed gives the same
    service times with errors and without.
    """
    size = len(at_s)
    service_s = [service.draw_s(rng) for _ in range(size)]
    inits_s = [init.draw_s(rng) for _ in range(1 if init.fixed else 1009)]
    fails = bool(error_share or crash_share)
    rounds = MAX_RETRIES if trigger is Trigger.ASYNCHRONOUS else 0
    endings = _endings(size, error_share, crash_share, rng) if fails else []
    return Workload(
        function=function,
        at_s=at_s,
        service_s=service_s,
        endings=endings,
        inits_s=inits_s,
        trigger=trigger,
        retry_service_s=[[service.draw_s(rng) for _ in range(size)] for _ in range(rounds)],
        retry_endings=[_endings(size, error_share, crash_share, rng) for _ in range(rounds if fails else 0)],
    )


def _endings(size: int, error_share: float, crash_share: float, rng: Random) -> list[int]:
    crashed = round(size * crash_share)
    failed = min(size - crashed, round(size * error_share))
    endings = [int(AttemptEnding.CRASH)] * crashed + [int(AttemptEnding.ERROR)] * failed
    endings += [int(AttemptEnding.SUCCESS)] * (size - crashed - failed)
    rng.shuffle(endings)
    return endings
