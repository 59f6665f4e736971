"""What else starts executions: HTTP fronts, queues, Python, the command line."""

import json
from urllib.request import urlopen

import boto3
import pytest
from click.testing import CliRunner

from engine import ConfigError, Engine, Function
from engine.cli import main
from engine.core.function import DurableConfig
from tests.durable.conftest import HERE
from tests.durable.test_sdk import on_thread

pytestmark = pytest.mark.real_time

CODE = {"handler": "handlers.two_steps", "code": str(HERE), "timeout_s": 20, "durable": DurableConfig(60)}


def ended(served, count):
    """The executions of `front`, once so many have succeeded."""
    listed = served.client.list_durable_executions_by_function
    return served.until(
        lambda: listed(FunctionName="front", Statuses=["SUCCEEDED"])["DurableExecutions"],
        lambda found: len(found) >= count,
    )


@on_thread
def test_an_HTTP_front_answers_with_the_result_of_the_execution(served):
    with urlopen(f"{served.front}/front") as answer:  # the engine's own address
        found = answer.status, answer.read()

    assert (201, b"made") == found
    assert "$LATEST" == ended(served, 1)[0]["FunctionArn"].rpartition(":")[2]


@on_thread
def test_a_message_is_deleted_when_its_execution_has_succeeded(served):
    before = len(ended(served, 0))
    sqs = boto3.client("sqs", endpoint_url=f"http://{served.address}", **served.keys)
    url = sqs.get_queue_url(QueueName="work")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="one")
    newest = ended(served, before + 1)[0]
    execution = served.get(newest["DurableExecutionArn"])

    def left():
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]

    assert "one" == json.loads(execution["InputPayload"])["Records"][0]["body"]
    assert {"0"} == set(served.until(left, lambda found: set(found.values()) == {"0"}).values())


async def test_without_a_listener_durable_functions_run_on_thread():
    async with Engine([Function("f", **CODE)]) as engine:
        outcome = await engine.invoke("f", {"sku": "A1"})

    assert ({"total": 10}, "thread") == (outcome.payload, engine.chosen["f"])


async def test_without_a_listener_a_process_has_nowhere_to_checkpoint():
    with pytest.raises(ConfigError, match="needs the aws listener"):
        async with Engine([Function("f", executor="process", **CODE)]):
            pass


def test_the_command_line_runs_an_execution_to_its_end(tmp_path):
    (tmp_path / "engine.toml").write_text(
        f"[functions.f]\nhandler = 'handlers.two_steps'\ncode = '{HERE}'\ntimeout_s = 20\n"
        "durable = { execution_timeout_s = 60 }\n"
    )
    config = str(tmp_path / "engine.toml")
    ran = CliRunner().invoke(main, ["invoke", "f", "--config", config, "--event", '{"sku": "A1"}'])

    assert (0, '{"total": 10}') == (ran.exit_code, ran.stdout.strip())
