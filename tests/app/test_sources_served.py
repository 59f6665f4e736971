"""Queues, buckets, schedules, traces and asynchronous invocation against a served engine, by boto3."""

import json
import signal
import subprocess
import sys
import urllib.request
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.app.ear import HANDLERS, Ear

pytestmark = pytest.mark.real_time

ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
QUEUE_ARN = "arn:aws:sqs:us-east-1:000000000000:"
TRACE = """timestamp,function,payload
2026-01-01T00:00:00Z,,"{""row"": 1}"
2026-01-01T00:00:05Z,replayed,"{""row"": 2}"
2026-01-01T00:00:09Z,,
"""


def config(folder, *tables):
    """An engine.toml beside the handlers."""
    (folder / "app.py").write_text(HANDLERS)
    text = "\n".join(tables)
    (folder / "engine.toml").write_text(text)
    return str(folder / "engine.toml")


def function(name, handler, *lines):
    return "\n".join([f"[functions.{name}]", f'handler = "app.{handler}"', *lines])


def documented(name):
    """A file that docs/sources.md shows."""
    page = (Path(__file__).parents[2] / "docs" / "sources.md").read_text()
    return page.partition(f"<!-- file: {name} -->\n```python\n")[2].partition("```\n")[0]


@pytest.fixture(scope="module")
def ear():
    """One for all functions of the module."""
    ear = Ear(f"ear-{uuid.uuid4()}")
    yield ear
    ear.close()


