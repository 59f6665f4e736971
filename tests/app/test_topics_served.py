"""Topics of a served engine by boto3: who subscribes, and who publishes."""

import json
import os
import re
import subprocess
import sys
import urllib.request
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from threading import Thread

import pytest
from botocore.exceptions import ClientError

from tests.app.ear import HANDLERS, Ear

pytestmark = pytest.mark.real_time

ACCOUNT = "us-east-1:000000000000"
FUNCTION = f"arn:aws:lambda:{ACCOUNT}:function:"
TOPIC = f"arn:aws:sns:{ACCOUNT}:"
QUEUE = f"arn:aws:sqs:{ACCOUNT}:"
CONFIG = """
[engine]
partner = "none"

[functions.told]
handler = "app.sign"
{ear}
[[functions.told.events]]
type = "sns"
topic = "orders"
filter_policy = {{ kind = ["new"], amount = [{{ numeric = [">", 10] }}] }}
dead_letter_queue = "told-dead"

[functions.polls]
handler = "app.sign"
{ear}
[[functions.polls.events]]
type = "sqs"
queue = "fanned"

[functions.hopeless]
handler = "app.fail"
maximum_retry_attempts = 0
on_failure = "sns:failures"
dead_letter_queue = "sns:letters"
{ear}

[functions.glad]
handler = "app.sign"
on_success = "sns:successes"
{ear}

[topics.orders]
display_name = "Orders"
[[topics.orders.subscriptions]]
queue = "fanned"
raw_message_delivery = true

[buckets.photos]
[[buckets.photos.notifications]]
topic = "uploads"
suffix = ".png"
"""


@pytest.fixture(scope="module")
def ear():
    ear = Ear(f"ear-{uuid.uuid4()}")
    yield ear
    ear.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory, ear, serve):
    """One engine with topics of the configuration, of destinations and of a bucket."""
    folder = tmp_path_factory.mktemp("topics")
    (folder / "app.py").write_text(HANDLERS)
    (folder / "engine.toml").write_text(CONFIG.format(ear=ear.line))
    with serve("--config", str(folder / "engine.toml")) as served:
        yield served


@pytest.fixture(scope="module")
def sns(served):
    return served.client("sns")


@pytest.fixture(scope="module")
def sqs(served):
    return served.client("sqs")


def queue_of(sns, sqs, topic_arn, name, **attributes):
    """A new queue that subscribes to the topic; returns its URL, and the subscription's ARN."""
    fifo = {"Attributes": {"FifoQueue": "true"}} if name.endswith(".fifo") else {}
    url = sqs.create_queue(QueueName=name, **fifo)["QueueUrl"]
    answer = sns.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=QUEUE + name, Attributes=attributes)
    return url, answer["SubscriptionArn"]


def received(sqs, url, count=1):
    """So many messages of the queue, which are deleted."""
    found = []
    while len(found) < count:
        answer = sqs.receive_message(
            QueueUrl=url,
            WaitTimeSeconds=20,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        )
        for message in answer.get("Messages", []):
            found.append(message)
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found


def attribute(kind, value):
    return {"DataType": kind, "BinaryValue" if kind == "Binary" else "StringValue": value}


# ---------------------------------------------------------------- functions and queues


def test_a_function_gets_what_its_policy_takes_and_a_queue_of_the_topic_all(sns, ear):
    """By boto3 alone: SNS to a handler, and SNS to SQS to a handler."""
    kinds = {"kind": attribute("String", "new"), "amount": attribute("Number", "12")}
    first = sns.publish(
        TopicArn=TOPIC + "orders",
        Message="one",
        MessageAttributes={**kinds, "raw": attribute("Binary", b"\x02\x03\x04")},
    )["MessageId"]
    sns.publish(TopicArn=TOPIC + "orders", Message="two", Subject="no attributes")
    [event], polled = ear.hear("told"), ear.hear("polls", 2)
    [record] = event["Records"]

    assert ["one", "two"] == sorted(event["Records"][0]["body"] for event in polled)
    assert ["EventSource", "EventVersion", "EventSubscriptionArn", "Sns"] == list(record)
    assert ("aws:sns", "1.0") == (record["EventSource"], record["EventVersion"])
    assert record["EventSubscriptionArn"].startswith(f"{TOPIC}orders:")
    sns_part = record["Sns"]
    assert [
        *(
            "Type",
            "MessageId",
            "TopicArn",
            "Subject",
            "Message",
            "Timestamp",
            "SignatureVersion",
            "Signature",
        ),
        *("SigningCertUrl", "UnsubscribeUrl", "MessageAttributes"),
    ] == list(sns_part)
    assert ("Notification", first, "one", None) == tuple(
        sns_part[key] for key in ("Type", "MessageId", "Message", "Subject")
    )
    assert {"Type": "Binary", "Value": "AgME"} == sns_part["MessageAttributes"]["raw"]


