"""Kinesis and DynamoDB streams against a served engine and its partner: by boto3 alone, by one template."""

import json
import os
import signal
import socket
import time
import uuid
from base64 import b64decode
from contextlib import contextmanager

import pytest
from botocore.exceptions import ClientError

from tests.app.test_partner import processes

pytest.importorskip("moto")
pytestmark = pytest.mark.real_time

HANDLERS = """
import base64, json, os, socket

def tell(event, context):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mouth:
        mouth.sendto(json.dumps([context.function_name, event]).encode(), "\\0" + os.environ["EAR"])

def refuse(event, context):
    tell(event, context)
    for record in event["Records"]:
        if b"poison" in base64.b64decode(record["kinesis"]["data"]):
            raise ValueError("poison")
"""
STREAM = "arn:aws:kinesis:us-east-1:000000000000:stream/"
QUEUE = "arn:aws:sqs:us-east-1:000000000000:"
CONFIG = """
[functions.watch]
handler = "app.tell"
environment = {{ EAR = "{ear}" }}
[[functions.watch.events]]
type = "dynamodb"
table = "orders"
poll_interval_s = 0.05

[functions.count]
handler = "app.tell"
environment = {{ EAR = "{ear}" }}
[[functions.count.events]]
type = "kinesis"
stream = "clicks"
poll_interval_s = 0.05

[functions.strict]
handler = "app.refuse"
environment = {{ EAR = "{ear}" }}
[[functions.strict.events]]
type = "kinesis"
stream = "fragile"
maximum_retry_attempts = 1
on_failure = "lost"
poll_interval_s = 0.05

[functions.keep]
handler = "app.refuse"
environment = {{ EAR = "{ear}" }}
[[functions.keep.events]]
type = "kinesis"
stream = "fragile"
maximum_retry_attempts = 0
on_failure = "s3:kept"
poll_interval_s = 0.05

[functions.loud]
handler = "app.refuse"
environment = {{ EAR = "{ear}" }}
[[functions.loud.events]]
type = "kinesis"
stream = "fragile"
maximum_retry_attempts = 0
on_failure = "sns:troubles"
poll_interval_s = 0.05

[functions.brief]
handler = "app.tell"
environment = {{ EAR = "{ear}" }}
[[functions.brief.events]]
type = "kinesis"
stream = "passing"
starting_position = "TRIM_HORIZON"
poll_interval_s = 0.05

[functions.late]
handler = "app.tell"
environment = {{ EAR = "{ear}" }}

[topics.troubles]
subscriptions = [{{ queue = "troubled" }}]

[tables.orders]
partition_key = "id"
stream = "NEW_AND_OLD_IMAGES"

[streams.clicks]
shards = 2
"""
TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Globals:
  Function: {{Runtime: python3.11, CodeUri: ., Handler: app.tell, Environment: {{Variables: {{EAR: {ear}}}}}}}
Resources:
  Orders:
    Type: AWS::DynamoDB::Table
    Properties:
      AttributeDefinitions: [{{AttributeName: id, AttributeType: S}}]
      KeySchema: [{{AttributeName: id, KeyType: HASH}}]
      BillingMode: PAY_PER_REQUEST
      StreamSpecification: {{StreamViewType: NEW_AND_OLD_IMAGES}}
  Clicks:
    Type: AWS::Kinesis::Stream
    Properties: {{Name: clicks, ShardCount: 1}}
  Lost: {{Type: AWS::SQS::Queue}}
  Watch:
    Type: AWS::Serverless::Function
    Properties:
      Events:
        Changes:
          Type: DynamoDB
          Properties:
            Stream: !GetAtt Orders.StreamArn
            StartingPosition: TRIM_HORIZON
            FilterCriteria: {{Filters: [{{Pattern: '{{"eventName":["MODIFY"]}}'}}]}}
  Count:
    Type: AWS::Serverless::Function
    Properties: {{}}
  Strict:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.refuse
      Events:
        Clicks:
          Type: Kinesis
          Properties:
            Stream: !GetAtt Clicks.Arn
            StartingPosition: TRIM_HORIZON
            MaximumRetryAttempts: 0
            DestinationConfig: {{OnFailure: {{Type: SQS, Destination: !GetAtt Lost.Arn}}}}
  Mapping:
    Type: AWS::Lambda::EventSourceMapping
    Properties:
      EventSourceArn: !GetAtt Clicks.Arn
      FunctionName: !Ref Count
      StartingPosition: TRIM_HORIZON
"""


class StreamEar:
    """Where handlers tell what they got: an abstract socket, since `/tmp` is each environment's own."""

    def __init__(self):
        self.name = f"ear-{uuid.uuid4()}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{self.name}")
        self._socket.settimeout(30)
        self._heard = []

    def hear(self, who, count=1):
        """The next `count` records that `who` got, in order."""
        while len([name for name, _ in self._heard if name == who]) < count:
            name, event = json.loads(self._socket.recv(1 << 20))
            self._heard += [(name, record) for record in event["Records"]]
        mine = [one for one in self._heard if one[0] == who][:count]
        for one in mine:
            self._heard.remove(one)
        return [record for _, record in mine]

    def close(self):
        self._socket.close()


