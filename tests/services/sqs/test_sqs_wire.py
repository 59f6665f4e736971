"""What clients see when all goes well: shapes, digests, attributes, urls; the same in both protocols."""

from __future__ import annotations

import asyncio
import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.services.sqs.digests import md5_of_attributes, md5_of_body
from engine.services.sqs.message import Attribute

UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def text(value: str, kind: str = "String") -> Attribute:
    return Attribute(kind, value)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"Foo": text("Bar")}, "ae7155c6026991b6d54b11589678bf9c"),
        ({"Hello": text("There")}, "a311262e065454b75da111d535b8dacd"),
        (
            {"General": text("Kenobi"), "Hello": text("There"), "Help.Me": text("Me")},
            "4c360f3fdafd970e05fae2f149d997f5",
        ),
        ({"timestamp": text("1493147359900", "Number")}, "235c5c510d26fb653d073faed50ae77c"),
        (
            {
                "attr1": Attribute(
                    "Binary", b"traceparent\x1e00-774062d6c37081a5a0b9b5b88e30627c-2d2482211f6489da-01"
                )
            },
            "8cbe4db156db8a94db8b801b7addb984",
        ),
        (
            {
                "WeeksOn": text("6", "Number"),
                "Author": text("John Grisham"),
                "Title": text("The Whistler"),
            },
            "d25a6aea97eb8f585bfa92d314504a92",
        ),
    ],
)
def test_attribute_digests_are_awss(attributes, expected):
    """Vectors recorded from AWS."""
    assert expected == md5_of_attributes(attributes)


def test_body_digests_are_awss():
    """MD5 of the UTF-8 bytes."""
    assert "19c9e282d65f9733bc6b35d50062c7ee" == md5_of_body("message-body-1")


@pytest.mark.parametrize(("ending", "status"), [("", 200), ("]", 400)])
async def test_a_large_request_is_read_a_piece_in_each_turn_of_the_loop(site, ending, status):
    """It may consist of anything."""
    url = site.create("q")
    many = [{"n": number} for number in range(120_000)]
    params = {"QueueUrl": url, "MessageBody": "hello", "Unknown": many}
    body = (json.dumps(params) + ending).encode()
    client, turns = site.start_json("SendMessage", body), 0
    while not client.answers:
        turns += 1
        await asyncio.sleep(0)

    assert [status] == [answer[0] for answer in client.answers]
    assert turns > len(body) // 131_072
    assert (["hello"] if status == 200 else []) == site.bodies()


def test_a_message_comes_back_as_it_was_sent(site):
    """Body, attributes, digests; the system attributes that were asked for."""
    url = site.create("q")
    attributes = {
        "Hello": {"DataType": "String", "StringValue": "There"},
        "Blob": {"DataType": "Binary.png", "BinaryValue": base64.b64encode(b"\0\xff").decode()},
        "N": {"DataType": "Number.int", "StringValue": "7"},
    }
    sent = site.json(
        "SendMessage", QueueUrl=url, MessageBody="häl\r\nlo", MessageAttributes=attributes
    ).document
    [message] = site.json(
        "ReceiveMessage", QueueUrl=url, MessageAttributeNames=["All"], MessageSystemAttributeNames=["All"]
    ).document["Messages"]

    assert "http://engine.test:4566/123456789012/q" == url
    assert sent["MessageId"] == message["MessageId"]
    assert sent["MD5OfMessageBody"] == message["MD5OfBody"]
    assert sent["MD5OfMessageAttributes"] == message["MD5OfMessageAttributes"]
    assert "häl\r\nlo" == message["Body"]
    assert attributes == message["MessageAttributes"]
    assert {
        "SenderId": "123456789012",
        "SentTimestamp": "1767225600000",
        "ApproximateReceiveCount": "1",
        "ApproximateFirstReceiveTimestamp": "1767225600000",
    } == message["Attributes"]
    assert len(message["ReceiptHandle"]) <= 1024


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ([], None),
        (["none"], None),
        (["Hello"], "a311262e065454b75da111d535b8dacd"),
        (["bar.*"], "md5"),
        (["All"], "all"),
        ([".*"], "all"),
        (["*"], "all"),
        (["bar", "Hel.*"], "a311262e065454b75da111d535b8dacd"),
        (["\x01", ""], None),
    ],
)
def test_only_the_attributes_asked_for_are_shown_and_digested(site, asked, expected):
    """By name, by prefix, or all."""
    names = {"Hello": "There", "bar.one": "1", "bar.two": "2"}
    attributes = {name: {"DataType": "String", "StringValue": value} for name, value in names.items()}
    site.create("q")
    sent = site.q("SendMessage", MessageBody="x", MessageAttributes=attributes).document
    [message] = site.q("ReceiveMessage", MessageAttributeNames=asked).document["Messages"]
    digest = message.get("MD5OfMessageAttributes")

    if expected is None:
        assert "MessageAttributes" not in message
        assert digest is None
    elif expected == "all":
        assert digest == sent["MD5OfMessageAttributes"]
    elif expected == "md5":
        assert ["bar.one", "bar.two"] == sorted(message["MessageAttributes"])
    else:
        assert expected == digest


