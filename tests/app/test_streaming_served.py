"""Handlers that stream, as clients of AWS see them: InvokeWithResponseStream by boto3."""

import asyncio
import json
import os
import uuid

import boto3
import pytest
from botocore.config import Config

from engine import Engine, Function

pytestmark = pytest.mark.real_time

SOURCE = """
import os, time

def handler(event, context):
    yield "first"
    while "gate" in event and not os.path.exists(event["gate"]):
        time.sleep(0.002)
    if "fails" in event:
        raise LookupError("not in stock")
    yield "last"
"""


@pytest.fixture
async def engine(tmp_path):
    (tmp_path / "app.py").write_text(SOURCE)
    keys = {"handler": "app.handler", "code": str(tmp_path), "streaming": "generator", "timeout_s": 60}
    functions = [Function(name, executor=name, **keys) for name in ("thread", "process")]
    async with Engine(functions, aws="127.0.0.1:0") as engine:
        yield engine


def events(engine, function, payload, met=lambda _event: None):
    """What boto3 reads, one event after the other; `met` is called with each."""
    client = boto3.client(
        "lambda",
        endpoint_url=engine.addresses.aws,
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        config=Config(retries={"max_attempts": 0}),
    )
    answer = client.invoke_with_response_stream(FunctionName=function, Payload=json.dumps(payload))
    found = []
    for event in answer["EventStream"]:
        found.append(event)
        met(event)
    client.close()
    return found


@pytest.mark.parametrize("function", ["thread", "process"])
async def test_the_first_piece_is_read_while_the_handler_runs(engine, function):
    """It goes on only when the client has it."""
    gate = f"/dev/shm/{uuid.uuid4()}"  # not below /tmp, where a process has its own
    payload = {"gate": gate}

    def met(event):
        open(gate, "w").close()

    found = await asyncio.to_thread(events, engine, function, payload, met)
    os.remove(gate)

    assert [
        {"PayloadChunk": {"Payload": b"first"}},
        {"PayloadChunk": {"Payload": b"last"}},
        {"InvokeComplete": {}},
    ] == found


@pytest.mark.parametrize("function", ["thread", "process"])
async def test_an_error_in_the_middle_is_in_the_last_event(engine, function):
    first, last = await asyncio.to_thread(events, engine, function, {"fails": 1})
    details = json.loads(last["InvokeComplete"]["ErrorDetails"])

    assert {"PayloadChunk": {"Payload": b"first"}} == first
    assert ("LookupError", "not in stock") == (details["errorType"], details["errorMessage"])
