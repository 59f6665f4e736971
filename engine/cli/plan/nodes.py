"""`engine plan --nodes`: the predicted load on machines of one's own, beside what Lambda costs."""

from __future__ import annotations

from collections.abc import Sequence
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
from engine.cli.plan.monthly_prices import MonthlyPrices
from engine.cli.prediction_tables import NotedTable, count, dollars
from engine.core.function import Function
from engine.core.late_dataclass import dataclass
from engine.core.placement import EnvironmentNeed
from engine.model.cost.bill import LAMBDA, Bill, FreeTierChoice, bill
from engine.model.cost.commitments import COMMITMENT
from engine.model.cost.node_types import NodeType, known_nodes, parse_node
from engine.model.queueing.nodes_needed import (
    PEAK,
    NodeSizing,
    NodesNeeded,
    cheapest_first,
    has_crossing,
    nodes_needed,
)
from engine.model.queueing.prediction import Prediction
from engine.report import charts

AUTO: Final = "auto"
_OPTIONS: Final = ("node_prices", "environment_mb", "environment_cpu", "nodes_for", "headroom", "spare_nodes")

_BESIDE: Final = (
    "nodes: verdict, bill and cold starts are Lambda's; the table of nodes stands beside them",
    "nodes: they are there all month; one that is added boots first (engine simulate knows when)",
    "nodes: what gives out the work, disks, network, addresses and load balancers have no price here",
)
_LINEAR: Final = (
    "nodes: the rate they are cheaper from knows no free tier, and no commitment that is not used to the full"
)
_NO_CROSSING: Final = (
    "nodes: where requests are refused or environments provisioned, no rate is looked for that nodes "
    "are cheaper from"
)


def nodes_options(command: F) -> F:
    """Which machines, and what they are to be enough for; `NodesQuestion.of` reads them."""
    return with_options(command, _CHOICES)


def _node(text: str) -> NodeType | str:
    return AUTO if text == AUTO else parse_node(text)


_CHOICES: Final = (
    click.option(
        "--nodes",
        type=Text("node", _node),
        multiple=True,
        metavar="TYPE|auto",
        help=f"the load on machines instead: {SHAPES}; auto: all whose price is known; repeatable",
    ),
    environment_options,
    click.option(
        "--nodes-for",
        type=number(0, PEAK, above=True),
        default=99.0,
        show_default=True,
        help="% of the time for which nodes are enough; 100 = the peak",
    ),
    click.option("--headroom", type=number(), default=0.0, help="% of room more than that"),
    click.option(
        "--spare-nodes", type=click.IntRange(0, 1000), default=0, help="nodes that may be lost at a time"
    ),
)


@dataclass(frozen=True, slots=True)
class NodesQuestion:
    """What `--nodes` and the options beside it say.

    Attributes:
        nodes: The types that were named, with their prices.
        known: Those to choose from besides.
        environment_mb, environment_cpu: What an environment takes, where that is said.
        sizing: What nodes are to be enough for.
    """

    nodes: Sequence[NodeType]
    known: Sequence[NodeType]
    environment_mb: float | None
    environment_cpu: float | None
    sizing: NodeSizing

    @classmethod
    def of(cls, context: click.Context, options: dict[str, Any], function: Function) -> NodesQuestion | None:
        """Take them out of `options`; None: nodes are not asked for. Exits if a type is of no use."""
        nodes, said = options.pop("nodes"), take(options, *_OPTIONS)
        if not nodes:
            refuse_unused(context, "needs --nodes", *_OPTIONS)
            return None
        known = known_nodes(function.architecture) if AUTO in nodes else []
        named = [one for one in dict.fromkeys(nodes) if isinstance(one, NodeType)]
        refuse_unknown_prices([*known, *named], said["node_prices"])
        known, chosen = priced(known, said["node_prices"]), priced(named, said["node_prices"])
        refused = other_architecture(chosen, function)
        refused += [
            f"{one.name}: {one.source}: say it by --node-price {one.name}=DOLLARS, an hour"
            for one in chosen
            if one.usd_per_hour is None
        ]
        if refused:
            refuse(f"--nodes {one}" for one in refused)
        sizing = NodeSizing(
            percent=said["nodes_for"], headroom_percent=said["headroom"], spare=said["spare_nodes"]
        )
        return cls(chosen, known, said["environment_mb"], said["environment_cpu"], sizing)

    def answer(self, found: Prediction, prices: MonthlyPrices, priced_bill: Bill) -> NodesAnswer:
        """Carry the predicted load on each type; exits if nothing holds an environment of it."""
        function = found.function
        (need,) = needs_of([function], self.environment_mb, self.environment_cpu).values()
        small = [why for one in self.nodes if (why := no_room(one, function, need)) is not None]
        if small:
            refuse(f"--nodes {one}" for one in small)
        lambda_usd = bill(found.usage(prices.month_s), prices.book).of(LAMBDA)

        nodes = self._chosen(need, self.sizing.environments(found))
        choices = cheapest_first(
            nodes_needed(one, need, found, self.sizing, hours=prices.hours, lambda_usd=lambda_usd)
            for one in nodes
        )
        today = datetime.now(UTC).date()
        return NodesAnswer(
            choices,
            need,
            self.sizing,
            priced_bill.of(LAMBDA, COMMITMENT),
            has_crossing(found),
            prices.free_tier is FreeTierChoice.NONE and not prices.book.on_demand,
            tuple(node_assumptions(nodes, prices.book.region, today, self.environment_cpu)),
        )

    def _chosen(self, need: EnvironmentNeed, environments: int) -> list[NodeType]:
        """What was named; of the others each instance that holds one, and the task that costs least."""

        def cost(node: NodeType) -> tuple[Decimal, int]:
            nodes = self.sizing.nodes(environments, node.holds(need).environments)
            return nodes * (node.usd_per_hour or Decimal(0)), nodes

        fit = [one for one in self.known if one.holds(need).environments]
        if self.known and not fit:
            refuse([f"--nodes auto: no node that is known holds {_words(need)}"])
        instances = [one for one in fit if one.name.startswith("ec2:")]
        tasks = sorted((one for one in fit if one not in instances), key=cost)
        return [*{one.name: one for one in (*instances, *tasks[:1], *self.nodes)}.values()]


