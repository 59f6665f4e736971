"""What `tests/bench/durable.py` runs."""

from __future__ import annotations

import time
from typing import Any

from aws_durable_execution_sdk_python import durable_execution, durable_step

BENCH: dict[str, Any] = {}
"""What the bench gives `sleeping`, which runs in its module: the durable executions, and a list of delays."""


@durable_step
def reserve(_context, sku, quantity):
    return {"sku": sku, "reserved": quantity}


@durable_step
def price(_context, stock):
    return stock["reserved"] * 5


@durable_execution
def two_steps(event, context):
    stock = context.step(reserve(event["sku"], 2))
    return {"total": context.step(price(stock), name="price-it")}


@durable_execution
def steps(event, context):
    for number in range(event["steps"]):
        context.step(lambda _, number=number: number, name="step")
    return event["steps"]


async def sleeping(event, context):
    """One wait, without the SDK: its first invocation checkpoints it, its second looks at the clock."""
    now_s = time.time()
    operations = event["InitialExecutionState"]["Operations"]
    if len(operations) == 1:
        wait_s = int(operations[0]["ExecutionDetails"]["InputPayload"].rpartition(":")[2].strip("} "))
        update = {"Id": "w", "Type": "WAIT", "Action": "START", "WaitOptions": {"WaitSeconds": wait_s}}
        BENCH["durable"].checkpoint(event["DurableExecutionArn"], event["CheckpointToken"], [update], None)
        return {"Status": "PENDING"}
    due_s = operations[1]["WaitDetails"]["ScheduledEndTimestamp"] / 1000
    BENCH["late_ms"].append((now_s - due_s) * 1000)
    return {"Status": "SUCCEEDED", "Result": "null"}