def test_trace_headers_travel_with_the_message(site, make_client, make_answer):
    """As a system attribute that was sent, or as a header of the request."""
    site.create("q")
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    header = {"AWSTraceHeader": {"DataType": "String", "StringValue": trace}}
    sent = site.q("SendMessage", MessageBody="x", MessageSystemAttributes=header).document

    assert "5ae4d5d7636402d80f4eb6d213245a88" == sent["MD5OfMessageSystemAttributes"]

    client = site.start_json(
        "SendMessage", {"QueueUrl": site.url(), "MessageBody": "y"}, headers={"X-Amzn-Trace-Id": "Root=2"}
    )

    assert "MD5OfMessageSystemAttributes" not in make_answer(*client.answers[0]).document

    messages = site.q("ReceiveMessage", MaxNumberOfMessages=10, AttributeNames=["AWSTraceHeader"]).document
    assert [trace, "Root=2"] == [one["Attributes"]["AWSTraceHeader"] for one in messages["Messages"]]


def test_a_fresh_queue_has_exactly_these_attributes(site):
    """A FIFO queue four more."""
    site.create("q")
    site.create("f.fifo")
    fresh = {
        "ApproximateNumberOfMessages": "0",
        "ApproximateNumberOfMessagesDelayed": "0",
        "ApproximateNumberOfMessagesNotVisible": "0",
        "CreatedTimestamp": "1767225600",
        "DelaySeconds": "0",
        "LastModifiedTimestamp": "1767225600",
        "MaximumMessageSize": "1048576",
        "MessageRetentionPeriod": "345600",
        "QueueArn": site.arn("q"),
        "ReceiveMessageWaitTimeSeconds": "0",
        "SqsManagedSseEnabled": "true",
        "VisibilityTimeout": "30",
    }
    more = {
        "FifoQueue": "true",
        "ContentBasedDeduplication": "false",
        "DeduplicationScope": "queue",
        "FifoThroughputLimit": "perQueue",
        "QueueArn": site.arn("f.fifo"),
    }

    assert fresh == site.q("GetQueueAttributes", AttributeNames=["All"]).document["Attributes"]
    assert {**fresh, **more} == site.q("GetQueueAttributes", "f.fifo", AttributeNames=["All"]).document[
        "Attributes"
    ]
    assert {} == site.q("GetQueueAttributes").document
    assert {} == site.q("GetQueueAttributes", AttributeNames=["Policy"]).document


def test_attributes_can_be_set_and_removed(site):
    """Kms switches the queue's own encryption off; empty texts remove."""
    site.create("q")

    def has(name: str) -> str | None:
        shown = site.q("GetQueueAttributes", AttributeNames=[name]).document.get("Attributes", {})
        return shown.get(name)

    site.q("SetQueueAttributes", Attributes={"KmsMasterKeyId": "k", "KmsDataKeyReusePeriodSeconds": "60"})

    assert ["k", "60", "false"] == [
        has(name) for name in ("KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds", "SqsManagedSseEnabled")
    ]

    site.q("SetQueueAttributes", Attributes={"KmsMasterKeyId": "", "KmsDataKeyReusePeriodSeconds": "300"})

    assert [None, None] == [has(name) for name in ("KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds")]

    site.q("SetQueueAttributes", Attributes={"Policy": '{"Version":"2012-10-17"}'})

    assert '{"Version":"2012-10-17"}' == has("Policy")

    site.q("SetQueueAttributes", Attributes={"Policy": ""})

    assert has("Policy") is None