@dataclass(frozen=True, slots=True)
class NodesAnswer:
    """The load on each type of node, cheapest first, beside Lambda.

    Attributes:
        choices: The types.
        need: What an environment takes.
        sizing: What nodes are enough for.
        lambda_usd: What Lambda costs in the month, as in the bill, without what stands around it.
        has_crossing: Whether a rate was looked for from which nodes are cheaper.
        is_linear: Whether the bill is in proportion to the load, as that takes it to be.
        about_nodes: What is taken for granted of them.
    """

    choices: Sequence[NodesNeeded]
    need: EnvironmentNeed
    sizing: NodeSizing
    lambda_usd: Decimal
    has_crossing: bool
    is_linear: bool
    about_nodes: tuple[str, ...]

    @property
    def environments(self) -> int:
        """How many there is room for, headroom not counted."""
        return self.choices[0].environments

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What is taken for granted, a sentence each."""
        crossing = () if self.is_linear else (_LINEAR,)
        return (*_BESIDE, *self.about_nodes, *(crossing if self.has_crossing else (_NO_CROSSING,)))

    def document(self) -> dict[str, Any]:
        """As JSON values; money as text."""
        return {
            "environments": self.environments,
            "enough_for_percent": self.sizing.percent,
            "headroom_percent": self.sizing.headroom_percent,
            "environment": {"memory_mb": self.need.memory_mb, "vcpus": self.need.vcpus},
            "lambda_usd": str(self.lambda_usd),
            "choices": [one.document() for one in self.choices],
        }

    def table(self) -> NotedTable:
        """A row for each type and one for Lambda, cheapest first."""
        rows = [
            (
                one.usd,
                (
                    str(one.node),
                    f"{count(one.each)} ({one.bound_by})",
                    count(one.nodes),
                    dollars(one.usd),
                    _cheaper(one),
                ),
            )
            for one in self.choices
        ]
        rows.append((self.lambda_usd, ("AWS Lambda", "", "", dollars(self.lambda_usd), "")))
        heading = ("a month on", "each holds (limit)", "nodes", "US dollars", "always cheaper from")
        return NotedTable([heading, *(row for _, row in sorted(rows, key=lambda one: one[0]))], self._note())

    def _note(self) -> str:
        percent = self.sizing.percent
        time = "at the peak" if percent >= PEAK else f"for {percent:g} % of the time"
        size = "1 environment" if self.environments == 1 else f"{count(self.environments)} environments"
        said = [f"room for {size}: in flight {time} (what is beyond that waits), {_words(self.need)}"]
        if self.sizing.headroom_percent:
            said.append(f"{self.sizing.headroom_percent:g} % more than that")
        if self.sizing.spare:
            said.append(f"{count(self.sizing.spare)} of the nodes may be lost")
        return "; ".join(said)

    def section(self) -> str:
        """The prices as a picture."""
        usd = {str(one.node): float(one.usd) for one in self.choices} | {"AWS Lambda": float(self.lambda_usd)}
        return charts.bars(usd, lambda value: f"${value:,.2f}", label="A month, US dollars")


def _cheaper(one: NodesNeeded) -> str:
    if one.crossing == "found" and one.cheaper_from_per_s is not None:
        return f"{count(float(f'{one.cheaper_from_per_s:.3g}'))} requests/s"
    return "never" if one.crossing == "never" else "?"


def _words(need: EnvironmentNeed) -> str:
    return f"each of {count(need.memory_mb)} MB and {need.vcpus:.3g} vCPU"
