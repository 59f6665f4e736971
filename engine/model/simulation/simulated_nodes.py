"""The nodes of a simulation: which environment is on which, what waits for room, nodes that come and go.

`core.placement` chooses the node, as it does in the live cluster. An environment that fits on none waits, as
in decision 19: in order, while idle environments of other functions are given up for it and, after
`PATIENCE_S` without any, a busy one of a larger function after its work. Nodes that are added boot first;
one that was empty for long enough is removed.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import field
from itertools import count
from typing import Final, NamedTuple, Protocol

from engine.core.late_dataclass import dataclass
from engine.core.placement import PATIENCE_S, EnvironmentNeed, NodeRoom, choose, fits
from engine.model.cost.node_types import NodeType
from engine.model.simulation.schedule import Schedule

_ROUNDING: Final = 1e-9


class NodeGroup(NamedTuple):
    """Nodes of one type: how many there are at the least, which are there from the start, and at the most."""

    node: NodeType
    least: int
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodesLoad:
    """The nodes that environments are placed on.

    Attributes:
        groups: Those there are, and may be; those named first are added first.
        needs: What an environment takes, by the name of its function.
        boot_s: From when a node is asked for until it takes environments.
        idle_s: How long a node is empty before it is removed.
    """

    groups: Sequence[NodeGroup]
    needs: Mapping[str, EnvironmentNeed]
    boot_s: float = 60.0
    idle_s: float = 300.0


class PlacedFunction(Protocol):
    """A function whose environments are placed."""

    @property
    def name(self) -> str:
        """Of the function."""

    def placed(self, now_s: float, env_id: int) -> None:
        """Begin to initialise it."""

    def is_provisioned(self, env_id: int) -> bool:
        """Whether it is to be there before events need it."""

    @property
    def has_idle(self) -> bool:
        """Whether an environment of it is idle: then nothing waits for another."""

    @property
    def waiting(self) -> int:
        """Events that wait for an environment, but for as many as initialise."""

    def idle(self) -> Sequence[int]:
        """Environments that are idle, and may be given up."""

    def busy(self) -> Sequence[int]:
        """Environments that are at work, and may be given up after it."""

    def give_up(self, now_s: float, env_id: int) -> None:
        """End it, now or after its work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupObservation:
    """Nodes of one type during a run: how many on average and at the most, and their seconds in sum."""

    group: NodeGroup
    mean: float
    peak: int
    node_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NodesObservation:
    """What was seen of all nodes.

    Attributes:
        groups: By type.
        added, removed: Nodes, after the start.
        memory_share, cpu_share: Of what environments may have on nodes that had booted: taken, on average.
        placed: Environments that were given a node.
        lacking: Environments that wait for one when observation ends, though they are provisioned.
        samples: Over time: `at_s`, `nodes`, `booting`, `memory_share`, `cpu_share`, and `waiting`: events
            that wait while there is no room for another environment of their function.
    """

    groups: tuple[GroupObservation, ...]
    added: int
    removed: int
    memory_share: float
    cpu_share: float
    placed: int
    lacking: int
    samples: Mapping[str, Sequence[float]] = field(repr=False)


class _SimulatedNode:
    """A node. `room` is what is left of it; `empty_s`: since when it is empty, NaN while it is not."""

    __slots__ = ("asked_s", "empty_s", "environments", "gone_s", "group", "room")

    def __init__(self, name: str, group: int, node: NodeType, asked_s: float) -> None:
        self.group = group
        self.asked_s, self.gone_s, self.empty_s = asked_s, math.inf, math.nan
        self.environments = 0
        self.room = NodeRoom(name, node.room_mb, node.vcpus, node.room_mb, node.vcpus)

    def take(self, need: EnvironmentNeed, sign: int) -> None:
        """One environment more, or less."""
        self.environments += sign
        room = self.room
        if self.environments:
            free_mb = room.free_memory_mb - sign * need.memory_mb
            free_vcpus = room.free_vcpus - sign * _cpu(need)
        else:  # exactly: sums of fractions are not
            free_mb, free_vcpus = room.memory_mb, room.vcpus
        codes = room.codes if need.code in room.codes else room.codes | {need.code}
        self.room = NodeRoom(room.name, room.memory_mb, room.vcpus, free_mb, free_vcpus, codes)