def test_creating_again_with_the_same_attributes_is_fine(site):
    """Defaults count; no attributes always fit."""
    url = site.create("q", DelaySeconds="3")

    assert url == site.create("q")
    assert url == site.create("q", DelaySeconds="3", VisibilityTimeout="30")

    site.q("SetQueueAttributes", Attributes={"DelaySeconds": "4"})

    assert url == site.create("q", DelaySeconds="4")
    assert (
        "QueueAlreadyExists" == site.json("CreateQueue", QueueName="q", Attributes={"DelaySeconds": "3"}).code
    )


def test_queues_are_listed_by_prefix_and_page(site):
    """A token only where pages were asked for."""
    assert {} == site.json("ListQueues").document

    for name in ("b2", "a1", "b1", "b3"):
        site.create(name)
    first = site.json("ListQueues", QueueNamePrefix="b", MaxResults=2).document
    rest = site.json("ListQueues", QueueNamePrefix="b", MaxResults=2, NextToken=first["NextToken"]).document

    assert [site.url("b1"), site.url("b2")] == first["QueueUrls"]
    assert {"QueueUrls": [site.url("b3")]} == rest
    assert 4 == len(site.json("ListQueues").document["QueueUrls"])


def test_dead_letter_sources_have_a_small_q(site):
    """`queueUrls`, as the model has it."""
    site.create("dead")
    policy = json.dumps({"deadLetterTargetArn": site.arn("dead"), "maxReceiveCount": "3"})
    site.create("q", RedrivePolicy=policy)

    assert {"queueUrls": [site.url("q")]} == site.q("ListDeadLetterSourceQueues", "dead").document
    assert {"queueUrls": []} == site.q("ListDeadLetterSourceQueues").document


def test_redrive_allow_policies_are_asked(site):
    """When a source names its dead-letter queue."""
    policies = {
        "deny": {"redrivePermission": "denyAll"},
        "some": {"redrivePermission": "byQueue", "sourceQueueArns": [site.arn("good")]},
        "any": {"redrivePermission": "allowAll"},
    }
    for name, policy in policies.items():
        site.create(name, RedriveAllowPolicy=json.dumps(policy))

    def status(source: str, target: str) -> int:
        policy = json.dumps({"deadLetterTargetArn": site.arn(target), "maxReceiveCount": 1})
        site.create(source)
        return site.q("SetQueueAttributes", source, Attributes={"RedrivePolicy": policy}).status

    assert [400, 200, 400, 200] == [
        status(*pair) for pair in (("good", "deny"), ("good", "some"), ("bad", "some"), ("bad", "any"))
    ]


def test_tags_are_kept(site):
    """`tags` when creating, `Tags` later; absent keys may be removed."""
    site.json("CreateQueue", QueueName="q", tags={"a": "1", "b": ""})
    site.q("TagQueue", Tags={"a": "2", "c": "3"})
    site.q("UntagQueue", TagKeys=["b", "never"])

    assert {"Tags": {"a": "2", "c": "3"}} == site.q("ListQueueTags").document

    site.q("UntagQueue", TagKeys=["a", "c"])

    assert {} == site.q("ListQueueTags").document


def test_permissions_edit_the_policy(site):
    """Added once, removed once."""
    site.create("q")
    added = site.q("AddPermission", Label="l", AWSAccountIds=["111122223333"], Actions=["SendMessage"])
    again = site.q("AddPermission", Label="l", AWSAccountIds=["111122223333"], Actions=["*"])
    policy = json.loads(
        site.q("GetQueueAttributes", AttributeNames=["Policy"]).document["Attributes"]["Policy"]
    )
    none = site.q("RemovePermission", Label="none")

    assert {} == added.document
    assert "Value l for parameter Label is invalid. Reason: Already exists." == again.message
    assert (
        "Value none for parameter Label is invalid. Reason: can't find label on existing policy."
        == none.message
    )
    assert {
        "Version": "2008-10-17",
        "Id": f"{site.arn()}/SQSDefaultPolicy",
        "Statement": [
            {
                "Sid": "l",
                "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
                "Action": "SQS:SendMessage",
                "Resource": site.arn(),
            }
        ],
    } == policy
    assert {} == site.q("RemovePermission", Label="l").document
    assert {} == site.q("GetQueueAttributes", AttributeNames=["Policy"]).document


