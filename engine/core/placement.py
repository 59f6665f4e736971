"""Which node a new environment goes to: a pure choice by free memory and CPU, and by where its code is.

The cluster executor asks it live and `engine.model.simulation` in simulated time. What a node has left is
counted by whoever asks. Memory is never shared out twice. CPU is, unless the environment reserves its part:
what only computes now and then may be one of many on a CPU.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

PATIENCE_S: Final = 1.0
"""How long the first in line waits before a busy environment of another function has to go after its work."""

_ROUNDING: Final = 1e-9
"""Sums of shares of a CPU that are this little apart are the same."""


class NodeRoom(NamedTuple):
    """A node that takes environments, and what is left of it.

    Attributes:
        name: Which it is, unique.
        memory_mb, vcpus: What environments may have of it in all, above 0.
        free_memory_mb, free_vcpus: What of that is not taken; less than 0 where it is shared out twice.
        codes: Whose code is there already, as in `EnvironmentNeed.code`.
    """

    name: str
    memory_mb: float
    vcpus: float
    free_memory_mb: float
    free_vcpus: float
    codes: frozenset[str] = frozenset()


class EnvironmentNeed(NamedTuple):
    """What an environment takes.

    Attributes:
        memory_mb: Of memory.
        vcpus: Of CPU, for it alone; 0 = it shares what there is.
        code: Digest or name of the code that it runs; empty = any node is as good.
    """

    memory_mb: float
    vcpus: float = 0.0
    code: str = ""


def fits(node: NodeRoom, need: EnvironmentNeed) -> bool:
    """Whether the node has the memory, and the CPU that is reserved."""
    has_cpu = not need.vcpus or node.free_vcpus >= need.vcpus - _ROUNDING
    return has_cpu and node.free_memory_mb >= need.memory_mb - _ROUNDING


def choose(nodes: Iterable[NodeRoom], need: EnvironmentNeed) -> NodeRoom | None:
    """The node for one more environment; None: none has room for it now.

    While some node that it fits on has CPU to spare, only those count. Of them the one that has its code
    comes first, then the fullest: so nodes that are not needed become empty, and can be removed. Otherwise
    the one with most left comes first, and its code decides between equals. The order of `nodes` is of no
    account.
    """
    return min((node for node in nodes if fits(node, need)), key=lambda node: _rank(node, need), default=None)


def _rank(node: NodeRoom, need: EnvironmentNeed) -> tuple[bool, float, float, str]:
    left = min(
        (node.free_memory_mb - need.memory_mb) / node.memory_mb, (node.free_vcpus - need.vcpus) / node.vcpus
    )
    lacks_code = need.code not in node.codes
    if node.free_vcpus > _ROUNDING or need.vcpus:
        return False, lacks_code, left, node.name
    return True, -left, lacks_code, node.name