def test_a_queue_gets_an_envelope_or_the_message_alone(sns, sqs):
    """Raw, attributes of the message are those of the queue's message; binary ones stay binary."""
    arn = sns.create_topic(Name="plain")["TopicArn"]
    wrapped, _ = queue_of(sns, sqs, arn, "wrapped")
    raw, _ = queue_of(sns, sqs, arn, "raw", RawMessageDelivery="true")
    attributes = {"a": attribute("String", "x"), "b": attribute("Binary", b"\x00\x01")}
    message_id = sns.publish(TopicArn=arn, Message="m", Subject="s", MessageAttributes=attributes)[
        "MessageId"
    ]
    [envelope], [bare] = received(sqs, wrapped), received(sqs, raw)
    document = json.loads(envelope["Body"])

    assert [
        *(
            "Type",
            "MessageId",
            "TopicArn",
            "Subject",
            "Message",
            "Timestamp",
            "SignatureVersion",
            "Signature",
        ),
        *("SigningCertURL", "UnsubscribeURL", "MessageAttributes"),
    ] == list(document)
    assert (message_id, "s", "m") == tuple(document[key] for key in ("MessageId", "Subject", "Message"))
    assert "MessageAttributes" not in envelope
    assert "m" == bare["Body"]
    assert b"\x00\x01" == bare["MessageAttributes"]["b"]["BinaryValue"]


def test_policies_on_the_body_and_text_by_protocol(sns, sqs):
    """The text for queues goes to queues, that without a protocol is held against a policy on the body."""
    arn = sns.create_topic(Name="bodies")["TopicArn"]
    scope = {"FilterPolicyScope": "MessageBody", "FilterPolicy": '{"detail":{"state":["open"]}}'}
    url, subscription = queue_of(sns, sqs, arn, "open", **scope, RawMessageDelivery="true")
    sns.publish(TopicArn=arn, Message='{"detail":{"state":"shut"}}')
    sns.publish(TopicArn=arn, Message="text")
    by_protocol = {"default": '{"detail":{"state":"open"}}', "sqs": "for queues", "lambda": "no"}
    sns.publish(TopicArn=arn, Message=json.dumps(by_protocol), MessageStructure="json")

    assert ["for queues"] == [message["Body"] for message in received(sqs, url)]
    shown = sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]
    assert ("MessageBody", "true", "false") == tuple(
        shown[key] for key in ("FilterPolicyScope", "RawMessageDelivery", "PendingConfirmation")
    )


def test_what_cannot_be_delivered_goes_to_the_dead_letter_queue_of_the_subscription(sns, sqs):
    """As the envelope that queues get, for a function too."""
    arn = sns.create_topic(Name="nowhere")["TopicArn"]
    url = sqs.create_queue(QueueName="letters-of-nobody")["QueueUrl"]
    redrive = json.dumps({"deadLetterTargetArn": f"{QUEUE}letters-of-nobody"})
    for protocol, endpoint in (("lambda", f"{FUNCTION}nobody"), ("sqs", f"{QUEUE}nobody")):
        sns.subscribe(
            TopicArn=arn, Protocol=protocol, Endpoint=endpoint, Attributes={"RedrivePolicy": redrive}
        )
    sns.publish(TopicArn=arn, Message="lost")
    letters = [json.loads(message["Body"]) for message in received(sqs, url, 2)]

    assert [("Notification", "lost")] * 2 == [(one["Type"], one["Message"]) for one in letters]


# ---------------------------------------------------------------- FIFO


