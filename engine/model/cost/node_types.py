"""Machines that environments can run on: sizes, what is left of them for environments, prices by the hour.

Prices are those of us-east-1, on demand, Linux: EC2 from the AmazonEC2 offer of 2026-10-06 and AWS's own
prices of Managed Instances; Fargate from constants in public programs, 2024 to 2026 (unverified).
tests/core/price_lists.csv has them with sources. Sizes of EC2 follow from the names of the types ("Amazon EC2
instance types"), those of Fargate are in the Amazon ECS developer guide ("Task CPU and memory").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Final, NamedTuple

from engine.core.billing import exactly
from engine.core.late_dataclass import dataclass
from engine.core.placement import EnvironmentNeed
from engine.core.spelling import did_you_mean

EC2_PUBLISHED: Final = "2026-10-06"
"""Of the offer that EC2's prices are from."""

PRICED_REGION: Final = "us-east-1"
"""The only region whose prices of nodes are known."""

NO_PRICE: Final = "no price is known"
FARGATE_SOURCE: Final = f"Fargate in {PRICED_REGION} (unverified)"

AGENT_MB: Final = 100
"""Of memory that the agent of the engine takes on a node, with its zygotes."""

SYSTEM_MB: Final = 256
"""Of memory that the operating system of a machine takes (assumed); a Fargate task has none."""

FARGATE_USD_PER_HOUR: Final[Mapping[str, tuple[str, str]]] = {
    "x86_64": ("0.04048", "0.004445"),
    "arm64": ("0.03238", "0.00356"),
}
"""A vCPU and a GB, by architecture."""

EC2_USD_PER_HOUR: Final[Mapping[str, str]] = {
    "c6i.8xlarge": "1.36",
    "c7g.4xlarge": "0.58",
    "c7g.8xlarge": "1.16",
    "c7i.large": "0.08925",
    "c7i.xlarge": "0.1785",
    "c8g.2xlarge": "0.31904",
    "m5.large": "0.096",
    "m5.xlarge": "0.192",
    "m6a.large": "0.0864",
    "m6i.xlarge": "0.192",
    "m7g.xlarge": "0.1632",
    "m8g.4xlarge": "0.71808",
    "m9g.medium": "0.04892",
    "r7g.xlarge": "0.2142",
    "t4g.large": "0.0672",
    "t4g.micro": "0.0084",
}

_MANAGED: Final = ("c7i.xlarge", "m7g.xlarge")
"""Types whose price is from AWS's prices of Managed Instances."""

_FORMS: Final = "ec2:TYPE, fargate:VCPU:GB, fargate-arm64:VCPU:GB, or NAME:VCPU:GB for a machine of your own"
_MB_PER_GB: Final = 1024
_HUGE: Final = 10**9
_ROUNDING: Final = 1e-9
_FREE_MB: Final = (64, 1024)
"""Least and most that the engine keeps free of a machine: a twentieth of its memory."""

_EC2_TYPE: Final = re.compile(r"([cmr])([5-9])([a-z-]*)\.(medium|large|([2-9]|\d\d)?xlarge)")
_GB_PER_VCPU: Final = {"c": 2, "m": 4, "r": 8}
_ODD: Final = ("c5n",)
"""Families with another proportion."""

_BURSTABLE: Final[Mapping[str, tuple[int, int, str]]] = {
    "t4g.micro": (2, 1, "0.1"),
    "t4g.large": (2, 8, "0.3"),
}
"""vCPUs, GB, and the part of the vCPUs that is there all the time ("Burstable performance instances")."""