def test_a_batch_fails_entry_by_entry(site):
    """200, with what failed beside what did not."""
    site.create("q", MaximumMessageSize="1024")
    entries = [
        {"Id": "good", "MessageBody": "x"},
        {"Id": "bad", "MessageBody": "\x00"},
        {"Id": "long", "MessageBody": "x" * 1025},
    ]
    document = site.q("SendMessageBatch", Entries=entries).document

    assert ["good"] == [one["Id"] for one in document["Successful"]]
    assert ["InvalidMessageContents", "InvalidParameterValue"] == [one["Code"] for one in document["Failed"]]
    assert (
        "One or more parameters cannot be validated. Reason: Message must be shorter than 1024 bytes."
        == document["Failed"][1]["Message"]
    )
    assert all(one["SenderFault"] is True for one in document["Failed"])

    handle = site.q("ReceiveMessage").document["Messages"][0]["ReceiptHandle"]
    changes = [
        {"Id": "a", "ReceiptHandle": handle, "VisibilityTimeout": 0},
        {"Id": "b", "ReceiptHandle": "garbage", "VisibilityTimeout": 0},
    ]
    changed = site.q("ChangeMessageVisibilityBatch", Entries=changes).document
    deleted = site.q("DeleteMessageBatch", Entries=[{"Id": "a", "ReceiptHandle": handle}]).document

    assert ["a"] == [one["Id"] for one in changed["Successful"]]
    assert ["ReceiptHandleIsInvalid"] == [one["Code"] for one in changed["Failed"]]
    assert {"Successful": [{"Id": "a"}]} == deleted
    assert (0, 0, 0) == site.counts()


def test_handles_of_other_queues_and_of_deleted_messages(site):
    """The first are none; the second change nothing."""
    site.create("q")
    site.create("other")
    site.q("SendMessage", MessageBody="x")
    handle = site.q("ReceiveMessage").document["Messages"][0]["ReceiptHandle"]

    assert "ReceiptHandleIsInvalid" == site.q("DeleteMessage", "other", ReceiptHandle=handle).code
    assert [200, 200] == [site.q("DeleteMessage", ReceiptHandle=handle).status for _ in range(2)]

    late = site.q("ChangeMessageVisibility", ReceiptHandle=handle, VisibilityTimeout=5)

    assert (
        f"Value {handle} for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not "
        "available for visibility timeout change." == late.message
    )


def test_a_fifo_message_cannot_be_deleted_late(site):
    """After its timeout, or after it was received again."""
    site.create("f.fifo", VisibilityTimeout="10")
    site.q("SendMessage", "f.fifo", MessageBody="x", MessageGroupId="g", MessageDeduplicationId="d")
    handle = site.q("ReceiveMessage", "f.fifo").document["Messages"][0]["ReceiptHandle"]
    site.clock.advance(11)
    late = site.q("DeleteMessage", "f.fifo", ReceiptHandle=handle)
    site.q("ReceiveMessage", "f.fifo")
    later = site.q("DeleteMessage", "f.fifo", ReceiptHandle=handle)

    for answer in (late, later):
        assert "InvalidParameterValue" == answer.code
        assert (
            f"Value {handle} for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired."
            == answer.message
        )


def test_visibility_ends_after_twelve_hours_in_all(site):
    """However often it is extended."""
    site.create("q")
    site.q("SendMessage", MessageBody="x")
    handle = site.q("ReceiveMessage", VisibilityTimeout=43_200).document["Messages"][0]["ReceiptHandle"]
    site.clock.advance(10)
    answer = site.q("ChangeMessageVisibility", ReceiptHandle=handle, VisibilityTimeout=43_200)

    assert (
        "Value 43200 for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for the "
        "message is beyond the limit [43200 seconds]" == answer.message
    )


@pytest.mark.parametrize(
    "url",
    [
        "https://sqs.eu-west-1.amazonaws.com/123456789012/q",
        "https://queue.amazonaws.com/123456789012/q",
        "http://localhost:9324/queue/eu-west-1/123456789012/q",
        "http://sqs.eu-west-1.localhost.localstack.cloud:4566/123456789012/q/",
        "q",
    ],
)
def test_urls_are_read_by_their_ends(site, url):
    """Whatever host a client knows the engine by; a name alone will do."""
    site.create("q")

    assert 200 == site.json("SendMessage", QueueUrl=url, MessageBody="x").status


