"""Event buses of a served engine: rules, queues, buckets and destinations, by boto3 alone."""

import json
import time
import urllib.request

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.real_time

ARN = "arn:aws:{}:us-east-1:000000000000:{}"
TOML = """
[functions.seen]
handler = "app.handler"


[[functions.seen.events]]
type = "eventbridge"
pattern = { source = ["configured"] }
input_path = "$.detail"

[rules.copied]
bus = "toml"
pattern = { source = ["configured"] }
targets = [{ to = "sqs:copies", input = { constant = true } }]

[functions.told]
handler = "app.told"
executor = "thread"
on_success = "arn:aws:events:us-east-1:000000000000:event-bus/results"

[queues.seen]
[queues.copies]
[queues.dead]
[buckets.photos]
eventbridge = true
"""
APP = """
import json
import boto3

def handler(event, context):
    sqs = boto3.client("sqs", region_name="us-east-1", aws_access_key_id="k", aws_secret_access_key="s")
    sqs.send_message(QueueUrl=sqs.get_queue_url(QueueName="seen")["QueueUrl"], MessageBody=json.dumps(event))

def told(event, context):
    return {"told": event}
"""


class Buses:
    """The engine of this module, its clients, and what comes into queues."""

    def __init__(self, served):
        self.served = served
        self.events, self.sqs, self.s3 = (served.client(name) for name in ("events", "sqs", "s3"))
        self.urls = {
            name: self.sqs.get_queue_url(QueueName=name)["QueueUrl"] for name in ("seen", "copies", "dead")
        }

    def rule(self, name, pattern, bus="default", **target):
        self.events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps(pattern))
        self.events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "t"} | target])

    def put(self, source, detail, **members):
        entry = {"Source": source, "DetailType": "order", "Detail": json.dumps(detail)} | members
        return self.events.put_events(Entries=[entry])

    def next_in(self, queue):
        """The next message of a queue, waited for."""
        ends_s = time.monotonic() + 60
        while time.monotonic() < ends_s:
            answer = self.sqs.receive_message(
                QueueUrl=self.urls[queue], WaitTimeSeconds=5, MessageAttributeNames=["All"]
            )
            for message in answer.get("Messages", ()):
                self.sqs.delete_message(QueueUrl=self.urls[queue], ReceiptHandle=message["ReceiptHandle"])
                return json.loads(message["Body"]), message
        raise AssertionError(f"nothing came into {queue}")


@pytest.fixture(scope="module")
def buses(tmp_path_factory, serve):
    folder = tmp_path_factory.mktemp("buses")
    (folder / "app.py").write_text(APP)
    (folder / "engine.toml").write_text(TOML)
    with serve("--config", str(folder / "engine.toml")) as served:
        yield Buses(served)


def test_an_event_comes_to_a_handler_by_boto3_alone(buses):
    """PutEvents, a rule, a function; the handler tells by a queue."""
    buses.rule("handler", {"source": ["shop"]}, Arn=ARN.format("lambda", "function:seen"))
    answer = buses.put("shop", {"n": 2})
    event, _ = buses.next_in("seen")

    assert 0 == answer["FailedEntryCount"]
    assert answer["Entries"][0]["EventId"] == event["id"]
    assert ("shop", "order", {"n": 2}) == (event["source"], event["detail-type"], event["detail"])


def test_an_event_comes_to_a_queue_over_another_bus(buses):
    """With an input transformer at the end."""
    buses.events.create_event_bus(Name="other")
    buses.rule("on", {"source": ["copy"]}, Arn=ARN.format("events", "event-bus/other"))
    buses.rule(
        "end",
        {"source": ["copy"]},
        "other",
        Arn=ARN.format("sqs", "copies"),
        InputTransformer={"InputPathsMap": {"n": "$.detail.n"}, "InputTemplate": '{"number": <n>}'},
    )
    buses.put("copy", {"n": 3})

    assert {"number": 3} == buses.next_in("copies")[0]


def test_what_has_no_target_is_a_dead_letter(buses):
    """At once, with what went wrong."""
    target = ARN.format("lambda", "function:gone")
    buses.rule("gone", {"source": ["lost"]}, Arn=target, DeadLetterConfig={"Arn": ARN.format("sqs", "dead")})
    buses.put("lost", {})
    event, message = buses.next_in("dead")
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}

    assert "lost" == event["source"]
    assert (ARN.format("events", "rule/gone"), target, "NO_RESOURCE") == tuple(
        attributes[name] for name in ("RULE_ARN", "TARGET_ARN", "ERROR_CODE")
    )


