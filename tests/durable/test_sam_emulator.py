"""SAM CLI has the engine run its durable functions: another engine plays its container, boto3 its client."""

import json
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

import pytest

from engine import Function
from tests.durable.conftest import HERE, Served

pytestmark = pytest.mark.real_time


@pytest.fixture(scope="module")
def emulator():
    with Served([Function("plain", handler="handlers.plain", code=str(HERE))]) as served:
        yield served


@pytest.fixture(scope="module")
def container(emulator):
    """Runs one invocation at a time, and asks the emulator for checkpoints, as SAM CLI has its containers do.

    Its functions know nothing of executions: they are called with the event of a handler, as it is.
    """
    common = {
        "code": str(HERE),
        "executor": "process",
        "timeout_s": 20,
        "reserved_concurrency": 1,
        "environment": {"AWS_ENDPOINT_URL_LAMBDA": f"http://{emulator.address}"},
        "preload": ("aws_durable_execution_sdk_python", "boto3"),
    }
    with Served([Function("function", handler="handlers.sam", **common)]) as served:
        yield served


def ask(emulator, method, path, document=None):
    """Status and document of an answer of the emulator's."""
    connection = HTTPConnection(emulator.address, timeout=20)
    headers = {} if document is None else {"Content-Type": "application/json"}
    connection.request(method, path, None if document is None else json.dumps(document), headers)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, json.loads(text)


def start(emulator, container, event, **more):
    """What SAM CLI sends."""
    document = {
        "AccountId": "123456789012",
        "FunctionName": "function",
        "FunctionQualifier": "$LATEST",
        "ExecutionName": None,
        "ExecutionTimeoutSeconds": 60,
        "ExecutionRetentionPeriodInDays": 1,
        "Input": json.dumps(event),
        "LambdaEndpoint": None if container is None else f"http://{container.address}",
    }
    return ask(emulator, "POST", "/start-durable-execution", {**document, **more})


def test_it_is_ready(emulator):
    assert (200, {"status": "healthy"}) == ask(emulator, "GET", "/health")


def test_an_execution_is_run_in_the_container(emulator, container):
    """Steps, a wait and a callback: what AWS's client asks of an execution is answered as of any other."""
    status, document = start(emulator, container, {"sku": "A1"}, ExecutionName="order-1")
    arn = document["ExecutionArn"]
    callback_id = emulator.callback_id(arn)
    emulator.client.send_durable_execution_callback_heartbeat(CallbackId=callback_id)
    emulator.client.send_durable_execution_callback_success(CallbackId=callback_id, Result=b'"yes"')
    ended = emulator.ended(arn)

    assert 201 == status
    assert ("SUCCEEDED", {"sku": "A1", "answer": "yes"}) == (ended["Status"], json.loads(ended["Result"]))
    assert "order-1" == ended["DurableExecutionName"]
    assert {"StepSucceeded", "WaitSucceeded", "CallbackSucceeded"} <= set(emulator.events(arn))


def test_a_name_leads_to_one_execution(emulator, container):
    first = start(emulator, container, {"sku": "B"}, ExecutionName="once")
    again = start(emulator, container, {"sku": "B"}, ExecutionName="once")
    other = start(emulator, container, {"sku": "C"}, ExecutionName="once")
    stopped = emulator.client.stop_durable_execution(DurableExecutionArn=first[1]["ExecutionArn"])

    assert first == again
    assert 409 == other[0]
    assert "already started" in other[1]["Message"]
    assert "StopTimestamp" in stopped


def test_executions_take_turns_in_a_container(emulator, container):
    """It takes one request at a time: another at the same time would be throttled."""

    def run(number):
        return emulator.ended(start(emulator, container, {"fail": number})[1]["ExecutionArn"])

    with ThreadPoolExecutor(4) as threads:
        ended = list(threads.map(run, range(4)))

    assert [("FAILED", f"no stock {number}") for number in range(4)] == [
        (one["Status"], one["Error"]["ErrorMessage"]) for one in ended
    ]
    assert [1] * 4 == [
        emulator.events(one["DurableExecutionArn"]).count("InvocationCompleted") for one in ended
    ]


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://192.0.2.1:8080",
        "http://example.com:80",
        "http://169.254.169.254:80",
        "http://localhost.example.com:80",
        "http://127.0.0.1:80@192.0.2.1:80",
        "http://127.0.0.1:8080/admin",
        "http://127.0.0.1:8080/?a=",
        "https://127.0.0.1:8080",
        "http://127.0.0.1",
        "http://[::ffff:192.0.2.1]:80",
        "http://0x7f000001:80",
        "http://a.localhost:80",
        "",
        None,
    ],
)
def test_handlers_run_on_this_machine_only(emulator, endpoint):
    status, document = start(emulator, None, {}, LambdaEndpoint=endpoint)

    assert 400 == status
    assert "LambdaEndpoint" in document["message"]


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("FunctionName", "a/b"),
        ("FunctionQualifier", "live"),
        ("ExecutionName", "with space"),
        ("ExecutionTimeoutSeconds", 0),
        ("ExecutionTimeoutSeconds", True),
        ("ExecutionRetentionPeriodInDays", 91),
        ("Input", {"not": "text"}),
    ],
)
def test_a_start_that_cannot_be_is_refused(emulator, container, member, value):
    status, document = start(emulator, container, {}, **{member: value})

    assert 400 == status
    assert document["message"].startswith(f"{member} must be")