@contextmanager
def listening(serve, folder, name, text):
    """An engine of that configuration, with an ear for its handlers."""
    ear = StreamEar()
    (folder / "app.py").write_text(HANDLERS)
    (folder / name).write_text(text.format(ear=ear.name))
    try:
        with serve("--log-format", "text", "--config", str(folder / name)) as served:
            served.ear = ear
            served.kinesis, served.dynamodb = served.client("kinesis"), served.client("dynamodb")
            served.sqs, served.s3 = served.client("sqs"), served.client("s3")
            yield served
    finally:
        ear.close()


@pytest.fixture(scope="module")
def shop(tmp_path_factory, serve):
    with listening(serve, tmp_path_factory.mktemp("shop"), "engine.toml", CONFIG) as served:
        yield served


def put(served, stream, *texts, key="k"):
    records = [{"Data": text.encode(), "PartitionKey": key} for text in texts]
    served.kinesis.put_records(StreamName=stream, Records=records)


def data(records):
    return [b64decode(record["kinesis"]["data"]).decode() for record in records]


def message(served, queue):
    """The body of the next message, waited for."""
    url = served.sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    [found] = served.sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"]
    return json.loads(found["Body"])


def said(served, about):
    """What the engine has said of that, waited for: lines, up to their second half."""
    text = ""
    while about not in text.rpartition("\n")[0]:
        text += os.read(served.process.stderr.fileno(), 1 << 16).decode()
    lines = [line.removeprefix("[engine] ") for line in text.splitlines() if about in line]
    return [line.partition(": nothing is read")[0] for line in lines]


def until(fact):
    """Wait for what `fact` returns to be true, and return it."""
    end_s = time.monotonic() + 30
    while not (found := fact()) and time.monotonic() < end_s:
        time.sleep(0.02)
    return found


def test_a_change_of_an_item_reaches_the_handler(shop):
    """With the old image and the new one; what leaves the item as it was is no change, as on AWS."""
    item = {"id": {"S": "a"}, "n": {"N": "1"}}
    shop.dynamodb.put_item(TableName="orders", Item=item)
    shop.dynamodb.put_item(TableName="orders", Item=item)
    shop.dynamodb.update_item(
        TableName="orders",
        Key={"id": {"S": "a"}},
        UpdateExpression="SET n = :n",
        ExpressionAttributeValues={":n": {"N": "2"}},
    )
    shop.dynamodb.delete_item(TableName="orders", Key={"id": {"S": "a"}})
    insert, modify, remove = shop.ear.hear("watch", 3)

    assert ["INSERT", "MODIFY", "REMOVE"] == [one["eventName"] for one in (insert, modify, remove)]
    assert ("1.1", "aws:dynamodb", item) == (
        insert["eventVersion"],
        insert["eventSource"],
        insert["dynamodb"]["NewImage"],
    )
    assert (item, "2") == (modify["dynamodb"]["OldImage"], modify["dynamodb"]["NewImage"]["n"]["N"])
    assert insert["eventSourceARN"].startswith("arn:aws:dynamodb:us-east-1:000000000000:table/orders/stream/")


def test_records_of_a_stream_reach_the_handler_in_order(shop):
    """Of one key; the stream has the shards that the configuration says."""
    put(shop, "clicks", *map(str, range(10)))
    records = shop.ear.hear("count", 10)
    shards = shop.kinesis.list_shards(StreamName="clicks")["Shards"]

    assert [str(number) for number in range(10)] == data(records)
    assert {f"{STREAM}clicks"} == {record["eventSourceARN"] for record in records}
    assert 2 == len(shards)


def test_what_was_given_up_is_told_to_a_queue_a_bucket_and_a_topic(shop):
    """After one more try, and after none; the records behind it are delivered."""
    put(shop, "fragile", "poison")
    record, notification = message(shop, "lost"), message(shop, "troubled")
    kept = until(lambda: shop.s3.list_objects_v2(Bucket="kept").get("Contents"))
    body = json.loads(shop.s3.get_object(Bucket="kept", Key=kept[0]["Key"])["Body"].read())
    put(shop, "fragile", "fine")

    assert ("RetryAttemptsExhausted", 2, "Unhandled", 1) == (
        record["requestContext"]["condition"],
        record["requestContext"]["approximateInvokeCount"],
        record["responseContext"]["functionError"],
        record["KinesisBatchInfo"]["batchSize"],
    )
    assert ["poison"] == data(json.loads(body["payload"])["Records"])
    assert record["KinesisBatchInfo"] == json.loads(notification["Message"])["KinesisBatchInfo"]
    assert "Subject" not in notification
    assert 1 == body["requestContext"]["approximateInvokeCount"]
    assert ["poison", "poison", "fine"] == data(shop.ear.hear("strict", 3))
    assert ["poison", "fine"] == data(shop.ear.hear("keep", 2))