def test_a_fifo_topic_keeps_order_and_drops_duplicates(sns, sqs):
    """Its sequence numbers reach the publisher and the subscriber."""
    arn = sns.create_topic(Name="o.fifo", Attributes={"FifoTopic": "true"})["TopicArn"]
    url, _ = queue_of(sns, sqs, arn, "o.fifo")
    sent = [
        sns.publish(TopicArn=arn, Message=text, MessageGroupId="g", MessageDeduplicationId=text)
        for text in ("a", "b", "a", "c")
    ]
    messages = received(sqs, url, 3)
    bodies = [json.loads(message["Body"]) for message in messages]

    assert ["a", "b", "c"] == [body["Message"] for body in bodies]
    assert sent[0]["SequenceNumber"] == sent[2]["SequenceNumber"] < sent[1]["SequenceNumber"]
    assert [sent[0]["SequenceNumber"], "g"] == [
        bodies[0]["SequenceNumber"],
        messages[0]["Attributes"]["MessageGroupId"],
    ]
    with pytest.raises(ClientError, match="MessageGroupId parameter is required for FIFO topics"):
        sns.publish(TopicArn=arn, Message="x")
    with pytest.raises(ClientError, match="ContentBasedDeduplication enabled"):
        sns.publish(TopicArn=arn, Message="x", MessageGroupId="g")
    with pytest.raises(ClientError, match=r"FIFO SQS Queues can not be subscribed to standard SNS topics"):
        sns.subscribe(TopicArn=TOPIC + "orders", Protocol="sqs", Endpoint=f"{QUEUE}o.fifo")


# ---------------------------------------------------------------- HTTP


class Endpoint:
    """An HTTP server that keeps what it gets: headers and body. It answers with `statuses`, then 200."""

    def __init__(self, *statuses):
        self.got, left = Queue(), list(statuses)
        got = self.got

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                got.put((self.headers, body))
                self.send_response(left.pop(0) if left else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def next(self):
        return self.got.get(timeout=60)

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def endpoint(request):
    endpoint = Endpoint(*getattr(request, "param", ()))
    yield endpoint
    endpoint.close()


def test_an_http_endpoint_confirms_by_the_link_and_gets_messages_from_then_on(sns, endpoint):
    """It is told when its subscription ends."""
    arn = sns.create_topic(Name="hooked")["TopicArn"]
    answer = sns.subscribe(TopicArn=arn, Protocol="http", Endpoint=endpoint.url)
    headers, body = endpoint.next()
    asked = json.loads(body)
    sns.publish(TopicArn=arn, Message="too early")

    assert "pending confirmation" == answer["SubscriptionArn"]
    assert ("SubscriptionConfirmation", arn) == (
        headers["x-amz-sns-message-type"],
        headers["x-amz-sns-topic-arn"],
    )
    for topic, token, text in (
        (arn, "0" * 256, "Invalid parameter: Token"),
        (f"{arn}-other", "0" * 256, "Invalid parameter: Token"),
        (arn, "randomtoken", "Invalid token"),
    ):
        with pytest.raises(ClientError, match=text):
            sns.confirm_subscription(TopicArn=topic, Token=token)
    with urllib.request.urlopen(asked["SubscribeURL"]) as confirmed:
        assert b"<SubscriptionArn>arn:aws:sns:" in confirmed.read()
    [listed] = sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]
    sns.publish(TopicArn=arn, Message="now")
    headers, body = endpoint.next()
    assert ("Notification", listed["SubscriptionArn"], "now") == (
        headers["x-amz-sns-message-type"],
        headers["x-amz-sns-subscription-arn"],
        json.loads(body)["Message"],
    )
    sns.unsubscribe(SubscriptionArn=listed["SubscriptionArn"])
    headers, body = endpoint.next()
    assert "UnsubscribeConfirmation" == headers["x-amz-sns-message-type"]
    with urllib.request.urlopen(json.loads(body)["SubscribeURL"]) as restored:
        assert listed["SubscriptionArn"].encode() in restored.read()
    sns.publish(TopicArn=arn, Message="again")
    assert "again" == json.loads(endpoint.next()[1])["Message"]


