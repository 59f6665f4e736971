"""AWS's SDK, unmodified, and AWS's client against the engine, over HTTP."""

import json

import pytest
from aws_durable_execution_sdk_python_testing.runner import DurableFunctionCloudTestRunner
from botocore.exceptions import ClientError

pytestmark = pytest.mark.real_time

on_thread = pytest.mark.parametrize("served", ["thread"], indirect=True)
"""What is the same whatever runs the handler."""

ENDS = {
    "two_steps": ({"sku": "A1"}, '{"total": 10}'),
    "waiter": ({}, "5"),
    "flaky": ({}, "2"),
    "doubled": ({"items": [1, 2]}, "[2, 4]"),
    "poll": ({}, "2"),
}
HISTORIES = {
    "two_steps": "Execution+ Step+ Step! Step+ Step! Invocation! Execution!",
    "waiter": "Execution+ Step+ Step! Wait+ Invocation! Wait! Step+ Step! Invocation! Execution!",
    "flaky": "Execution+ Step+ Step- Invocation! Step+ Step! Invocation! Execution!",
    "doubled": "Execution+ Context+ Context+ Context! Context+ Context! Context! Invocation! Execution!",
    "poll": "Execution+ Step+ Step! Invocation! Step+ Step! Invocation! Execution!",
    "boom": "Execution+ Step+ Step! Invocation! Execution-",
}
SPELLED = {"+": "Started", "!": "Succeeded", "-": "Failed"}


def history(name):
    words = [f"{word[:-1]}{SPELLED[word[-1]]}" for word in HISTORIES[name].split()]
    return [word.replace("InvocationSucceeded", "InvocationCompleted") for word in words]


def test_handlers_end_as_on_AWS_and_their_histories_are_the_same(served):
    started = {name: served.start(name, payload) for name, (payload, _) in ENDS.items()}
    ended = {name: served.ended(arn) for name, arn in started.items()}

    for name, (payload, result) in ENDS.items():
        found = ended[name]
        assert ("SUCCEEDED", result) == (found["Status"], found["Result"]), name
        assert payload == json.loads(found["InputPayload"])
        assert history(name) == served.events(started[name])


def test_a_synchronous_call_waits_for_the_result(served):
    answer = served.client.invoke(FunctionName="two_steps:live", Payload=b'{"sku": "A1"}')

    assert (200, "$LATEST") == (answer["StatusCode"], answer["ExecutedVersion"])
    assert b'{"total": 10}' == answer["Payload"].read()
    assert "SUCCEEDED" == served.get(answer["DurableExecutionArn"])["Status"]


def test_a_failed_execution_is_a_function_error(served):
    answer = served.client.invoke(FunctionName="boom:$LATEST")

    assert "Unhandled" == answer["FunctionError"]
    assert {"errorMessage": "no stock", "errorType": "ValueError"} == json.loads(answer["Payload"].read())
    assert history("boom") == served.events(answer["DurableExecutionArn"])


@on_thread
def test_an_unqualified_name_is_refused(served):
    with pytest.raises(ClientError) as caught:
        served.client.invoke(FunctionName="two_steps")

    assert "InvalidParameterValueException" == caught.value.response["Error"]["Code"]


@on_thread
def test_functions_call_durable_and_plain_functions(served):
    started = [served.start("parent", {"target": target}) for target in ("child:$LATEST", "plain", "nobody")]
    to_child, to_plain, to_nobody = map(served.ended, started)

    assert ("21", "22") == (to_child["Result"], to_plain["Result"])
    assert "FAILED" == to_nobody["Status"]
    assert "InvokeError" in to_nobody["Error"]["ErrorType"]


def test_a_callback_wakes_its_execution(served):
    succeeds, fails = served.start("approval"), served.start("approval")
    send = served.client
    send.send_durable_execution_callback_heartbeat(CallbackId=served.callback_id(succeeds))
    body = b'{"approved": true}'
    send.send_durable_execution_callback_success(CallbackId=served.callback_id(succeeds), Result=body)
    error = {"ErrorMessage": "no", "ErrorType": "Denied"}
    send.send_durable_execution_callback_failure(CallbackId=served.callback_id(fails), Error=error)

    assert '{"approved": true}' == served.ended(succeeds)["Result"]
    assert ("FAILED", "no") == (served.ended(fails)["Status"], served.ended(fails)["Error"]["ErrorMessage"])
    with pytest.raises(send.exceptions.CallbackTimeoutException):
        send.send_durable_execution_callback_success(CallbackId=served.callback_id(fails))


