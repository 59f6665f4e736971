"""The process that talks to Ray for an engine: `python -m engine.executors.cluster.ray_driver PARENT`.

The engine does not import Ray: that costs 65 MB and two dozen threads, Ray's calls block, and its core ends
the process it is in when a cluster is lost. Here it may. Messages are lines of JSON: on stdin an `Order`,
then `{"wish": agents}` as often as it changes; on stdout `{"ready": nodes}` once, then `{"say": line}`, and
at last `{"ended": sentence}` unless it was told to end. The end of stdin ends the agents and this process,
and so does the end of the engine.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final, NamedTuple

from engine.executors.cluster.host_port import joined, split
from engine.executors.cluster.ray_address import ClusterNotFound, found
from engine.executors.cluster.ray_agent_actor import AgentActor, Assignment, Installed
from engine.executors.cluster.ray_nodes import PATIENCE_S, RayAgents, RayNode, first_line
from engine.executors.process.linux import die_with_parent
from engine.version import VERSION

LOOK_S: Final = 1.0
"""Seconds from one look at Ray's nodes to the next. It is one call of Ray's control plane."""

_CLOSE_S: Final = 5.0
_PROBE_S: Final = 20.0
_REACH_S: Final = 5.0

SLOT: Final = "agent_slot"
"""The custom resource of a node that one agent takes; a request for nodes is one for these."""

HOW_TO_GUARD: Final = (
    "set RAY_AUTH_MODE=token and the same RAY_AUTH_TOKEN (or RAY_AUTH_TOKEN_PATH) for every process of the "
    "cluster and for the engine, or insist with --insecure-ray"
)

ANSWERED: Final = "answered"
REFUSED: Final = "refused"


class Order(NamedTuple):
    """What the engine wants.

    Attributes:
        address: HOST:PORT of Ray's control plane, or `auto`.
        namespace: Where the actors have their names; a restarted engine replaces those of the one before.
        owner: Drawn for this engine.
        host: That agents connect to; empty for the address that Ray has for this machine.
        port: The same.
        secret: What agents prove to know, as text.
        insecure: Use a cluster that asks nobody for a token.
        autoscaler: Ask for nodes, and give back those that are not wished for.
    """

    address: str
    namespace: str
    owner: str
    host: str
    port: int
    secret: str
    insecure: bool
    autoscaler: bool


class ClusterRefused(Exception):
    """The cluster is not used; the text says why and what to do, in one sentence."""


class RayCluster:
    """Ray's part of what is done on nodes. All of it blocks."""

    def __init__(self, order: Order, *, node_address: str) -> None:
        self._ray: Any = import_module("ray")
        self._sdk: Any = import_module("ray.autoscaler.sdk")
        self._scheduling: Any = import_module("ray.util.scheduling_strategies")
        by_value: Any = import_module("ray.cloudpickle").register_pickle_by_value
        by_value(import_module(AgentActor.__module__))
        self._order = order
        self._engine = joined(order.host or node_address, order.port)
        self._actor = self._ray.remote(AgentActor)

    def nodes(self) -> list[RayNode]:
        """Every node Ray knows of and takes for alive, in no order."""
        return [
            RayNode(each["NodeID"], _name(each), SLOT in each["Resources"], "CPU" in each["Resources"])
            for each in self._ray.nodes()
            if each["Alive"]
        ]

    def begin(self, row: RayNode) -> tuple[Any, Any]:
        """Have an actor made on that node; returns it, and what will be its `Installed`."""
        order = self._order
        assignment = Assignment(order.owner, self._engine, order.secret, row.name, VERSION)
        actor = self._actor.options(
            name=f"agent-{row.node_id}",
            namespace=order.namespace,
            get_if_exists=True,
            num_cpus=0,
            resources={SLOT: 1} if row.has_slot else None,
            scheduling_strategy=self._scheduling.NodeAffinitySchedulingStrategy(row.node_id, soft=False),
            max_restarts=-1,
            max_task_retries=0,
        ).remote(assignment)
        return actor, actor.version.remote()

    def answered(self, pending: Any) -> Installed | Exception | None:
        """The result of a call, or what became of it; None while there is neither."""
        done, _ = self._ray.wait([pending], timeout=0)
        if not done:
            return None
        try:
            return Installed(*self._ray.get(pending))
        except Exception as error:  # noqa: BLE001  # whatever Ray raises is about this node alone
            return error

    def drain(self, actor: Any) -> Any:
        """Have its agent finish; returns what is pending until then."""
        return actor.drain.remote(PATIENCE_S)

    def is_over(self, pending: Any) -> bool:
        """Whether that call has ended, however."""
        done, _ = self._ray.wait([pending], timeout=0)
        return bool(done)

    def end(self, actor: Any) -> None:
        """End an actor at once, and its agent with it."""
        self._ray.kill(actor, no_restart=True)

    def wish(self, agents: int) -> None:
        """Ask for nodes: a floor on all there are, not an addition; 0 withdraws the request."""
        self._sdk.request_resources(bundles=[{SLOT: 1}] * agents)

    def close(self, actors: list[Any]) -> None:
        """Drain all agents at a time, end their actors, and take leave."""
        drained = [actor.drain.remote(_CLOSE_S) for actor in actors]
        if drained:
            self._ray.wait(drained, num_returns=len(drained), timeout=_CLOSE_S)
        for actor in actors:
            self.end(actor)
        if self._order.autoscaler:
            self.wish(0)
        self._ray.shutdown()


