"""Topics, subscriptions and their attributes: what is kept, shown and refused."""

import json

import pytest

from tests.services.sns.conftest import QUEUE, TOPIC


@pytest.mark.parametrize(
    ("protocol", "endpoint", "attributes", "message"),
    [
        ("gopher", "x", {}, "Amazon SNS does not support this protocol string: gopher"),
        ("sqs", "", {}, "Endpoint"),
        ("sqs", "q", {}, "SQS endpoint ARN"),
        ("sqs", f"{QUEUE}.fifo", {}, "FIFO SQS Queues can not be subscribed to standard SNS topics"),
        ("lambda", QUEUE, {}, "Lambda endpoint ARN"),
        ("http", "https://x.example", {}, "Endpoint must match the specified protocol"),
        ("http", "http:///x", {}, "Endpoint must match the specified protocol"),
        ("sqs", QUEUE, {"X": "y"}, "Attributes Reason: Unknown attribute: X"),
        ("sqs", QUEUE, {"RedrivePolicy": "[]"}, "deadLetterTargetArn is an invalid arn"),
        ("sqs", QUEUE, {"RedrivePolicy": '{"deadLetterTargetArn":"x"}'}, "is an invalid arn"),
        (
            "sqs",
            QUEUE,
            {"FilterPolicyScope": "X"},
            "Reason: FilterPolicyScope: Invalid value [X]. Please use",
        ),
        ("sqs", QUEUE, {"FilterPolicy": "{"}, "FilterPolicy: failed to parse JSON."),
        ("sqs", QUEUE, {"DeliveryPolicy": "[]"}, "DeliveryPolicy: failed to parse JSON."),
        ("sqs", QUEUE, {"DeliveryPolicy": '{"healthyRetryPolicy":1}'}, "healthyRetryPolicy"),
        ("sqs", QUEUE, {"DeliveryPolicy": '{"requestPolicy":1}'}, "headerContentType"),
        (
            "sqs",
            QUEUE,
            {"DeliveryPolicy": '{"requestPolicy":{"headerContentType":"text/plain\\r\\na: b"}}'},
            "headerContentType",
        ),
        ("sqs", QUEUE, {"DeliveryPolicy": '{"healthyRetryPolicy":{"numRetries":101}}'}, "between 0 and 100"),
        (
            "lambda",
            "arn:aws:lambda:us-east-1:000000000000:function:f",
            {"RawMessageDelivery": "true"},
            "Delivery protocol [lambda] does not support raw message delivery",
        ),
    ],
)
async def test_what_cannot_subscribe_is_refused(site, protocol, endpoint, attributes, message):
    """In AWS's words, as far as they are known; nothing is kept of it."""
    site.topic()
    answer = site.ask(
        "Subscribe", TopicArn=TOPIC, Protocol=protocol, Endpoint=endpoint, Attributes=attributes
    )

    assert "InvalidParameterException" == answer[0]
    assert message in answer[1]
    assert {"Subscriptions": []} == site.ask("ListSubscriptions")


async def test_a_subscription_that_is_made_again_is_the_same_unless_an_attribute_says_otherwise(site):
    """What is not said does not differ, and a default is what was not said at first."""
    site.topic()
    policy = '{"a":["b"]}'
    arn = site.subscribe(RawMessageDelivery="true", FilterPolicy=policy)

    assert [arn] * 5 == [
        site.subscribe(),
        site.subscribe(RawMessageDelivery="true"),
        site.subscribe(FilterPolicy=policy, FilterPolicyScope="MessageAttributes"),
        site.subscribe(RedrivePolicy=""),
        site.subscribe(RawMessageDelivery="true", FilterPolicy=policy),
    ]
    for other in (
        {"RawMessageDelivery": "false"},
        {"FilterPolicy": "{}"},
        {"RawMessageDelivery": "true", "FilterPolicyScope": "MessageBody"},
    ):
        answer = site.ask("Subscribe", TopicArn=TOPIC, Protocol="sqs", Endpoint=QUEUE, Attributes=other)
        assert "Attributes Reason: Subscription already exists with different attributes" in answer[1]


async def test_a_nested_policy_on_attributes_is_refused_in_words_of_its_own(site):
    """The attribute is not named, as recorded of SetSubscriptionAttributes."""
    site.topic()
    answer = site.ask(
        "SetSubscriptionAttributes",
        SubscriptionArn=site.subscribe(),
        AttributeName="FilterPolicy",
        AttributeValue='{"a":{"b":["c"]}}',
    )

    assert (
        "Invalid parameter: Filter policy scope MessageAttributes does not support nested filter policy"
        == answer[1]
    )


async def test_the_keys_of_tags_are_distinct(site):
    """Also of those that a topic is made with."""
    site.topic()
    twice = [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]

    expected = ("InvalidParameterException", "Invalid parameter: Duplicated keys are not allowed.")
    assert expected == site.ask("TagResource", ResourceArn=TOPIC, Tags=twice)
    assert expected == site.ask("CreateTopic", Name="other", Tags=twice)
    assert {"Tags": []} == site.ask("ListTagsForResource", ResourceArn=TOPIC)