_FARGATE_GB: Final[Mapping[str, tuple[str, ...]]] = {
    "0.25": ("0.5", "1", "2"),
    **{
        vcpu: tuple(map(str, range(least, most + 1, step)))
        for vcpu, least, most, step in (
            ("0.5", 1, 4, 1),
            ("1", 2, 8, 1),
            ("2", 4, 16, 1),
            ("4", 8, 30, 1),
            ("8", 16, 60, 4),
            ("16", 32, 120, 8),
        )
    },
}
"""Memory that a task may have, by its vCPUs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeType:
    """A machine that environments run on.

    Attributes:
        name: As it is written: `ec2:c7i.large`.
        vcpus: That it has all the time; of burstable instances their baseline.
        memory_mb: All of its memory.
        system_mb: What of that the operating system takes.
        architecture: x86_64 or arm64; None = any: it is the user's own.
        usd_per_hour: None = not known.
        source: Where the price is from.
    """

    name: str
    vcpus: float
    memory_mb: int
    system_mb: int = SYSTEM_MB
    architecture: str | None = None
    usd_per_hour: Decimal | None = None
    source: str = NO_PRICE

    @property
    def room_mb(self) -> int:
        """Memory for environments: what system, agent and the engine's reserve leave of it; 0 at least."""
        least, most = _FREE_MB
        kept = min(most, max(least, self.memory_mb // 20))
        return max(0, self.memory_mb - self.system_mb - AGENT_MB - kept)

    def holds(self, need: EnvironmentNeed) -> NodeCapacity:
        """How many such environments it has room for."""
        by_memory = int((self.room_mb + _ROUNDING) / need.memory_mb)
        by_cpu = int((self.vcpus + _ROUNDING) / need.vcpus) if need.vcpus else by_memory
        return NodeCapacity(min(by_memory, by_cpu), "memory" if by_memory <= by_cpu else "CPU")

    def at(self, usd_per_hour: Decimal) -> NodeType:
        """The same with a price of the user's own."""
        return replace(self, usd_per_hour=usd_per_hour, source="as given")

    def __str__(self) -> str:
        return f"{self.name} ({self.vcpus:g} vCPU, {self.memory_mb / _MB_PER_GB:g} GB)"


class NodeCapacity(NamedTuple):
    """How many environments a node holds, and what there is no more of for another: memory or CPU."""

    environments: int
    bound_by: str


def known_nodes(architecture: str) -> list[NodeType]:
    """Every EC2 type of that architecture whose price is known, and every size of a Fargate task."""
    kind = "fargate-arm64" if architecture == "arm64" else "fargate"
    tasks = (f"{kind}:{vcpu}:{gb}" for vcpu, sizes in _FARGATE_GB.items() for gb in sizes)
    instances = (parse_node(f"ec2:{name}") for name in EC2_USD_PER_HOUR)
    return [one for one in instances if one.architecture == architecture] + [*map(parse_node, tasks)]


def parse_node(text: str) -> NodeType:
    """`ec2:TYPE`, `fargate:VCPU:GB`, `fargate-arm64:VCPU:GB`, or `NAME:VCPU:GB` for a machine of one's own.

    Raises:
        ValueError: It is none of these, or there is no such size.
    """
    kind, *rest = text.split(":")
    if kind == "ec2" and len(rest) == 1:
        return _instance(text, rest[0])
    if len(rest) != 2 or not kind.strip() or kind == "ec2":
        hint = " (ec2:" + text + ")" if text in EC2_USD_PER_HOUR else ""
        raise ValueError(f"{text!r}: must be {_FORMS}{hint}")
    vcpu, gb = (_amount(one, text) for one in rest)
    if kind in ("fargate", "fargate-arm64"):
        return _task(text, vcpu, gb)
    return NodeType(name=text, vcpus=float(vcpu), memory_mb=int(gb * _MB_PER_GB))


def _instance(text: str, name: str) -> NodeType:
    found = _EC2_TYPE.fullmatch(name)
    usd = EC2_USD_PER_HOUR.get(name)
    if name in _BURSTABLE:
        vcpus, gb, baseline = _BURSTABLE[name]
        sustained, architecture = float(vcpus * Decimal(baseline)), "arm64"
    elif found is not None and not name.startswith(_ODD):
        family, _, options, size, many = found.groups()
        vcpus = {"medium": 1, "large": 2}.get(size, 4 * int(many or 1))
        sustained, gb = float(vcpus), vcpus * _GB_PER_VCPU[family]
        architecture = "arm64" if "g" in options.partition("-")[0] else "x86_64"
    else:
        hint = did_you_mean(name, EC2_USD_PER_HOUR)
        raise ValueError(f"{text!r}: its size is not known{hint}; write NAME:VCPU:GB, and --node-price")
    return NodeType(
        name=text,
        vcpus=sustained,
        memory_mb=gb * _MB_PER_GB,
        architecture=architecture,
        usd_per_hour=None if usd is None else Decimal(usd),
        source=NO_PRICE if usd is None else ec2_source(name),
    )


def ec2_source(name: str) -> str:
    """Where the price of that type is from."""
    if name in _MANAGED:
        return f"AWS's prices of Lambda Managed Instances of 2026-09-19, {PRICED_REGION}"
    return f"AmazonEC2 offer of {EC2_PUBLISHED}, {PRICED_REGION}"


def _task(text: str, vcpu: Decimal, gb: Decimal) -> NodeType:
    """A task of Fargate: its memory is the container's own."""
    return NodeType(
        name=text,
        vcpus=float(vcpu),
        memory_mb=int(gb * _MB_PER_GB),
        system_mb=0,
        architecture=_architecture(text),
        usd_per_hour=fargate_usd(text, vcpu, gb),
        source=FARGATE_SOURCE,
    )


def fargate_usd(text: str, vcpu: Decimal, gb: Decimal) -> Decimal:
    """US dollars an hour of the task that is written as `text`.

    Raises:
        ValueError: Fargate has no task of that size.
    """
    sizes = _FARGATE_GB.get(f"{vcpu.normalize():f}")
    if sizes is None:
        raise ValueError(f"{text!r}: Fargate has tasks of {', '.join(_FARGATE_GB)} vCPU")
    if f"{gb.normalize():f}" not in sizes:
        raise ValueError(f"{text!r}: with {vcpu.normalize():f} vCPU Fargate has {', '.join(sizes)} GB")
    per_vcpu, per_gb = FARGATE_USD_PER_HOUR[_architecture(text)]
    with exactly():
        return vcpu * Decimal(per_vcpu) + gb * Decimal(per_gb)


def _architecture(text: str) -> str:
    return "arm64" if text.startswith("fargate-arm64") else "x86_64"


def _amount(text: str, whole: str) -> Decimal:
    try:
        value = Decimal(text)
    except ArithmeticError:
        value = Decimal(0)
    if not value.is_finite() or not 0 < value <= _HUGE:
        raise ValueError(f"{whole!r}: must be {_FORMS}")
    return value
