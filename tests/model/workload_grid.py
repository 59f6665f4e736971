"""Random workloads on which plan, the fast simulator and the live rules are held together.

They may differ by the error each answer states, and by chance: nothing else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

from engine.core.function import Account, Function
from engine.model.distributions import Capped, Distribution, parse_distribution
from engine.model.queueing.analytic import predict
from engine.model.queueing.prediction import Prediction, prediction_of
from engine.model.simulation import fast_simulator
from engine.model.simulation.simulator import Simulation
from engine.model.simulation.workload import ColdStartRule, Workload, drawn_workload
from engine.model.traffic.shapes import Shape, arrivals

REQUESTS = 12_000
KINDS = ("poisson", "poisson", "constant", "sine", "onoff", "step", "spike")


@dataclass(frozen=True)
class Case:
    """One workload: everything that plan and the simulators are told."""

    function: Function
    shape: Shape
    horizon_s: float
    service: Distribution
    init: Distribution

    @property
    def load(self) -> float:
        return self.shape.mean_per_s(self.horizon_s) * Capped(self.service, self.function.timeout_s).mean_s

    def __str__(self) -> str:
        function = self.function
        return (
            f"{self.shape} for {self.horizon_s:.0f} s, {self.service}, timeout {function.timeout_s:g}, "
            f"keep-alive {function.keep_alive_s:.1f}, reserved {function.reserved_concurrency}, "
            f"provisioned {function.provisioned_concurrency}"
        )


def case(seed: int, requests: int = REQUESTS) -> Case:
    """A workload of about so many requests."""
    rng = Random(seed)
    load = _log_uniform(rng, 0.3, 60)
    mean_ms = max(_log_uniform(rng, 20, 2000), 5 * load)  # 200 requests/s: the first inits are soon over
    rate = load / mean_ms * 1000
    horizon_s = requests / rate
    service = parse_distribution(
        rng.choice([f"{mean_ms}", f"exp:{mean_ms}", f"lognormal:{mean_ms * 0.8}:{mean_ms * 3}"])
    )
    shape = _shape(rng, rng.choice(KINDS), rate, horizon_s, service.mean_s)
    peak = shape.peak_per_s(horizon_s) * service.mean_s
    limits = rng.choice(["none", "none", "reserved", "provisioned", "timeout"])
    function = Function(
        "f",
        handler="a.b",
        keep_alive_s=horizon_s / rng.uniform(8, 20),
        timeout_s=service.quantile_s(rng.uniform(0.9, 0.999)) if limits == "timeout" else 900.0,
        reserved_concurrency=math.ceil(peak * rng.uniform(0.7, 1.4)) + 1 if limits == "reserved" else None,
        provisioned_concurrency=math.ceil(load * rng.uniform(0.4, 1.2)) if limits == "provisioned" else 0,
    )
    return Case(function, shape, horizon_s, service, parse_distribution(str(rng.choice([0, 50, 200]))))


def account() -> Account:
    """One whose limits are no part of the case, but for Lambda's rate of requests."""
    return Account(concurrency_limit=1000, requests_per_concurrency=10)


def planned(one: Case) -> Prediction:
    """What `engine plan` says."""
    return predict(
        one.function, account(), one.shape, horizon_s=one.horizon_s, service=one.service, init=one.init
    )


def workload(one: Case, seed: int) -> Workload:
    """Its events, drawn."""
    rng = Random(seed)
    at_s = arrivals(one.shape, one.horizon_s, rng)
    return drawn_workload(one.function, at_s, service=one.service, init=one.init, rng=rng)


def fast(one: Case, drawn: Workload) -> Prediction | None:
    """What the fast simulator says; None if it does not know such workloads."""
    if fast_simulator.unsuited(drawn) is not None:
        return None
    ran = fast_simulator.run(
        drawn, account(), horizon_s=one.horizon_s, cold_start=ColdStartRule.OWN, compiled=False
    )
    seen = fast_simulator.observe(drawn, ran, one.horizon_s)
    return prediction_of(seen, one.horizon_s, method="simulated", error="", peak_per_s=0.0)


def by_rules(one: Case, drawn: Workload) -> Prediction:
    """What the live rules say."""
    simulation = Simulation([drawn], account(), horizon_s=one.horizon_s, cold_start=ColdStartRule.OWN)
    (seen,) = simulation.run().functions
    return prediction_of(seen, one.horizon_s, method="simulated", error="", peak_per_s=0.0)


