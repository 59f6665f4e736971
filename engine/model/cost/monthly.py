"""What a month costs, from the figures a user has at hand: Lambda, what stands before it and around it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from engine.core.billing import asynchronous_requests, exactly
from engine.model.cost.bill import Bill, FreeTierChoice, bill, cents, plain
from engine.model.cost.price_book import PriceBook, with_savings_plan
from engine.model.cost.price_list import SAVINGS_PLANS
from engine.model.cost.usage import (
    Usage,
    http_api,
    idle_polling,
    invocations,
    logs,
    provisioned,
    rest_api,
    snapstart,
    sqs,
    streaming,
    total,
    transfer_out,
)

DAY_S: Final = 86_400
FRONT_DOORS: Final = ("none", "url", "http", "rest", "sqs")
"""What stands before a function. A Function URL costs nothing of its own."""

_IDLE_POLLERS: Final = 5
_MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """One function's month. Requests inside provisioned concurrency are not among `requests`.

    Attributes:
        requests: On-demand invocations.
        duration_ms: Billed duration of each, rounded up to a whole millisecond.
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
    """

    requests: int
    duration_ms: int = 100
    memory_mb: int = 128
    architecture: str = "x86_64"
    storage_mb: int = 512
    days: int = 30
    cold_starts: int = 0
    init_ms: int = 0
    provisioned: int = 0
    provisioned_hours: float | None = None
    provisioned_requests: int = 0
    provisioned_ms: int = 0
    snapstart: bool = False
    event_kb: int = 0
    streamed_mb: Decimal = Decimal(0)
    response_kb: int = 0
    log_bytes: int = 0
    front_door: str = "none"
    sqs_batch: int = 10
    sqs_send_batch: int = 1

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
                    self.provisioned_requests * self.provisioned_ms,
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
        return total(*used)

    def _on_demand(self) -> Usage:
        billed_ms = self.requests * self.duration_ms + self.cold_starts * self.init_ms
        per_event = asynchronous_requests(self.event_kb * 1024)
        used = invocations(
            self.requests, billed_ms, self.memory_mb, self.architecture, storage_mb=self.storage_mb
        )
        return {**used, "lambda.requests": Decimal(self.requests * per_event)}


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
    return total(*used)


def assumptions(month: Month) -> tuple[str, ...]:
    """What is taken for granted of what stands before a function, a sentence each."""
    if month.front_door != "sqs":
        return ()
    return (
        f"SQS: full batches of {month.sqs_batch}, sent {month.sqs_send_batch} at a time, calls up to 64 KB",
    )


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


def what_ifs(usage: Usage, book: PriceBook, free_tier: FreeTierChoice) -> dict[str, Decimal]:
    """The same usage otherwise: with or without the free tier, on the other architecture, with a plan."""
    other = FreeTierChoice.ALWAYS if free_tier is FreeTierChoice.NONE else FreeTierChoice.NONE
    found = {
        f"{'with' if other is FreeTierChoice.ALWAYS else 'without'} free tier": bill(
            usage, book, free_tier=other
        ).usd
    }
    for here, there in (("x86_64", "arm64"), ("arm64", "x86_64")):
        if any(name.endswith(here) for name in usage):
            moved = total(*({_moved(name, here, there): one} for name, one in usage.items()))
            found[f"on {there}, at equal duration"] = bill(moved, book, free_tier=free_tier).usd
            break
    if book.region == "us-east-1":
        for payment in SAVINGS_PLANS:
            planned = with_savings_plan(book, payment)
            found[f"Compute Savings Plan, {payment}"] = bill(usage, planned, free_tier=free_tier).usd
    return found


def _moved(name: str, here: str, there: str) -> str:
    return name.removesuffix(here) + there if name.endswith(here) else name