@pytest.fixture(scope="module")
def shop(tmp_path_factory, ear, serve):
    """One engine with a source of each kind."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "trace.csv").write_text(TRACE)
    (folder / "spool_beside.py").write_text(documented("spool.py"))
    (folder / "order.json").write_text('{"order": 1}')
    path = config(
        folder,
        function("orders", "sign", ear.line),
        '[[functions.orders.events]]\ntype = "sqs"\nqueue = "orders"\nbatch_size = 2',
        function("thumbnails", "sign", ear.line),
        '[[functions.thumbnails.events]]\ntype = "s3"\nbucket = "photos"\nprefix = "in/"',
        function("timed", "sign", ear.line),
        '[[functions.timed.events]]\ntype = "schedule"\nschedule = "rate(1 hour)"',
        function("replayed", "sign", ear.line),
        f'[[functions.replayed.events]]\ntype = "replay"\nfile = "{folder}/trace.csv"\nspeed = 0.0',
        function("hopeless", "fail", ear.line, "maximum_retry_attempts = 0"),
        'on_failure = "s3:failed"\ndead_letter_queue = "dead"',
        function("chained", "sign", ear.line, 'on_success = "lambda:audit"'),
        function("audit", "sign", ear.line),
        function("plain", "sign", ear.line),
        function("metered", "fail", ear.line, "maximum_retry_attempts = 0", 'on_failure = "metered-failed"'),
        'dead_letter_queue = "metered-dead"',
        '[[functions.metered.events]]\ntype = "sqs"\nqueue = "metered"',
        function("import", "sign", ear.line),
        f'[[functions.import.events]]\ntype = "spool_beside:SpoolSource"\nfolder = "{folder}"',
        "[queues.orders]\nvisibility_timeout_s = 60",
        "[queues.later]",
        "[buckets.photos]",
    )
    with serve("--config", path) as served:
        served.sqs, served.s3 = served.client("sqs"), served.client("s3")
        yield served


def url(served, queue):
    return served.sqs.get_queue_url(QueueName=queue)["QueueUrl"]


def messages(served, queue):
    """The next messages, waited for."""
    answer = served.sqs.receive_message(
        QueueUrl=url(served, queue), WaitTimeSeconds=15, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
    )
    return answer.get("Messages", [])


def test_a_message_becomes_an_invocation(shop, ear):
    """A mapping of the configuration; the message is deleted when it is done with."""
    shop.sqs.send_message(QueueUrl=url(shop, "orders"), MessageBody="one")
    [event] = ear.hear("orders")
    attributes = shop.sqs.get_queue_attributes(QueueUrl=url(shop, "orders"), AttributeNames=["All"])

    assert [("one", f"{QUEUE_ARN}orders")] == [
        (record["body"], record["eventSourceARN"]) for record in event["Records"]
    ]
    assert "0" == attributes["Attributes"]["ApproximateNumberOfMessages"]


def test_a_mapping_made_over_the_api_polls(shop, ear):
    """From then on."""
    shop.sqs.send_message(QueueUrl=url(shop, "later"), MessageBody="waiting")
    made = shop.lambda_.create_event_source_mapping(FunctionName="plain", EventSourceArn=f"{QUEUE_ARN}later")
    [event] = ear.hear("plain")
    listed = shop.lambda_.list_event_source_mappings(FunctionName="plain")["EventSourceMappings"]
    shop.lambda_.delete_event_source_mapping(UUID=made["UUID"])

    assert ["waiting"] == [record["body"] for record in event["Records"]]
    assert [made["UUID"]] == [mapping["UUID"] for mapping in listed]


def test_an_object_becomes_an_invocation(shop, ear):
    """By the filter of the configuration."""
    shop.s3.put_object(Bucket="photos", Key="out/a.png", Body=b"1")
    shop.s3.put_object(Bucket="photos", Key="in/a b.png", Body=b"22")
    [event] = ear.hear("thumbnails")
    [record] = event["Records"]

    assert ("ObjectCreated:Put", "in/a+b.png", 2) == (
        record["eventName"],
        record["s3"]["object"]["key"],
        record["s3"]["object"]["size"],
    )


def test_notifications_set_over_the_api_reach_functions_and_queues(shop, ear):
    """And what does not exist is refused."""
    shop.s3.create_bucket(Bucket="uploads")
    shop.sqs.create_queue(QueueName="uploaded")

    def notify(kind, member, arn, event):
        entry = {member: arn, "Events": [f"s3:ObjectCreated:{event}"]}
        return {f"{kind}Configurations": [entry]}

    def put(wanted):
        shop.s3.put_bucket_notification_configuration(Bucket="uploads", NotificationConfiguration=wanted)

    for missing in (
        notify("LambdaFunction", "LambdaFunctionArn", f"{ARN}nobody", "*"),
        notify("Queue", "QueueArn", f"{QUEUE_ARN}nowhere", "*"),
    ):
        with pytest.raises(ClientError, match="Unable to validate the following destination"):
            put(missing)
    put(
        {
            **notify("LambdaFunction", "LambdaFunctionArn", f"{ARN}plain", "Put"),
            **notify("Queue", "QueueArn", f"{QUEUE_ARN}uploaded", "Copy"),
        }
    )
    shop.s3.put_object(Bucket="uploads", Key="a", Body=b"1")
    shop.s3.copy_object(Bucket="uploads", Key="b", CopySource="uploads/a")
    [event] = ear.hear("plain")
    told = [json.loads(message["Body"]) for message in messages(shop, "uploaded")]

    assert "a" == event["Records"][0]["s3"]["object"]["key"]
    assert ["s3:TestEvent", "ObjectCreated:Copy"] == [
        one.get("Event") or one["Records"][0]["eventName"] for one in told
    ]


def test_an_event_that_fails_goes_to_its_failure_destination_and_its_dead_letter_queue(shop, ear):
    """The record into a bucket, the event itself into the queue."""
    answer = shop.lambda_.invoke(FunctionName="hopeless", InvocationType="Event", Payload=b'{"n": 1}')
    request_id = answer["ResponseMetadata"]["RequestId"]
    ear.hear("hopeless")
    [dead] = messages(shop, "dead")
    [listed] = shop.s3.list_objects_v2(Bucket="failed")["Contents"]
    record = json.loads(shop.s3.get_object(Bucket="failed", Key=listed["Key"])["Body"].read())

    assert 202 == answer["StatusCode"]
    assert '{"n": 1}' == dead["Body"]
    assert {"RequestID": request_id, "ErrorCode": "200", "ErrorMessage": "not in stock"} == {
        name: attribute["StringValue"] for name, attribute in dead["MessageAttributes"].items()
    }
    assert listed["Key"].startswith("aws/lambda/async/hopeless/")
    assert (request_id, "RetriesExhausted", 1) == (
        record["requestContext"]["requestId"],
        record["requestContext"]["condition"],
        record["requestContext"]["approximateInvokeCount"],
    )


def test_an_event_that_succeeds_invokes_the_next_function(shop, ear):
    """With AWS's record."""
    shop.lambda_.invoke(FunctionName="chained", InvocationType="Event", Payload=b'{"n": 2}')
    [record] = ear.hear("audit")

    assert ("Success", {"n": 2}, {"seen": {"n": 2}}) == (
        record["requestContext"]["condition"],
        record["requestPayload"],
        record["responsePayload"],
    )