@pytest.mark.parametrize("endpoint", [(200, 404)], indirect=True)
def test_an_endpoint_that_refuses_a_message_is_not_asked_again(sns, sqs, endpoint):
    """It goes to the dead-letter queue at once; 5xx and 429 would be tried again after 20 s."""
    arn = sns.create_topic(Name="refused")["TopicArn"]
    url = sqs.create_queue(QueueName="refused-dead")["QueueUrl"]
    redrive = json.dumps({"deadLetterTargetArn": f"{QUEUE}refused-dead"})
    attributes = {"RawMessageDelivery": "true", "RedrivePolicy": redrive}
    sns.subscribe(TopicArn=arn, Protocol="http", Endpoint=endpoint.url, Attributes=attributes)
    token = json.loads(endpoint.next()[1])["Token"]
    sns.confirm_subscription(TopicArn=arn, Token=token)
    sns.publish(TopicArn=arn, Message="raw text")
    headers, body = endpoint.next()

    assert ("true", "raw text") == (headers["x-amz-sns-rawdelivery"], body)
    assert ["raw text"] == [message["Body"] for message in received(sqs, url)]


# ---------------------------------------------------------------- who publishes besides clients


def test_a_bucket_notifies_a_topic(sns, sqs, served):
    """Of the configuration, and over the API, where the test event comes first."""
    s3 = served.client("s3")
    url, _ = queue_of(sns, sqs, TOPIC + "uploads", "uploaded")
    s3.put_object(Bucket="photos", Key="a.png", Body=b"1")
    [notification] = [json.loads(message["Body"]) for message in received(sqs, url)]

    assert "Amazon S3 Notification" == notification["Subject"]
    assert "a.png" == json.loads(notification["Message"])["Records"][0]["s3"]["object"]["key"]
    s3.create_bucket(Bucket="other")
    rule = {"TopicArn": TOPIC + "uploads", "Events": ["s3:ObjectCreated:*"]}
    s3.put_bucket_notification_configuration(
        Bucket="other", NotificationConfiguration={"TopicConfigurations": [rule]}
    )
    s3.put_object(Bucket="other", Key="b", Body=b"1")
    first, second = (json.loads(json.loads(one["Body"])["Message"]) for one in received(sqs, url, 2))
    assert ("s3:TestEvent", "b") == (first["Event"], second["Records"][0]["s3"]["object"]["key"])
    rule["TopicArn"] = TOPIC + "absent"
    with pytest.raises(ClientError, match="Unable to validate the following destination"):
        s3.put_bucket_notification_configuration(
            Bucket="other", NotificationConfiguration={"TopicConfigurations": [rule]}
        )


def test_what_becomes_of_asynchronous_events_goes_to_topics(sns, sqs, served, ear):
    """On success and on failure the record; to a dead-letter topic the event, with attributes."""
    urls = {name: queue_of(sns, sqs, TOPIC + name, name)[0] for name in ("failures", "successes", "letters")}
    served.lambda_.invoke(FunctionName="hopeless", InvocationType="Event", Payload=b'{"order":1}')
    served.lambda_.invoke(FunctionName="glad", InvocationType="Event", Payload=b'{"order":2}')
    ear.hear("hopeless"), ear.hear("glad")
    found = {name: json.loads(received(sqs, url)[0]["Body"]) for name, url in urls.items()}

    assert ["RetriesExhausted", "Success"] == [
        json.loads(found[name]["Message"])["requestContext"]["condition"]
        for name in ("failures", "successes")
    ]
    assert {"order": 1} == json.loads(found["letters"]["Message"])
    assert {"Type": "Number", "Value": "200"} == found["letters"]["MessageAttributes"]["ErrorCode"]
    assert "Subject" not in found["failures"]


def test_a_rule_of_an_event_bus_publishes_what_its_target_gets(sns, sqs, served):
    """The event, or what the target makes of it, is the message; there is no subject."""
    events = served.client("events")
    arn = sns.create_topic(Name="ruled")["TopicArn"]
    url, _ = queue_of(sns, sqs, arn, "ruled")
    events.put_rule(Name="ruled", EventPattern='{"source":["shop"]}')
    events.put_targets(Rule="ruled", Targets=[{"Id": "1", "Arn": arn, "InputPath": "$.detail"}])
    events.put_events(Entries=[{"Source": "shop", "DetailType": "order", "Detail": '{"n":1}'}])
    [message] = received(sqs, url)
    document = json.loads(message["Body"])

    assert ('{"n":1}', False) == (document["Message"], "Subject" in document)


# ---------------------------------------------------------------- answers


