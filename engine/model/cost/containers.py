"""Lambda against containers that are paid by the hour: Fargate tasks and EC2 instances.

Prices are those of `node_types`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NoReturn

from engine.core.billing import exactly, gb_seconds
from engine.core.late_dataclass import dataclass
from engine.core.spelling import did_you_mean
from engine.model.cost.node_types import EC2_USD_PER_HOUR, FARGATE_SOURCE, ec2_source, fargate_usd
from engine.model.cost.price_book import PriceBook


@dataclass(frozen=True, slots=True)
class Container:
    """Something that serves requests and is paid by the hour, used or not."""

    name: str
    usd_per_hour: Decimal
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerComparison:
    """A load on Lambda and on containers.

    Attributes:
        container: What Lambda is held against.
        at_once: Requests that one container serves at a time.
        busy: Requests in flight that containers are sized for.
        containers: How many it takes.
        usd: All of them for the month, US dollars.
        even_per_s: Requests/s of one container at which it costs what Lambda does; cheaper above.
        even_busy: Environments busy on Lambda at that rate.
    """

    container: Container
    at_once: int
    busy: int
    containers: int
    usd: Decimal
    even_per_s: float
    even_busy: float

    @property
    def within_reach(self) -> bool:
        """Whether one container can serve as many as it takes to be cheaper."""
        return self.even_busy <= self.at_once

    def document(self) -> dict[str, Any]:
        """The comparison as JSON values; money as text."""
        return {
            "container": self.container.name,
            "usd_per_hour": str(self.container.usd_per_hour),
            "source": self.container.source,
            "at_once": self.at_once,
            "busy": self.busy,
            "containers": self.containers,
            "usd": str(self.usd),
            "cheaper_above_per_s": self.even_per_s if self.within_reach else None,
            "even_per_s": self.even_per_s,
            "even_busy": self.even_busy,
        }


def container_assumptions(compared: Sequence[ContainerComparison]) -> list[str]:
    """What such comparisons take for granted, a sentence each."""
    if not compared:
        return []
    first = compared[0]
    at_once = f"one container serves {first.at_once} at a time, as fast as Lambda does"
    return [
        f"containers: enough for the {first.busy} in flight for 99 % of the time; {at_once}",
        *(
            f"{one.container.name}: {one.container.usd_per_hour} dollars an hour, {one.container.source}"
            for one in compared
        ),
    ]


def parse_container(text: str) -> Container:
    """`fargate:VCPU:GB`, `fargate-arm64:VCPU:GB`, `ec2:TYPE`, or US dollars an hour.

    Raises:
        ValueError: It is none of these, the type's price is not known, or Fargate has no such task.
    """
    kind, _, rest = text.partition(":")
    if kind == "ec2":
        usd = EC2_USD_PER_HOUR.get(rest)
        if usd is None:
            hint = did_you_mean(rest, EC2_USD_PER_HOUR)
            raise ValueError(f"{text!r}: no price known{hint}; give dollars an hour instead")
        return Container(text, Decimal(usd), ec2_source(rest))
    if kind in ("fargate", "fargate-arm64"):
        vcpu, gb = (_amount(one, text) for one in rest.split(":", 1)) if ":" in rest else _bad(text)
        return Container(text, fargate_usd(text, vcpu, gb), FARGATE_SOURCE)
    return Container(text, _amount(text, text), "as given")


def containers_instead(
    container: Container,
    book: PriceBook,
    *,
    busy: int,
    billed_ms: int | Decimal,
    memory_mb: int,
    architecture: str,
    days: int,
    at_once: int = 1,
) -> ContainerComparison:
    """Hold a month of requests, billed `billed_ms` each and `busy` at a time at the most, against containers.

    Lambda's prices are those of the first tier.
    """
    usd = book.meters[f"lambda.duration.{architecture}"].bands[0].usd
    request_usd = book.meters["lambda.requests"].bands[0].usd
    with exactly():
        each_usd = gb_seconds(1, memory_mb) * billed_ms * usd + request_usd
        even_per_s = float(container.usd_per_hour / 3600 / each_usd) if each_usd else math.inf
    containers = max(1, -(-busy // at_once))
    return ContainerComparison(
        container=container,
        at_once=at_once,
        busy=busy,
        containers=containers,
        usd=containers * days * 24 * container.usd_per_hour,
        even_per_s=even_per_s,
        even_busy=even_per_s * float(billed_ms) / 1000,
    )


def _amount(text: str, whole: str) -> Decimal:
    try:
        value = Decimal(text)
    except ArithmeticError:
        _bad(whole)
    if not value.is_finite() or value <= 0:
        _bad(whole)
    return value


def _bad(text: str) -> NoReturn:
    raise ValueError(f"{text!r}: must be fargate:VCPU:GB, fargate-arm64:VCPU:GB, ec2:TYPE or dollars an hour")
