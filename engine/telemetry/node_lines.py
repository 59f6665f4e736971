"""What the platform's log says of the nodes of a cluster: as a line of text, and as a JSON record."""

from __future__ import annotations

from typing import Any, Final

from engine.core.cluster_nodes import NodeDescription, NodeLoss
from engine.core.engine_events import NodeJoined, NodeLost
from engine.core.invocation import Invocation
from engine.core.outcome import Outcome, Status

NodeNotice = NodeJoined | NodeLost

_REASONS: Final = {
    NodeLoss.LEFT: "has left: its agent was told to end",
    NodeLoss.DISCONNECTED: "is lost: its connection ended",
    NodeLoss.SILENT: "is lost: it was not heard any more",
    NodeLoss.REPLACED: "is lost: another agent came by its name",
    NodeLoss.PROTOCOL: "was cut off: it sent what no agent sends",
}


def node_line(notice: NodeNotice) -> str:
    """One line for the text log."""
    match notice:
        case NodeJoined(node=node):
            tmp = "" if node.own_tmp else "; its environments share one /tmp"
            return (
                f"[engine] node {node.name} has joined from {node.address}: {node.cores:g} "
                f"{'core' if node.cores == 1 else 'cores'}, {node.memory_mb} MB, Python {node.python}, "
                f"engine {node.version}{tmp}\n"
            )
        case NodeLost():
            gone = "with no environment"
            if notice.environments:
                gone = f"{notice.environments} environments went with it"
            if notice.running:
                gone += f", and {notice.running} running invocations are answered with an error"
            return f"[engine] node {notice.node} {_REASONS[notice.reason]}; {gone}\n"


def node_record(notice: NodeNotice) -> tuple[str, dict[str, Any]]:
    """The type and the record for the JSON log."""
    match notice:
        case NodeJoined(node=node):
            return "engine.nodeJoined", described(node)
        case NodeLost():
            return "engine.nodeLost", {
                "node": notice.node,
                "reason": notice.reason.value,
                "environments": notice.environments,
                "running": notice.running,
            }


def described(node: NodeDescription) -> dict[str, Any]:
    """What a node said of itself, as members of a JSON object."""
    return {
        "node": node.name,
        "address": node.address,
        "cores": node.cores,
        "memoryMB": node.memory_mb,
        "python": node.python,
        "version": node.version,
        "ownTmp": node.own_tmp,
    }


def on_node(node: str) -> str:
    """` on node NAME`; nothing for the engine's own machine."""
    return f" on node {node}" if node else ""


def node_member(name: str) -> dict[str, str]:
    """The node as a member of a JSON object; nothing for the engine's own machine."""
    return {"node": name} if name else {}


def crash_line(invocation: Invocation, outcome: Outcome) -> str:
    """Says on which node an environment died; nothing on one machine, and after any other end."""
    if not invocation.node or outcome.status not in (Status.CRASH, Status.OOM):
        return ""
    event = invocation.event
    return f"[engine] {event.function}: {event.request_id} ended its environment{on_node(invocation.node)}\n"
