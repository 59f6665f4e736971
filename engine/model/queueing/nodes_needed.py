"""How many nodes of a size carry a load, what they cost, and from which rate that is less than Lambda."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, Literal

from engine.core.late_dataclass import dataclass
from engine.core.placement import EnvironmentNeed
from engine.model.cost.node_types import NodeType
from engine.model.queueing.in_flight import PoissonInFlight
from engine.model.queueing.offered_load import poisson_below
from engine.model.queueing.prediction import Prediction

PEAK: Final = 100.0
"""As a percentage of the time: nodes are enough for the most that is in flight."""

_PEAK_SHARE: Final = 1 - 1e-6
_GROUPS: Final = 16
_ALIKE: Final = 1.2
"""Loads of moving traffic within this factor are one group where a crossing is looked for."""

_NORMAL_FROM: Final = 500.0
_HALVINGS: Final = 30
_LOOKED_AT: Final = 40
"""Numbers of nodes up to the one that may be the last that are looked at one by one."""

_MOST_NODES: Final = 1 << 40
_FEW_REFUSED: Final = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSizing:
    """What nodes are to be enough for.

    Attributes:
        percent: Of the time; `PEAK` = all of it.
        headroom_percent: Of the environments needed, how many more there is to be room for.
        spare: Nodes that may be lost.
    """

    percent: float = 99.0
    headroom_percent: float = 0.0
    spare: int = 0

    @property
    def share(self) -> float:
        """Of the time, below 1."""
        return _PEAK_SHARE if self.percent >= PEAK else self.percent / 100

    def environments(self, found: Prediction) -> int:
        """How many there must be room for, before headroom: in flight, or provisioned; one at least."""
        peak = math.ceil(found.concurrency_peak)
        in_flight = peak if self.percent >= PEAK else found.in_flight.quantile(self.share)
        return max(1, in_flight, found.function.provisioned_concurrency)

    def nodes(self, environments: int, each: int) -> int:
        """How many nodes that hold `each`, those that may be lost included."""
        return math.ceil(environments * self._more / each) + self.spare

    def carried(self, nodes: int, each: int) -> int:
        """How many environments `nodes`, those that may be lost not counted, have room for with headroom."""
        return math.floor(nodes * each / self._more)

    @property
    def _more(self) -> Fraction:
        return 1 + Fraction(str(self.headroom_percent)) / 100


@dataclass(frozen=True, slots=True, kw_only=True)
class NodesNeeded:
    """A load on nodes of one type.

    Attributes:
        node: The type; its price is known.
        each, bound_by: Environments that one holds, and what there is no more of for another.
        environments: That there is room needed for, headroom not counted.
        nodes, spare: How many nodes, and how many of them may be lost.
        usd: All of them for the month, US dollars.
        even_per_s, even_busy: Requests/s of one node at which it costs what Lambda does, and environments
            busy at that rate.
        cheaper_from_per_s: Requests/s from which such nodes, sized like this, cost less than Lambda, and do
            so at any higher rate; infinity = at no rate; None = not looked for.
    """

    node: NodeType
    each: int
    bound_by: str
    environments: int
    nodes: int
    spare: int
    usd: Decimal
    even_per_s: float
    even_busy: float
    cheaper_from_per_s: float | None

    @property
    def crossing(self) -> Literal["found", "never", "not looked for"]:
        """What is known of the rate from which such nodes are cheaper."""
        if self.cheaper_from_per_s is None:
            return "not looked for"
        return "never" if self.cheaper_from_per_s == math.inf else "found"

    def document(self) -> dict[str, Any]:
        """As JSON values; money as text."""
        return {
            "node": self.node.name,
            "vcpus": self.node.vcpus,
            "memory_mb": self.node.memory_mb,
            "room_mb": self.node.room_mb,
            "usd_per_hour": str(self.node.usd_per_hour),
            "source": self.node.source,
            "environments_each": self.each,
            "bound_by": self.bound_by,
            "nodes": self.nodes,
            "spare": self.spare,
            "usd": str(self.usd),
            "crossing": self.crossing,
            "cheaper_from_per_s": self.cheaper_from_per_s if self.crossing == "found" else None,
            "even_per_s_each": _finite(self.even_per_s),
            "even_busy_each": _finite(self.even_busy),
        }


def nodes_needed(
    node: NodeType,
    need: EnvironmentNeed,
    found: Prediction,
    sizing: NodeSizing,
    *,
    hours: int,
    lambda_usd: Decimal,
) -> NodesNeeded:
    """Carry the predicted load on nodes of that type, which hold one environment at least and have a price.

    Args:
        node: The type.
        need: What an environment takes.
        found: The load.
        sizing: What nodes are to be enough for.
        hours: Of the month.
        lambda_usd: What Lambda's duration and requests cost in it, in proportion to the load.
    """
    each, bound_by = node.holds(need)
    usd_per_hour = node.usd_per_hour
    if usd_per_hour is None or not each:
        raise ValueError(f"{node.name}: needs a price, and room for one environment")
    environments = sizing.environments(found)
    nodes = sizing.nodes(environments, each)
    month_usd = hours * usd_per_hour
    per_node = float(month_usd / lambda_usd) if lambda_usd else math.inf
    crossing: float | None = None
    if has_crossing(found) and per_node < math.inf:
        crossing = cheaper_from(_loads(found), each, sizing, per_node) * found.mean_per_s
    return NodesNeeded(
        node=node,
        each=each,
        bound_by=bound_by,
        environments=environments,
        nodes=nodes,
        spare=sizing.spare,
        usd=nodes * month_usd,
        even_per_s=per_node * found.mean_per_s if found.mean_per_s else math.inf,
        even_busy=per_node * found.concurrency if found.mean_per_s else math.inf,
        cheaper_from_per_s=crossing,
    )


def has_crossing(found: Prediction) -> bool:
    """Whether cost and load are in proportion: none is refused to speak of, and none is provisioned."""
    in_proportion = found.throttled_share <= _FEW_REFUSED and not found.function.provisioned_concurrency
    return bool(in_proportion and found.requests)


def cheapest_first(found: Iterable[NodesNeeded]) -> list[NodesNeeded]:
    """By price, then by how few they are."""
    return sorted(found, key=lambda one: (one.usd, one.nodes, one.node.name))


def _finite(value: float) -> float | None:
    return value if value < math.inf else None


# -------------------------------------------------------------------- from which rate they are cheaper

Loads = tuple[tuple[float, float], ...]
"""(mean in flight, share of the time)."""


def cheaper_from(loads: Loads, each: int, sizing: NodeSizing, per_node: float) -> float:
    """How many times the load it takes for nodes to cost less than Lambda, and to do so from there on.

    Args:
        loads: The load itself.
        each: Environments that a node holds.
        sizing: What nodes are to be enough for.
        per_node: How many times the load Lambda serves for the price of a node.

    Returns:
        The number; infinity if there is none.

    n nodes are enough up to some load, g(n). Just above it there must be n + 1, and Lambda costs more than
    these from `per_node * (n + 1)` on. The last n at which that is beyond g(n) gives the crossing.
    """
    lasting = _lasting(loads, sizing.share)
    if not lasting or each / lasting <= per_node * (1 + sizing.headroom_percent / 100):
        return math.inf

    def is_dearer(nodes: int) -> bool:
        carried = _carried(loads, sizing.carried(nodes, each), sizing.share)
        return carried < per_node * (nodes + 1 + sizing.spare)

    def may_be_dearer(nodes: int) -> bool:  # places are whole: with headroom, one less than in proportion
        places = max(0.0, nodes * each / (1 + sizing.headroom_percent / 100) - 1)
        below, above = (_carried(loads, int(places) + one, sizing.share) for one in (0, 1))
        return below + (above - below) * (places % 1) < per_node * (nodes + 1 + sizing.spare)

    if not sizing.headroom_percent:
        last = _last(is_dearer)
    elif (last := _last(may_be_dearer)) is not None:
        last = next((n for n in range(last, max(-1, last - _LOOKED_AT), -1) if not n or is_dearer(n)), last)
    return math.inf if last is None else per_node * (last + 1 + sizing.spare)


def _last(holds: Callable[[int], bool]) -> int | None:
    """The last number of nodes for which it holds; it does for none above one, and for 0; None: too many."""
    high = 1
    while holds(high):
        high *= 2
        if high > _MOST_NODES:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _loads(found: Prediction) -> Loads:
    """Of what there is in flight if nothing is refused; arrivals at equal distances vary less than that."""
    if not isinstance(found.in_flight, PoissonInFlight):
        return ((found.concurrency, 1.0),) if found.concurrency else ()
    return _grouped(found.in_flight.loads)


def _grouped(loads: Sequence[tuple[float, float]]) -> Loads:
    """Loads that are alike as one; together they are as long, and as much."""
    highest = max((mean for mean, _ in loads), default=0.0)
    if not highest:
        return ()
    groups: dict[int, tuple[float, float]] = {}
    for mean, seconds in loads:
        below = math.log(highest / mean) / math.log(_ALIKE) if mean > 0 else math.inf
        place = int(min(below, _GROUPS - 1))
        time, moment = groups.get(place, (0.0, 0.0))
        groups[place] = time + seconds, moment + mean * seconds
    everything = math.fsum(time for time, _ in groups.values())
    return tuple((moment / time, time / everything) for time, moment in groups.values() if time)


def _lasting(loads: Loads, share: float) -> float:
    """The mean that is not exceeded for that share of the time: what counts where loads are large."""
    passed = 0.0
    for mean, time in sorted(loads):
        passed += time
        if passed >= share - 1e-12:
            return mean
    return max((mean for mean, _ in loads), default=0.0)


def _carried(loads: Loads, places: int, share: float) -> float:
    """How many times the load is within so many places for that share of the time."""
    if not places:
        return 0.0

    def fits(factor: float) -> bool:
        return math.fsum(time * _below(places, factor * mean) for mean, time in loads) >= share

    high = 2.0 * places / max(mean for mean, _ in loads) + 1e-300
    while fits(high):
        high *= 2
    low = 0.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _below(count: int, mean: float) -> float:
    """P(N <= count) for a Poisson count; for large ones by Edgeworth's first correction of the normal law."""
    if mean <= _NORMAL_FROM:
        return poisson_below(count, mean)
    x = (count + 0.5 - mean) / math.sqrt(mean)
    skew = (1 - x * x) / (6 * math.sqrt(mean)) * math.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    return 0.5 * math.erfc(-x / math.sqrt(2)) + skew
