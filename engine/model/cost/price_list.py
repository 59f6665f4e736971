"""What AWS asks for in us-east-1, beyond the duration of Lambda functions: dated data, nothing else.

Sources: AWS Price List (AWSLambda offer of 2026-09-19) and the AWS Lambda pricing page of 2026; price
lists and pricing pages of SQS, API Gateway, S3, EventBridge, SNS, Step Functions, DynamoDB, CloudWatch,
Kinesis, VPC and EC2 data transfer as extracted in October 2025 and September 2026.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, NamedTuple

from engine.core.lambda_price_table import DURABLE_PRICES

PUBLISHED: Final = "2026-09-19"
SOURCE: Final = "AWS Price List and pricing pages"

_M: Final = 1_000_000


class Band(NamedTuple):
    """A price and how far it goes: `up_to` units a month from zero, None = all the rest."""

    up_to: Decimal | None
    usd: Decimal


class PriceMeter(NamedTuple):
    """One thing AWS counts: its unit, and its marginal price in US dollars, lowest band first."""

    unit: str
    bands: tuple[Band, ...]


class Allowance(NamedTuple):
    """What is free each month, over several meters together, in the order in which it is used up."""

    name: str
    quantity: Decimal
    meters: tuple[str, ...]


def meters() -> dict[str, PriceMeter]:
    """Every meter but Lambda's duration and provisioned concurrency: those are in `core.lambda_prices`."""
    return {**_lambda(), **_compute_kinds(), **_front_doors(), **_queues_and_events(), **_data_and_logs()}


def allowances() -> tuple[Allowance, ...]:
    """The free tiers that do not end, by what they cover."""
    return (
        Allowance("GB-seconds", Decimal(400_000), ("lambda.duration.x86_64", "lambda.duration.arm64")),
        Allowance("requests", Decimal(_M), ("lambda.requests",)),
        Allowance("streaming", Decimal(100), ("lambda.streaming",)),
        Allowance("SQS requests", Decimal(_M), ("sqs.standard", "sqs.fifo")),
        Allowance("Step Functions", Decimal(4000), ("stepfunctions.standard",)),
        Allowance("EventBridge Scheduler", Decimal(14 * _M), ("eventbridge.scheduler",)),
        Allowance("DynamoDB Streams", Decimal(2_500_000), ("dynamodb.streams",)),
        Allowance("data transfer", Decimal(100), ("transfer.out",)),
    )


def flat(unit: str, usd: str | Decimal) -> PriceMeter:
    """One price for any quantity."""
    return PriceMeter(unit, (Band(None, Decimal(usd)),))


def per_million(unit: str, *bands: tuple[int | None, str]) -> PriceMeter:
    """Bands whose prices are quoted for a million units."""
    return PriceMeter(
        unit,
        tuple(Band(None if up_to is None else Decimal(up_to), Decimal(usd) / _M) for up_to, usd in bands),
    )


def banded(unit: str, *bands: tuple[int | None, str]) -> PriceMeter:
    """Bands whose prices are quoted for one unit."""
    return PriceMeter(
        unit, tuple(Band(None if up_to is None else Decimal(up_to), Decimal(usd)) for up_to, usd in bands)
    )


def _lambda() -> dict[str, PriceMeter]:
    return {
        "lambda.requests": flat("request", "0.0000002"),
        "lambda.requests.provisioned": flat("request", "0.0000002"),
        "lambda.storage": flat("GB-second", "0.0000000309"),
        "lambda.streaming": flat("GB", "0.008"),
        "lambda.snapstart.cache": flat("GB-second", "0.0000015046"),
        "lambda.snapstart.restore": flat("GB", "0.0001397998"),
        "lambda.tenant.x86_64": flat("GB", "0.000166667"),
        "lambda.tenant.arm64": flat("GB", "0.000133333"),
        "lambda.poller.sqs": flat("EPU-hour", "0.00925"),
        "lambda.poller.kafka": flat("EPU-hour", "0.185"),
        "lambda.durable.operations": flat("operation", DURABLE_PRICES.operation_usd),
        "lambda.durable.written": flat("GB", DURABLE_PRICES.written_usd_per_gb),
        "lambda.durable.retained": flat("GB-month", DURABLE_PRICES.retained_usd_per_gb_month),
    }