def test_a_call_may_go_to_the_queues_own_path(site, make_answer):
    """As PHP's SDK does in the JSON protocol; `QueueUrl` counts more than the path."""
    site.create("q")
    site.create("other")
    headers = {"X-Amz-Target": "AmazonSQS.SendMessage"}
    site.start("POST", "/123456789012/q", headers, b'{"MessageBody": "by path"}')
    body = json.dumps({"MessageBody": "by url", "QueueUrl": site.url("other")}).encode()
    site.start("POST", "/123456789012/q", headers, body)

    assert (["by path"], ["by url"]) == (site.bodies(), site.bodies(name="other"))


def test_a_deleted_queue_is_gone_and_its_name_free(site):
    """At once; the new queue is empty, and old handles are none of its."""
    site.create("q")
    site.q("SendMessage", MessageBody="x")
    handle = site.q("ReceiveMessage").document["Messages"][0]["ReceiptHandle"]

    assert {} == site.q("DeleteQueue").document
    assert 400 == site.q("SendMessage", MessageBody="x").status

    site.create("q")

    assert (0, 0, 0) == site.counts()
    assert "ReceiptHandleIsInvalid" == site.q("DeleteMessage", ReceiptHandle=handle).code


@pytest.mark.parametrize("pause_s", [60, 5])
def test_a_queue_is_not_purged_again_within_the_pause(make_site, pause_s):
    """60 s on AWS."""
    site = make_site(purge_pause_s=pause_s)
    site.create("q")
    site.q("PurgeQueue")
    again = site.q("PurgeQueue")

    assert (403, "AWS.SimpleQueueService.PurgeQueueInProgress") == (again.status, again.code)
    assert "Only one PurgeQueue operation on q is allowed every 60 seconds." == again.message

    site.clock.advance(pause_s)

    assert 200 == site.q("PurgeQueue").status


def test_too_many_in_flight_is_over_the_limit(site):
    """A short poll of a standard queue says so, of a FIFO queue is empty."""
    for name in ("q", "f.fifo"):
        site.create(name, **({"ContentBasedDeduplication": "true"} if name == "f.fifo" else {}))
        site.service.queue(name).max_in_flight = 1
        for body in ("a", "b"):
            site.q("SendMessage", name, MessageBody=body, MessageGroupId=body)

        assert ["a"] == site.bodies(name=name)

    over = site.q("ReceiveMessage")

    assert (403, "OverLimit") == (over.status, over.code)
    assert [] == site.bodies(name="f.fifo")


# --- the Query protocol


def test_query_answers_are_awss_xml(site):
    """Names, order, the namespace, and an empty result that is one element."""
    created = site.query(
        "CreateQueue", QueueName="q", Attribute__1__Name="DelaySeconds", Attribute__1__Value="0"
    )
    sent = site.query("SendMessage", "/123456789012/q", MessageBody="message-body-1")
    deleted = site.query("DeleteQueue", "/123456789012/q")
    request_id, message_id = sent.xml_text("RequestId")[0], sent.xml_text("MessageId")[0]

    assert [site.url()] == created.xml_text("QueueUrl")
    assert "text/xml" == sent.headers["content-type"]
    assert (
        '<?xml version="1.0"?><SendMessageResponse xmlns="http://queue.amazonaws.com/doc/2012-11-05/">'
        "<SendMessageResult><MD5OfMessageBody>19c9e282d65f9733bc6b35d50062c7ee</MD5OfMessageBody>"
        f"<MessageId>{message_id}</MessageId></SendMessageResult>"
        f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></SendMessageResponse>"
    ) == sent.body.decode()
    assert b"Result" not in deleted.body


def test_query_receives_round_trip(site):
    """Quotes and carriage returns too; attributes by name and value."""
    site.create("q")
    sent = 'a "b"\r\n<c> & \u00e4'
    site.query(
        "SendMessage",
        "/123456789012/q",
        MessageBody=sent,
        MessageAttribute__1__Name="Hello",
        MessageAttribute__1__Value__DataType="String",
        MessageAttribute__1__Value__StringValue="There",
        MessageAttribute__2__Name="Blob",
        MessageAttribute__2__Value__DataType="Binary",
        MessageAttribute__2__Value__BinaryValue="AAE=",
    )
    answer = site.query(
        "ReceiveMessage",
        QueueUrl=site.url(),
        AttributeName__1="ApproximateReceiveCount",
        MessageAttributeName__1="All",
    )
    empty = site.query("ReceiveMessage", QueueUrl=site.url())

    assert [sent] == answer.xml_text("Body")
    assert ["ApproximateReceiveCount", "Hello", "Blob"] == answer.xml_text("Name")
    assert ["AAE="] == answer.xml_text("BinaryValue")
    assert b"&quot;b&quot;&#xD;" in answer.body
    assert b"<ReceiveMessageResult/>" in empty.body


