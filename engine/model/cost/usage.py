"""What a workload uses, by meter: quantities that add up over functions before any tier is applied.

Quantities are exact. Source of the metering rules: AWS Lambda pricing page and the pricing pages of the
services beside it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from engine.core.billing import exactly, gb_seconds, standing_gb_seconds, storage_gb_seconds
from engine.core.scaling.pollers import POLLER_CONCURRENCY

Usage = Mapping[str, Decimal]
"""Meter name to quantity a month."""

FREE_RESPONSE_MB: Final = 6
"""What each streamed response carries at no charge."""

_MB_PER_GB: Final = 1024
DAY_S: Final = 86_400
_SNAPSTART_MIN_S: Final = 3 * 3600
_POLLER_MIN_S: Final = 60
_MANAGED_FEE: Final = Decimal("0.15")
SQS_BATCH: Final = 10
"""Messages of one call, at most: a larger batch takes several."""

_SQS_CHUNK_BYTES: Final = 64 * 1024
_KINESIS_UNIT_BYTES: Final = 25 * 1024
_HTTP_API_CHUNK_BYTES: Final = 512 * 1024
_EDGE_UNIT_MB: Final = 128


def total(*usages: Usage) -> Usage:
    """The sum, meter by meter: tiers and free tiers go by what all functions use together."""
    summed: dict[str, Decimal] = defaultdict(Decimal)
    with exactly():
        for usage in usages:
            for name, quantity in usage.items():
                summed[name] += quantity
    return dict(summed)


def times(usage: Usage, factor: Decimal) -> Usage:
    """Multiply every quantity by `factor`."""
    with exactly():
        return {name: quantity * factor for name, quantity in usage.items()}


# -------------------------------------------------------------------- Lambda functions


def invocations(
    requests: int,
    billed_ms: int,
    memory_mb: int,
    architecture: str = "x86_64",
    *,
    storage_mb: int = 512,
    provisioned: bool = False,
) -> Usage:
    """`requests` that were billed `billed_ms` milliseconds in all.

    `provisioned`: they ran inside provisioned concurrency. What spills over is plain on-demand.
    """
    used = gb_seconds(billed_ms, memory_mb)
    kind = "provisioned.duration" if provisioned else "duration"
    usage = {
        "lambda.requests.provisioned" if provisioned else "lambda.requests": Decimal(requests),
        f"lambda.{kind}.{architecture}": used,
    }
    if storage := storage_gb_seconds(billed_ms, storage_mb):
        usage["lambda.storage"] = storage
    return usage


def provisioned(environments: int, memory_mb: int, enabled_s: float, architecture: str = "x86_64") -> Usage:
    """Provisioned concurrency, enabled for `enabled_s` seconds of the month, whether used or not."""
    standing = standing_gb_seconds(environments, memory_mb, enabled_s)
    return {f"lambda.provisioned.standing.{architecture}": standing}


def snapstart(restores: int, memory_mb: int, active_s: float, versions: int = 1) -> Usage:
    """SnapStart of a Python or .NET function: its cache while versions are active, and each restore."""
    with exactly():
        gb = Decimal(memory_mb) / _MB_PER_GB
        cached_s = Decimal(round(max(active_s, _SNAPSTART_MIN_S) * 1000)) / 1000
        return {
            "lambda.snapstart.cache": gb * cached_s * versions,
            "lambda.snapstart.restore": gb * restores,
        }


def streaming(responses: int, response_mb: Decimal) -> Usage:
    """Streamed responses of `response_mb` each: what goes beyond the first 6 MB of each."""
    with exactly():
        return {"lambda.streaming": responses * max(Decimal(0), response_mb - FREE_RESPONSE_MB) / _MB_PER_GB}


def tenants(environments: int, memory_mb: int, architecture: str = "x86_64") -> Usage:
    """Environments created for single tenants (tenant-isolation mode)."""
    with exactly():
        return {f"lambda.tenant.{architecture}": Decimal(environments * memory_mb) / _MB_PER_GB}


def pollers(kind: str, units: int, enabled_s: float) -> Usage:
    """Provisioned pollers: event poller units for "sqs" or "kafka", by the second, a minute at least."""
    with exactly():
        seconds = Decimal(round(max(enabled_s, _POLLER_MIN_S)))
        return {f"lambda.poller.{kind}": units * seconds / 3600}


def provisioned_pollers(allowed: Sequence[tuple[float, int]], end_s: float) -> Usage:
    """Provisioned pollers of a queue, each paid from when it is added to when it is taken away.

    `allowed`: (seconds, concurrent batches that the mapping may have from then on), ascending, to `end_s`.
    """
    begun_s: list[float] = []
    enabled_s = 0.0
    for at_s, concurrent in (*(one for one in allowed if one[0] < end_s), (end_s, 0)):
        wanted = -(-concurrent // POLLER_CONCURRENCY)
        begun_s += [at_s] * (wanted - len(begun_s))
        while len(begun_s) > wanted:
            enabled_s += max(at_s - begun_s.pop(), _POLLER_MIN_S)
    return pollers("sqs", 1, enabled_s) if enabled_s else {}


def durable(operations: int, written_gb: Decimal, retained_gb_months: Decimal) -> Usage:
    """Durable functions, beside the requests and the duration of their invocations."""
    return {
        "lambda.durable.operations": Decimal(operations),
        "lambda.durable.written": written_gb,
        "lambda.durable.retained": retained_gb_months,
    }


def edge(requests: int, billed_ms: int, memory_mb: int) -> Usage:
    """Lambda@Edge."""
    with exactly():
        units = Decimal(billed_ms * memory_mb) / (_EDGE_UNIT_MB * 1000)
    return {"edge.requests": Decimal(requests), "edge.duration": units}


def managed_fee_usd(on_demand_usd_per_hour: Decimal) -> Decimal:
    """Lambda's fee for an hour of a Managed Instance: 15 % of EC2's on-demand price, discounted or not."""
    with exactly():
        return on_demand_usd_per_hour * _MANAGED_FEE


def microvm(vcpu_s: Decimal, gb_s: Decimal) -> Usage:
    """Compute of MicroVMs."""
    return {"microvm.vcpu": vcpu_s, "microvm.memory": gb_s}


# -------------------------------------------------------------------- what stands around them


def sqs(
    messages: int,
    *,
    batch: int = 1,
    send_batch: int = 1,
    message_bytes: int = 1024,
    kind: str = "standard",
) -> Usage:
    """Messages that are sent `send_batch` (1 to 10) at a time, received and deleted `batch` at a time.

    Batches are full; one of more than 10 is made of several receives. Every call counts once for each 64 KB
    of its payload; deleting carries none.
    """
    received = min(batch, SQS_BATCH)
    sends, receives = -(-messages // send_batch), -(-messages // received)
    sent_chunks = max(1, -(-send_batch * message_bytes // _SQS_CHUNK_BYTES))
    received_chunks = max(1, -(-received * message_bytes // _SQS_CHUNK_BYTES))
    calls = sends * sent_chunks + receives * received_chunks + receives
    usage = {f"sqs.{'fifo' if kind == 'fifo' else 'standard'}": Decimal(calls)}
    if kind == "fair":
        usage["sqs.fair"] = Decimal(sends * sent_chunks)
    return usage


def sqs_calls(calls: int) -> Usage:
    """Calls of a standard queue, each of up to 64 KB."""
    return {"sqs.standard": Decimal(calls)}


def idle_polling(pollers: int, days: int, wait_s: int = 20) -> Usage:
    """Receives that Lambda's pollers make of an empty queue; they are billed."""
    return {"sqs.standard": Decimal(pollers * days * DAY_S // wait_s)}


def kinesis_stream(shards: int, records: int, record_bytes: int, open_s: float) -> Usage:
    """A stream of provisioned shards that is open for `open_s` seconds; a put counts once for each 25 KB."""
    with exactly():
        units = records * max(1, -(-record_bytes // _KINESIS_UNIT_BYTES))
        hours = shards * Decimal(repr(float(open_s))) / 3600
        return {"kinesis.shards": hours, "kinesis.put": Decimal(units)}


def http_api(requests: int, request_bytes: int = 0) -> Usage:
    """API Gateway HTTP API: counts in steps of 512 KB."""
    return {"apigateway.http": Decimal(requests * max(1, -(-request_bytes // _HTTP_API_CHUNK_BYTES)))}


def rest_api(requests: int) -> Usage:
    """API Gateway REST API."""
    return {"apigateway.rest": Decimal(requests)}


def logs(requests: int, bytes_each: int, *, direct: bool = False) -> Usage:
    """Log lines of `bytes_each` per invocation, into CloudWatch Logs or directly to S3 or Firehose."""
    with exactly():
        name = "logs.direct" if direct else "logs.cloudwatch"
        return {name: Decimal(requests * bytes_each) / 1024**3}


def transfer_out(requests: int, bytes_each: int) -> Usage:
    """Answers of `bytes_each` that leave AWS."""
    with exactly():
        return {"transfer.out": Decimal(requests * bytes_each) / 1024**3}


def nat(gateways: int, enabled_s: float, requests: int, bytes_each: int) -> Usage:
    """NAT gateways that stand for `enabled_s` seconds, and `bytes_each` through them with each request."""
    with exactly():
        hours = Decimal(round(enabled_s)) / 3600
        return {"nat.hours": gateways * hours, "nat.data": Decimal(requests * bytes_each) / 1024**3}