def test_an_event_invoke_config_takes_effect_at_once(shop, ear):
    """And so does its deletion; a synchronous invocation does not follow it."""
    shop.sqs.create_queue(QueueName="done")
    shop.lambda_.put_function_event_invoke_config(
        FunctionName="plain",
        MaximumRetryAttempts=0,
        DestinationConfig={"OnSuccess": {"Destination": f"{QUEUE_ARN}done"}},
    )
    shop.invoke("plain", {"n": 1})
    shop.lambda_.invoke(FunctionName="plain", InvocationType="Event", Payload=b'{"n": 2}')
    [first] = messages(shop, "done")
    shop.lambda_.delete_function_event_invoke_config(FunctionName="plain")
    shop.lambda_.invoke(FunctionName="plain", InvocationType="Event", Payload=b'{"n": 3}')
    ear.hear("plain", 3)
    left = shop.sqs.get_queue_attributes(QueueUrl=url(shop, "done"), AttributeNames=["All"])["Attributes"]

    assert {"n": 2} == json.loads(first["Body"])["requestPayload"]
    assert "0" == left["ApproximateNumberOfMessages"]


def test_a_function_is_made_of_a_package_in_a_bucket(shop, package):
    """Code by S3Bucket and S3Key; what is not there is told in Lambda's words."""
    source = "def handler(event, context):\n    return event\n"
    shop.s3.create_bucket(Bucket="code")
    shop.s3.put_object(Bucket="code", Key="a.zip", Body=package({"app.py": source}))
    shop.create("fetched", source, Code={"S3Bucket": "code", "S3Key": "a.zip"})
    with pytest.raises(ClientError, match=r"Error occurred while GetObject. S3 Error Code: NoSuchKey\."):
        shop.create("lost", source, Code={"S3Bucket": "code", "S3Key": "b.zip"})

    assert ([1], "$LATEST") == shop.invoke("fetched", [1])


def test_a_trace_is_replayed_and_the_engine_goes_on(shop, ear):
    """A source that ends by itself ends alone."""
    rows = ear.hear("replayed", 3)

    assert [{"row": 1}, {"row": 2}, {}] == sorted(rows, key=lambda row: row.get("row", 9))
    assert shop.process.poll() is None


def test_all_of_it_is_on_the_metrics_page(shop, ear):
    """What became of asynchronous events and of messages."""
    shop.lambda_.invoke(FunctionName="metered", InvocationType="Event", Payload=b"{}")
    messages(shop, "metered-dead")
    shop.sqs.send_message(QueueUrl=url(shop, "metered"), MessageBody="one")
    ear.hear("metered", 2)
    with urllib.request.urlopen(f"{shop.addresses['admin']}/metrics", timeout=60) as answer:
        lines = answer.read().decode().splitlines()

    for line in (
        'engine_async_events_total{function="metered",result="exhausted"} 1',
        'engine_dead_letters_total{function="metered",result="delivered"} 1',
        'engine_destination_deliveries_total{function="metered",result="delivered"} 1',
        'engine_source_records_total{function="metered",source="metered:metered",result="polled"} 1',
    ):
        assert line in lines


def test_a_source_of_the_users_own_beside_the_file_delivers(shop, ear):
    """The one that docs/sources.md shows, in under 40 lines."""
    assert [{"order": 1}] == ear.hear("import")
    assert len(documented("spool.py").splitlines()) < 40