@pytest.mark.parametrize(
    "names",
    [
        ("Attribute.1.Name", "Attribute.1.Value", "Tag.1.Key", "Tag.1.Value"),
        ("Attributes.7.Key", "Attributes.7.Value", "Tags.3.Key", "Tags.3.Value"),
    ],
    ids=["model", "java"],
)
def test_query_names_of_both_kinds_are_read(site, names):
    """Numbers need not begin at 1."""
    form = dict(zip(names, ("VisibilityTimeout", "7", "team", "shop"), strict=True))
    site.query("CreateQueue", QueueName="q", **form)

    assert {"Attributes": {"VisibilityTimeout": "7"}} == site.q(
        "GetQueueAttributes", AttributeNames=["VisibilityTimeout"]
    ).document
    assert {"Tags": {"team": "shop"}} == site.q("ListQueueTags").document
    assert [["team"], ["shop"]] == [
        site.query("ListQueueTags", "/123456789012/q").xml_text(name) for name in ("Key", "Value")
    ]


def test_query_lists_of_one_need_no_number(site):
    """As in the examples of AWS's API reference."""
    site.create("q")
    form = {"Attribute__Name": "VisibilityTimeout", "Attribute__Value": "35"}
    site.query("SetQueueAttributes", "/123456789012/q", **form)
    shown = site.query("GetQueueAttributes", "/123456789012/q", AttributeName="VisibilityTimeout")

    assert (["VisibilityTimeout"], ["35"]) == (shown.xml_text("Name"), shown.xml_text("Value"))


def test_query_by_get(site, make_answer):
    """Everything in the URL, no content type."""
    site.create("q")
    target = "/123456789012/q?Action=SendMessage&MessageBody=hello%20there&Version=2012-11-05"
    [answer] = site.start("GET", target, {}, b"").answers

    assert 200 == answer[0]
    assert ["hello there"] == site.bodies()


def test_query_batches(site):
    """Entries nest their attributes; results repeat without a wrapper."""
    site.create("q")
    prefix = "SendMessageBatchRequestEntry"
    form = {
        f"{prefix}.1.Id": "a",
        f"{prefix}.1.MessageBody": "x",
        f"{prefix}.1.MessageAttribute.1.Name": "Foo",
        f"{prefix}.1.MessageAttribute.1.Value.DataType": "String",
        f"{prefix}.1.MessageAttribute.1.Value.StringValue": "Bar",
        f"{prefix}.2.Id": "b",
        f"{prefix}.2.MessageBody": "\x01",
        f"{prefix}.10.Id": "c",
        f"{prefix}.10.MessageBody": "y",
    }
    answer = site.query("SendMessageBatch", "/123456789012/q", **form)

    assert ["a", "c", "b"] == answer.xml_text("Id")
    assert ["ae7155c6026991b6d54b11589678bf9c"] == answer.xml_text("MD5OfMessageAttributes")
    assert ["true"] == answer.xml_text("SenderFault")
    assert 2 == len(answer.xml_text("SendMessageBatchResultEntry"))


@given(
    body=st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\x00\ufffe\uffff"),
        min_size=1,
        max_size=60,
    ).filter(lambda body: all(one >= " " or one in "\t\r\n" for one in body))
)
def test_every_body_round_trips_in_both_protocols(site_class, body):
    """Byte for byte, with the digest of what was sent."""
    site = site_class()
    site.create("q")
    by_json = site.q("SendMessage", MessageBody=body).document["MD5OfMessageBody"]
    by_query = site.query("SendMessage", "/123456789012/q", MessageBody=body).xml_text("MD5OfMessageBody")
    first = site.query("ReceiveMessage", "/123456789012/q")

    assert [by_json] == by_query == first.xml_text("MD5OfBody")
    assert [body] == first.xml_text("Body")
    assert [body] == site.bodies()