def test_a_mapping_made_over_the_api_reads_until_it_is_disabled(shop):
    """With LATEST: what is put after the answer. Deleted, it is gone."""
    shop.kinesis.create_stream(StreamName="later", ShardCount=1)
    put(shop, "later", "before")
    made = shop.lambda_.create_event_source_mapping(
        FunctionName="late", EventSourceArn=f"{STREAM}later", StartingPosition="LATEST", BatchSize=10
    )
    put(shop, "later", "one", "two")
    heard = data(shop.ear.hear("late", 2))
    which = {"UUID": made["UUID"]}
    result = until(lambda: shop.lambda_.get_event_source_mapping(**which)["LastProcessingResult"] == "OK")
    disabled = shop.lambda_.update_event_source_mapping(**which, Enabled=False)
    put(shop, "later", "three")
    listed = shop.lambda_.list_event_source_mappings(EventSourceArn=f"{STREAM}later")["EventSourceMappings"]

    assert ["one", "two"] == heard
    assert result
    assert ("Creating", "Disabling", "OK") == (
        made["State"],
        disabled["State"],
        disabled["LastProcessingResult"],
    )
    assert [(made["UUID"], "Disabled")] == [(one["UUID"], one["State"]) for one in listed]
    shop.lambda_.update_event_source_mapping(**which, Enabled=True)
    assert ["three"] == data(shop.ear.hear("late"))
    shop.lambda_.delete_event_source_mapping(**which)
    with pytest.raises(ClientError, match="The resource you requested does not exist"):
        shop.lambda_.get_event_source_mapping(**which)


def test_a_consumer_that_the_partner_has_is_mapped(shop):
    """By the ARN that it was given."""
    named = {"StreamARN": f"{STREAM}clicks", "ConsumerName": "reader"}
    arn = shop.kinesis.register_stream_consumer(**named)["Consumer"]["ConsumerARN"]
    made = shop.lambda_.create_event_source_mapping(
        FunctionName="late", EventSourceArn=arn, StartingPosition="LATEST", Enabled=False
    )
    shop.lambda_.delete_event_source_mapping(UUID=made["UUID"])

    assert (arn, "Disabled") == (made["EventSourceArn"], made["State"])


def test_a_stream_that_the_partner_has_not_is_not_found(shop):
    """In AWS's words: by its name, its account, its time, and its consumer; a table that has no stream."""
    shop.dynamodb.create_table(
        TableName="plain",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    tables = [
        f"arn:aws:dynamodb:us-east-1:000000000000:table/{table}/stream/2026-01-01T00:00:00.000"
        for table in ("nowhere", "plain", "orders")
    ]
    foreign = f"{STREAM}clicks".replace("0" * 12, "1" * 12)
    for arn in (f"{STREAM}nowhere", f"{STREAM}clicks/consumer/nobody:1", foreign, *tables):
        with pytest.raises(ClientError) as refused:
            shop.lambda_.create_event_source_mapping(
                FunctionName="late", EventSourceArn=arn, StartingPosition="LATEST"
            )
        error = refused.value.response["Error"]

        assert ("InvalidParameterValueException", f"Stream not found: {arn}") == (
            error["Code"],
            error["Message"],
        )


def test_a_stream_that_disappears_leaves_the_others_alone(shop):
    """Its mapping stays, and says so in one line."""
    put(shop, "passing", "one")
    assert ["one"] == data(shop.ear.hear("brief"))

    shop.kinesis.delete_stream(StreamName="passing")
    put(shop, "clicks", "still there")
    assert ["still there"] == data(shop.ear.hear("count"))
    [mapping] = shop.lambda_.list_event_source_mappings(FunctionName="brief")["EventSourceMappings"]
    assert "Enabled" == mapping["State"]
    assert ["functions.brief: kinesis 'passing': the stream is not there"] == said(shop, "'passing'")


def test_a_partner_that_dies_is_started_anew_and_read_from_the_beginning(shop):
    """The last of the shop's: what moto kept is lost, and made as the configuration has it."""
    [moto] = processes(shop.process.pid)
    os.kill(moto, signal.SIGKILL)
    while processes(shop.process.pid) in ([], [moto]):
        time.sleep(0.05)
    put(shop, "clicks", "after")
    while data(shop.ear.hear("count")) != ["after"]:
        pass
    shop.dynamodb.put_item(TableName="orders", Item={"id": {"S": "after"}})
    while shop.ear.hear("watch")[0]["dynamodb"]["Keys"] != {"id": {"S": "after"}}:
        pass

    assert 1 == len(processes(shop.process.pid))


def test_one_template_has_a_table_a_stream_and_their_functions(serve, tmp_path):
    """Made in the partner when the engine starts, with filters, a destination, and a mapping resource."""
    with listening(serve, tmp_path, "template.yaml", TEMPLATE) as served:
        key = {"id": {"S": "a"}}
        served.dynamodb.put_item(TableName="Orders", Item=key)
        served.dynamodb.put_item(TableName="Orders", Item={**key, "n": {"N": "2"}})
        put(served, "clicks", "poison")
        [modify] = served.ear.hear("Watch")
        record = message(served, "Lost")

        assert "MODIFY" == modify["eventName"]
        assert f"{STREAM}clicks" == record["KinesisBatchInfo"]["streamArn"]
        assert ["poison"] == data(served.ear.hear("Count"))
