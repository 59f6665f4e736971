"""Rare things worth telling an operator, as values: observers log and count them.

`node`, where there is one, is the node of the cluster it happened on; "" for the engine's own machine.
"""

from __future__ import annotations

from engine.core.cluster_nodes import NodeDescription, NodeLoss
from engine.core.late_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Initialised:
    """An environment finished its init; `error_type` is None when it can serve.

    `provisioned`: it was started ahead of any event. `node`: where it is; "" for the engine's own machine.
    """

    function: str
    init_s: float
    provisioned: bool = False
    error_type: str | None = None
    error_message: str | None = None
    node: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopBlocked:
    """A handler holds the event loop: nothing else runs meanwhile. Sent while it still blocks.

    `blocked_s` is how long it had blocked when seen; `stack` is where it was, innermost last.
    """

    function: str
    request_id: str
    blocked_s: float
    stack: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopReleased:
    """The handler named by an earlier `LoopBlocked` let go after `blocked_s` in all, or was `interrupted`."""

    function: str
    request_id: str
    blocked_s: float
    interrupted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadAbandoned:
    """A thread ignored its deadline (it is stuck in C code): it lives on, uncounted by any limit."""

    function: str
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Confined:
    """How far this machine lets environments that are processes be confined. Sent once.

    `function`: the first one that runs so; what is said holds for all of them.
    `memory_by`: `cgroup` (the kernel caps it) or `watch` (the engine looks at it). `own_tmp`: `/tmp` is a
    file system of each environment's own, else `TMPDIR` names a private folder.
    """

    function: str
    memory_by: str
    own_tmp: bool
    node: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An environment is started only when the machine has room for it. Sent for each that has to wait.

    Attributes:
        function: Whose it is.
        by: What is short: `memory`, `descriptors`, `processes` or `disk`.
        environment_mb: What one takes; `measured`, or else assumed from its configured memory.
        fit: How many there is memory for, those that are there included.
        limit: Megabytes of memory; with `descriptors`, how many may be open.
        first: It is the first for a while: an operator should know.
    """

    function: str
    by: str
    environment_mb: int
    measured: bool
    fit: int
    limit: int
    first: bool
    node: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedForMemory:
    """Invocations took all memory, though no more were started: the largest environment was ended."""

    function: str
    resident_mb: int
    node: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InitsLimit:
    """Environments wait for others to initialise: the machine can start no more. Sent once a function.

    `cpu_s`: what the last init took of a CPU, seconds. `per_s`: environments the machine starts a second, or
    all nodes together (`on_nodes`).
    `waiting`: those that wait for their turn. `preloaded_per_s`: what it could start at best if nothing but
    the code folder were imported in each, or None where that cannot be had.
    """

    function: str
    cpu_s: float
    per_s: float
    on_nodes: bool
    waiting: int
    preloaded_per_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuLimited:
    """Lambda's CPU law is in force. Sent once, for the first function that has it.

    `mechanism`: the file of a control group by which CPU is limited, or `duty cycle`. `cores`: those of this
    machine. `fit`: environments of this function that can be at work at once and have what they are promised.
    """

    function: str
    mechanism: str
    cores: int
    memory_mb: int
    fit: int
    node: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuMeasured:
    """How far this machine keeps Lambda's CPU law. Sent twice a second while invocations run.

    `got_s`: CPU seconds that environments had. `promised_s`: those they could have used within their share.
    `environments`: those that were at work; `fit` of them can have all that they are promised. `worse`: they
    got clearly less than they were promised, and less than was said before.
    """

    function: str
    got_s: float
    promised_s: float
    environments: int
    memory_mb: int
    fit: int
    worse: bool
    node: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventDropped:
    """An asynchronous event was given up. `reason`: AWS's condition, or what the engine calls it.

    `handed_over`: a destination or dead-letter queue has it now; else it is gone.
    """

    function: str
    request_id: str
    reason: str
    runs: int
    handed_over: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFailed:
    """The record of an asynchronous event could not be handed to `destination`, an ARN."""

    function: str
    request_id: str
    destination: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsAbandoned:
    """The engine stops while `count` asynchronous events still wait; `handed_over` of them went elsewhere."""

    function: str
    count: int
    handed_over: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeJoined:
    """A node of the cluster has joined, for the first time or again: environments can be started there."""

    node: NodeDescription


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLost:
    """A node is not there any more.

    `environments` went with it; `running` invocations among them are answered with an error each.
    """

    node: str
    reason: NodeLoss
    environments: int
    running: int


EngineEvent = (
    Confined
    | CpuLimited
    | CpuMeasured
    | DeliveryFailed
    | EndedForMemory
    | EventDropped
    | EventsAbandoned
    | Held
    | Initialised
    | InitsLimit
    | LoopBlocked
    | LoopReleased
    | NodeJoined
    | NodeLost
    | ThreadAbandoned
)
