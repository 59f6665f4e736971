"""A function that sends to the queue it is fed from, by boto3 in a process of its own."""

import asyncio

import boto3
import pytest

from engine import Engine, Function

pytestmark = pytest.mark.real_time

HANDLER = """
import boto3

sqs = boto3.client("sqs")

def handler(event, context):
    url = sqs.get_queue_url(QueueName="loop")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="again")
"""


async def test_a_loop_over_a_queue_ends_after_sixteen_invocations(tmp_path):
    """The message that would make one more is gone, and counted."""
    (tmp_path / "app.py").write_text(HANDLER)
    mapping = {"type": "sqs", "queue": "loop", "batch_size": 1}
    function = Function(
        "f", handler="app.handler", code=str(tmp_path), executor="process", timeout_s=30, events=(mapping,)
    )
    async with Engine([function], aws="127.0.0.1:0") as engine:
        keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
        client = boto3.client("sqs", endpoint_url=engine.addresses.aws, **keys)
        url = (await asyncio.to_thread(client.get_queue_url, QueueName="loop"))["QueueUrl"]
        await asyncio.to_thread(client.send_message, QueueUrl=url, MessageBody="first")
        stats = engine.stats.functions["f"]
        while not stats.recursions_dropped or stats.ledger.requests < 16:
            await asyncio.sleep(0.01)
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        left = await asyncio.to_thread(client.get_queue_attributes, QueueUrl=url, AttributeNames=names)

    assert (16, 1) == (stats.ledger.requests, stats.recursions_dropped)
    assert {"0"} == set(left["Attributes"].values())
