"""Who gets what is published, in which form, and what becomes of it where it cannot be delivered."""

import asyncio
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.destinations import DeliveryError, DestinationRecord
from engine.protocols.aws.errors import ServiceError
from engine.services.sns.message import read_message
from tests.services.sns.conftest import DEAD, QUEUE, TOPIC

REDRIVE = json.dumps({"deadLetterTargetArn": DEAD})


async def test_an_envelope_has_a_member_a_line(site):
    """As AWS lays it out; links lead to the engine."""
    site.topic()
    arn = site.subscribe()
    attributes = {"a": {"DataType": "String", "StringValue": "x"}}
    site.publish('say "é"', Subject="s", MessageAttributes=attributes)
    [text] = site.bodies()

    assert text.startswith('{\n  "Type" : "Notification",\n  "MessageId" : "id-')
    assert '  "Message" : "say \\"é\\"",\n' in text
    assert f'"http://engine.local/?Action=Unsubscribe&SubscriptionArn={arn}&Version=2010-03-31"' in text
    assert text.endswith('"MessageAttributes" : {\n    "a" : {"Type":"String","Value":"x"}\n  }\n}')
    assert re.search(r'"Timestamp" : "\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"', text)


async def test_a_standard_topic_passes_a_group_on(site):
    """For fair queues."""
    site.topic()
    site.subscribe()
    site.publish(MessageGroupId="tenant")

    assert ["tenant"] == [record.group for _, record in site.got]
    assert "MessageDeduplicationId" in site.publish(MessageDeduplicationId="x")[1]


@pytest.mark.parametrize("text", ["1_000", "\u0663", "NaN", "Infinity", "0x10", "one"])
async def test_an_attribute_that_is_no_number_is_refused(site, text):
    """Python's own spellings of numbers too."""
    site.topic()
    answer = site.publish(MessageAttributes={"n": {"DataType": "Number", "StringValue": text}})

    assert "Could not cast message attribute 'n' value to number." == answer[1]


@pytest.mark.parametrize(("text", "expected"), [("+150", 1), ("1.5e2", 1), (".5", 0), ("1e400", 1)])
async def test_a_number_may_be_spelt_in_many_ways(site, text, expected):
    """All of them are numbers for a policy."""
    site.topic()
    site.subscribe(FilterPolicy='{"n": [{"numeric": [">=", 150]}]}')
    site.publish(MessageAttributes={"n": {"DataType": "Number", "StringValue": text}})

    assert expected == len(site.bodies())


@pytest.mark.parametrize("raw", ["true", "false"])
async def test_what_cannot_be_delivered_is_a_dead_letter_as_a_queue_would_get_it(site, raw):
    """With raw delivery the message, and 10 of its attributes."""
    site.topic()
    site.missing = {QUEUE}
    site.subscribe(RedrivePolicy=REDRIVE, RawMessageDelivery=raw)
    attributes = {f"a{n}": {"DataType": "String", "StringValue": "x"} for n in range(11)}
    site.publish(MessageAttributes=attributes)
    [(arn, record)] = site.got

    assert DEAD == arn
    if raw == "true":
        assert (b"m", 10) == (record.body, len(record.attributes))
    else:
        assert ("m", 11) == (
            json.loads(record.body)["Message"],
            len(json.loads(record.body)["MessageAttributes"]),
        )
    assert {"dead_letter": 1} == site.counts.ended["sns"]["sqs"]


async def test_more_attributes_than_a_queue_takes_are_not_delivered_raw(site):
    """AWS drops the message as a client's error."""
    site.topic()
    site.subscribe(RawMessageDelivery="true")
    attributes = {f"a{n}": {"DataType": "String", "StringValue": "x"} for n in range(11)}
    site.publish(MessageAttributes=attributes)

    assert [] == site.got
    assert {"dropped": 1} == site.counts.ended["sns"]["sqs"]


async def test_a_message_that_comes_from_the_process_is_published_like_any_other(site):
    """From buckets, destinations and event buses."""
    site.topic()
    site.subscribe()
    site.service.send(TOPIC, DestinationRecord(body=b"{}", subject="Amazon S3 Notification"))
    [text] = site.bodies()

    assert ("Amazon S3 Notification", "{}") == (json.loads(text)["Subject"], json.loads(text)["Message"])
    for arn, record in (
        (TOPIC + "x", DestinationRecord(body=b"{}")),
        (TOPIC, DestinationRecord(body=b"x" * 300_000)),
        (site.topic("f.fifo", FifoTopic="true"), DestinationRecord(body=b"{}", group="g")),
    ):
        with pytest.raises(DeliveryError):
            site.service.send(arn, record)
    content = site.topic("c.fifo", FifoTopic="true", ContentBasedDeduplication="true")
    site.subscribe(f"{QUEUE}.fifo", topic=content)
    for _ in range(2):
        site.service.send(content, DestinationRecord(body=b"{}", group="g"))
    assert 1 == len(site.bodies())


# ---------------------------------------------------------------- FIFO