def _name(row: Mapping[str, Any]) -> str:
    """What the node was called when it was started, else its host."""
    named = row["NodeName"] != row["NodeManagerAddress"]
    return str(row["NodeName" if named else "NodeManagerHostname"])


def _reach(address: str) -> None:
    """Raise ClusterRefused if nothing listens there: Ray would try for 40 seconds."""
    try:
        socket.create_connection(split(address), _REACH_S).close()
    except (OSError, ValueError) as error:
        raise ClusterRefused(f"no Ray cluster answers at {address}: {error}") from None


def asked(address: str) -> str:
    """Ask the control plane something: `answered`, `refused` for want of a token, or what went wrong."""
    exceptions: Any = import_module("ray.exceptions")
    client: Any = import_module("ray._raylet").GcsClient
    try:
        client(address=address).internal_kv_get(b"engine", b"probe")
    except exceptions.AuthenticationError:
        return REFUSED
    except Exception as error:  # noqa: BLE001  # it is told
        return first_line(error)
    return ANSWERED


def _asked_without_token(address: str) -> subprocess.Popen[str]:
    """Start a process that asks without a token, and prints what came of it: Ray reads it once a process."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH_")}
    return subprocess.Popen(  # noqa: S603  # our own interpreter
        [sys.executable, "-P", "-m", __spec__.name, "probe", address],
        env={**own, "RAY_AUTH_MODE": "disabled"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def _look_at_guard(address: str, *, insecure: bool) -> None:
    """Whether the cluster refuses whoever has no token, and takes ours; else raise ClusterRefused."""
    if not insecure and os.environ.get("RAY_AUTH_MODE", "disabled") == "disabled":
        raise ClusterRefused(
            f"Ray runs the code of whoever reaches it unless it asks for a token: {HOW_TO_GUARD}"
        )
    _reach(address)
    probe = _asked_without_token(address)
    if not insecure:
        import_module("ray")  # meanwhile
    without = probe.communicate(timeout=_PROBE_S)[0].strip()
    if without == ANSWERED and not insecure:
        raise ClusterRefused(f"the Ray cluster at {address} asks nobody for a token: {HOW_TO_GUARD}")
    if without == ANSWERED:
        os.environ["RAY_AUTH_MODE"] = "disabled"  # else its nodes would have to have our token to call back
    elif without != REFUSED:
        raise ClusterRefused(f"no Ray cluster answers at {address}: {without}")
    elif asked(address) != ANSWERED:
        raise ClusterRefused(
            f"the Ray cluster at {address} wants another token than the engine has: {HOW_TO_GUARD}"
        )


def _joined(order: Order) -> RayCluster:
    """Join the cluster as a driver. Raises ClusterRefused, ClusterNotFound."""
    address = found(order.address, os.environ)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    _look_at_guard(address, insecure=order.insecure)
    ray: Any = import_module("ray")
    try:
        context = ray.init(
            address=address, namespace=order.namespace, logging_level="ERROR", log_to_driver=False
        )
    except Exception as error:
        raise ClusterRefused(f"the Ray cluster at {address} cannot be joined: {first_line(error)}") from error
    return RayCluster(order, node_address=context.address_info["node_ip_address"])


def drive(order: Order, tell: Callable[[dict[str, Any]], None]) -> None:
    """Keep agents on the nodes until stdin ends."""
    cluster = _joined(order)
    agents = RayAgents(
        cluster, lambda line: tell({"say": line}), owner=order.owner, autoscaler=order.autoscaler
    )
    tell({"ready": len(cluster.nodes())})
    try:
        unread = b""
        while True:
            agents.look()
            ready, _, _ = select.select([0], [], [], LOOK_S)
            if not ready:
                continue
            came = os.read(0, 65_536)
            if not came:
                return
            *lines, unread = (unread + came).split(b"\n")
            for line in lines:
                agents.wish(json.loads(line)["wish"])
    finally:
        cluster.close(agents.actors())


def main() -> None:
    """What the process runs."""
    if sys.argv[1] == "probe":
        print(asked(sys.argv[2]))  # noqa: T201  # its result
        return
    die_with_parent(int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the engine, which ends this
    ours = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # Ray writes where it likes

    def tell(message: dict[str, Any]) -> None:
        ours.write(json.dumps(message) + "\n")

    order = Order(**json.loads(_first_line_of_stdin()))
    try:
        drive(order, tell)
    except (ClusterRefused, ClusterNotFound) as refused:
        tell({"ended": str(refused)})
    except Exception as error:
        tell({"ended": f"{type(error).__name__}: {first_line(error)}"})
        raise


def _first_line_of_stdin() -> bytes:
    """Unbuffered: `select` must see what follows."""
    line = b""
    while not line.endswith(b"\n"):
        came = os.read(0, 1)
        if not came:
            sys.exit(0)
        line += came
    return line


if __name__ == "__main__":
    main()