class _Levels:
    """What is there at a moment, and its integral over time up to the horizon."""

    __slots__ = ("cpus", "horizon_s", "memory_mb", "now_s", "sums", "used_cpus", "used_mb")

    def __init__(self, horizon_s: float) -> None:
        self.horizon_s = horizon_s
        self.now_s = 0.0
        self.memory_mb = self.cpus = self.used_mb = self.used_cpus = 0.0
        self.sums = [0.0] * 4

    def until(self, now_s: float) -> None:
        """Let time pass."""
        passed_s = min(now_s, self.horizon_s) - self.now_s
        if passed_s > 0:
            self.now_s += passed_s
            levels = (self.memory_mb, self.cpus, self.used_mb, self.used_cpus)
            self.sums = [total + level * passed_s for total, level in zip(self.sums, levels, strict=True)]

    def shares(self) -> tuple[float, float]:
        """Of memory and of CPU, what is taken now."""
        return _share(self.used_mb, self.memory_mb), _share(self.used_cpus, self.cpus)

    def mean_shares(self) -> tuple[float, float]:
        """The same on average."""
        memory_mb, cpus, used_mb, used_cpus = self.sums
        return _share(used_mb, memory_mb), _share(used_cpus, cpus)


class SimulatedNodes:
    """All nodes of one simulation."""

    def __init__(self, load: NodesLoad, at: Schedule, horizon_s: float) -> None:
        self._load, self._at = load, at
        self._numbers = count(1)
        self._nodes: dict[str, _SimulatedNode] = {}  # those that take environments
        self._open: dict[str, _SimulatedNode] = {}  # of them, those in use that have room for some function
        self._unused: list[dict[str, _SimulatedNode]] = [{} for _ in load.groups]  # and those never used
        self._booting: dict[str, _SimulatedNode] = {}
        self._past: list[_SimulatedNode] = []
        self._there: dict[tuple[PlacedFunction, int], _SimulatedNode] = {}
        self._line: dict[PlacedFunction, OrderedDict[int, float]] = {}  # since when each waits
        self._environments: dict[PlacedFunction, int] = {}
        self._moved_s = 0.0
        self._owed: PlacedFunction | None = None  # another gives up a busy environment for it
        self._looks = False
        self._added = self._removed = self._placed = 0
        self._counts = [0] * len(load.groups)
        self._peaks = [0] * len(load.groups)
        self._levels = _Levels(horizon_s)
        self._samples: dict[str, list[float]] = {
            name: [] for name in ("at_s", "nodes", "booting", "memory_share", "cpu_share", "waiting")
        }

    def open(self, now_s: float) -> None:
        """Begin with the least number of each type, which have booted."""
        for number, group in enumerate(self._load.groups):
            for _ in range(group.least):
                self._take_in(now_s, self._new(now_s, number))

    # ---------------------------------------------------------------- what functions tell

    def ask(self, owner: PlacedFunction, now_s: float, env_id: int) -> None:
        """Have it placed: now, or as soon as there is room."""
        if not self._line and self._place(owner, now_s, env_id):
            return
        self._line.setdefault(owner, OrderedDict())[env_id] = now_s
        self._add_nodes(now_s)
        self._at(now_s, self._look)
        self._look_later(now_s)

    def gone(self, owner: PlacedFunction, now_s: float, env_id: int) -> None:
        """It has ended, or is not wanted any more: what it took is free."""
        node = self._there.pop((owner, env_id), None)
        if node is None:
            self._leave(owner, env_id)
            return
        self._environments[owner] -= 1
        self._change(now_s, node, self._need(owner), -1)
        self._moved_s = now_s
        if not node.environments:
            self._became_empty(now_s, node)
        if self._line:
            self._at(now_s, self._look)

    def in_line(self, owner: PlacedFunction) -> int:
        """How many of its environments wait for room."""
        return len(self._line.get(owner, ()))

    # ---------------------------------------------------------------- room

    def _need(self, owner: PlacedFunction) -> EnvironmentNeed:
        return self._load.needs[owner.name]

    def _place(self, owner: PlacedFunction, now_s: float, env_id: int) -> bool:
        need = self._need(owner)
        node = self._choose(need)
        if node is None:
            return False
        node.empty_s = math.nan
        self._there[owner, env_id] = node
        self._environments[owner] = self._has(owner) + 1
        if owner is self._owed:
            self._owed = None
        self._change(now_s, node, need, 1)
        self._moved_s = now_s
        self._placed += 1
        owner.placed(now_s, env_id)
        return True

    def _choose(self, need: EnvironmentNeed) -> _SimulatedNode | None:
        """The node by the rule of the live cluster. Of nodes that are alike it takes the first by name."""
        alike = (next(iter(unused.values())) for unused in self._unused if unused)
        found = choose((node.room for node in (*self._open.values(), *alike)), need)
        return None if found is None else self._nodes[found.name]

    def _change(self, now_s: float, node: _SimulatedNode, need: EnvironmentNeed, sign: int) -> None:
        self._levels.until(now_s)
        self._levels.used_mb += sign * need.memory_mb
        self._levels.used_cpus += sign * need.vcpus
        node.take(need, sign)
        name = node.room.name
        self._unused[node.group].pop(name, None)
        if any(fits(node.room, one) for one in self._load.needs.values()):
            self._open[name] = node
        else:
            self._open.pop(name, None)

    def _leave(self, owner: PlacedFunction, env_id: int) -> None:
        waiting = self._line.get(owner)
        if waiting is not None and waiting.pop(env_id, None) is not None and not waiting:
            del self._line[owner]

    def _look(self, now_s: float, _a: int, _b: int) -> None:
        """Place what fits, in order. Who has waited for long holds up functions that have as much already."""
        late: list[PlacedFunction] = []
        for place, (asked_s, owner) in enumerate(self._first_of_each()):
            has = self._has(owner)
            if any(has >= self._has(other) for other in late) or self._place_all(owner, now_s):
                continue
            if not place and self._give_up_idle(owner, now_s):
                return  # what that frees is for this one
            if not place or not has:
                self._take_turns(owner, now_s, asked_s)
            if now_s - asked_s > PATIENCE_S:
                late.append(owner)

    def _first_of_each(self) -> list[tuple[float, PlacedFunction]]:
        """Since when the first in line of each function waits, unless one of its environments is idle.

        First comes the function that another made room for, then the one that has waited longest.
        """
        found = [
            (next(iter(waiting.values())), owner)
            for owner, waiting in self._line.items()
            if not owner.has_idle
        ]
        return sorted(found, key=lambda one: (one[1] is not self._owed, one[0]))

    def _has(self, owner: PlacedFunction) -> int:
        return self._environments.get(owner, 0)

    def _place_all(self, owner: PlacedFunction, now_s: float) -> bool:
        """Place what waits of that function, as far as there is room; whether that was all."""
        waiting = self._line[owner]
        while waiting:
            env_id = next(iter(waiting))
            if not self._place(owner, now_s, env_id):
                return False
            del waiting[env_id]
        del self._line[owner]
        return True

    def _give_up_idle(self, owner: PlacedFunction, now_s: float) -> bool:
        """Have others end the fewest idle environments that make room for one of `owner`, if some do."""
        need = self._need(owner)
        idle: dict[_SimulatedNode, list[tuple[PlacedFunction, int]]] = {}
        for other in self._environments:
            if other is not owner:
                for env_id in other.idle():
                    idle.setdefault(self._there[other, env_id], []).append((other, env_id))
        plans = (self._given_up(node, ones, need) for node, ones in idle.items())
        best = min((plan for plan in plans if plan is not None), key=len, default=())
        for other, env_id in best:
            self._owed = owner
            other.give_up(now_s, env_id)
        return bool(best)

    def _given_up(
        self, node: _SimulatedNode, idle: Sequence[tuple[PlacedFunction, int]], need: EnvironmentNeed
    ) -> list[tuple[PlacedFunction, int]] | None:
        """The fewest of these, largest first, whose end makes room for `need`; None: all would not do."""
        room, chosen = node.room, []
        for other, env_id in sorted(idle, key=lambda one: -self._need(one[0]).memory_mb):
            of = self._need(other)
            room = room._replace(
                free_memory_mb=room.free_memory_mb + of.memory_mb, free_vcpus=room.free_vcpus + _cpu(of)
            )
            chosen.append((other, env_id))
            if fits(room, need):
                return chosen
        return None

    def _take_turns(self, owner: PlacedFunction, now_s: float, asked_s: float) -> None:
        """After a while have the function with most environments, and more than `owner`, end a busy one."""
        if now_s - max(self._moved_s, asked_s) < PATIENCE_S:
            return
        for other in sorted(self._environments, key=lambda one: (-self._has(one), one.name)):
            if other is not owner and self._has(other) > self._has(owner) and (busy := other.busy()):
                other.give_up(now_s, busy[0])
                self._owed, self._moved_s = owner, now_s
                return

    def _look_later(self, now_s: float) -> None:
        """Look again when somebody's patience is over."""
        if not self._looks and len(self._load.needs) > 1:
            self._looks = True
            self._at(now_s + PATIENCE_S, self._look_again)

    def _look_again(self, now_s: float, _a: int, _b: int) -> None:
        self._looks = False
        if self._line:
            self._look(now_s, 0, 0)
            self._look_later(now_s)

    # ---------------------------------------------------------------- nodes that come and go

    def _new(self, now_s: float, group: int) -> _SimulatedNode:
        node = self._load.groups[group].node
        self._counts[group] += 1
        self._peaks[group] = max(self._peaks[group], self._counts[group])
        return _SimulatedNode(f"{node.name}#{next(self._numbers):09}", group, node, now_s)

    def _take_in(self, now_s: float, node: _SimulatedNode) -> None:
        self._levels.until(now_s)
        self._levels.memory_mb += node.room.memory_mb
        self._levels.cpus += node.room.vcpus
        self._nodes[node.room.name] = self._unused[node.group][node.room.name] = node
        self._became_empty(now_s, node)

    def _add_nodes(self, now_s: float) -> None:
        """Ask for as many nodes as those that wait need, less what boots already."""
        waiting = {owner: len(ones) for owner, ones in self._line.items() if not owner.has_idle}
        for number, group in enumerate(self._load.groups):
            fit = {owner: size for owner, size in waiting.items() if group.node.holds(self._need(owner))[0]}
            wanted = self._wanted(group.node, fit)
            if not wanted:
                continue
            booting = sum(node.group == number for node in self._booting.values())
            asked = max(0, min(wanted - booting, group.most - self._counts[number]))
            for _ in range(asked):
                node = self._new(now_s, number)
                self._added += 1
                self._booting[node.room.name] = node
                self._at(now_s + self._load.boot_s, self._booted)
            for owner, size in fit.items():  # the next types are for what is left of them
                waiting[owner] = size - math.ceil(size * min(1.0, (booting + asked) / wanted))

    def _wanted(self, node: NodeType, waiting: Mapping[PlacedFunction, int]) -> int:
        """How many such nodes have the memory and the CPU that those need."""
        needs = [(self._need(owner), size) for owner, size in waiting.items()]
        by_memory = sum(need.memory_mb * size for need, size in needs) / node.room_mb
        by_cpu = sum(need.vcpus * size for need, size in needs) / node.vcpus
        return math.ceil(max(by_memory, by_cpu) - _ROUNDING)

    def _booted(self, now_s: float, _a: int, _b: int) -> None:
        """The one that was asked for first has booted: all take as long."""
        node = self._booting.pop(next(iter(self._booting)))
        self._take_in(now_s, node)
        self._look(now_s, 0, 0)
        if self._line:
            self._add_nodes(now_s)

    def _became_empty(self, now_s: float, node: _SimulatedNode) -> None:
        node.empty_s = now_s
        if self._load.groups[node.group].most > self._load.groups[node.group].least:
            self._at(now_s + self._load.idle_s, self._remove_empty)

    def _remove_empty(self, now_s: float, _a: int, _b: int) -> None:
        """Remove the nodes that have been empty for long enough, and are more than the least number."""
        for node in list(self._nodes.values()):
            is_over = node.empty_s + self._load.idle_s <= now_s
            if is_over and self._counts[node.group] > self._load.groups[node.group].least:
                self._levels.until(now_s)
                self._levels.memory_mb -= node.room.memory_mb
                self._levels.cpus -= node.room.vcpus
                self._counts[node.group] -= 1
                self._removed += 1
                node.gone_s = now_s
                self._past.append(self._nodes.pop(node.room.name))
                self._open.pop(node.room.name, None)
                self._unused[node.group].pop(node.room.name, None)

    # ---------------------------------------------------------------- what was seen

    def sample(self, now_s: float) -> None:
        """Write the levels down."""
        memory, cpu = self._levels.shares()
        waiting = sum(owner.waiting for owner in self._line)
        values = (now_s, len(self._nodes), len(self._booting), memory, cpu, waiting)
        for one, value in zip(self._samples.values(), values, strict=True):
            one.append(value)

    def observation(self, horizon_s: float) -> NodesObservation:
        """What was seen up to the horizon."""
        self._levels.until(horizon_s)
        memory, cpu = self._levels.mean_shares()
        every = [*self._past, *self._nodes.values(), *self._booting.values()]
        groups = []
        for number, group in enumerate(self._load.groups):
            node_s = math.fsum(
                max(0.0, min(node.gone_s, horizon_s) - node.asked_s) for node in every if node.group == number
            )
            mean = node_s / horizon_s if horizon_s else float(group.least)
            groups.append(GroupObservation(group=group, mean=mean, peak=self._peaks[number], node_s=node_s))
        return NodesObservation(
            groups=tuple(groups),
            added=self._added,
            removed=self._removed,
            memory_share=memory,
            cpu_share=cpu,
            placed=self._placed,
            lacking=sum(owner.is_provisioned(one) for owner, ones in self._line.items() for one in ones),
            samples=self._samples,
        )


def _cpu(need: EnvironmentNeed) -> float:
    """What it takes of a node's CPU: a whole one, for the choice of the node, where none is reserved."""
    return need.vcpus or 1.0


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
