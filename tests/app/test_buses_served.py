"""Topics and event buses of one SAM template, served: SNS and rules to handlers, SNS to SQS to a handler."""

import json
import uuid

import pytest

from tests.app.ear import HANDLERS, Ear

pytestmark = pytest.mark.real_time

TEMPLATE = """
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Globals:
  Function:
    Runtime: python3.12
    CodeUri: .
    Handler: app.sign
    Environment:
      Variables:
        EAR: {ear}
Resources:
  Orders:
    Type: AWS::SNS::Topic
    Properties:
      TopicName: orders
      DisplayName: Orders
      Subscription:
        - {{Protocol: lambda, Endpoint: !GetAtt Listed.Arn}}
  Listed:
    Type: AWS::Serverless::Function
  Paid:
    Type: AWS::Serverless::Function
    Properties:
      Events:
        Topic:
          Type: SNS
          Properties:
            Topic: !Ref Orders
            FilterPolicy: {{kind: [paid]}}
  Polling:
    Type: AWS::Serverless::Function
    Properties:
      Events:
        Topic:
          Type: SNS
          Properties:
            Topic: !Ref Orders
            FilterPolicyScope: MessageBody
            FilterPolicy: {{state: [open]}}
            SqsSubscription: true
  Kept:
    Type: AWS::SQS::Queue
  Keeping:
    Type: AWS::SNS::Subscription
    Properties:
      TopicArn: !Ref Orders
      Protocol: sqs
      Endpoint: !GetAtt Kept.Arn
      RawMessageDelivery: true
  Failing:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.fail
      EventInvokeConfig:
        MaximumRetryAttempts: 0
        DestinationConfig:
          OnFailure: {{Type: SNS, Destination: !Ref Orders}}
  Photos:
    Type: AWS::S3::Bucket
    Properties:
      BucketName: photos
      NotificationConfiguration:
        TopicConfigurations:
          - {{Event: "s3:ObjectCreated:*", Topic: !GetAtt Orders.TopicArn}}
  Shop:
    Type: AWS::Events::EventBus
    Properties: {{Name: shop}}
  Large:
    Type: AWS::Serverless::Function
    Properties:
      Events:
        Rule:
          Type: EventBridgeRule
          Properties:
            EventBusName: !Ref Shop
            Pattern: {{source: [shop], detail: {{n: [{{numeric: [">", 9]}}]}}}}
            InputTransformer: {{InputPathsMap: {{n: $.detail.n}}, InputTemplate: '{{"number": <n>}}'}}
  Published:
    Type: AWS::Events::Rule
    Properties:
      EventBusName: !Ref Shop
      EventPattern: {{source: [shop], detail-type: [published]}}
      Targets:
        - {{Id: topic, Arn: !Ref Orders, InputPath: $.detail}}
"""
TOPIC = "arn:aws:sns:us-east-1:000000000000:orders"


@pytest.fixture(scope="module")
def ear():
    ear = Ear(f"ear-{uuid.uuid4()}")
    yield ear
    ear.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory, ear, serve):
    folder = tmp_path_factory.mktemp("template")
    (folder / "app.py").write_text(HANDLERS)
    (folder / "template.yaml").write_text(TEMPLATE.format(ear=ear.name))
    with serve("--config", str(folder / "template.yaml")) as served:
        yield served


def messages(events):
    """What functions were told of, each once."""
    return [event["Records"][0]["Sns"]["Message"] for event in events]


def test_a_topic_of_a_template_reaches_functions_and_queues(served, ear):
    """With their filter policies; what SAM makes of SqsSubscription is polled by the function."""
    sns, sqs = served.client("sns"), served.client("sqs")
    sns.publish(
        TopicArn=TOPIC,
        Message="one",
        MessageAttributes={"kind": {"DataType": "String", "StringValue": "paid"}},
    )
    sns.publish(TopicArn=TOPIC, Message='{"state":"open"}')
    [polled] = ear.hear("Polling")
    url = sqs.get_queue_url(QueueName="Kept")["QueueUrl"]
    kept = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]

    assert ["one"] == messages(ear.hear("Paid"))
    assert {"one", '{"state":"open"}'} == set(messages(ear.hear("Listed", 2)))
    assert '{"state":"open"}' == json.loads(polled["Records"][0]["body"])["Message"]
    assert polled["Records"][0]["eventSourceARN"].endswith(":PollingTopicQueue")
    assert {"one", '{"state":"open"}'} == {message["Body"] for message in kept}


def test_buckets_and_functions_of_a_template_publish(served, ear):
    """The topic that the bucket names, and that of a destination."""
    served.client("s3").put_object(Bucket="photos", Key="a", Body=b"1")
    [notification] = messages(ear.hear("Listed"))
    served.lambda_.invoke(FunctionName="Failing", InvocationType="Event", Payload=b'{"n":1}')
    [record] = messages(ear.hear("Listed"))

    assert "a" == json.loads(notification)["Records"][0]["s3"]["object"]["key"]
    assert {"n": 1} == json.loads(record)["requestPayload"]


def test_a_rule_of_a_template_reaches_a_function(served, ear):
    """By PutEvents to the template's bus, through the input transformer; what does not match does not."""
    entry = {"Source": "shop", "DetailType": "order", "EventBusName": "shop"}
    numbers = [{**entry, "Detail": json.dumps({"n": number})} for number in (2, 12)]
    answer = served.client("events").put_events(Entries=numbers)

    assert 0 == answer["FailedEntryCount"]
    assert [{"number": 12}] == ear.hear("Large")


def test_a_rule_of_a_template_publishes_to_a_topic(served, ear):
    """Whose subscribers get the part of the event that the rule chose."""
    entry = {"Source": "shop", "DetailType": "published", "EventBusName": "shop", "Detail": '{"n":1}'}
    served.client("events").put_events(Entries=[entry])

    assert ['{"n":1}'] == messages(ear.hear("Listed"))
