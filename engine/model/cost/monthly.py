"""What a month costs, from the figures a user has at hand: Lambda, what stands before it and around it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from engine.core.billing import asynchronous_requests, exactly
from engine.core.cpu_law import MB_PER_VCPU
from engine.core.late_dataclass import dataclass
from engine.model.cost.bill import Bill, FreeTierChoice, bill, cents, plain
from engine.model.cost.price_book import PriceBook
from engine.model.cost.usage import (
    DAY_S,
    Usage,
    durable,
    http_api,
    idle_polling,
    invocations,
    logs,
    managed_fee_usd,
    nat,
    provisioned,
    rest_api,
    snapstart,
    sqs,
    streaming,
    total,
    transfer_out,
)

FRONT_DOORS: Final = ("none", "url", "http", "rest", "sqs")
"""What stands before a function. A Function URL costs nothing of its own."""

_IDLE_POLLERS: Final = 5
_MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """One function's month. Requests inside provisioned concurrency are not among `requests`.

    Attributes:
        requests: On-demand invocations.
        duration_ms: Billed duration of each, rounded up to a whole millisecond; or the mean of that.
        memory_mb: Configured memory.
        architecture: x86_64 or arm64.
        storage_mb: Ephemeral storage.
        days: Length of the month.
        cold_starts, init_ms: Invocations that initialised an environment, and how long that took.
        provisioned: Environments of provisioned concurrency, enabled for `provisioned_hours` (None: always).
        provisioned_requests, provisioned_ms: Invocations inside it, and the billed duration of each.
        snapstart: Whether it has SnapStart (Python, .NET): each cold start is a restore.
        event_kb: Size of an asynchronous event; 0 = synchronous.
        streamed_mb: Size of a streamed response; 0 = not streamed.
        response_kb: What leaves AWS with each response.
        log_bytes: What each invocation logs.
        front_door: One of `FRONT_DOORS`.
        sqs_batch, sqs_send_batch: Messages in a batch of the function, and in one of who sends them, if the
            front door is a queue.
        nat_gateways, nat_kb: NAT gateways, and what goes through them with each invocation.
        executions: Durable executions that the invocations are part of; 0 = not durable.
        durable_operations, durable_kb, durable_days: Operations of each execution, what it writes, and how
            long that is kept, running and after.
        managed_hours: Hours of Managed Instances, all together; above 0 they run the on-demand requests.
        instance_usd, instance_discount: An hour of such an instance on demand, and the share taken off it.
    """

    requests: int
    duration_ms: int | Decimal = 100
    memory_mb: int = 128
    architecture: str = "x86_64"
    storage_mb: int = 512
    days: int = 30
    cold_starts: int = 0
    init_ms: int | Decimal = 0
    provisioned: int = 0
    provisioned_hours: float | None = None
    provisioned_requests: int = 0
    provisioned_ms: int | Decimal = 0
    snapstart: bool = False
    event_kb: int = 0
    streamed_mb: Decimal = Decimal(0)
    response_kb: int = 0
    log_bytes: int = 0
    front_door: str = "none"
    sqs_batch: int = 10
    sqs_send_batch: int = 1
    nat_gateways: int = 0
    nat_kb: int = 0
    executions: int = 0
    durable_operations: int = 0
    durable_kb: int = 0
    durable_days: int = 0
    managed_hours: Decimal = Decimal(0)
    instance_usd: Decimal = Decimal(0)
    instance_discount: Decimal = Decimal(0)

    def usage(self) -> Usage:
        """What it uses, by meter."""
        every = self.requests + self.provisioned_requests
        used: list[Usage] = [self._on_demand(), around(self, every)]
        if self.provisioned:
            hours = self.days * 24 if self.provisioned_hours is None else self.provisioned_hours
            used.append(provisioned(self.provisioned, self.memory_mb, hours * 3600, self.architecture))
        if self.provisioned_requests:
            used.append(
                invocations(
                    self.provisioned_requests,
                    _all_ms(self.provisioned_requests, self.provisioned_ms),
                    self.memory_mb,
                    self.architecture,
                    storage_mb=self.storage_mb,
                    provisioned=True,
                )
            )
        if self.snapstart:
            used.append(snapstart(self.cold_starts, self.memory_mb, self.days * DAY_S))
        if self.streamed_mb:
            used.append(streaming(every, self.streamed_mb))
        if self.executions:
            used.append(self._durable())
        return total(*used)

    def given_usd(self) -> dict[str, Decimal]:
        """Lines of the bill whose prices are the reader's: the instances, and Lambda's fee for them."""
        if not self.managed_hours:
            return {}
        with exactly():
            each_usd = self.instance_usd * (1 - self.instance_discount)
            return {
                "managed.instances": self.managed_hours * each_usd,
                "managed.fee": self.managed_hours * managed_fee_usd(self.instance_usd),
            }

    def _durable(self) -> Usage:
        """As AWS's example counts: a GB written is a million KB, and is kept for a share of the month."""
        with exactly():
            written_gb = Decimal(self.executions * self.durable_kb) / _MILLION
            kept = written_gb * self.durable_days / self.days
        return durable(self.executions * self.durable_operations, written_gb, kept)

    def _on_demand(self) -> Usage:
        billed_ms = _all_ms(self.requests, self.duration_ms) + _all_ms(self.cold_starts, self.init_ms)
        per_event = asynchronous_requests(self.event_kb * 1024)
        if self.managed_hours:  # instances are paid by the hour, not by what runs on them
            return {"managed.requests": Decimal(self.requests * per_event)}
        used = invocations(
            self.requests, billed_ms, self.memory_mb, self.architecture, storage_mb=self.storage_mb
        )
        return {**used, "lambda.requests": Decimal(self.requests * per_event)}