def test_a_batch_is_answered_message_by_message_or_refused(sns, sqs):
    """If one of them is wrong, none is delivered."""
    arn = sns.create_topic(Name="batched")["TopicArn"]
    url, _ = queue_of(sns, sqs, arn, "batched", RawMessageDelivery="true")
    entries = [{"Id": "1", "Message": "a"}, {"Id": "2", "Message": "b"}]
    answer = sns.publish_batch(TopicArn=arn, PublishBatchRequestEntries=entries)

    assert (["1", "2"], []) == ([one["Id"] for one in answer["Successful"]], answer["Failed"])
    assert ["a", "b"] == [message["Body"] for message in received(sqs, url)]
    for wrong, code in (
        ([], "EmptyBatchRequest"),
        (entries[:1] * 2, "BatchEntryIdsNotDistinct"),
        ([{"Id": str(n), "Message": "m"} for n in range(11)], "TooManyEntriesInBatchRequest"),
        ([{"Id": "a b", "Message": "m"}], "InvalidBatchEntryId"),
        ([entries[0], {"Id": "2", "Message": "b", "MessageStructure": "json"}], "InvalidParameter"),
        ([{"Id": str(n), "Message": "m" * 200_000} for n in range(2)], "BatchRequestTooLong"),
    ):
        with pytest.raises(ClientError) as caught:
            sns.publish_batch(TopicArn=arn, PublishBatchRequestEntries=wrong)
        assert code == caught.value.response["Error"]["Code"]


def test_topics_have_attributes_tags_and_pages(sns):
    """CreateTopic is idempotent; another value of an attribute is refused."""
    arn = sns.create_topic(Name="kept", Attributes={"DisplayName": "K"}, Tags=[{"Key": "a", "Value": "1"}])
    arn = arn["TopicArn"]
    sns.set_topic_attributes(TopicArn=arn, AttributeName="TracingConfig", AttributeValue="Active")
    sns.tag_resource(ResourceArn=arn, Tags=[{"Key": "b", "Value": "2"}])
    sns.untag_resource(ResourceArn=arn, TagKeys=["a"])
    sns.add_permission(TopicArn=arn, Label="l", AWSAccountId=["111111111111"], ActionName=["Publish"])
    shown = sns.get_topic_attributes(TopicArn=arn)["Attributes"]

    assert arn == sns.create_topic(Name="kept")["TopicArn"]
    assert ("K", "Active", "0") == tuple(
        shown[key] for key in ("DisplayName", "TracingConfig", "SubscriptionsConfirmed")
    )
    assert ["__default_statement_ID", "l"] == [one["Sid"] for one in json.loads(shown["Policy"])["Statement"]]
    assert [{"Key": "b", "Value": "2"}] == sns.list_tags_for_resource(ResourceArn=arn)["Tags"]
    for number in range(101):
        sns.create_topic(Name=f"page-{number}")
    pages = [page["Topics"] for page in sns.get_paginator("list_topics").paginate()]
    assert 100 == len(pages[0])
    assert {f"{TOPIC}page-{number}" for number in range(101)} <= {
        one["TopicArn"] for page in pages for one in page
    }
    sns.delete_topic(TopicArn=arn)
    sns.delete_topic(TopicArn=arn)
    with pytest.raises(ClientError, match="Topic does not exist"):
        sns.get_topic_attributes(TopicArn=arn)
    with pytest.raises(ClientError, match="already exists with different attributes"):
        sns.create_topic(Name="orders", Attributes={"DisplayName": "other"})


