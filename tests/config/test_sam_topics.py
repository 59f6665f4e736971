"""Topics of templates: events of functions, subscriptions, and what is left out with a warning."""

import pytest

from engine.config import load_config
from engine.errors import ConfigError

FUNCTION = "{Runtime: python3.11, Handler: orders.handler, CodeUri: src"
ARN = "arn:aws:sns:us-east-1:000000000000:"


@pytest.fixture
def template(write, project):
    """Write a template with functions F and G, beside their code, and load it."""
    (project / "src").mkdir()
    (project / "src" / "orders.py").write_text("")

    def load(events="", resources=""):
        text = (
            f"Resources:\n"
            f"  F: {{Type: AWS::Serverless::Function, Properties: {FUNCTION}{events}}}}}\n"
            f"  G: {{Type: AWS::Serverless::Function, Properties: {FUNCTION}}}}}\n"
            f"  T: {{Type: AWS::SNS::Topic}}\n{resources}"
        )
        return load_config(write("template.yaml", text))

    return load


def event(properties):
    return ", Events: {E: {Type: SNS, Properties: {" + properties + "}}}"


def settings(config, kind):
    """Of all events of that type, by function."""
    return {binding.function.name: binding.settings for binding in config.bindings.get(kind, ())}


def test_an_event_of_a_function_is_a_subscription(template):
    """A policy may be text; a dead-letter queue is made."""
    config = template(
        event(
            "Topic: !Ref T, FilterPolicy: '{\"a\": [1]}', FilterPolicyScope: MessageBody, Region: x, "
            "RedrivePolicy: {deadLetterTargetArn: 'arn:aws:sqs:us-east-1:000000000000:dead'}"
        )
    )
    found = settings(config, "sns")["F"]

    assert ("T", {"a": [1]}, "MessageBody", "dead") == (
        found.topic,
        found.filter_policy,
        found.filter_policy_scope,
        found.dead_letter_queue,
    )
    assert {"dead"} == config.resources.queues.keys()
    assert () == config.warnings


@pytest.mark.parametrize(
    ("through", "queue", "batch_size"),
    [
        ("true", "FEQueue", 10),
        ("{BatchSize: 5, Enabled: false}", "FEQueue", 5),
        ("{QueueArn: !GetAtt Q.Arn, QueueUrl: !Ref Q}", "Q", 10),
    ],
)
def test_an_event_through_a_queue_is_a_mapping_and_a_subscription_of_the_queue(
    template, through, queue, batch_size
):
    """The queue is that of the template, or made as SAM calls it."""
    config = template(
        event(f"Topic: !Ref T, FilterPolicy: {{a: [b]}}, SqsSubscription: {through}"),
        "  Q: {Type: AWS::SQS::Queue}\n",
    )
    [subscription] = config.resources.topics["T"].subscriptions
    found = settings(config, "sqs")["F"]

    assert (queue, {"a": ["b"]}, False) == (
        subscription.queue,
        subscription.filter_policy,
        subscription.raw_message_delivery,
    )
    assert (queue, batch_size) == (found.queue.rpartition(":")[2], found.batch_size)
    assert {"sns": False} == {"sns": "sns" in config.bindings}


def test_resources_are_topics_and_subscriptions(template):
    """A topic without a name has its logical id; FIFO ones end in `.fifo`."""
    config = template(
        resources=(
            "  Q: {Type: AWS::SQS::Queue, Properties: {FifoQueue: true}}\n"
            "  D: {Type: AWS::SQS::Queue}\n"
            "  O:\n    Type: AWS::SNS::Topic\n    Properties:\n"
            "      FifoTopic: true\n      ContentBasedDeduplication: true\n"
            "      FifoThroughputScope: MessageGroup\n      Tags: [{Key: a, Value: b}]\n"
            "      Subscription: [{Protocol: sqs, Endpoint: !GetAtt Q.Arn}]\n"
            "  S:\n    Type: AWS::SNS::Subscription\n    Properties:\n"
            "      TopicArn: !Ref T\n      Protocol: https\n      Endpoint: https://x.example/a\n"
            "  L:\n    Type: AWS::SNS::Subscription\n    Properties:\n"
            "      TopicArn: !Ref T\n      Protocol: lambda\n      Endpoint: !GetAtt G.Arn\n"
            "      RedrivePolicy: {deadLetterTargetArn: !GetAtt D.Arn}\n"
            "  P: {Type: AWS::SNS::TopicPolicy}\n"
        )
    )
    topics = config.resources.topics

    assert {"T", "O.fifo"} == topics.keys()
    assert (True, "MessageGroup", {"a": "b"}, "Q.fifo") == (
        topics["O.fifo"].content_based_deduplication,
        topics["O.fifo"].throughput_scope,
        topics["O.fifo"].tags,
        topics["O.fifo"].subscriptions[0].queue,
    )
    assert ["https://x.example/a"] == [one.url for one in topics["T"].subscriptions]
    assert ("T", "D") == (
        settings(config, "sns")["G"].topic,
        settings(config, "sns")["G"].dead_letter_queue,
    )
    assert ("Resources.P: AWS::SNS::TopicPolicy is not checked here, left out",) == config.warnings


@pytest.mark.parametrize(
    ("subscription", "warning"),
    [
        ("TopicArn: !Ref T, Protocol: email, Endpoint: a@b", "subscriptions by email are not supported"),
        ("TopicArn: !ImportValue x, Protocol: sqs, Endpoint: q", "known only once deployed"),
        ("TopicArn: !Ref T, Protocol: lambda, Endpoint: nobody", "its function is none of this template"),
    ],
)
def test_what_nobody_here_can_get_is_left_out_with_a_warning(template, subscription, warning):
    """The rest goes on."""
    config = template(resources=f"  S: {{Type: AWS::SNS::Subscription, Properties: {{{subscription}}}}}\n")

    assert [True] == [warning in line for line in config.warnings]
    assert [] == [one for topic in config.resources.topics.values() for one in topic.subscriptions]


@pytest.mark.parametrize(
    ("events", "problem"),
    [
        (event("FilterPolicy: {a: [1]}"), "Properties.Topic: is required"),
        (event("Topic: {}, SqsSubscription: true"), "Properties.Topic: {} is not the ARN of a topic"),
        (event("Topic: true, SqsSubscription: true"), "Properties.Topic: True is not the ARN of a topic"),
        (event("Topic: !Ref T, FilterPolicy: {a: 1}"), '"a" must be an object or an array'),
        (event("Topic: !Ref T, FilterPolicyScope: Body"), "FilterPolicyScope"),
        (event("Topic: o.fifo"), "a FIFO topic cannot invoke a function"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(template, events, problem):
    """In the words of the template."""
    with pytest.raises(ConfigError) as caught:
        template(events)

    assert problem in str(caught.value)
    assert str(caught.value).startswith("Resources.F.Properties.Events.E.Properties")
