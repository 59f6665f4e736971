"""What `tests/bench/durable.py` runs."""

from __future__ import annotations

from aws_durable_execution_sdk_python import durable_execution, durable_step


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