def _all_ms(times: int, each_ms: int | Decimal) -> int:
    with exactly():
        return math.ceil(times * each_ms)


def around(month: Month, requests: int) -> Usage:
    """What stands before and around a function that gets `requests` a month."""
    used: list[Usage] = []
    if month.front_door == "http":
        used.append(http_api(requests))
    elif month.front_door == "rest":
        used.append(rest_api(requests))
    elif month.front_door == "sqs":  # an invocation gets a batch
        messages = requests * month.sqs_batch
        used.append(sqs(messages, batch=month.sqs_batch, send_batch=month.sqs_send_batch))
        if not requests:
            used.append(idle_polling(_IDLE_POLLERS, month.days))
    if month.log_bytes:
        used.append(logs(requests, month.log_bytes))
    if month.response_kb:
        used.append(transfer_out(requests, month.response_kb * 1024))
    if month.nat_gateways:
        used.append(nat(month.nat_gateways, month.days * DAY_S, requests, month.nat_kb * 1024))
    return total(*used)


def assumptions(month: Month) -> tuple[str, ...]:
    """What is taken for granted of what stands before and around a function, a sentence each."""
    said = []
    if month.front_door == "sqs":
        batches = f"full batches of {month.sqs_batch}, sent {month.sqs_send_batch} at a time"
        said.append(f"SQS: {batches}, calls up to 64 KB")
    if month.nat_kb:
        said.append("NAT: what leaves AWS through it is transfer out besides (--response-kb)")
    if month.managed_hours:
        said.append("Managed Instances: AWS keeps at least three environments, and half of the vCPUs free")
    if month.executions:
        said.append("durable: replays are invocations, and are billed as such")
    return tuple(said)


def document(month_bill: Bill, requests: int) -> dict[str, Any]:
    """A bill with what it comes to for a million requests, in exact and printed dollars."""
    with exactly():
        each = month_bill.usd * _MILLION / requests if requests else None
    per_million = None if each is None else plain(each.quantize(Decimal("1e-10")).normalize())
    return {
        **month_bill.document(),
        "usd_printed": str(cents(month_bill.usd)),
        "usd_per_million_requests": per_million,
    }


Pricing = Callable[[Usage, PriceBook, FreeTierChoice], Decimal]
"""US dollars for a usage."""


def _usd(usage: Usage, book: PriceBook, free_tier: FreeTierChoice) -> Decimal:
    return bill(usage, book, free_tier=free_tier).usd


def what_ifs(
    usage: Usage,
    book: PriceBook,
    free_tier: FreeTierChoice,
    *,
    arm_speed: Decimal | None = None,
    price: Pricing = _usd,
) -> dict[str, Decimal]:
    """The same usage otherwise: with or without the free tier, on the other architecture.

    `arm_speed`: how many times as fast arm64 is as x86_64, measured or given; None = durations stay equal.
    `price`: what else belongs to the bill, such as instances or a commitment.
    """
    other = FreeTierChoice.ALWAYS if free_tier is FreeTierChoice.NONE else FreeTierChoice.NONE
    found = {
        f"{'with' if other is FreeTierChoice.ALWAYS else 'without'} free tier": price(usage, book, other)
    }
    for here, there in (("x86_64", "arm64"), ("arm64", "x86_64")):
        if any(name.endswith(here) for name in usage):
            speed = Decimal(1) if arm_speed is None else arm_speed if there == "arm64" else 1 / arm_speed
            moved = total(
                *({_moved(name, here, there): _at(one, name, speed)} for name, one in usage.items())
            )
            how = "at equal duration" if arm_speed is None else f"{speed:.3g} times as fast"
            found[f"on {there}, {how}"] = price(moved, book, free_tier)
            break
    return found


def with_memory(month: Month, memory_mb: int, cpu_ms: Decimal) -> Month:
    """The month at another memory size: of each duration, `cpu_ms` (at one vCPU) change with it.

    Raises:
        ValueError: More CPU than a duration has room for.
    """

    def moved(all_ms: int | Decimal) -> int:
        with exactly():
            now, then = (MB_PER_VCPU / Decimal(min(mb, MB_PER_VCPU)) for mb in (month.memory_mb, memory_mb))
            if cpu_ms * now > all_ms:
                raise ValueError(f"{cpu_ms} ms of CPU take longer than {all_ms} ms at {month.memory_mb} MB")
            return math.ceil(all_ms - cpu_ms * now + cpu_ms * then)

    inside_ms = moved(month.provisioned_ms) if month.provisioned_requests else 0
    return replace(month, memory_mb=memory_mb, duration_ms=moved(month.duration_ms), provisioned_ms=inside_ms)


def _at(quantity: Decimal, name: str, speed: Decimal) -> Decimal:
    """What is used of a meter by a CPU so many times as fast: less of durations."""
    with exactly():
        return quantity / speed if ".duration." in name or name == "lambda.storage" else quantity


def _moved(name: str, here: str, there: str) -> str:
    return name.removesuffix(here) + there if name.endswith(here) else name
