"""How fast the model is, on one core: requests a second of each method, and seconds of the commands.

Run: `python tests/bench/model_speed.py`; prints one JSON object with the bounds and whether they hold. Best
of several short runs. Kernel: Poisson 1,000/s, 100 ms exponential, as on a function with 100 in flight.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from array import array
from pathlib import Path
from random import Random

from engine.core.function import Account, Function
from engine.model.distributions import Constant, Exponential
from engine.model.queueing.fluid import FlowLimits, flow
from engine.model.simulation import kernel
from engine.model.simulation.compiled_kernel import run as compiled
from engine.model.simulation.kernel import Rules
from engine.model.simulation.simulator import Simulation
from engine.model.simulation.workload import poisson_workload
from engine.model.traffic.shapes import Shape

BOUNDS = {
    "kernel_numba_per_s": 5_000_000,
    "kernel_python_per_s": 500_000,
    "simulator_per_s": 150_000,
    "fluid_day_s": 1.0,
    "engine_cost_s": 1.5,
    "engine_plan_s": 1.5,
    "engine_plan_short_cycles_s": 1.5,
    "engine_plan_at_a_limit_s": 1.5,
}
COMMANDS = {
    "engine_cost_s": ["cost", "--requests", "3000000", "--duration-ms", "120", "--json"],
    "engine_plan_s": ["plan", "--traffic", "sine:1000:500:86400", "--json"],
    "engine_plan_short_cycles_s": ["plan", "--traffic", "onoff:100:1:9", "--json"],
    "engine_plan_at_a_limit_s": ["plan", "--traffic", "sine:100:100:20", "--reserved", "30", "--json"],
}


def main() -> int:
    """Measure and print."""
    function = Function("f", handler="a.b", timeout_s=900.0)
    workload = poisson_workload(
        function,
        rate_per_s=1000,
        horizon_s=300,
        service=Exponential(0.1),
        init=Constant(0.3),
        rng=Random(1),
    )
    size = len(workload.at_s)
    times = 5
    at_s = [second * 300.0 + one for second in range(times) for one in workload.at_s]

    found = {
        "kernel_numba_per_s": len(at_s) / best(kernel_run(compiled, at_s, workload.service_s * times), 6),
        "kernel_python_per_s": size / best(kernel_run(kernel.run, workload.at_s, workload.service_s), 4),
        "simulator_per_s": size / best(lambda: Simulation([workload], Account()).run(), 3),
        "fluid_day_s": best(fluid_day, 3),
        **{name: best(lambda words=words: command(words), 4) for name, words in COMMANDS.items()},
    }
    held = {
        name: found[name] >= bound if name.endswith("_per_s") else found[name] < bound
        for name, bound in BOUNDS.items()
    }
    shown = {
        name: {"measured": short(found[name]), "bound": BOUNDS[name], "held": held[name]} for name in BOUNDS
    }
    print(json.dumps(shown))
    return 0 if all(held.values()) else 1


def kernel_run(play, at_s, service_s):
    """A run over arrays made beforehand: what is drawn is not timed."""
    size = len(at_s)
    kept = array("d", at_s), array("d", service_s)
    arguments = kept if play is compiled else (list(at_s), list(service_s))

    def run():
        out = bytearray(size), array("d", bytes(8 * size)), array("d", bytes(8 * size)), bytearray()
        play(*arguments, bytearray(), array("d", [0.3]), at_s[-1], Rules(), *out)

    return run


def fluid_day():
    """A million requests a second on average, for a day."""
    flow(Shape("sine", (1e6, 5e5, 86_400.0)), 86_400.0, service=Exponential(0.1), limits=FlowLimits())


def command(words):
    """`engine ...`, start-up included."""
    engine = Path(sys.executable).with_name("engine")
    subprocess.run([engine, *words], check=True, stdout=subprocess.DEVNULL)


def best(run, repeats):
    """Seconds of the fastest of several runs; the first one may compile."""
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def short(value):
    """Three digits behind the point, or none."""
    return round(value, 3) if value < 100 else round(value)


if __name__ == "__main__":
    sys.exit(main())
