"""boto3 and the AWS CLI, unchanged, against the Lambda API on a real socket."""

import asyncio
import base64
import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from engine.core.error_bodies import timeout_body
from engine.core.outcome import Status
from engine.protocols.http.server import HttpLimits, HttpServer
from engine.runtime.clock import SystemClock

pytestmark = pytest.mark.real_time

AWS = Path(sys.executable).with_name("aws")
ARN = "arn:aws:lambda:eu-west-1:123456789012:function:"
KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}


@contextlib.asynccontextmanager
async def served(bench):
    """The bench behind a server; gives its URL."""
    server = HttpServer(bench.endpoint.handle, SystemClock(), HttpLimits())
    host, port = await server.start("127.0.0.1", 0)
    try:
        yield f"http://{host}:{port}"
    finally:
        server.close()


@pytest.fixture
async def call(bench):
    """`await call("invoke", FunctionName=...)` in a thread: what boto3 returns, payload read."""
    async with served(bench) as url:
        client = boto3.client(
            "lambda",
            endpoint_url=url,
            region_name="eu-west-1",
            config=Config(retries={"total_max_attempts": 1}),
            **KEYS,
        )

        def work(operation, arguments):
            answer = getattr(client, operation)(**arguments)
            if hasattr(answer.get("Payload"), "read"):
                answer["Payload"] = answer["Payload"].read()
            if "EventStream" in answer:
                answer["EventStream"] = list(answer["EventStream"])
            return answer

        yield lambda operation, **arguments: asyncio.to_thread(work, operation, arguments)
        client.close()


async def failure(awaitable):
    """The error a call ends in: status, code, message."""
    with pytest.raises(ClientError) as caught:
        await awaitable
    response = caught.value.response
    return (
        response["ResponseMetadata"]["HTTPStatusCode"],
        response["Error"]["Code"],
        response["Error"]["Message"],
    )


async def test_a_success_comes_back_whole(bench, call):
    answer = await call("invoke", FunctionName="hello", Payload=b'{"name": "Ada"}')

    assert (200, "$LATEST", b'{"name": "Ada"}') == (
        answer["StatusCode"],
        answer["ExecutedVersion"],
        answer["Payload"],
    )
    assert bench.event.request_id == answer["ResponseMetadata"]["RequestId"]
    assert "FunctionError" not in answer


async def test_every_spelling_of_a_name_works(bench, call):
    for name in (
        "hello",
        "hello:$LATEST",
        "123456789012:function:hello",
        f"{ARN}hello",
        f"{ARN}hello:$LATEST",
    ):
        assert 200 == (await call("invoke", FunctionName=name))["StatusCode"]
    assert 200 == (await call("invoke", FunctionName="hello", Qualifier="$LATEST"))["StatusCode"]
    assert ["{}"] * 6 == [event.payload.decode() for event in bench.sink.events]


async def test_a_failed_function_is_an_answer_not_an_exception(bench, call, end):
    bodies = [
        b'{"errorMessage": "no", "errorType": "KeyError", "requestId": "x", "stackTrace": []}',
        timeout_body("x", 3),
    ]
    for status, body in zip((Status.ERROR, Status.TIMEOUT), bodies, strict=True):
        bench.sink.act = end(status, body)
        answer = await call("invoke", FunctionName="hello", Payload=b"{}")

        assert (200, "Unhandled", body) == (answer["StatusCode"], answer["FunctionError"], answer["Payload"])


async def test_the_log_tail_and_the_client_context_travel(bench, call, end):
    bench.sink.act = end(body=b"1", log_tail=b"START\nEND\n")
    context = base64.b64encode(b'{"custom": {"a": 1}}').decode()
    answer = await call("invoke", FunctionName="hello", LogType="Tail", ClientContext=context)

    assert b"START\nEND\n" == base64.b64decode(answer["LogResult"])
    assert '{"custom": {"a": 1}}' == bench.event.client_context


async def test_events_and_dry_runs_are_told_by_their_status(bench, call):
    event = await call("invoke", FunctionName="hello", InvocationType="Event", Payload=b"[1]")
    dry = await call("invoke", FunctionName="hello", InvocationType="DryRun")

    assert [(202, b""), (204, b"")] == [(one["StatusCode"], one["Payload"]) for one in (event, dry)]
    assert ("event", b"[1]") == (bench.event.trigger, bench.event.payload)