def test_a_bucket_tells_a_handler_by_the_bus(buses):
    """The event has the shape that AWS's has."""
    pattern = {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": ["photos"]}},
    }
    buses.rule("bucket", pattern, Arn=ARN.format("lambda", "function:seen"))
    buses.s3.put_object(Bucket="photos", Key="a b.jpg", Body=b"1234")
    event, _ = buses.next_in("seen")

    assert ["arn:aws:s3:::photos"] == event["resources"]
    assert {"key": "a b.jpg", "size": 4} == {key: event["detail"]["object"][key] for key in ("key", "size")}
    assert "PutObject" == event["detail"]["reason"]
    assert [
        *("version", "bucket", "object", "request-id", "requester", "source-ip-address", "reason"),
    ] == list(event["detail"])


def test_a_client_switches_a_bucket_on(buses):
    """By its notification configuration; what is deleted is told, too."""
    buses.rule(
        "deleted", {"source": ["aws.s3"], "detail-type": ["Object Deleted"]}, Arn=ARN.format("sqs", "copies")
    )
    buses.s3.create_bucket(Bucket="switched")
    buses.s3.put_bucket_notification_configuration(
        Bucket="switched", NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    buses.s3.put_object(Bucket="switched", Key="k", Body=b"1")
    buses.s3.delete_object(Bucket="switched", Key="k")
    event, _ = buses.next_in("copies")

    assert "switched" == event["detail"]["bucket"]["name"]
    assert ("DeleteObject", "Permanently Deleted") == (
        event["detail"]["reason"],
        event["detail"]["deletion-type"],
    )
    assert {"key", "sequencer"} == event["detail"]["object"].keys()


def test_a_destination_is_a_bus(buses):
    """What a function returned goes on as an event; the bus is made, since the function names it."""
    buses.rule("results", {"source": ["lambda"]}, "results", Arn=ARN.format("sqs", "copies"))
    buses.served.lambda_.invoke(FunctionName="told", InvocationType="Event", Payload=b'{"a":1}')
    event, _ = buses.next_in("copies")

    assert "Lambda Function Invocation Result - Success" == event["detail-type"]
    assert {"told": {"a": 1}} == event["detail"]["responsePayload"]
    assert [
        "arn:aws:events:us-east-1:000000000000:event-bus/results",
        "arn:aws:lambda:us-east-1:000000000000:function:told:$LATEST",
    ] == event["resources"]


def test_rules_of_the_configuration_bring_events(buses):
    """An event of a function, and a rule with a queue as its target on a bus that is made."""
    buses.put("configured", {"n": 4})
    buses.put("configured", {}, EventBusName="toml")

    assert {"n": 4} == buses.next_in("seen")[0]
    assert {"constant": True} == buses.next_in("copies")[0]
    assert ["seen-1"] == buses.events.list_rules(NamePrefix="seen")["Rules"][0]["Name"].split()


def test_what_terraform_reads_after_it_has_made_something_is_there(buses):
    """Rules, targets, buses, and the tags of each, in the types of boto3."""
    events = buses.events
    bus = events.create_event_bus(Name="read", Tags=[{"Key": "k", "Value": "v"}])["EventBusArn"]
    rule = events.put_rule(Name="read", EventBusName="read", EventPattern='{"source":["x"]}')["RuleArn"]
    events.put_targets(
        Rule="read", EventBusName="read", Targets=[{"Id": "t", "Arn": ARN.format("sqs", "dead")}]
    )
    shown = events.describe_event_bus(Name="read")

    assert bus == shown["Arn"]
    assert shown["CreationTime"].year > 2000
    assert "ENABLED" == events.describe_rule(Name="read", EventBusName="read")["State"]
    assert ["t"] == [
        target["Id"] for target in events.list_targets_by_rule(Rule="read", EventBusName="read")["Targets"]
    ]
    assert [[{"Key": "k", "Value": "v"}], []] == [
        events.list_tags_for_resource(ResourceARN=arn)["Tags"] for arn in (bus, rule)
    ]


def test_deliveries_are_counted(buses):
    """On the metrics page, by outcome."""
    buses.rule("counted", {"source": ["counted"]}, Arn=ARN.format("lambda", "function:nowhere"))
    buses.put("counted", {})
    page = urllib.request.urlopen(f"{buses.served.addresses['admin']}/metrics").read().decode()

    assert 'engine_bus_deliveries_total{service="events",target="lambda",outcome="dropped"} 1' in page
    assert 'engine_bus_deliveries_waiting{service="events"} 0' in page


def test_bad_patterns_and_archives_are_answered_with_aws_s_errors(buses):
    """And nothing else is disturbed."""
    with pytest.raises(ClientError) as bad:
        buses.events.put_rule(Name="bad", EventPattern='{"s":"x"}')
    with pytest.raises(ClientError) as archive:
        buses.events.list_archives()

    assert "InvalidEventPatternException" == bad.value.response["Error"]["Code"]
    assert 'Reason: "s" must be an object or an array' in bad.value.response["Error"]["Message"]
    assert "NotImplementedException" == archive.value.response["Error"]["Code"]