async def test_what_needs_more_than_the_engine_has_is_refused_by_name(site):
    """501, which SDKs do not send again."""
    site.topic()
    for protocol in ("email", "sms", "firehose", "application"):
        answer = site.ask("Subscribe", TopicArn=TOPIC, Protocol=protocol, Endpoint="x")
        assert (
            "NotImplementedException",
            f"Subscribing by {protocol} is not implemented by this engine",
        ) == answer
    replay = {"ReplayPolicy": "{}"}
    assert (
        "NotImplementedException"
        == site.ask("Subscribe", TopicArn=TOPIC, Protocol="sqs", Endpoint=QUEUE, Attributes=replay)[0]
    )


async def test_subscribers_of_a_fifo_topic_are_queues_and_their_dead_letters_in_order_too(site):
    """Functions and endpoints are refused."""
    arn = site.topic("t.fifo", FifoTopic="true")
    redrive = {"RedrivePolicy": json.dumps({"deadLetterTargetArn": QUEUE})}
    for protocol, endpoint, attributes in (
        ("lambda", "arn:aws:lambda:us-east-1:000000000000:function:f", {}),
        ("http", "http://x.example", {}),
        ("sqs", f"{QUEUE}.fifo", redrive),
    ):
        answer = site.ask(
            "Subscribe", TopicArn=arn, Protocol=protocol, Endpoint=endpoint, Attributes=attributes
        )
        assert "InvalidParameterException" == answer[0]
    assert site.subscribe(QUEUE, topic=arn).startswith(arn)


@pytest.mark.parametrize(
    ("name", "attributes", "message"),
    [
        ("", {}, "Topic Name"),
        ("a.fifo", {}, "Topic Name"),
        ("a", {"FifoTopic": "true"}, "Fifo Topic names must end with .fifo"),
        ("a", {"FifoTopic": "yes"}, "FifoTopic"),
        ("a", {"ContentBasedDeduplication": "true"}, "ContentBasedDeduplication"),
        ("a", {"Policy": "{"}, "Policy: failed to parse JSON."),
        ("a", {"Policy": '{"Statement":[1]}'}, "Policy: failed to parse JSON."),
        ("a", {"MaximumMessageSize": "1"}, "MaximumMessageSize"),
        ("a", {"DisplayName": "x" * 101}, "DisplayName"),
        ("a", {"X": "y"}, "Unknown attribute X"),
    ],
)
async def test_what_is_no_topic_is_refused(site, name, attributes, message):
    answer = site.ask("CreateTopic", Name=name, Attributes=attributes)

    assert "InvalidParameterException" == answer[0]
    assert message in answer[1]


async def test_a_topic_that_is_made_again_is_the_same_if_it_says_the_same(site):
    """What was not said is the default."""
    assert TOPIC == site.topic() == site.topic(FifoTopic="false", DisplayName="", TracingConfig="PassThrough")
    assert "different attributes" in site.ask("CreateTopic", Name="t", Attributes={"DisplayName": "x"})[1]
    assert "different tags" in site.ask("CreateTopic", Name="t", Tags=[{"Key": "a", "Value": "b"}])[1]


async def test_attributes_of_topics_are_set_one_by_one_and_emptied(site):
    """Statements of a policy come and go by their label."""
    site.topic()

    def change(name, value):
        return site.ask("SetTopicAttributes", TopicArn=TOPIC, AttributeName=name, AttributeValue=value)

    change("DisplayName", "D")
    change("Policy", '{"Statement":{"Sid":"one"}}')
    site.ask("AddPermission", TopicArn=TOPIC, Label="two", AWSAccountId=["1", "2"], ActionName=["Publish"])
    again = site.ask("AddPermission", TopicArn=TOPIC, Label="two", AWSAccountId=["1"], ActionName=["Publish"])
    site.ask("RemovePermission", TopicArn=TOPIC, Label="one")
    shown = site.ask("GetTopicAttributes", TopicArn=TOPIC)["Attributes"]

    assert "Statement already exists" in again[1]
    assert ["two"] == [one["Sid"] for one in json.loads(shown["Policy"])["Statement"]]
    assert "D" == shown["DisplayName"]
    for name in ("FifoTopic", "TopicArn", "X"):
        assert ("InvalidParameterException", "Invalid parameter: AttributeName") == change(name, "true")
    change("DisplayName", "")
    change("Policy", "")
    shown = site.ask("GetTopicAttributes", TopicArn=TOPIC)["Attributes"]
    assert ("", "__default_policy_ID") == (shown["DisplayName"], json.loads(shown["Policy"])["Id"])


async def test_a_filter_policy_that_is_emptied_takes_everything(site):
    """`{}` and nothing are the same; while there is one, its scope is shown."""
    site.topic()
    arn = site.subscribe(FilterPolicy='{"a":["x"]}')
    site.publish()
    assert [] == site.bodies()
    assert (
        "MessageAttributes"
        == site.ask("GetSubscriptionAttributes", SubscriptionArn=arn)["Attributes"]["FilterPolicyScope"]
    )
    for empty in ("{}", ""):
        site.ask(
            "SetSubscriptionAttributes",
            SubscriptionArn=arn,
            AttributeName="FilterPolicy",
            AttributeValue=empty,
        )
        site.publish()
    shown = site.ask("GetSubscriptionAttributes", SubscriptionArn=arn)["Attributes"]

    assert 2 == len(site.bodies())
    assert set() == shown.keys() & {"FilterPolicy", "FilterPolicyScope"}


async def test_what_is_missing_is_told_as_the_model_has_it(site):
    """All at once."""
    code, message = site.ask("Subscribe", Endpoint="x")

    assert "ValidationError" == code
    assert message.startswith("2 validation errors detected: Value null at 'topicArn'")
