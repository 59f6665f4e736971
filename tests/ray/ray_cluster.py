"""A Ray cluster of nodes made on this machine, and engines on its head."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.network_namespaces import Node, NodeProcess, Switch

PORT = 6379
BIN = Path(sys.executable).parent
LIMIT_S = 60
"""Only what hangs reaches it."""

HEAD = ("--head", f"--port={PORT}", "--include-dashboard=false")
ONE_AGENT = ("--num-cpus=4", '--resources={"agent_slot":1}')
_OPTIONS = (
    *("--block", "--object-store-memory=80000000"),
    *("--min-worker-port=0", "--max-worker-port=0", "--disable-usage-stats"),
)
_QUICK = {"initial_delay_ms": "500", "period_ms": "500", "timeout_ms": "500", "failure_threshold": "16"}
"""Ray's own health checks: by default a node that has died is listed as alive for 14 seconds."""

HANDLER = """
import os, socket, time

def handler(event, context):
    time.sleep(event.get("sleep_s", 0))
    return {
        "node": socket.gethostname(),
        "pid": os.getpid(),
        "ray": [name for name in os.environ if name.startswith(("RAY_", "ENGINE_", "OMP_"))],
        "left_s": context.get_remaining_time_in_millis() / 1000,
    }
"""


class Answer(NamedTuple):
    """Of an invocation; `after_s`: from its request on, by this machine's clock."""

    status: int
    error: str | None
    payload: Any
    at_s: float


class Cluster:
    """A head and further nodes; `close` ends them as a power failure would."""

    def __init__(self, *head: str) -> None:
        """`head`: what the head offers; by default it has an agent like others."""
        self.switch = Switch()
        self.variables = {
            **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
            **{f"RAY_health_check_{name}": value for name, value in _QUICK.items()},
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(24),
        }
        self.rays: dict[str, NodeProcess] = {}
        self.head = self.switch.add("head")
        self.address = f"{self.head.address}:{PORT}"
        self.rays["head"] = self.start(self.head, *HEAD, *(head or ONE_AGENT))
        until(lambda: listens(self.head, PORT), "the head listens")

    def add(self, name: str, cores: set[int] | None = None) -> Node:
        """A further node, whose monotonic clock is a day ahead; in the place of a killed one of that name.

        All its processes run on `cores`, if they are given.
        """
        if name in self.rays:
            self.rays[name].wait(LIMIT_S)
        node = self.switch.add(name, clock_ahead_s=86_400)
        bound = ("taskset", "--cpu-list", ",".join(map(str, cores))) if cores else ()
        self.rays[name] = self.start(node, f"--address={self.address}", *ONE_AGENT, before=bound)
        return node

    def start(self, node: Node, *arguments: str, before: Sequence[str] = (), **variables: str) -> NodeProcess:
        """Start Ray on `node`, with these variables besides those of the cluster."""
        return node.start(
            *before,
            *(BIN / "ray", "start", *arguments, f"--node-ip-address={node.address}", *_OPTIONS),
            env={**self.variables, **variables},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    @contextmanager
    def engine(
        self, *arguments: str, wants: int = 2, on: Node | None = None, **variables: str
    ) -> Iterator[Engine]:
        """An engine on the head, or on that node, once so many nodes are there; ended in good order."""
        node = on or self.head
        engine = Engine(node, self.serve(node, *arguments, **variables))
        try:
            until(lambda: len(engine.up()) >= wants, f"{wants} nodes are there")
            yield engine
        finally:
            engine.stop()

    def serve(self, node: Node, *arguments: str, **variables: str) -> NodeProcess:
        """`engine serve` on `node`, in its /tmp; both its outputs are one pipe."""
        (node.root / "tmp" / "app.py").write_text(HANDLER)
        command = f"cd /tmp && exec {BIN}/engine serve " + " ".join(arguments)
        return node.start(
            *("sh", "-c", command),
            env={**self.variables, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def close(self) -> None:
        """End all."""
        self.switch.close()
        for process in self.rays.values():
            process.wait(LIMIT_S)


class Engine:
    """An engine that runs on a node, as its clients know it."""

    def __init__(self, node: Node, process: NodeProcess) -> None:
        self.node = node
        self.process = process
        self._pool = ThreadPoolExecutor(16)
        self.said: list[str] = []
        assert process.stdout is not None
        for line in process.stdout:
            self.said.append(line)
            if line.startswith('{"ready"'):
                break
        else:
            process.wait(LIMIT_S)
            process.stdout.close()
            raise AssertionError(f"the engine is not ready: {self.said}")
        self._reading = self._pool.submit(lambda: self.said.extend(process.stdout))

    def call(self, **event: Any) -> Answer:
        """Invoke the function."""
        headers, status, payload = ask(
            self.node, 4566, "POST", "/2015-03-31/functions/app/invocations", event
        )
        return Answer(status, headers["X-Amz-Function-Error"], payload, time.monotonic())

    def begin(self, **event: Any) -> Future[Answer]:
        """The same, in a thread."""
        return self._pool.submit(self.call, **event)

    def nodes(self) -> dict[str, Any]:
        """What it says of its nodes, by their names."""
        return nodes_of(self.node)

    def up(self) -> list[str]:
        """Names of those that are there."""
        return sorted(name for name, node in self.nodes().items() if node["state"] == "up")

    def running(self) -> dict[str, int]:
        """How many environments of each node are busy."""
        return {
            name: node["environments"]["busy"] for name, node in self.nodes().items() if node["state"] == "up"
        }

    def occupy(self, *names: str, sleep_s: float) -> list[Future[Answer]]:
        """Have an invocation that sleeps on each of these nodes at least; returns all that were needed."""
        begun = []
        while not all(self.running().get(name, 0) for name in names):
            assert len(begun) < 12, f"nothing is placed there: {self.nodes()}"
            count = sum(self.running().values())
            begun.append(self.begin(sleep_s=sleep_s))
            until(lambda count=count: sum(self.running().values()) > count, "it runs")
        return begun

    def stop(self, sig: int = signal.SIGTERM) -> int:
        """End it; returns its exit status."""
        if self.process.poll() is None:
            self.process.stop(sig, LIMIT_S)
        self._reading.result(LIMIT_S)
        self.process.stdout.close()
        self._pool.shutdown()
        return self.process.returncode


def ask(
    node: Node, port: int, method: str, path: str, body: Any = None
) -> tuple[http.client.HTTPMessage, int, Any]:
    """Headers, status and JSON of the answer that a server on the loopback of `node` gives."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
    client.sock = node.connect(port, "127.0.0.1")
    client.request(method, path, None if body is None else json.dumps(body))
    answer = client.getresponse()
    text = answer.read()
    client.close()
    return answer.headers, answer.status, json.loads(text) if text else None


def nodes_of(node: Node) -> dict[str, Any]:
    """What the engine on `node` says of its cluster's nodes, by their names."""
    return {each["name"]: each for each in ask(node, 9464, "GET", "/nodes.json")[2]["nodes"]}


def until(condition: Callable[[], Any], what: str) -> None:
    """Wait for something to happen, with a limit that only what hangs reaches."""
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.02)


def listens(node: Node, port: int) -> bool:
    """Whether somebody does, at the address of the node."""
    try:
        node.connect(port).close()
    except OSError:
        return False
    return True
