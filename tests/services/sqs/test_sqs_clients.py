"""Unmodified clients over a real socket: boto3, AWS CLI, kombu, SDK for JavaScript, an old botocore."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

pytestmark = pytest.mark.real_time

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_REGION": "eu-west-1",
    "AWS_CONFIG_FILE": "/nonexistent",
    "AWS_EC2_METADATA_DISABLED": "true",
    "PATH": os.environ["PATH"],
}


def run(real_site, *command: str, **environment: str) -> str:
    """What a program prints, with this endpoint in its environment."""
    variables = {**ENVIRONMENT, "AWS_ENDPOINT_URL": real_site.endpoint_url, **environment}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=100)
    assert 0 == done.returncode, done.stderr
    return done.stdout


def installed(*command: str, folder: Path) -> None:
    """Run an installer; what it cannot fetch skips the test."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100)
    except subprocess.TimeoutExpired:
        pytest.skip(f"{command[0]} took too long to install {folder.name}")
    if done.returncode:
        pytest.skip(f"cannot be installed: {done.stderr.strip()[-200:]}")


def test_boto3_sends_receives_and_deletes(sqs):
    """With attributes, batches and all."""
    url = sqs.create_queue(QueueName="boto", Attributes={"VisibilityTimeout": "60"}, tags={"a": "b"})[
        "QueueUrl"
    ]
    attributes = {"blob": {"DataType": "Binary", "BinaryValue": b"\0\xff"}}
    sqs.send_message(QueueUrl=url, MessageBody="h\u00e4llo", MessageAttributes=attributes)
    entries = [{"Id": str(n), "MessageBody": f"m{n}", "MessageGroupId": "tenant"} for n in range(9)]

    assert 9 == len(sqs.send_message_batch(QueueUrl=url, Entries=entries)["Successful"])

    messages = sqs.receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], AttributeNames=["All"]
    )["Messages"]
    deletes = [{"Id": str(n), "ReceiptHandle": one["ReceiptHandle"]} for n, one in enumerate(messages)]

    assert ["h\u00e4llo", *(f"m{n}" for n in range(9))] == [one["Body"] for one in messages]
    assert b"\0\xff" == messages[0]["MessageAttributes"]["blob"]["BinaryValue"]
    assert "tenant" == messages[1]["Attributes"]["MessageGroupId"]
    assert 10 == len(sqs.delete_message_batch(QueueUrl=url, Entries=deletes)["Successful"])
    assert "Messages" not in sqs.receive_message(QueueUrl=url)


def test_boto3_raises_the_exceptions_of_its_model(sqs):
    """By `__type`; the legacy code is in the response."""
    with pytest.raises(sqs.exceptions.QueueDoesNotExist) as caught:
        sqs.get_queue_url(QueueName="none")

    assert "AWS.SimpleQueueService.NonExistentQueue" == caught.value.response["Error"]["Code"]
    assert "Sender" == caught.value.response["Error"]["Type"]
    assert 400 == caught.value.response["ResponseMetadata"]["HTTPStatusCode"]


def test_boto3_moves_dead_letters_back(sqs):
    """Redrive policy, move task and its listing."""
    dead = sqs.create_queue(QueueName="boto-dlq")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})
    url = sqs.create_queue(QueueName="boto-source", Attributes={"RedrivePolicy": policy})["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="poison")
    sqs.receive_message(QueueUrl=url, VisibilityTimeout=0)

    assert "Messages" not in sqs.receive_message(QueueUrl=url)

    assert sqs.start_message_move_task(SourceArn=arn)["TaskHandle"]
    assert ["poison"] == [
        one["Body"] for one in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=10)["Messages"]
    ]
    assert "COMPLETED" == sqs.list_message_move_tasks(SourceArn=arn)["Results"][0]["Status"]


def test_a_long_poll_is_answered_from_another_thread(sqs, real_site):
    """While it waits, the server serves others."""
    url = sqs.create_queue(QueueName="long")["QueueUrl"]
    got: list[dict] = []
    waiting = threading.Thread(
        target=lambda: got.append(real_site.client().receive_message(QueueUrl=url, WaitTimeSeconds=20))
    )
    waiting.start()
    sqs.send_message(QueueUrl=url, MessageBody="now")
    waiting.join(15)

    assert ["now"] == [one["Body"] for one in got[0]["Messages"]]


def test_a_poll_whose_connection_broke_takes_no_message(sqs, real_site):
    """The message is there for the next receive."""
    url = sqs.create_queue(QueueName="broken")["QueueUrl"]
    body = json.dumps({"QueueUrl": url, "WaitTimeSeconds": 20}).encode()
    head = (
        b"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: AmazonSQS.ReceiveMessage\r\n"
        b"Content-Type: application/x-amz-json-1.0\r\nContent-Length: %d\r\n\r\n" % len(body)
    )
    with socket.create_connection(("127.0.0.1", real_site.port)) as connection:
        connection.sendall(head + body)
        sqs.list_queues()  # by now the poll is taken
    sqs.list_queues()
    sqs.send_message(QueueUrl=url, MessageBody="still here")

    assert ["still here"] == [
        one["Body"] for one in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"]
    ]


def test_the_aws_cli_works(real_site):
    """`create-queue`, `send-message`, `receive-message`."""
    program = Path(sys.executable).parent / "aws"
    if not program.exists():
        pytest.skip("the AWS CLI is not installed")
    aws = f"{program} --endpoint-url {real_site.endpoint_url}"
    command = f"""
    set -e
    url=$({aws} sqs create-queue --queue-name cli --query QueueUrl --output text)
    {aws} sqs send-message --queue-url $url --message-body hello > /dev/null
    {aws} sqs receive-message --queue-url $url --query 'Messages[].Body' --output json
    """

    assert ["hello"] == json.loads(run(real_site, "sh", "-c", command))