async def test_duplicates_are_those_of_five_minutes(site):
    """By topic, or by group."""
    topic = site.topic("t.fifo", FifoTopic="true", ContentBasedDeduplication="true")
    grouped = site.topic("g.fifo", FifoTopic="true", FifoThroughputScope="MessageGroup")
    for arn in (topic, grouped):
        site.subscribe(f"{QUEUE}.fifo", topic=arn, RawMessageDelivery="true")
    for group in ("a", "b", "a"):
        site.publish(topic=topic, MessageGroupId=group)
    assert ["m"] == site.bodies()
    for group in ("a", "b", "a"):
        site.publish(topic=grouped, MessageGroupId=group, MessageDeduplicationId="1")
    assert ["m", "m"] == site.bodies()
    await asyncio.sleep(301)
    site.publish(topic=topic, MessageGroupId="a")

    assert ["m"] == site.bodies()


# ---------------------------------------------------------------- HTTP


@pytest.mark.parametrize(
    ("policy", "expected_s"),
    [
        ({}, [0, 20.5, 41, 61.5]),
        ({"numRetries": 2, "minDelayTarget": 1, "maxDelayTarget": 1}, [0, 1.5, 3]),
        (
            {
                "numRetries": 4,
                "numNoDelayRetries": 1,
                "numMinDelayRetries": 1,
                "minDelayTarget": 5,
                "maxDelayTarget": 10,
                "numMaxDelayRetries": 1,
            },
            [0, 0.5, 6, 11.5, 22],
        ),
    ],
)
async def test_an_endpoint_that_fails_is_tried_by_its_delivery_policy(site, policy, expected_s):
    """By default three times after 20 s each; here each answer takes half a second."""
    site.topic()
    given = {"DeliveryPolicy": json.dumps({"healthyRetryPolicy": policy})} if policy else {}
    arn = site.subscribe("http://x.example/a", "http", RedrivePolicy=REDRIVE, **given)
    await asyncio.sleep(1)
    token = json.loads(site.posts[0][1].record.body)["Token"]
    site.ask("ConfirmSubscription", TopicArn=TOPIC, Token=token)
    site.posts, site.statuses, site.began_s = [], [500] * 10, site.clock.now()
    site.publish()
    await asyncio.sleep(100)

    assert expected_s == [at_s for at_s, _ in site.posts]
    assert ["m"] == [json.loads(text)["Message"] for text in site.bodies()]
    assert arn == site.posts[0][1].headers["x-amz-sns-subscription-arn"]


async def test_what_a_topic_says_of_retries_holds_for_its_subscriptions(site):
    """Until they say it themselves."""
    policy = {
        "http": {"defaultHealthyRetryPolicy": {"numRetries": 1, "minDelayTarget": 3, "maxDelayTarget": 3}}
    }
    site.topic(DeliveryPolicy=json.dumps(policy))
    site.statuses = [500, 500]
    arn = site.subscribe("https://x.example/a", "https")
    await asyncio.sleep(30)
    shown = site.ask("GetSubscriptionAttributes", SubscriptionArn=arn)["Attributes"]

    assert [0, 3.5] == [at_s for at_s, _ in site.posts]
    assert 1 == json.loads(shown["EffectiveDeliveryPolicy"])["healthyRetryPolicy"]["numRetries"]


@pytest.mark.parametrize(
    ("of_topic", "own", "no_overrides", "expected"),
    [
        (None, None, False, "text/plain; charset=UTF-8"),
        ("application/json", None, False, "application/json"),
        ("application/json", "text/xml; charset=UTF-8", False, "text/xml; charset=UTF-8"),
        ("application/json", "text/xml", True, "application/json"),
        ("image/png", None, False, "text/plain; charset=UTF-8"),
    ],
)
async def test_notifications_have_the_content_type_of_the_delivery_policy(
    site, of_topic, own, no_overrides, expected
):
    """The request to confirm has the default. A topic may forbid its subscriptions to say otherwise."""
    http = {"defaultRequestPolicy": {"headerContentType": of_topic}} if of_topic else {}
    http["disableSubscriptionOverrides"] = no_overrides
    site.topic(DeliveryPolicy=json.dumps({"http": http}))
    policy = {"requestPolicy": {"headerContentType": own}}
    site.subscribe("http://x.example/a", "http", **({"DeliveryPolicy": json.dumps(policy)} if own else {}))
    token = json.loads(site.posts[0][1].record.body)["Token"]
    site.ask("ConfirmSubscription", TopicArn=TOPIC, Token=token)
    site.publish()

    assert ["text/plain; charset=UTF-8", expected] == [
        delivery.headers["Content-Type"] for _, delivery in site.posts
    ]


