"""How far the model is off: against AWS's published measurements, and the fluid model against the kernel.

Run: `python tests/bench/model_accuracy.py`; prints one JSON object, exit code 1 if a bound is not kept. The
20 measurements of AWS Lambda are those published with SimFaaS (examples/exp.csv), kept in the tests. The
fluid model and the kernel get the same wave, 750 + 500 sin at 1, 3 and 10 times its size; two periods.
"""

from __future__ import annotations

import json
import math
import sys
from array import array
from pathlib import Path
from random import Random
from runpy import run_path

from engine.core.function import Account, Function
from engine.model.distributions import Exponential
from engine.model.queueing.fluid import FlowLimits, flow
from engine.model.queueing.warm_pool import exact_warm_pool
from engine.model.simulation import fast_simulator
from engine.model.simulation.workload import Workload
from engine.model.traffic.shapes import Shape, arrivals

MEASURED = Path(__file__).parents[1] / "model" / "test_model_warm_pool.py"
BOUNDS = {"instances_mape": 0.04, "cold_mape": 0.15, "fluid_cold": 0.15, "fluid_environments": 0.05}
PERIOD_S, KEEP_S, SERVICE_S = 600.0, 60.0, 0.1


def main() -> int:
    """Compare and print."""
    rows = run_path(str(MEASURED))["AWS"]
    found = [exact_warm_pool(rate, warm_s, 600) for rate, warm_s, *_ in rows]
    cold = sum(abs(one.cold_share / row[2] - 1) for one, row in zip(found, rows, strict=True)) / len(rows)
    pool = sum(abs(one.environments / row[3] - 1) for one, row in zip(found, rows, strict=True)) / len(rows)
    waves = [wave(scale) for scale in (1, 3, 10)]
    measured = {
        "instances_mape": pool,
        "cold_mape": cold,
        "fluid_cold": max(abs(one["cold_difference"]) for one in waves),
        "fluid_environments": max(abs(one["environments_difference"]) for one in waves),
    }
    held = all(measured[name] < bound for name, bound in BOUNDS.items())
    shown = {name: {"measured": round(measured[name], 4), "bound": BOUNDS[name]} for name in BOUNDS}
    print(json.dumps({"held": held, **shown, "fluid_against_kernel": waves}, indent=1))
    return 0 if held else 1


def wave(scale):
    """Both on the same load."""
    shape, horizon_s, rng = (
        Shape("sine", (750.0 * scale, 500.0 * scale, PERIOD_S)),
        2 * PERIOD_S,
        Random(scale),
    )
    at_s = array("d", arrivals(shape, horizon_s, rng))
    draw = rng.expovariate
    workload = Workload(
        function=Function("f", handler="a.b", keep_alive_s=KEEP_S, timeout_s=900.0),
        at_s=at_s,
        service_s=array("d", (draw(1 / SERVICE_S) for _ in at_s)),
        inits_s=[0.0],
    )
    totals = fast_simulator.run(
        workload, Account(concurrency_limit=10**7, scaling_rate=0), horizon_s=horizon_s
    ).totals
    limits = FlowLimits(keep_alive_s=KEEP_S, burst=0)
    found = flow(shape, horizon_s, service=Exponential(SERVICE_S), limits=limits)
    return {
        "requests": len(at_s),
        "mean_in_flight": round(750 * scale * SERVICE_S),
        "cold_kernel": totals.created,
        "cold_fluid": round(found.cold, 1),
        "cold_difference": round(found.cold / totals.created - 1, 4),
        "cold_chance": round(1 / math.sqrt(totals.created), 4),
        "environments_kernel": round(totals.environment_s / horizon_s, 1),
        "environments_fluid": round(found.environment_s / horizon_s, 1),
        "environments_difference": round(found.environment_s / totals.environment_s - 1, 4),
    }


if __name__ == "__main__":
    sys.exit(main())