def test_a_schedule_fires_at_its_moment(tmp_path, serve):
    """With its input; what is past when the engine starts never does, so a busy machine gets more time."""
    ear = Ear(tmp_path / "s")
    heard = []
    for after_s in (3, 12, 40):
        moment = (datetime.now(UTC) + timedelta(seconds=after_s)).replace(microsecond=0)
        path = config(
            tmp_path,
            function("timed", "sign", ear.line),
            f'[[functions.timed.events]]\ntype = "schedule"\nschedule = "at({moment:%Y-%m-%dT%H:%M:%S})"',
            "input = { moment = 1 }",
        )
        with serve("--config", path):
            if datetime.now(UTC) < moment:
                heard = ear.hear("timed")
                break
    ended = datetime.now(UTC)
    ear.close()

    assert [{"moment": 1}] == heard
    assert ended >= moment


def test_a_stop_loses_nothing_that_was_accepted(tmp_path, serve):
    """What runs ends; what waits for a retry goes to its failure destination, which outlives the engine."""
    ear = Ear(tmp_path / "s")
    path = config(
        tmp_path,
        f'[engine]\nstate_dir = "{tmp_path}/state"',
        function("slow", "sign", ear.line),
        '[[functions.slow.events]]\ntype = "sqs"\nqueue = "jobs"',
        function("hopeless", "fail", ear.line, 'on_failure = "s3:failed"'),
    )
    with serve("--config", path) as served:
        served.sqs = served.client("sqs")
        served.lambda_.invoke(FunctionName="hopeless", InvocationType="Event", Payload=b'{"n": 1}')
        served.lambda_.invoke(FunctionName="slow", InvocationType="Event", Payload=b'{"sleep_s": 0.5}')
        ear.hear("hopeless")
        ear.hear("begun")
        served.process.send_signal(signal.SIGTERM)
        [ended] = ear.hear("slow")
        _, said = served.process.communicate(timeout=100)
    with serve("--config", path) as again:
        s3 = again.client("s3")
        [listed] = s3.list_objects_v2(Bucket="failed")["Contents"]
        record = json.loads(s3.get_object(Bucket="failed", Key=listed["Key"])["Body"].read())
    ear.close()

    assert (0, b"") == (served.process.returncode, said)
    assert {"sleep_s": 0.5} == ended
    assert ("EventAgeExceeded", 1, {"n": 1}) == (
        record["requestContext"]["condition"],
        record["requestContext"]["approximateInvokeCount"],
        record["requestPayload"],
    )


def test_a_second_signal_ends_the_grace_period(tmp_path, serve):
    """What runs is given up, and that is said."""
    ear = Ear(tmp_path / "s")
    path = config(tmp_path, function("slow", "sign", ear.line, "timeout_s = 60"))
    with serve("--config", path) as served:
        served.lambda_.invoke(FunctionName="slow", InvocationType="Event", Payload=b'{"sleep_s": 0.5}')
        served.lambda_.invoke(FunctionName="slow", InvocationType="Event", Payload=b'{"sleep_s": 30}')
        ear.hear("begun", 2)
        served.process.send_signal(signal.SIGTERM)
        ear.hear("slow")  # it still ends, after the first signal
        served.process.send_signal(signal.SIGTERM)
        _, said = served.process.communicate(timeout=100)
    ear.close()

    assert (0, b"warning: not everything ended within 10 s\n") == (served.process.returncode, said)


def test_a_source_that_cannot_be_built_is_one_line(tmp_path):
    """And no traceback."""
    missing = f'[[functions.f.events]]\ntype = "replay"\nfile = "{tmp_path}/no.csv"'
    path = config(tmp_path, function("f", "sign"), missing)
    ports = [f"--{name}=127.0.0.1:0" for name in ("http", "aws", "admin")]
    command = [sys.executable, "-m", "engine", "serve", "--config", path, *ports]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)

    assert (2, f"error: functions.f.events[0].file: {tmp_path}/no.csv: No such file or directory") == (
        done.returncode,
        done.stderr.splitlines()[-1],
    )
    assert "Traceback" not in done.stderr