@on_thread
def test_executions_are_listed_by_name_and_status(served):
    first, second = served.start("approval"), served.start("approval", DurableExecutionName="second")
    listed = served.client.list_durable_executions_by_function
    named = listed(FunctionName="approval", DurableExecutionName="second")["DurableExecutions"]
    running = listed(FunctionName="approval", Statuses=["RUNNING"], ReverseOrder=True)["DurableExecutions"]
    pages = served.client.get_paginator("list_durable_executions_by_function")
    paged = pages.paginate(FunctionName="approval", PaginationConfig={"PageSize": 1})
    for arn in (first, second):
        served.client.stop_durable_execution(DurableExecutionArn=arn)

    assert [second] == [one["DurableExecutionArn"] for one in named]
    assert [first, second] == [one["DurableExecutionArn"] for one in running][-2:]
    assert [second, first] == [
        one["DurableExecutionArn"] for page in paged for one in page["DurableExecutions"]
    ][:2]


@on_thread
def test_a_name_leads_to_one_execution(served):
    named = {"DurableExecutionName": "one"}
    first = served.start("two_steps", {"sku": "A1"}, **named)
    again = served.client.invoke(FunctionName="two_steps:$LATEST", Payload=b'{"sku": "A1"}', **named)

    assert (first, b'{"total": 10}') == (again["DurableExecutionArn"], again["Payload"].read())
    with pytest.raises(ClientError) as caught:
        served.start("two_steps", {"sku": "B2"}, **named)
    assert "DurableExecutionAlreadyStartedException" == caught.value.response["Error"]["Code"]


@on_thread
def test_a_stopped_execution_goes_no_further(served):
    arn = served.start("approval")
    served.callback_id(arn)
    stopped = served.client.stop_durable_execution(DurableExecutionArn=arn, Error={"ErrorMessage": "enough"})
    found = served.get(arn)

    assert ("STOPPED", {"ErrorMessage": "enough"}) == (found["Status"], found["Error"])
    assert stopped["StopTimestamp"] == found["EndTimestamp"]
    assert "ExecutionStopped" in served.events(arn)


@on_thread
def test_an_execution_is_paused_resumed_and_deleted(served):
    arn = served.start("approval")
    callback_id = served.callback_id(arn)
    served.until(lambda: served.events(arn), lambda events: events[-1] == "InvocationCompleted")
    paused = served.call("POST", arn, "/pause", {"Reason": "lunch"})
    while_paused = served.get(arn)["Status"]
    again = served.call("POST", arn, "/pause")
    early = served.call("DELETE", arn)
    served.client.send_durable_execution_callback_success(CallbackId=callback_id, Result=b"1")
    still = served.get(arn)["Status"]
    resumed = served.call("POST", arn, "/resume")
    served.ended(arn)
    deleted = served.call("DELETE", arn)

    assert [202, 409, 409, 202, 202] == [one[0] for one in (paused, again, early, resumed, deleted)]
    assert ("PAUSED", "PAUSED") == (while_paused, still)
    assert "DeletionRequestTimestamp" in deleted[1]
    with pytest.raises(served.client.exceptions.ResourceNotFoundException):
        served.get(arn)


@on_thread
def test_an_execution_times_out(served):
    assert "TIMED_OUT" == served.ended(served.start("sleeper"))["Status"]


def test_what_the_model_does_not_allow_ends_an_execution(served):
    """A step's name of more than 256 characters, on whichever way the checkpoint comes."""
    ended = served.ended(served.start("long_name"))

    assert "FAILED" == ended["Status"]
    assert ended["Error"]["ErrorType"].endswith("CheckpointError")
    assert "Member must have length less than or equal to 256" in ended["Error"]["ErrorMessage"]


def test_AWSs_test_runner_for_deployed_functions_runs_them_here(served, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    runner = DurableFunctionCloudTestRunner(
        "approval:$LATEST", "us-east-1", f"http://{served.address}", poll_interval=0.05
    )
    arn = runner.run_async({})
    runner.send_callback_success(runner.wait_for_callback(arn), b'{"approved": true}')
    result = runner.wait_for_result(arn)

    assert ("SUCCEEDED", '{"approved": true}') == (result.status.value, result.result)
    assert ["approve"] == [operation.name for operation in result.operations]