@pytest.mark.parametrize(
    ("operation", "parameters", "code", "message"),
    [
        ("publish", {"TopicArn": TOPIC + "absent", "Message": "m"}, "NotFound", "Topic does not exist"),
        ("publish", {"TopicArn": "x", "Message": "m"}, "InvalidParameter", "An ARN must have at least 6"),
        ("publish", {"Message": "m"}, "InvalidParameter", "no value for required parameter"),
        ("publish", {"PhoneNumber": "+1", "Message": "m"}, "NotImplementedException", "phone number"),
        ("publish", {"TopicArn": TOPIC + "orders", "Message": ""}, "InvalidParameter", "Empty message"),
        ("publish", {"TopicArn": TOPIC + "orders", "Message": "x" * 262_145}, "InvalidParameter", "too long"),
        (
            "publish",
            {"TopicArn": TOPIC + "orders", "Message": "{}", "MessageStructure": "json"},
            "InvalidParameter",
            "Invalid parameter: Message Structure - No default entry in JSON message body",
        ),
        (
            "publish",
            {"TopicArn": TOPIC + "orders", "Message": "m", "MessageAttributes": {"a": {"DataType": "X"}}},
            "ParameterValueInvalid",
            "invalid message attribute type",
        ),
        ("create_topic", {"Name": "a b"}, "InvalidParameter", "Invalid parameter: Topic Name"),
        (
            "subscribe",
            {"TopicArn": TOPIC + "orders", "Protocol": "sms", "Endpoint": "+1"},
            "NotImplementedException",
            "sms",
        ),
        (
            "subscribe",
            {
                "TopicArn": TOPIC + "orders",
                "Protocol": "sqs",
                "Endpoint": QUEUE + "q",
                "Attributes": {"FilterPolicy": '{"a":[["x"]]}'},
            },
            "InvalidParameter",
            'or null\n at [Source: (String)"{"a":[["x"]]}"; line: 1, column: 8]',
        ),
        (
            "get_subscription_attributes",
            {"SubscriptionArn": f"{TOPIC}orders:1"},
            "NotFound",
            "Subscription does not exist",
        ),
        ("list_tags_for_resource", {"ResourceArn": "x"}, "ResourceNotFound", "Resource does not exist"),
        (
            "create_platform_application",
            {"Name": "a", "Platform": "b", "Attributes": {}},
            None,
            "PlatformApp",
        ),
    ],
)
def test_what_cannot_be_done_is_answered_in_awss_words(sns, operation, parameters, code, message):
    """What the engine has not, by its name."""
    with pytest.raises(ClientError) as caught:
        getattr(sns, operation)(**parameters)

    error = caught.value.response["Error"]
    assert (code or "NotImplementedException") == error["Code"]
    assert message in error["Message"]


def test_attributes_of_a_subscription_change_and_are_checked(sns, sqs):
    """The scope may come before the policy; what is wrong leaves all as it was."""
    arn = sns.create_topic(Name="changing")["TopicArn"]
    _, subscription = queue_of(sns, sqs, arn, "changing")

    def change(name, value):
        sns.set_subscription_attributes(
            SubscriptionArn=subscription, AttributeName=name, AttributeValue=value
        )

    for name, value, text in (
        ("FilterPolicy", '{"a":{"b":["c"]}}', "does not support nested filter policy"),
        ("FilterPolicyScope", "Body", r"FilterPolicyScope: Invalid value \[Body\]. Please use either"),
        ("RawMessageDelivery", "yes", "Must be true or false"),
        ("RedrivePolicy", "x", "RedrivePolicy: failed to parse JSON."),
        ("Other", "x", "Invalid parameter: AttributeName"),
        ("FilterPolicy", '{"a":[{"suffix":1}]}', "Invalid parameter: FilterPolicy: suffix match pattern"),
    ):
        with pytest.raises(ClientError, match=text):
            change(name, value)
    change("FilterPolicyScope", "MessageBody")
    assert (
        "FilterPolicyScope" not in sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]
    )
    change("FilterPolicy", '{"a":{"b":["c"]}}')
    again = {"FilterPolicy": '{"a":{"b":["d"]}}', "FilterPolicyScope": "MessageBody"}
    with pytest.raises(ClientError, match="Subscription already exists with different attributes"):
        sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=f"{QUEUE}changing", Attributes=again)
    same = sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=f"{QUEUE}changing")

    assert subscription == same["SubscriptionArn"]


def test_the_aws_cli_publishes_and_deliveries_are_counted(served, sns, sqs):
    """By service, kind of target and outcome."""
    arn = sns.create_topic(Name="by-cli")["TopicArn"]
    url, _ = queue_of(sns, sqs, arn, "by-cli", RawMessageDelivery="true")
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL": served.addresses["aws"],
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    command = [sys.executable, "-m", "awscli", "sns", "publish", "--topic-arn", arn, "--message", "hello"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)

    assert 0 == done.returncode, done.stderr
    assert ["hello"] == [message["Body"] for message in received(sqs, url)]
    with urllib.request.urlopen(f"{served.addresses['admin']}/metrics") as answer:
        page = answer.read().decode()
    counts = re.findall(r"engine_bus_deliveries_total\{(.*sns.*sqs.*delivered.*)\} (\d+)", page)
    assert [True] == [int(count) > 0 for _, count in counts]