def test_kombu_speaks_through_it(real_site, monkeypatch):
    """Put, get, acknowledge, count, purge: what celery does with SQS."""
    kombu = pytest.importorskip("kombu", reason="kombu is not installed")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, ENVIRONMENT[name])
    options = {"region": "eu-west-1", "is_secure": False, "wait_time_seconds": 1, "polling_interval": 0}
    url = f"sqs://key:secret@127.0.0.1:{real_site.port}//"
    with (
        kombu.Connection(url, transport_options=options) as connection,
        connection.SimpleQueue("kombu") as queue,
    ):
        for n in range(3):
            queue.put({"n": n})
        got = []
        for _ in range(3):
            message = queue.get(timeout=20)
            got.append(message.payload["n"])
            message.ack()
        queue.put({"n": 9})

        assert [0, 1, 2] == got
        assert 1 == queue.qsize()
        queue.clear()

        assert 0 == queue.qsize()


JAVASCRIPT = """
const sdk = require("@aws-sdk/client-sqs");
(async () => {
  const client = new sdk.SQSClient({});
  const {QueueUrl} = await client.send(new sdk.CreateQueueCommand({QueueName: "js"}));
  const MessageAttributes = {a: {DataType: "String", StringValue: "v"}};
  await client.send(new sdk.SendMessageCommand({QueueUrl, MessageBody: "h\\u00e4llo", MessageAttributes}));
  await client.send(new sdk.SendMessageBatchCommand({QueueUrl, Entries: [{Id: "1", MessageBody: "two"}]}));
  const ask = {QueueUrl, MaxNumberOfMessages: 10, WaitTimeSeconds: 1, MessageAttributeNames: ["All"]};
  const {Messages} = await client.send(new sdk.ReceiveMessageCommand(ask));
  let name = "";
  try { await client.send(new sdk.GetQueueUrlCommand({QueueName: "none"})); } catch (error) {
    name = `${error.name} ${error instanceof sdk.QueueDoesNotExist}`;
  }
  const Entries = Messages.map((one, n) => ({Id: `${n}`, ReceiptHandle: one.ReceiptHandle}));
  const {Successful} = await client.send(new sdk.DeleteMessageBatchCommand({QueueUrl, Entries}));
  console.log(JSON.stringify([Messages.map(one => one.Body), Successful.length, name]));
})();
"""


@pytest.fixture
def javascript(tmp_path) -> Path:
    """A folder with AWS's SDK for JavaScript, of the versions in `js/`."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("node and npm are not installed")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(Path(__file__).parent / "js" / name, tmp_path)
    options = "--prefer-offline --no-audit --no-fund --ignore-scripts --fetch-retries=0 --fetch-timeout=10000"
    installed(npm, "ci", *options.split(), folder=tmp_path)
    return tmp_path / "node_modules"


def test_the_javascript_sdk_checks_our_digests(real_site, javascript):
    """On send, batch and receive; its exceptions need `x-amzn-query-error`."""
    printed = run(real_site, "node", "-e", JAVASCRIPT, NODE_PATH=str(javascript))
    bodies, deleted, error = json.loads(printed.splitlines()[-1])

    assert (["h\u00e4llo", "two"], 2) == (bodies, deleted)
    assert error.endswith(" true")


OLD = """
import botocore.session, json, os
sqs = botocore.session.get_session().create_client("sqs", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
url = sqs.create_queue(QueueName="old", Attributes={"DelaySeconds": "0"}, tags={"a": "b"})["QueueUrl"]
attributes = {"blob": {"DataType": "Binary", "BinaryValue": b"\\0\\xff"}}
sqs.send_message(QueueUrl=url, MessageBody='a "b"\\r\\n<c>', MessageAttributes=attributes)
sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": "1", "MessageBody": "two"}])
got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"],
                          MessageAttributeNames=["All"])["Messages"]
assert got[0]["MessageAttributes"]["blob"]["BinaryValue"] == b"\\0\\xff"
entries = [{"Id": str(n), "ReceiptHandle": one["ReceiptHandle"]} for n, one in enumerate(got)]
deleted = sqs.delete_message_batch(QueueUrl=url, Entries=entries)["Successful"]
try:
    sqs.get_queue_url(QueueName="none")
except sqs.exceptions.QueueDoesNotExist as error:
    code = error.response["Error"]["Code"]
tags, urls = sqs.list_queue_tags(QueueUrl=url)["Tags"], sqs.list_queues(QueueNamePrefix="old")["QueueUrls"]
print(json.dumps([sqs.meta.service_model.metadata["protocol"], [one["Body"] for one in got], len(deleted),
                  code, tags, urls == [url]]))
"""


@pytest.fixture
def old_botocore(tmp_path) -> Path:
    """A folder with the last botocore that speaks the Query protocol. What it needs, today's needs too."""
    options = "--quiet --no-deps --no-compile --disable-pip-version-check --retries=0 --timeout=10"
    pip = (sys.executable, "-m", "pip", "install", *options.split())
    installed(*pip, "--target", str(tmp_path / "old"), "botocore==1.31.80", folder=tmp_path)
    return tmp_path / "old"


def test_an_old_botocore_speaks_query(real_site, old_botocore):
    """As older SDKs do."""
    printed = run(real_site, sys.executable, "-W", "ignore", "-c", OLD, PYTHONPATH=str(old_botocore))

    assert [
        "query",
        ['a "b"\r\n<c>', "two"],
        2,
        "AWS.SimpleQueueService.NonExistentQueue",
        {"a": "b"},
        True,
    ] == json.loads(printed)
