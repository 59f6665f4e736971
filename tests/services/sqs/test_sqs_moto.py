"""The same calls to moto's server and to the engine, by boto3: answers agree but where a reason is given."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

pytestmark = pytest.mark.real_time

REGION = "eu-west-1"
LONG = "x" * 1_048_577
STRING = {"DataType": "String", "StringValue": "There"}

BAD = {
    "VisibilityTimeout": "43201",
    "DelaySeconds": "901",
    "MessageRetentionPeriod": "59",
    "ReceiveMessageWaitTimeSeconds": "21",
    "MaximumMessageSize": "1023",
    "QueueArn": "x",
    "Colour": "red",
    "FifoQueue": "true",
    "ContentBasedDeduplication": "true",
    "RedrivePolicy": "no json",
    "Policy": "no json",
}

RECORDED = "so in answers recorded from AWS"
CHECKED = "SQS API reference: AWS refuses it; moto does not look"
WORDS = "the same error; the engine has AWS's words"
UNKNOWN = "the same error; what AWS says is not known"
# Scenario, calls, and the reason why the engine's answer is AWS's and moto's is not.
DIFFERENCES: list[tuple[str, list[str], str]] = [
    ("queues", ["again with another", "fifo queue, standard name"], WORDS),
    ("queues", ["fifo name, standard queue", "fifo set false", "unknown attribute"], CHECKED),
    ("attributes", [f"bad {name}" for name in BAD], CHECKED + ", or fails with a 500"),
    ("attributes", ["fifo no more"], CHECKED),
    ("attributes", ["as set fifo"], "moto does not show ContentBasedDeduplication once it was set"),
    ("attributes", ["policy as set"], "moto loses a policy without statements"),
    ("tags", ["none"], "a queue without tags has no `Tags` in its answer: " + RECORDED),
    ("tags", ["policy"], "the policy that AddPermission makes is of version 2008-10-17: " + RECORDED),
    ("tags", ["forbid again"], WORDS),
    ("sends", ["empty", "control character", "deduplication on a standard queue"], CHECKED),
    ("sends", ["eleven attributes", "attribute name AWS.x", "attribute name .a"], CHECKED),
    ("sends", ["attribute Number ten", "attribute String "], CHECKED),
    ("sends", ["attribute  v", "attribute Text v"], UNKNOWN),
    ("sends", ["too long with attributes"], "attributes count for the size of a message; moto's do not"),
    ("sends", ["trace"], "system attributes have a digest of their own, which SDKs check: " + RECORDED),
    ("receives", ["MaxNumberOfMessages 0", "MaxNumberOfMessages 11", "WaitTimeSeconds 21"], WORDS),
    ("receives", ["VisibilityTimeout"], UNKNOWN),
    ("handles", ["delete garbage", "change garbage"], WORDS),
    ("handles", ["too far"], UNKNOWN),
    ("handles", ["change deleted"], "the handle is good, the message is gone: " + RECORDED),
    ("batches", ["change"], WORDS),
    ("batches", ["delete eleven"], "the number of entries is looked at before their ids"),
    ("batches", ["one too long", "one with control characters"], "it fails alone: " + RECORDED),
    ("fifo", ["duplicate"], "a duplicate is answered with the id of the first: " + RECORDED),
    ("fifo", ["by content", "by content again", "shown"], "content is an id: it has a sequence number"),
    ("fifo", ["in order of groups"], "a receive empties one group before the next: " + RECORDED),
    ("fifo", ["space in the group", "long id"], CHECKED),
    ("fifo", ["batch without a group"], "in a batch it is a wrong value: " + RECORDED),
    ("dead_letters", ["count of none", "count of many", "fifo for standard"], CHECKED),
    ("dead_letters", ["no count", "no target"], WORDS),
    ("dead_letters", ["no such target"], "a target that is not there is a wrong value, not a missing queue"),
    ("dead_letters", ["dead"], "a dead letter has DeadLetterQueueSourceArn: " + RECORDED),
]

MAY_BE_EMPTY = ("Successful", "Failed")  # or left out: AWS's SDKs read both alike
HIDDEN = {
    "ReceiptHandle": "a handle",
    "NextToken": "a token",
    "SenderId": "a sender",
    "SequenceNumber": "a number",
    "CreatedTimestamp": "a time",
    "LastModifiedTimestamp": "a time",
    "SentTimestamp": "a time",
    "ApproximateFirstReceiveTimestamp": "a time",
}


class Record:
    """What one server answered to the calls of a scenario: without what differs from run to run."""

    def __init__(self, client: object) -> None:
        self.client = client
        self.answers: dict[str, object] = {}
        self.ids: dict[str, str] = {}

    def __call__(self, label: str, operation: str, **params: object) -> dict:
        """Call, keep what came under `label` (if there is one), and give it as it was."""
        try:
            answer = getattr(self.client, operation)(**params)
        except ClientError as error:
            answer = {}
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            text = re.sub(
                r"Value [\w+/=-]{20,} for", "Value a handle for", error.response["Error"]["Message"]
            )
            shown: object = (status, error.response["Error"]["Code"], text)
        else:
            found = {key: one for key, one in answer.items() if key != "ResponseMetadata"}
            shown = self.plain(found, label)
        if label:
            assert label not in self.answers
            self.answers[label] = shown
        return answer

    def plain(self, value: object, label: str, key: str = "") -> object:
        if key == "MessageId":
            return self.ids.setdefault(str(value), f"first seen in {label!r}")
        if key in HIDDEN:
            return HIDDEN[key]
        if key in ("QueueUrl", "QueueUrls", "queueUrls"):
            urls = [value] if isinstance(value, str) else value
            return sorted(url.rpartition("/")[2] for url in urls)  # AWS promises no order
        if key in ("Policy", "RedrivePolicy", "RedriveAllowPolicy"):
            return json.loads(str(value))
        if isinstance(value, dict):
            some = {name: one for name, one in value.items() if one != [] or name not in MAY_BE_EMPTY}
            return {name: self.plain(one, label, name) for name, one in some.items()}
        return [self.plain(one, label) for one in value] if isinstance(value, list) else value

    # --- what scenarios often do

    def create(self, name: str, **attributes: str) -> str:
        return self("", "create_queue", QueueName=name, Attributes=attributes)["QueueUrl"]

    def handles(self, url: str, most: int = 10, **params: object) -> list[str]:
        got = self("", "receive_message", QueueUrl=url, MaxNumberOfMessages=most, **params)
        return [one["ReceiptHandle"] for one in got.get("Messages", [])]

    def bodies(self, label: str, url: str, most: int = 10, **params: object) -> list[str]:
        """The bodies received, in order; kept under `label`."""
        got = self("", "receive_message", QueueUrl=url, MaxNumberOfMessages=most, **params)
        self.answers[label] = [one["Body"] for one in got.get("Messages", [])]

    def count(self, label: str, url: str) -> None:
        names = [f"ApproximateNumberOfMessages{end}" for end in ("", "NotVisible", "Delayed")]
        self(label, "get_queue_attributes", QueueUrl=url, AttributeNames=names)


def arn(name: str) -> str:
    return f"arn:aws:sqs:{REGION}:123456789012:{name}"


def redrive(name: str, most: object = 1) -> str:
    return json.dumps({"deadLetterTargetArn": arn(name), "maxReceiveCount": most})


def queues(call: Record) -> None:
    """Names, listings, deleting."""
    create = "create_queue"
    call("new", create, QueueName="a", Attributes={"DelaySeconds": "3"}, tags={"k": "v"})
    call("again", create, QueueName="a")
    call("again with the same", create, QueueName="a", Attributes={"DelaySeconds": "3"})
    call("again with another", create, QueueName="a", Attributes={"DelaySeconds": "4"})
    call("fifo", create, QueueName="f.fifo", Attributes={"FifoQueue": "true"})
    for name in ("b1", "b2", "b3"):
        call.create(name)
    call("list", "list_queues")
    call("list by prefix", "list_queues", QueueNamePrefix="b")
    call("list nothing", "list_queues", QueueNamePrefix="none")
    page = call("first page", "list_queues", QueueNamePrefix="b", MaxResults=2)
    call("second page", "list_queues", QueueNamePrefix="b", MaxResults=2, NextToken=page["NextToken"])
    call("url", "get_queue_url", QueueName="a")
    call("url of none", "get_queue_url", QueueName="none")
    url = call("", "get_queue_url", QueueName="b1")["QueueUrl"]
    call("delete", "delete_queue", QueueUrl=url)
    call("delete again", "delete_queue", QueueUrl=url)
    call("send to deleted", "send_message", QueueUrl=url, MessageBody="x")
    call("space in the name", create, QueueName="a b")
    call("long name", create, QueueName="a" * 81)
    call("fifo name, standard queue", create, QueueName="a.fifo")
    call("fifo queue, standard name", create, QueueName="f", Attributes={"FifoQueue": "true"})
    call("fifo set false", create, QueueName="g", Attributes={"FifoQueue": "false"})
    call("unknown attribute", create, QueueName="h", Attributes={"Colour": "red"})


def attributes(call: Record) -> None:
    """Reading and setting them."""
    url, fifo = call.create("q"), call.create("q.fifo", FifoQueue="true")
    get, put = "get_queue_attributes", "set_queue_attributes"
    call("fresh", get, QueueUrl=url, AttributeNames=["All"])
    call("fresh fifo", get, QueueUrl=fifo, AttributeNames=["All"])
    call("none asked", get, QueueUrl=url)
    call("one", get, QueueUrl=url, AttributeNames=["VisibilityTimeout"])
    call("unset", get, QueueUrl=url, AttributeNames=["Policy"])
    call("unknown", get, QueueUrl=url, AttributeNames=["Foobar"])
    good = {
        "VisibilityTimeout": "60",
        "DelaySeconds": "2",
        "MessageRetentionPeriod": "3600",
        "ReceiveMessageWaitTimeSeconds": "1",
        "MaximumMessageSize": "2048",
    }
    call("set", put, QueueUrl=url, Attributes=good)
    call("as set", get, QueueUrl=url, AttributeNames=["All"])
    for name, value in BAD.items():
        call(f"bad {name}", put, QueueUrl=url, Attributes={name: value})
    call("fifo no more", put, QueueUrl=fifo, Attributes={"FifoQueue": "false"})
    call("content", put, QueueUrl=fifo, Attributes={"ContentBasedDeduplication": "true"})
    call("as set fifo", get, QueueUrl=fifo, AttributeNames=["ContentBasedDeduplication"])
    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    call("policy", put, QueueUrl=url, Attributes={"Policy": policy})
    call("policy as set", get, QueueUrl=url, AttributeNames=["Policy"])
    call("policy removed", put, QueueUrl=url, Attributes={"Policy": ""})
    call("no policy", get, QueueUrl=url, AttributeNames=["Policy"])


def tags(call: Record) -> None:
    """And permissions, which are kept in the policy."""
    url = call.create("q")
    call("none", "list_queue_tags", QueueUrl=url)
    call("tag", "tag_queue", QueueUrl=url, Tags={"a": "1", "b": ""})
    call("again", "tag_queue", QueueUrl=url, Tags={"a": "2"})
    call("all", "list_queue_tags", QueueUrl=url)
    call("untag", "untag_queue", QueueUrl=url, TagKeys=["b", "never"])
    call("rest", "list_queue_tags", QueueUrl=url)
    call("of no queue", "list_queue_tags", QueueUrl=f"{url}-none")
    allow = {"QueueUrl": url, "Label": "l", "AWSAccountIds": ["111122223333"], "Actions": ["SendMessage"]}
    call("permit", "add_permission", **allow)
    call("permit again", "add_permission", **allow)
    call("policy", "get_queue_attributes", QueueUrl=url, AttributeNames=["Policy"])
    call("forbid", "remove_permission", QueueUrl=url, Label="l")
    call("forbid again", "remove_permission", QueueUrl=url, Label="l")


def sends(call: Record) -> None:
    """What is taken, with which digests, and what is not."""
    url, small = call.create("q"), call.create("small", MaximumMessageSize="1024")
    typed = {
        "Hello": STRING,
        "N": {"DataType": "Number.int", "StringValue": "7"},
        "B": {"DataType": "Binary", "BinaryValue": b"\0\xff"},
    }

    def send(label: str, body: str, **params: object) -> None:
        call(label, "send_message", **{"QueueUrl": url, "MessageBody": body, **params})

    send("plain", "message-body-1")
    send("text", "h\u00e4l\r\nl\U0001f600 <&> \"'")
    send("attributes", "x", MessageAttributes=typed)
    send("group on a standard queue", "x", MessageGroupId="tenant")
    header = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5759e988-bd862e3fe1be46a99427"}}
    send("trace", "x", MessageSystemAttributes=header)
    send("empty", "")
    send("control character", "a\x0bb")
    send("too long", LONG)
    send("too long for this queue", "x" * 1025, QueueUrl=small)
    send("too long with attributes", "x" * 1020, QueueUrl=small, MessageAttributes={"Hello": STRING})
    send("delay", "x", DelaySeconds=901)
    send("deduplication on a standard queue", "x", MessageDeduplicationId="d")
    send("eleven attributes", "x", MessageAttributes={f"a{n}": STRING for n in range(11)})
    for name in ("AWS.x", ".a", "a b"):
        send(f"attribute name {name}", "x", MessageAttributes={name: STRING})
    for kind, value in (("String", ""), ("Number", "ten"), ("Text", "v"), ("", "v")):
        attribute = {"DataType": kind, "StringValue": value}
        send(f"attribute {kind} {value}", "x", MessageAttributes={"a": attribute})
    send("no such queue", "x", QueueUrl=f"{url}-none")


def receives(call: Record) -> None:
    """What is shown of a message, and to whom."""
    url = call.create("q")
    typed = {name: {"DataType": "String", "StringValue": name} for name in ("one", "bar.one", "bar.two")}
    call("", "send_message", QueueUrl=url, MessageBody="x", MessageAttributes=typed)
    receive = "receive_message"
    call("plain", receive, QueueUrl=url, VisibilityTimeout=0)
    call("everything", receive, QueueUrl=url, VisibilityTimeout=0, MessageAttributeNames=["All"], **ALL)
    for names in (["one"], ["bar.*"], [".*"], ["none"], ["one", "bar.two"]):
        call(f"names {names}", receive, QueueUrl=url, VisibilityTimeout=0, MessageAttributeNames=names)
    some = ["SentTimestamp", "MessageGroupId"]
    call("some", receive, QueueUrl=url, VisibilityTimeout=0, AttributeNames=some)
    call("new name", receive, QueueUrl=url, VisibilityTimeout=0, MessageSystemAttributeNames=some)
    call("hidden now", receive, QueueUrl=url)
    call("empty", receive, QueueUrl=url)
    for name, value in (("MaxNumberOfMessages", 11), ("MaxNumberOfMessages", 0), ("WaitTimeSeconds", 21)):
        call(f"{name} {value}", receive, QueueUrl=url, **{name: value})
    call("VisibilityTimeout", receive, QueueUrl=url, VisibilityTimeout=43_201)
    call.count("counts", url)
    for body in "abc":
        call("", "send_message", QueueUrl=url, MessageBody=body)
    call("", "send_message", QueueUrl=url, MessageBody="later", DelaySeconds=900)
    call.bodies("two", url, 2)
    call.bodies("rest", url)
    call.count("counts at last", url)
    call("purge", "purge_queue", QueueUrl=url)
    call.count("purged", url)


ALL = {"AttributeNames": ["All"]}


def handles(call: Record) -> None:
    """Deleting and changing visibility."""
    url = call.create("q")
    for body in "ab":
        call("", "send_message", QueueUrl=url, MessageBody=body)
    delete, change = "delete_message", "change_message_visibility"
    first, second = call.handles(url)
    call("give back", change, QueueUrl=url, ReceiptHandle=first, VisibilityTimeout=0)
    call.bodies("given back", url)
    call("extend", change, QueueUrl=url, ReceiptHandle=second, VisibilityTimeout=100)
    call("too far", change, QueueUrl=url, ReceiptHandle=second, VisibilityTimeout=43_201)
    call("delete", delete, QueueUrl=url, ReceiptHandle=second)
    call("delete again", delete, QueueUrl=url, ReceiptHandle=second)
    call("change deleted", change, QueueUrl=url, ReceiptHandle=second, VisibilityTimeout=5)
    call("delete garbage", delete, QueueUrl=url, ReceiptHandle="garbage")
    call("change garbage", change, QueueUrl=url, ReceiptHandle="garbage", VisibilityTimeout=5)
    call.count("counts", url)


def batches(call: Record) -> None:
    """Whole calls that fail, and entries that do."""
    url = call.create("q", MaximumMessageSize="1024")

    def entries(*pairs: tuple[str, str]) -> list[dict[str, str]]:
        return [{"Id": entry_id, "MessageBody": body} for entry_id, body in pairs]

    def send(label: str, *pairs: tuple[str, str]) -> None:
        call(label, "send_message_batch", QueueUrl=url, Entries=entries(*pairs))

    send("good", ("a", "1"), ("b", "2"))
    send("none")
    send("eleven", *((f"a{n}", "x") for n in range(11)))
    send("bad id", ("a b", "x"))
    send("long id", ("a" * 81, "x"))
    send("same id", ("a", "x"), ("a", "y"))
    send("one too long", ("a", "x" * 1025), ("b", "y"))
    send("one with control characters", ("a", "\x0b"), ("b", "y"))
    send("too long together", ("a", LONG[:600_000]), ("b", LONG[:600_000]))
    got = call.handles(url)
    deletes = [{"Id": f"{n}", "ReceiptHandle": handle} for n, handle in enumerate(got)]
    changes = [{**one, "VisibilityTimeout": 10} for one in deletes]
    bad = {"Id": "bad", "ReceiptHandle": "garbage"}
    change, delete = "change_message_visibility_batch", "delete_message_batch"
    call("change", change, QueueUrl=url, Entries=[*changes, {**bad, "VisibilityTimeout": 5}])
    call("delete", delete, QueueUrl=url, Entries=[*deletes, bad])
    call("delete none", delete, QueueUrl=url, Entries=[])
    call("delete same id", delete, QueueUrl=url, Entries=[bad, bad])
    call("delete eleven", delete, QueueUrl=url, Entries=[{**bad, "Id": f"{n}"} for n in range(11)])
    call.count("counts", url)


def fifo(call: Record) -> None:
    """Groups, order, deduplication."""
    url, order = (call.create(f"{name}.fifo", FifoQueue="true") for name in ("q", "order"))
    content = call.create("c.fifo", FifoQueue="true", ContentBasedDeduplication="true")

    def send(label: str, name: str, **params: object) -> None:
        group = {"MessageGroupId": name.partition("-")[0], "MessageDeduplicationId": name}
        call(label, "send_message", **{"QueueUrl": url, "MessageBody": name, **group, **params})

    send("first", "g1-1")
    send("", "g2-1")
    call.bodies("one", url, 1)
    send("", "g1-2")
    call.bodies("of a group that is not locked", url)
    call.bodies("all are locked", url)
    for name in ("g1-1", "g2-1", "g1-2", "g1-3"):
        send("", name, QueueUrl=order)
    call.bodies("in order of groups", order)
    send("duplicate", "g1-1", MessageBody="another")
    call("no group", "send_message", QueueUrl=url, MessageBody="x", MessageDeduplicationId="d")
    call("no deduplication id", "send_message", QueueUrl=url, MessageBody="x", MessageGroupId="g")
    send("delay", "g-1", DelaySeconds=2)
    send("space in the group", "g-2", MessageGroupId="a b")
    send("long id", "g-3", MessageDeduplicationId="d" * 129)
    more = {"QueueUrl": content, "MessageGroupId": "g"}
    call("by content", "send_message", MessageBody="x", **more)
    call("by content again", "send_message", MessageBody="x", **more)
    call("shown", "receive_message", QueueUrl=content, **ALL)
    entry = {"Id": "a", "MessageBody": "x", "MessageDeduplicationId": "e"}
    call("batch without a group", "send_message_batch", QueueUrl=url, Entries=[entry])
    entries = [{**entry, "Id": one, "MessageGroupId": "z", "MessageDeduplicationId": one} for one in "ab"]
    call("batch", "send_message_batch", QueueUrl=url, Entries=entries)


def dead_letters(call: Record) -> None:
    """Redrive, and its listing. Moto has no move tasks."""
    dead, url = call.create("dead"), call.create("q")
    put = "set_queue_attributes"
    for label, policy in {
        "no such target": redrive("none"),
        "no count": json.dumps({"deadLetterTargetArn": arn("dead")}),
        "no target": json.dumps({"maxReceiveCount": 1}),
        "count of none": redrive("dead", 0),
        "count of many": redrive("dead", 1001),
        "count as text": redrive("dead", "1"),
    }.items():
        call(label, put, QueueUrl=url, Attributes={"RedrivePolicy": policy})
    call("policy", "get_queue_attributes", QueueUrl=url, AttributeNames=["RedrivePolicy"])
    call("sources", "list_dead_letter_source_queues", QueueUrl=dead)
    call("sources of none", "list_dead_letter_source_queues", QueueUrl=url)
    call("sent", "send_message", QueueUrl=url, MessageBody="poison")
    call.bodies("received", url, VisibilityTimeout=0)
    call.bodies("received too often", url)
    call.count("source", url)
    call("dead", "receive_message", QueueUrl=dead, VisibilityTimeout=0, **ALL)
    call.create("dead.fifo", FifoQueue="true")
    call("fifo for standard", put, QueueUrl=url, Attributes={"RedrivePolicy": redrive("dead.fifo")})
    call("removed", put, QueueUrl=url, Attributes={"RedrivePolicy": ""})
    call("no sources", "list_dead_letter_source_queues", QueueUrl=dead)


SCENARIOS = [queues, attributes, tags, sends, receives, handles, batches, fifo, dead_letters]


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """URL of moto's server."""
    server = pytest.importorskip("moto.server", reason="moto is not installed").ThreadedMotoServer(
        "127.0.0.1", 0, verbose=False
    )
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def recorded(scenario: Callable[[Record], None], url: str) -> dict[str, object]:
    client = boto3.client(
        "sqs",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        config=Config(retries={"max_attempts": 0}, parameter_validation=False),
    )
    record = Record(client)
    for queue in client.list_queues().get("QueueUrls", []):
        client.delete_queue(QueueUrl=queue)
    scenario(record)
    client.close()
    return record.answers


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_moto_answers_the_same(scenario, moto, real_site):
    """But in the calls that are listed with a reason, and in each of those it does not."""
    theirs, ours = recorded(scenario, moto), recorded(scenario, real_site.endpoint_url)
    differing = {label for label in ours if ours[label] != theirs[label]}
    listed = {label for name, labels, _ in DIFFERENCES if name == scenario.__name__ for label in labels}

    assert ours.keys() == theirs.keys()
    assert listed == differing, {label: (ours[label], theirs[label]) for label in differing ^ listed}