def _compute_kinds() -> dict[str, PriceMeter]:
    """Lambda beyond event functions; Web Functions have meters whose rates are not published."""
    return {
        "managed.requests": flat("request", "0.0000002"),
        "edge.requests": per_million("request", (None, "0.60")),
        "edge.duration": flat("128 MB-second", "0.00000625125"),
        "microvm.vcpu": flat("vCPU-second", "0.0000276944"),
        "microvm.memory": flat("GB-second", "0.0000036667"),
        "microvm.snapshot.write": flat("GB", "0.0038"),
        "microvm.snapshot.read": flat("GB", "0.00155"),
        "microvm.snapshot.storage": flat("GB-month", "0.08"),
    }


def _front_doors() -> dict[str, PriceMeter]:
    return {
        "apigateway.http": per_million("request", (300 * _M, "1.00"), (None, "0.90")),
        "apigateway.rest": per_million(
            "request",
            (333 * _M, "3.50"),
            (1_000 * _M, "2.80"),
            (20_000 * _M, "2.38"),
            (None, "1.51"),
        ),
        "apigateway.websocket.messages": per_million("message", (1_000 * _M, "1.00"), (None, "0.80")),
        "apigateway.websocket.minutes": per_million("connection-minute", (None, "0.25")),
        "transfer.out": banded("GB", (10_240, "0.09"), (51_200, "0.085"), (153_600, "0.07"), (None, "0.05")),
    }


def _queues_and_events() -> dict[str, PriceMeter]:
    tiers = (100_000 * _M, 200_000 * _M, None)
    return {
        "sqs.standard": per_million("request", *zip(tiers, ("0.40", "0.30", "0.24"), strict=True)),
        "sqs.fifo": per_million("request", *zip(tiers, ("0.50", "0.40", "0.35"), strict=True)),
        "sqs.fair": per_million("request", (None, "0.10")),
        "sns.publish": per_million("request", (None, "0.50")),
        "sns.http": per_million("delivery", (None, "0.60")),
        "eventbridge.custom": per_million("64 KB event", (None, "1.00")),
        "eventbridge.pipes": per_million("request", (None, "0.40")),
        "eventbridge.scheduler": per_million("invocation", (None, "1.00")),
        "eventbridge.destinations": per_million("invocation", (None, "0.20")),
        "eventbridge.archive": flat("GB", "0.10"),
        "stepfunctions.standard": per_million("transition", (None, "25.00")),
        "stepfunctions.express": per_million("request", (None, "1.00")),
        "stepfunctions.express.duration": flat("GB-second", "0.00001667"),
        "kinesis.shards": flat("shard-hour", "0.015"),
        "kinesis.put": per_million("25 KB unit", (None, "0.014")),
        "kinesis.ondemand.streams": flat("stream-hour", "0.04"),
        "kinesis.ondemand.in": flat("GB", "0.08"),
        "kinesis.ondemand.out": flat("GB", "0.04"),
    }


def _data_and_logs() -> dict[str, PriceMeter]:
    logs = (10_240, 30_720, 51_200, None)
    return {
        "s3.put": per_million("request", (None, "5.00")),
        "s3.get": per_million("request", (None, "0.40")),
        "s3.storage": flat("GB-month", "0.023"),
        "dynamodb.write": per_million("unit", (None, "0.625")),
        "dynamodb.read": per_million("unit", (None, "0.125")),
        "dynamodb.streams": per_million("read", (None, "0.20")),
        "logs.cloudwatch": banded("GB", *zip(logs, ("0.50", "0.25", "0.10", "0.05"), strict=True)),
        "logs.direct": banded("GB", *zip(logs, ("0.25", "0.15", "0.075", "0.05"), strict=True)),
        "nat.hours": flat("hour", "0.045"),
        "nat.data": flat("GB", "0.045"),
    }
