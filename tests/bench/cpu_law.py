"""How well `cpu = "lambda"` keeps Lambda's CPU law on this machine: `python -m tests.bench.cpu_law`.

A handler computes for 200 ms of CPU, alone at five sizes, and then with many environments of 128 MB at once.
Exit code 1 if a bound is missed; what other programs take of the machine is in the figures.
"""

import asyncio
import statistics
import sys
import tempfile
from pathlib import Path

from engine import Engine, Function
from engine.core.cpu_law import expected_wall_s, share
from engine.machine.cores import usable_cores

SIZES_MB = (128, 256, 512, 1024, 1769)
CPU_S = 0.2
RUNS = 20
WITHIN = 0.05
TOGETHER_WITHIN = 0.10
ALIKE = 1.15

SOURCE = f"""
import time

def handler(event, context):
    begin_s, used_s = time.monotonic(), time.process_time()
    while time.process_time() - used_s < {CPU_S} * event["times"]:
        pass
    return time.monotonic() - begin_s
"""


async def alone(engine, name):
    """Mean seconds of one environment that pauses in between, as the referee's did."""
    walls = []
    for _ in range(RUNS):
        await asyncio.sleep(0.06)
        walls.append((await engine.invoke(name, {"times": 1})).payload)
    return statistics.mean(walls)


async def together(engine, name, count):
    """Seconds of each of `count` environments that compute at once."""
    await asyncio.gather(*(engine.invoke(name, {"times": 0}) for _ in range(count)))
    done = await asyncio.gather(*(engine.invoke(name, {"times": 1}) for _ in range(count)))
    return [outcome.payload for outcome in done]


async def measure(code):
    """The lines, and whether all bounds hold."""
    good = True
    functions = [
        Function(
            f"f{size}", handler="app.handler", code=code, executor="process", memory_mb=size, timeout_s=120
        )
        for size in SIZES_MB
    ]
    said = []
    async with Engine(functions, cpu="lambda", write_log=said.append, log_format="text") as engine:
        for size in SIZES_MB:
            wall_s, law_s = await alone(engine, f"f{size}"), CPU_S / share(size)
            expected_s = expected_wall_s(CPU_S, size)
            held = min(abs(wall_s - law_s) / law_s, abs(wall_s - expected_s) / expected_s) <= WITHIN
            good &= held
            print(
                f"{size:>5} MB: {wall_s * 1000:7.1f} ms, law {law_s * 1000:7.1f} ms, "
                f"with a free first period {expected_s * 1000:7.1f} ms {'' if held else '  MISSED'}"
            )
        for count in (20, 50):
            walls = await together(engine, "f128", count)
            mean_s, law_s = statistics.mean(walls), CPU_S / share(128)
            fits = count * share(128) <= usable_cores()
            ratio = max(walls) / min(walls)
            held = abs(mean_s - law_s) / law_s <= TOGETHER_WITHIN if fits else ratio <= ALIKE
            good &= held
            print(
                f"{count} of 128 MB at once: mean {mean_s:.2f} s, law {law_s:.2f} s, "
                f"slowest / fastest {ratio:.3f}{'' if held else '  MISSED'}"
            )
    for line in said:
        if "CPU" in line:
            print(line.rstrip())
    return good


def main():
    """Print the figures; exit code 1 if a bound is missed."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "app.py").write_text(SOURCE)
        return 0 if asyncio.run(measure(folder)) else 1


if __name__ == "__main__":
    sys.exit(main())