@pytest.mark.filterwarnings("ignore:.*deprecated.*:DeprecationWarning")
async def test_the_legacy_operation_still_works(bench, call):
    answer = await call("invoke_async", FunctionName="hello", InvokeArgs=io.BytesIO(b"[2]"))

    assert (202, b"[2]") == (answer["Status"], bench.event.payload)


async def test_a_streamed_answer_is_read_as_events(bench, call, end):
    answer = await call("invoke_with_response_stream", FunctionName="hello", Payload=b'{"a": 1}')

    assert [{"PayloadChunk": {"Payload": b'{"a": 1}'}}, {"InvokeComplete": {}}] == answer["EventStream"]
    assert ("$LATEST", "application/vnd.amazon.eventstream") == (
        answer["ExecutedVersion"],
        answer["ResponseStreamContentType"],
    )


async def test_errors_become_botocores_exceptions(bench, call, throttle):
    missing = await failure(call("invoke", FunctionName="nobody"))
    version = await failure(call("invoke", FunctionName="hello", Qualifier="7"))
    foreign = await failure(
        call("invoke", FunctionName="arn:aws:lambda:us-east-1:123456789012:function:hello")
    )
    no_json = await failure(call("invoke", FunctionName="hello", Payload=b"{'a': 1}"))
    context = await failure(call("invoke", FunctionName="hello", ClientContext="string"))
    absent = await failure(
        call("get_durable_execution", DurableExecutionArn=f"{ARN}hello:1/durable-execution/a/b")
    )
    bench.sink.act = throttle("ConcurrentInvocationLimitExceeded")
    throttled = await failure(call("invoke", FunctionName="hello"))

    assert (404, "ResourceNotFoundException", f"Function not found: {ARN}nobody:$LATEST") == missing
    assert (404, "ResourceNotFoundException", f"Function not found: {ARN}hello:7") == version
    assert (
        404,
        "ResourceNotFoundException",
        "Functions from 'us-east-1' are not reachable in this region ('eu-west-1')",
    ) == foreign
    assert (400, "InvalidRequestContentException") == no_json[:2]
    assert no_json[2].startswith(
        "Could not parse request body into json: Could not parse payload into json: "
    )
    assert (400, "InvalidRequestContentException") == context[:2]
    assert (404, "ResourceNotFoundException", "Durable Execution does not exist") == absent
    assert (429, "TooManyRequestsException", "Rate Exceeded.") == throttled


async def test_a_throttle_carries_its_reason(bench, call, throttle):
    bench.sink.act = throttle("ReservedFunctionConcurrentInvocationLimitExceeded")
    with pytest.raises(ClientError) as caught:
        await call("invoke", FunctionName="hello")

    assert "ReservedFunctionConcurrentInvocationLimitExceeded" == caught.value.response["Reason"]
    assert "TooManyRequestsException" == type(caught.value).__name__


@pytest.mark.parametrize("kind", [("RequestResponse", 6_291_456), ("Event", 1_048_576)])
async def test_an_oversize_request_is_refused_and_the_next_succeeds(bench, call, kind):
    name, limit = kind
    body = b'"' + b"x" * (limit - 1) + b'"'
    message = f"{limit + 1} byte payload is too large for the {name} invocation type (limit {limit} bytes)"

    assert (413, "RequestEntityTooLargeException", message) == await failure(
        call("invoke", FunctionName="hello", InvocationType=name, Payload=body)
    )
    assert 200 == (await call("invoke", FunctionName="hello"))["StatusCode"]


async def test_functions_are_listed_and_described(call):
    listed = await call("list_functions", MaxItems=2)
    rest = await call("list_functions", Marker=listed["NextMarker"])
    names = [one["FunctionName"] for one in listed["Functions"] + rest["Functions"]]
    function = await call("get_function", FunctionName="orders-v2_x")
    configuration = await call("get_function_configuration", FunctionName="orders-v2_x")
    concurrency = await call("get_function_concurrency", FunctionName="orders-v2_x")
    settings = await call("get_account_settings")

    assert ["hello", "orders-v2_x", "warm"] == names
    assert "NextMarker" not in rest
    assert {"team": "shop"} == function["Tags"]
    assert function["Configuration"] == {
        key: value for key, value in configuration.items() if key != "ResponseMetadata"
    }
    assert "Active" == configuration["State"]
    assert 100 == concurrency["ReservedConcurrentExecutions"]
    assert 893 == settings["AccountLimit"]["UnreservedConcurrentExecutions"]


