"""`--nodes` of `plan` and `simulate`: what machines there are, and what an environment takes of one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Final

import click

from engine.cli.model_options import F, Text, number, refuse, with_options
from engine.cli.price_age import STALE_DAYS, age_days
from engine.core.cpu_law import MB_PER_VCPU, share
from engine.core.function import Function
from engine.core.placement import EnvironmentNeed
from engine.core.spelling import did_you_mean
from engine.model.cost.node_types import AGENT_MB, EC2_PUBLISHED, PRICED_REGION, SYSTEM_MB, NodeType

SHAPES: Final = "ec2:TYPE, fargate:VCPU:GB, fargate-arm64:VCPU:GB, or NAME:VCPU:GB of your own"


def environment_options(command: F) -> F:
    """What a node is, and what an environment takes of it: `needs_of` and `priced` read them."""
    return with_options(command, _OPTIONS)


def _node_price(text: str) -> tuple[str, Decimal]:
    name, sign, usd = text.rpartition("=")
    try:
        price = Decimal(usd)
    except ArithmeticError:
        price = Decimal(-1)
    if not sign or not name or not price.is_finite() or price <= 0:
        raise ValueError(f"{text!r}: must be TYPE=DOLLARS, an hour")
    return name, price


_OPTIONS: Final = (
    click.option(
        "--node-price",
        "node_prices",
        type=Text("price", _node_price),
        multiple=True,
        metavar="TYPE=USD",
        help="an hour of that node, as you pay it; repeatable",
    ),
    click.option(
        "--environment-mb",
        type=number(above=True),
        help="memory that an environment takes on a node; default: its --memory-mb",
    ),
    click.option(
        "--environment-cpu",
        type=number(),
        help="% of a vCPU that it takes, as measured; 0: CPU is not counted; default: as Lambda gives it, "
        "memory / 1769 MB",
    ),
)


def needs_of(
    functions: Iterable[Function],
    environment_mb: float | None,
    environment_cpu: float | None,
    seen: Mapping[str, float] | None = None,
) -> dict[str, EnvironmentNeed]:
    """What an environment of each function takes, by its name; `seen`: vCPUs that it was seen to take."""

    def vcpus(function: Function) -> float:
        if seen is not None and function.name in seen:
            return seen[function.name]
        return share(function.memory_mb) if environment_cpu is None else environment_cpu / 100

    return {
        one.name: EnvironmentNeed(
            memory_mb=one.memory_mb if environment_mb is None else environment_mb,
            vcpus=vcpus(one),
            code=one.name,
        )
        for one in functions
    }


def priced(nodes: Sequence[NodeType], prices: Sequence[tuple[str, Decimal]]) -> list[NodeType]:
    """The types with the user's own prices, where there are any."""
    own = dict(prices)
    return [one.at(own[one.name]) if one.name in own else one for one in nodes]


def refuse_unknown_prices(nodes: Sequence[NodeType], prices: Sequence[tuple[str, Decimal]]) -> None:
    """Exit if a price is of none of these."""
    names = [one.name for one in nodes]
    unknown = [name for name, _ in prices if name not in names]
    if unknown:
        refuse(f"--node-price {one}: no such node in --nodes{did_you_mean(one, names)}" for one in unknown)


def no_room(node: NodeType, function: Function, need: EnvironmentNeed) -> str | None:
    """Why no environment of the function fits on that node; None if one does."""
    if node.holds(need).environments:
        return None
    small = f"{node.name}: too small for {function.name}"
    if need.memory_mb > node.room_mb:
        left = f"{node.room_mb:,} of its {node.memory_mb:,} MB are left for environments"
        return f"{small}: {left}, and one takes {need.memory_mb:,g} MB"
    return f"{small}: it has {node.vcpus:g} vCPU, and one environment takes {need.vcpus:.3g}"


def other_architecture(nodes: Iterable[NodeType], function: Function) -> list[str]:
    """What is to be said of nodes that do not run the function's architecture, a line each."""
    return [
        f"{one.name}: is {one.architecture}: durations are those of --architecture {function.architecture}"
        for one in nodes
        if one.architecture not in (None, function.architecture)
    ]


def node_assumptions(
    nodes: Iterable[NodeType], region: str, today: date, environment_cpu: float | None, *, measured: str = ""
) -> list[str]:
    """What is taken for granted of nodes and environments, a sentence each.

    `measured`: of how many functions a trace says the CPU.
    """
    used = list(nodes)
    cpu = f"nodes: CPU of an environment is that of Lambda, memory / {MB_PER_VCPU:,} MB of a vCPU"
    if environment_cpu is not None:
        took = f"nodes: an environment takes {environment_cpu:g} % of a vCPU on average"
        cpu = f"{took}: what computes at a time with others may wait for them, which is not told"
    if environment_cpu == 0:
        cpu = "nodes: CPU of a node is not counted: how much more slowly many would compute is not told"
    said = [
        "nodes: an environment runs as fast as on Lambda; its memory and CPU are its own, idle or not",
        cpu,
        f"nodes: {AGENT_MB} MB are the agent's, and a twentieth is kept free (64 MB to 1 GB)",
        f"nodes: the system of a machine takes {SYSTEM_MB} MB (assumed), a Fargate task has none of its own",
    ]
    said += [
        f"{one.name}: {one.usd_per_hour} dollars an hour, {one.source}"
        for one in used
        if one.usd_per_hour is not None
    ]
    age = age_days(EC2_PUBLISHED, today)
    if age is not None and age > STALE_DAYS and any(EC2_PUBLISHED in one.source for one in used):
        said.append(f"nodes: the prices of EC2 are at least {age} days old: see --node-price")
    if measured:
        said.append(f"nodes: CPU of environments is that of the trace, on average, for {measured} functions")
    if region != PRICED_REGION and any(PRICED_REGION in one.source for one in used):
        said.append(f"nodes: no prices of {region} are known: those of {PRICED_REGION} are assumed")
    if any(one.name.startswith("ec2:t") for one in used):
        said.append("nodes: burstable instances have their baseline of CPU; what is above it costs credits")
    return said
