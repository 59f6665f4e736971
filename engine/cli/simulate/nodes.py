"""`engine simulate --nodes`: machines that environments are placed on, their use and their price."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import click

from engine.cli.model_options import F, Text, number, refuse, refuse_unused, take, with_options
from engine.cli.node_options import (
    SHAPES,
    environment_options,
    needs_of,
    no_room,
    node_assumptions,
    other_architecture,
    priced,
    refuse_unknown_prices,
)
from engine.cli.prediction_tables import NotedTable, count, dollars, percent, span
from engine.core.billing import exactly
from engine.core.function import Function
from engine.core.late_dataclass import dataclass
from engine.model.cost.bill import LAMBDA, Bill
from engine.model.cost.commitments import COMMITMENT
from engine.model.cost.node_types import parse_node
from engine.model.simulation.simulated_nodes import GroupObservation, NodeGroup, NodesLoad, NodesObservation
from engine.report import charts

_MOST: Final = 10_000
_WRITTEN: Final = re.compile(r"(\d{1,6})(?::(\d{1,6}))?[x×](.+)")
_OPTIONS: Final = ("node_prices", "environment_mb", "environment_cpu", "boot_s", "node_idle_s")
_OF_LIMITS: Final = ("boot_s", "node_idle_s")


def nodes_options(command: F) -> F:
    """Which machines there are; `nodes_of` reads them."""
    return with_options(command, _CHOICES)


def _group(text: str) -> NodeGroup:
    found = _WRITTEN.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r}: must be NxTYPE or MIN:MAXxTYPE, as in 2xec2:m5.large")
    least, most, of_type = found.groups()
    group = NodeGroup(parse_node(of_type), int(least), int(most or least))
    if not group.least <= group.most <= _MOST or not group.most:
        raise ValueError(f"{text!r}: 1 to {_MOST:,} nodes, the least number first")
    return group


_CHOICES: Final = (
    click.option(
        "--nodes",
        type=Text("nodes", _group),
        multiple=True,
        metavar="NxTYPE",
        help="environments are placed on so many machines, and wait for room; MIN:MAXxTYPE: more are added "
        f"while there is none; TYPE is {SHAPES}; repeatable",
    ),
    environment_options,
    click.option(
        "--node-boot-s",
        "boot_s",
        type=number(),
        default=60.0,
        show_default=True,
        help="until a node that is added takes environments",
    ),
    click.option(
        "--node-idle-s",
        type=number(),
        default=300.0,
        show_default=True,
        help="how long a node is empty before it is removed",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodesGiven:
    """What `--nodes` and the options beside it say: as a load, and what that takes for granted."""

    load: NodesLoad
    assumptions: tuple[str, ...]

    @classmethod
    def of(
        cls,
        context: click.Context,
        options: dict[str, Any],
        functions: Sequence[Function],
        vcpus: Mapping[str, float],
        region: str,
    ) -> NodesGiven | None:
        """Take them out of `options`; None: nodes are not asked for. Exits if a function fits on none.

        `vcpus` are what calls of a function were seen to take.
        """
        groups: Sequence[NodeGroup] = options.pop("nodes")
        said = take(options, *_OPTIONS)
        if not groups:
            refuse_unused(context, "needs --nodes", *_OPTIONS)
            return None
        if all(one.least == one.most for one in groups):
            refuse_unused(context, "needs --nodes MIN:MAXxTYPE", *_OF_LIMITS)
        types = [one.node for one in groups]
        refuse_unknown_prices(types, said["node_prices"])
        types = priced(types, said["node_prices"])
        needs = needs_of(functions, said["environment_mb"], said["environment_cpu"], vcpus)
        refused = [why for one in functions[:1] for why in other_architecture(types, one)]
        for function in functions:
            why_not = [no_room(node, function, needs[function.name]) for node in types]
            refused += [why for why in why_not if why is not None] if all(why_not) else []
        if refused:
            refuse(f"--nodes {one}" for one in refused[:_SHOWN])
        load = NodesLoad(
            groups=[one._replace(node=node) for one, node in zip(groups, types, strict=True)],
            needs=needs,
            boot_s=said["boot_s"],
            idle_s=said["node_idle_s"],
        )
        about = node_assumptions(
            types,
            region,
            datetime.now(UTC).date(),
            said["environment_cpu"],
            measured=f"{len(vcpus):,} of {len(functions):,}" if vcpus else "",
        )
        return cls(load=load, assumptions=(*about, *_rules(load)))


_SHOWN: Final = 8


def _rules(load: NodesLoad) -> list[str]:
    said = [
        "nodes: one that environments fit on is filled before the next is touched; what fits on none waits",
        "nodes: neither network nor neighbours cost time, and code is on every node at once",
        "nodes: they are paid by the second; what gives out the work, disks and network have no price here",
    ]
    if any(one.least < one.most for one in load.groups):
        said.append(f"nodes: one that is added boots for {span(load.boot_s)}, and is paid meanwhile")
        said.append(f"nodes: one is removed when it was empty for {span(load.idle_s)}")
    return said


@dataclass(frozen=True, slots=True, kw_only=True)
class NodesResult:
    """What nodes were used for, and their price beside Lambda's.

    Attributes:
        seen: What was seen.
        times: Runs in the month that is said beside it; None: no month is said.
        lambda_usd: Of the run and of that month, on Lambda; without what stands around it.
    """

    seen: NodesObservation
    times: float | None
    lambda_usd: tuple[Decimal, Decimal | None]

    @classmethod
    def of(cls, seen: NodesObservation, times: float | None, run: Bill, month: Bill) -> NodesResult:
        """`run` and `month` are Lambda's bills of the run, and of the month that it makes `times` over."""
        of_month = None if times is None else month.of(LAMBDA, COMMITMENT)
        return cls(seen=seen, times=times, lambda_usd=(run.of(LAMBDA, COMMITMENT), of_month))

    def usd(self, one: GroupObservation) -> Decimal | None:
        """Of the run, US dollars; None: no price is known."""
        hourly = one.group.node.usd_per_hour
        if hourly is None:
            return None
        with exactly():
            return hourly * Decimal(repr(one.node_s)) / 3600

    def total_usd(self) -> Decimal | None:
        """Of all nodes; None: a price is not known."""
        found = [self.usd(one) for one in self.seen.groups]
        return None if None in found else sum((one for one in found if one is not None), Decimal(0))

    def month_usd(self, usd: Decimal | None) -> Decimal | None:
        """The same of the month that is said."""
        return None if usd is None or self.times is None else usd * Decimal(repr(self.times))

    def document(self) -> dict[str, Any]:
        """As JSON values; money as text."""
        seen = self.seen
        return {
            "groups": [
                {
                    "node": one.group.node.name,
                    "least": one.group.least,
                    "most": one.group.most,
                    "mean": one.mean,
                    "peak": one.peak,
                    "node_hours": one.node_s / 3600,
                    "usd_per_hour": _text(one.group.node.usd_per_hour),
                    "usd_of_run": _text(self.usd(one)),
                    "usd_of_month": _text(self.month_usd(self.usd(one))),
                }
                for one in seen.groups
            ],
            "usd_of_run": _text(self.total_usd()),
            "usd_of_month": _text(self.month_usd(self.total_usd())),
            "lambda_usd_of_run": str(self.lambda_usd[0]),
            "lambda_usd_of_month": _text(self.lambda_usd[1]),
            "added": seen.added,
            "removed": seen.removed,
            "memory_share": seen.memory_share,
            "cpu_share": seen.cpu_share,
            "environments_placed": seen.placed,
            "provisioned_without_a_node": seen.lacking,
            "over_time": {name: list(values) for name, values in seen.samples.items()},
        }

    def facts(self) -> list[tuple[str, str]]:
        """The figures, by name."""
        seen = self.seen
        taken = f"{percent(seen.memory_share)} of memory, {percent(seen.cpu_share)} of CPU"
        facts = [("taken, on average", taken), ("requests that wait for room", self._waits())]
        if seen.lacking:
            facts.append(("provisioned environments without a node", count(seen.lacking)))
        if any(one.group.least < one.group.most for one in seen.groups):
            facts.append(("added, removed", f"{count(seen.added)}, {count(seen.removed)}"))
        return facts

    def _waits(self) -> str:
        waiting = self.seen.samples["waiting"]
        short = sum(one > 0 for one in waiting)
        if not short:
            return "none"
        mean, time = count(sum(waiting) / len(waiting)), percent(short / len(waiting))
        return f"{mean} on average, {count(max(waiting))} at the most; some in {time} of the time"

    def table(self) -> NotedTable:
        """A row for each type, and one for Lambda."""
        rows: list[Sequence[str]] = [("nodes", "mean", "peak", "node-hours", "this run", "a month")]
        for one in self.seen.groups:
            usd = self.usd(one)
            rows.append(
                (
                    str(one.group.node),
                    f"{one.mean:,.4g}",
                    count(one.peak),
                    f"{one.node_s / 3600:,.4g}",
                    _dollars(usd),
                    _dollars(self.month_usd(usd)),
                )
            )
        if len(self.seen.groups) > 1:
            total = self.total_usd()
            hours = sum(one.node_s for one in self.seen.groups) / 3600
            rows.append(("all", "", "", f"{hours:,.4g}", _dollars(total), _dollars(self.month_usd(total))))
        run, month = self.lambda_usd
        rows.append(("AWS Lambda", "", "", "", _dollars(run), _dollars(month)))
        return NotedTable(rows, "; ".join(f"{name}: {value}" for name, value in self.facts()))

    def section(self) -> str:
        """Nodes and their use over time, as pictures."""
        samples = self.seen.samples
        at_s = samples["at_s"]
        if len(at_s) < 2:  # two points make a line
            return ""

        def series(*names: str, times: float = 1) -> dict[str, list[tuple[float, float]]]:
            return {
                name.replace("_share", "").replace("_", " "): [
                    (at, times * value) for at, value in zip(at_s, samples[name], strict=True)
                ]
                for name in names
            }

        return "".join(
            charts.lines(shown, "seconds", unit, label=label)
            for shown, unit, label in (
                (series("nodes", "booting"), "count", "Nodes over time"),
                (series("memory_share", "cpu_share", times=100), "% taken", "Use of nodes over time"),
                (series("waiting"), "count", "Requests that wait for room, over time"),
            )
        )


def _dollars(usd: Decimal | None) -> str:
    return "" if usd is None else dollars(usd)


def _text(usd: Decimal | None) -> str | None:
    return None if usd is None else str(usd)