async def test_what_a_subscription_was_is_restored_by_the_token_that_its_endpoint_got_last(site):
    """With its ARN and attributes; an endpoint that has subscribed again meanwhile keeps that."""
    site.topic()

    def token():
        return json.loads(site.posts[-1][1].record.body)["Token"]

    def confirm(token):
        return site.ask("ConfirmSubscription", TopicArn=TOPIC, Token=token)

    arn = site.subscribe("http://x.example/a", "http", RawMessageDelivery="true")
    confirm(token())
    site.ask("Unsubscribe", SubscriptionArn=arn)
    last = token()
    answers = [confirm(last), confirm(last)]
    site.publish("raw")

    assert [{"SubscriptionArn": arn}] * 2 == answers
    assert b"raw" == site.posts[-1][1].record.body
    shown = site.ask("GetTopicAttributes", TopicArn=TOPIC)["Attributes"]
    assert ("1", "0") == (shown["SubscriptionsConfirmed"], shown["SubscriptionsDeleted"])
    site.ask("Unsubscribe", SubscriptionArn=arn)
    last, other = token(), site.subscribe("http://x.example/a", "http")
    assert {"SubscriptionArn": other} == confirm(last)
    assert arn != other


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        (
            "a^1",
            {},
            "Invalid non-alphanumeric character '#x5E' was found in the message attribute name. Can",
        ),
        (".a", {}, "Invalid message attribute name starting with character '.' was found."),
        ("a.", {}, "Invalid message attribute name ending with character '.' was found."),
        ("a..b", {}, "Message attribute name can not have successive '.' character."),
        ("a" * 257, {}, "Length of message attribute name must be less than 256 bytes."),
        ("a", {"DataType": "String", "BinaryValue": b"x"}, "with type 'String' must use field 'String'."),
        ("a", {"DataType": "Number", "BinaryValue": b"x"}, "with type 'Number' must use field 'String'."),
        ("a", {"DataType": "Binary", "StringValue": "x"}, "with type 'Binary' must use field 'Binary'."),
    ],
)
async def test_a_wrong_attribute_is_refused_in_recorded_words(site, name, value, expected):
    """Source: recorded answers."""
    site.topic()
    answer = site.publish(MessageAttributes={name: value or {"DataType": "String", "StringValue": "x"}})

    assert "InvalidParameterValueException" == answer[0]
    assert expected in answer[1]


async def test_a_batch_of_which_one_is_wrong_is_refused(site):
    """Nobody gets the others."""
    site.topic()
    site.subscribe()
    wrong = {"MessageAttributes": {"a": {"DataType": "String", "StringValue": ""}}}
    entries = [{"Id": "1", "Message": "m"}, {"Id": "2", "Message": "m", **wrong}]
    answer = site.ask("PublishBatch", TopicArn=TOPIC, PublishBatchRequestEntries=entries)

    assert "InvalidParameterValueException" == answer[0]
    assert [] == site.bodies()


async def test_an_empty_arn_of_a_topic_is_too_short(site):
    """One that is not there is missing."""
    assert "TopicArn Reason: An ARN must have at least 6 elements, not 1" in site.publish(topic="")[1]
    assert "no value for required parameter" in site.ask("Publish", Message="m")[1]


async def test_a_pending_subscription_is_asked_again_by_subscribing_again(site):
    """A token confirms once, and may be shown again."""
    site.topic()
    arn = site.subscribe("http://x.example/a", "http")
    assert arn == site.subscribe("http://x.example/a", "http")
    tokens = {json.loads(delivery.record.body)["Token"] for _, delivery in site.posts}
    [token] = tokens
    answers = [site.ask("ConfirmSubscription", TopicArn=TOPIC, Token=token) for _ in range(2)]

    assert 2 == len(site.posts)
    assert [{"SubscriptionArn": arn}] * 2 == answers
    site.ask("Unsubscribe", SubscriptionArn=arn)
    assert ("InvalidParameterException", "Invalid parameter: Token") == site.ask(
        "ConfirmSubscription", TopicArn=TOPIC, Token=token
    )


# ---------------------------------------------------------------- properties

members = st.fixed_dictionaries(
    {},
    optional={
        "Message": st.sampled_from(["", "m", "{}", '{"default":"d"}', '{"default":1}', "[1]"]),
        "Subject": st.text(max_size=3),
        "MessageStructure": st.sampled_from(["", "json", "xml"]),
        "MessageGroupId": st.text(max_size=2),
        "MessageDeduplicationId": st.text(max_size=2),
        "MessageAttributes": st.dictionaries(
            st.text("aA.é", max_size=3),
            st.fixed_dictionaries(
                {},
                optional={
                    "DataType": st.sampled_from(
                        ["", "String", "Number", "Binary", "String.Array", "Number.x", "X"]
                    ),
                    "StringValue": st.sampled_from(["", "x", "1", "1e999", "NaN", "+1", "[1]", "[[1]]", "é"]),
                    "BinaryValue": st.sampled_from(["", "AA==", "?"]),
                },
            ),
            max_size=3,
        ),
    },
)


@given(members, st.booleans(), st.booleans())
def test_whatever_is_published_is_a_message_or_refused(params, fifo, has_content_ids):
    """And what filter policies see of it is JSON."""
    try:
        message, size = read_message(params, "id", None, fifo=fifo, has_content_ids=has_content_ids)
    except ServiceError as error:
        refused = error
    else:
        assert size >= len(message.text)
        assert json.loads(json.dumps(message.filterable, allow_nan=False)) == message.filterable
        assert (message.group is not None and message.dedup_id is not None) >= fifo
        return

    assert 400 == refused.status