async def test_the_waiters_of_boto3_are_content(bench):
    async with served(bench) as url:
        client = boto3.client("lambda", endpoint_url=url, region_name="eu-west-1", **KEYS)
        for name in ("function_exists", "function_active_v2", "function_updated_v2", "function_active"):
            await asyncio.to_thread(client.get_waiter(name).wait, FunctionName="hello")
        client.close()


async def test_a_service_that_is_not_there_is_an_error_in_its_protocol(bench):
    async with served(bench) as url:
        for service, operation in (
            ("sqs", "list_queues"),
            ("s3", "list_buckets"),
            ("dynamodb", "list_tables"),
        ):
            client = boto3.client(service, endpoint_url=url, region_name="eu-west-1", **KEYS)
            status, code, message = await failure(asyncio.to_thread(getattr(client, operation)))
            client.close()

            assert (501, "NotImplementedException") == (status, code)
            assert message.startswith(f"This endpoint does not serve '{service}'; it serves lambda. ")
            assert "`endpoint_url = false`" in message
            assert "`environment`" in message


async def test_a_client_of_the_old_style_is_served(bench):
    """Bare sockets, header names in capitals, no signature."""
    async with served(bench) as url:
        host, port = url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        for name in (b"X-AMZ-INVOCATION-TYPE", b"x-amz-invocation-type"):
            writer.write(
                b"POST /2015-03-31/functions/hello/invocations HTTP/1.1\r\nHOST: x\r\n%b: DryRun\r\n"
                b"CONTENT-LENGTH: 2\r\n\r\n{}" % name
            )
            head = await reader.readuntil(b"\r\n\r\n")

            assert head.startswith(b"HTTP/1.1 204 ")
        writer.close()
        await writer.wait_closed()


# ---------------------------------------------------------------- the AWS CLI


async def aws(url, folder, *arguments):
    """Exit status, stdout and stderr of `aws lambda ...`."""
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_CONFIG_FILE": str(folder / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "none"),
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_PAGER": "",
    }
    command = [sys.executable, str(AWS), "lambda", *arguments, "--endpoint-url", url, "--output", "json"]
    done = await asyncio.to_thread(
        subprocess.run,
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not AWS.exists(), reason="the AWS CLI is not installed")
async def test_the_aws_cli_invokes(bench, tmp_path):
    async with served(bench) as url:
        payload = ("--payload", "fileb://event.json")
        (tmp_path / "event.json").write_bytes(b'{"name": "Ada"}')
        status, out, err = await aws(
            url, tmp_path, "invoke", "--function-name", "hello", *payload, "out.json"
        )

        assert (0, "") == (status, err)
        assert {"StatusCode": 200, "ExecutedVersion": "$LATEST"} == json.loads(out)
        assert b'{"name": "Ada"}' == (tmp_path / "out.json").read_bytes()


@pytest.mark.slow
@pytest.mark.skipif(not AWS.exists(), reason="the AWS CLI is not installed")
async def test_the_aws_cli_shows_errors_and_functions(bench, tmp_path, throttle):
    async with served(bench) as url:
        missing, listing, described = await asyncio.gather(
            aws(url, tmp_path, "invoke", "--function-name", "nobody", "out.json"),
            aws(url, tmp_path, "list-functions", "--query", "Functions[].FunctionName"),
            aws(url, tmp_path, "get-function-configuration", "--function-name", "hello"),
        )

        assert 0 != missing[0]
        assert "(ResourceNotFoundException)" in missing[2]
        assert f"Function not found: {ARN}nobody:$LATEST" in missing[2]
        assert ["hello", "orders-v2_x", "warm"] == json.loads(listing[1])
        assert "Active" == json.loads(described[1])["State"]

        bench.sink.act = throttle("ConcurrentInvocationLimitExceeded")
        status, _, err = await aws(url, tmp_path, "invoke", "--function-name", "hello", "out.json")

        assert 0 != status
        assert "(TooManyRequestsException)" in err
