"""On which of Ray's nodes there is to be an agent: each has one, or as many as are wished for."""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

from engine.executors.cluster.ray_agent_actor import Installed
from engine.version import VERSION

MAX_LOOKS: Final = 10
"""Looks, of a second each, after which the making of an actor is given up.

Ray lists a node that has died as alive for up to fourteen seconds, and what is placed there hangs.
"""

PATIENCE_S: Final = 900
"""Seconds, and looks, for which an agent may finish what it runs: as long as an invocation may take."""

_MAX_PAUSE_LOOKS: Final = 30


class RayNode(NamedTuple):
    """A node that Ray takes for alive. `has_slot`: it announces the resource of which an agent takes one."""

    node_id: str
    name: str
    has_slot: bool
    has_cpu: bool


class Placing(Protocol):
    """What is done on nodes; an actor and what is pending are whatever the implementation makes of them."""

    def nodes(self) -> list[RayNode]:
        """Those alive."""

    def begin(self, row: RayNode) -> tuple[Any, Any]:
        """Have an actor made there; returns it and its pending `Installed`."""

    def answered(self, pending: Any) -> Installed | Exception | None:
        """What has come of it; None while it is pending."""

    def drain(self, actor: Any) -> Any:
        """Have its agent finish; returns what is pending until then."""

    def is_over(self, pending: Any) -> bool:
        """Whether it has ended, however."""

    def end(self, actor: Any) -> None:
        """End an actor at once."""

    def wish(self, agents: int) -> None:
        """Ask for so many nodes in all; 0 withdraws."""


class _Agent:
    """The actor of one node. `pending`: its first answer, or the end of its draining; None: it works."""

    def __init__(self, name: str, actor: Any, pending: Any) -> None:
        self.name = name
        self.actor = actor
        self.pending = pending
        self.looks = 0
        self.is_leaving = False


class RayAgents:
    """Keeps one agent on each node that may have one.

    A node may have one if it announces a slot for it or CPUs for anything. Where there is an autoscaler, only
    as many nodes as are wished for have one, and one at least: those that came first. The agent of another
    is drained and its actor ended, for Ray removes no node on which an actor lives.
    """

    def __init__(self, cluster: Placing, say: Callable[[str], None], *, owner: str, autoscaler: bool) -> None:
        self._cluster = cluster
        self._say = say
        self._owner = owner
        self._autoscaler = autoscaler
        self._wished = 0
        self._order: dict[str, None] = {}  # nodes as they came
        self._agents: dict[str, _Agent] = {}
        self._failures: dict[str, int] = {}  # in a row
        self._pauses: dict[str, int] = {}  # looks until the next try

    def actors(self) -> list[Any]:
        """Every actor there is."""
        return [agent.actor for agent in self._agents.values()]

    def wish(self, agents: int) -> None:
        """So many are of use. Without an autoscaler nobody could bring or take a node: it is ignored."""
        if self._autoscaler and agents != self._wished:
            self._wished = agents
            self._cluster.wish(agents)

    def look(self) -> None:
        """See which nodes there are, and what has become of what was begun."""
        rows = {row.node_id: row for row in self._cluster.nodes() if row.has_slot or row.has_cpu}
        self._order = dict.fromkeys([*(one for one in self._order if one in rows), *rows])
        for node_id in self._agents.keys() - rows.keys():
            del self._agents[node_id]
        for gone in (self._failures.keys() | self._pauses.keys()) - rows.keys():
            self._failures.pop(gone, None)
            self._pauses.pop(gone, None)
        for node_id, agent in list(self._agents.items()):
            if agent.pending is not None:
                self._look_at(node_id, agent)
        wanted = list(self._order)
        if self._autoscaler:
            wanted = wanted[: max(1, self._wished)]
        for node_id in wanted:
            if node_id not in self._agents and not self._is_paused(node_id):
                row = rows[node_id]
                self._agents[node_id] = _Agent(row.name, *self._cluster.begin(row))
        for node_id in self._agents.keys() - set(wanted):
            self._leave(self._agents[node_id])

    def _is_paused(self, node_id: str) -> bool:
        left = self._pauses.get(node_id, 0)
        if left:
            self._pauses[node_id] = left - 1
        return left > 0

    def _leave(self, agent: _Agent) -> None:
        if not agent.is_leaving:
            agent.is_leaving, agent.looks = True, 0
            agent.pending = self._cluster.drain(agent.actor)

    def _look_at(self, node_id: str, agent: _Agent) -> None:
        agent.looks += 1
        if agent.is_leaving:
            if self._cluster.is_over(agent.pending) or agent.looks >= PATIENCE_S:
                self._end(node_id)
            return
        answer = self._cluster.answered(agent.pending)
        if isinstance(answer, Installed):
            agent.pending = None
            self._check(node_id, agent, answer)
        elif answer is not None or agent.looks >= MAX_LOOKS:
            self._failed(node_id, agent, answer)

    def _check(self, node_id: str, agent: _Agent, installed: Installed) -> None:
        """Whether what is there fits."""
        if installed.owner != self._owner:
            self._end(node_id)  # of an engine that has ended: the next look makes one of ours
        elif installed.version != VERSION:
            has = f"engine {installed.version}" if installed.version else "no engine"
            self._refuse(
                node_id,
                agent,
                f"it has {has}, and this is {VERSION}: pip install invocation-engine=={VERSION}",
            )
        elif _minor(installed.python) != _minor(platform.python_version()):
            python = _minor(platform.python_version())
            self._refuse(node_id, agent, f"it runs Python {installed.python}, and the engine {python}")
        else:
            self._failures.pop(node_id, None)

    def _refuse(self, node_id: str, agent: _Agent, why: str) -> None:
        self._say(f"Ray's node {agent.name} is not used: {why}")
        self._end(node_id)
        self._pauses[node_id] = _MAX_PAUSE_LOOKS

    def _failed(self, node_id: str, agent: _Agent, error: Exception | None) -> None:
        """No answer came, or an error. Tried again, ever more seldom; told once."""
        count = self._failures[node_id] = self._failures.get(node_id, 0) + 1
        if count == 1:
            why = f"no answer within {MAX_LOOKS} s" if error is None else first_line(error)
            self._say(f"no agent could be started on Ray's node {agent.name}: {why}; it is tried again")
        self._end(node_id)
        self._pauses[node_id] = min(2**count, _MAX_PAUSE_LOOKS)

    def _end(self, node_id: str) -> None:
        self._cluster.end(self._agents.pop(node_id).actor)


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def first_line(error: Exception) -> str:
    """What it says first; Ray goes on for pages."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
