"""Functions on two nodes of a Ray cluster, each in namespaces of its own and on one core.

Run as root: `python tests/bench/cluster_ray.py [KILLS [added|noop|cold|cpu ...]]`; prints one JSON line, and
exits with 1 if a bound is missed. The engine is on a third node, the head, which runs no functions; the
nodes' monotonic clocks are a day ahead. What a call takes on a node is compared with the process executor on
the head, in pairs. Each kill ends a whole node at once, and another one comes in its place.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.cluster_load import NODES
from tests.network_namespaces import NodeProcess, why_not
from tests.ray.ray_cluster import LIMIT_S, Cluster, nodes_of, until

AT_MOST = {"added_p50_us": 150.0, "answered_s": 1.0, "events_lost": 0}
AT_LEAST = {"noop_per_s": 20_000, "cold_per_s_per_node": 150, "cpu_scaling": 1.7}


class Load:
    """The program on the head."""

    def __init__(self, cluster: Cluster) -> None:
        self._process: NodeProcess = cluster.head.start(
            *(sys.executable, Path(__file__).with_name("cluster_load.py"), cluster.address),
            env=cluster.variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._read()["ready"]

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the load has ended"
        return json.loads(line)

    def ask(self, *command: object) -> Any:
        """Its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(map(str, command)) + "\n")
        self._process.stdin.flush()
        return self._read()

    def end(self) -> None:
        """Have it end."""
        assert self._process.stdin is not None
        self._process.stdin.write("end\n")
        self._process.stdin.flush()
        self._process.wait(LIMIT_S)


def is_complete(cluster: Cluster) -> bool:
    """Whether all nodes are there."""
    return ["up"] * len(NODES) == [node["state"] for node in nodes_of(cluster.head).values()]


def killed(cluster: Cluster, load: Load, count: int) -> dict[str, Any]:
    """What `count` kills of nodes, one after the other, do to callers and to asynchronous events."""
    load.ask("begin")
    latest: list[float] = []
    for _ in range(count):
        time.sleep(0.5)
        busy = {name: node["environments"]["busy"] for name, node in nodes_of(cluster.head).items()}
        name = max(NODES, key=busy.__getitem__)
        at_s = time.monotonic()
        cluster.switch.nodes[name].kill()
        time.sleep(2)
        latest += load.ask("failed", at_s)
        cluster.add(name, cores={NODES.index(name)})
        until(lambda: is_complete(cluster), f"{name} is there again")
    return {
        "kills": count,
        "answered_s": max(latest, default=0.0),
        "answers": len(latest),
        **load.ask("finish"),
    }


def main(kills: int, measures: list[str]) -> bool:
    """Measure; whether the bounds of what was measured held."""
    if (reason := why_not()) is not None:
        print(json.dumps({"skipped": reason}))
        return True
    cluster = Cluster("--num-cpus=0")
    try:
        for core, name in enumerate(NODES):
            cluster.add(name, cores={core})
        load = Load(cluster)
        until(lambda: is_complete(cluster), "both nodes are there")
        figures: dict[str, Any] = {}
        for what in measures:
            figures |= load.ask(what)
        if kills:
            figures |= killed(cluster, load, kills)
        load.end()
    finally:
        cluster.close()
    print(json.dumps({**figures, "load_average": os.getloadavg()[0]}))
    too_much = [name for name, bound in AT_MOST.items() if figures.get(name, bound) > bound]
    too_little = [name for name, bound in AT_LEAST.items() if figures.get(name, bound) < bound]
    return not too_much + too_little


if __name__ == "__main__":
    sys.exit(not main(int((sys.argv[1:2] or ["20"])[0]), sys.argv[2:] or ["added", "noop", "cold", "cpu"]))