def differences(one: Case, plan: Prediction, seen: Prediction) -> list[str]:
    """Where plan is further from one run than its error and chance allow: a line each."""
    fluid = plan.method == "fluid"
    late = plan.timeout_share > 1e-5
    cold_error, environments_error = (0.2, 0.1) if fluid else (0.1, 0.05)
    if late:
        environments_error = 0.25
    # As many runs as fit one after another tell something of levels; of a spike it is one run of arrivals.
    moments = max(1.0, one.horizon_s / (2 * one.service.mean_s))
    chance = math.sqrt(max(plan.concurrency, 0.3) / moments)
    highest_chance = math.sqrt(plan.concurrency_p99 / _moments_at_the_top(one, plan))
    arrivals_chance = 1 / math.sqrt(max(1.0, plan.requests))
    cold, seen_cold = plan.cold_share * plan.ran, seen.cold_share * seen.ran
    init_s = one.init.mean_s
    started = plan.environments_peak + plan.peak_per_s * init_s  # plan's long run is without the first
    by_rate = plan.peak_per_s > 10 * (one.function.reserved_concurrency or 1000)
    bounds = {
        "requests": (plan.requests, seen.requests, 5 * math.sqrt(plan.requests) + 1),
        "in flight": (
            plan.concurrency,
            seen.concurrency,
            0.02 * plan.concurrency + 5 * chance + 5 * plan.concurrency * arrivals_chance,
        ),
        "cold": (cold, seen_cold, cold_error * cold + 8 * math.sqrt(max(cold, seen_cold, 1)) + started),
        "environments": (
            plan.environments,
            seen.environments,
            environments_error * plan.environments + 1 + 0.4 * math.sqrt(plan.environments),
        ),
        "refused (points)": (
            100 * plan.throttled_share,
            100 * seen.throttled_share,
            (4 if fluid or by_rate else 1) + 500 * math.sqrt(max(plan.throttled_share, 1e-4) / plan.requests),
        ),
        "failed (points)": (
            100 * plan.failed_share,
            100 * seen.failed_share,
            0.1 + 500 * math.sqrt(max(plan.failed_share, 1e-4) / plan.requests),
        ),
        "p99 in flight": (
            plan.concurrency_p99,
            seen.concurrency_p99,
            1.5
            + (0.15 if late or init_s else 0.05) * plan.concurrency_p99
            + 4 * chance
            + 3 * highest_chance
            + plan.peak_per_s * init_s * late,
        ),
        "inside (points)": (100 * plan.inside_share, 100 * seen.inside_share, 3 if fluid else 2),
    }
    return [
        f"{name}: planned {said:.4g}, seen {found:.4g}, at most {most:.3g} apart: {one}"
        for name, (said, found, most) in bounds.items()
        if abs(said - found) > most
    ]


def _moments_at_the_top(one: Case, plan: Prediction) -> float:
    """How often a run sees its highest load anew: a short spike, once or twice, whatever else it sees."""
    top = max(0.0, plan.concurrency_p99 - 3 * math.sqrt(plan.concurrency_p99))
    points = 2000
    rates = [one.shape.rate_per_s((place + 0.5) / points * one.horizon_s) for place in range(points)]
    hold_s = Capped(one.service, one.function.timeout_s).mean_s
    at_top = sum(rate * hold_s >= top for rate in rates) / points
    return max(1.0, at_top * one.horizon_s / (2 * hold_s))


def _shape(rng: Random, kind: str, rate: float, horizon_s: float, service_s: float) -> Shape:
    """One with that mean rate, nearly."""
    period_s = max(horizon_s / rng.uniform(4, 30), 20 * service_s, 10)
    match kind:
        case "sine":
            return Shape(kind, (rate, rate * rng.uniform(0.2, 1.0), period_s))
        case "onoff":
            on = rng.uniform(0.2, 0.8)
            return Shape(kind, (rate / on, on * period_s, (1 - on) * period_s))
        case "step":
            return Shape(kind, (rate * 0.5, rate * 1.5, horizon_s / 2))
        case "spike":
            length_s = max(horizon_s / 40, 5 * service_s)
            return Shape(kind, (rate * 0.8, rate * rng.uniform(2, 5), horizon_s / 3, length_s))
        case _:
            return Shape(kind, (rate,))


def _log_uniform(rng: Random, low: float, high: float) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))
