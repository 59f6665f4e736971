"""What resources of a template are called here: the names that only a deployment would make up."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from engine.core.function import Account

FUNCTION_TYPES: Final = ("AWS::Serverless::Function", "AWS::Lambda::Function")
LAYER_TYPES: Final = ("AWS::Serverless::LayerVersion", "AWS::Lambda::LayerVersion")
QUEUE: Final = "AWS::SQS::Queue"
BUCKET: Final = "AWS::S3::Bucket"
TOPIC: Final = "AWS::SNS::Topic"
LOG_GROUP: Final = "AWS::Logs::LogGroup"
DATA_STREAM: Final = "AWS::Kinesis::Stream"
STREAM_CONSUMER: Final = "AWS::Kinesis::StreamConsumer"
EVENT_BUS: Final = "AWS::Events::EventBus"
TABLE_TYPES: Final = ("AWS::DynamoDB::Table", "AWS::Serverless::SimpleTable")

_SHORTEST: Final = 3
_LONGEST: Final = 63


class Kind(NamedTuple):
    """A type of resource that has a name here: the property that gives it, and its service, for ARNs.

    `resource` is what stands before the name in an ARN.
    """

    name_key: str
    service: str | None
    made_up: Callable[[str, Mapping[str, Any]], str]
    resource: str = ""


def valid_name(words: str) -> str:
    """`words` as a name that functions, queues and buckets may have: `PhotoBucket` is `photo-bucket`."""
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", words).lower()
    name = re.sub(r"[^a-z0-9]+", "-", split).strip("-")[:_LONGEST].strip("-")
    return name if len(name) >= _SHORTEST else f"{name}-local".lstrip("-")


def name_of(kind: str, logical: str, properties: Mapping[str, Any]) -> str:
    """The name of a resource that has none of its own."""
    return KINDS[kind].made_up(logical, properties)


def layer_arn(account: Account, name: str) -> str:
    """Of the one version of a layer that there is."""
    return f"arn:aws:lambda:{account.region}:{account.account_id}:layer:{name}:1"


def _logical(logical: str, _: Mapping[str, Any]) -> str:
    return logical


def _queue_name(logical: str, properties: Mapping[str, Any]) -> str:
    return f"{logical}.fifo" if str(properties.get("FifoQueue")).lower() == "true" else logical


def _topic_name(logical: str, properties: Mapping[str, Any]) -> str:
    return f"{logical}.fifo" if str(properties.get("FifoTopic")).lower() == "true" else logical


def _bucket_name(logical: str, _: Mapping[str, Any]) -> str:
    return logical.lower() if len(logical) >= _SHORTEST else valid_name(logical)


def _table_name(logical: str, _: Mapping[str, Any]) -> str:
    return logical if len(logical) >= _SHORTEST else f"{logical}-local"


KINDS: Final[Mapping[str, Kind]] = {
    **{kind: Kind("FunctionName", "lambda", _logical) for kind in FUNCTION_TYPES},
    **{kind: Kind("LayerName", None, _logical) for kind in LAYER_TYPES},
    QUEUE: Kind("QueueName", "sqs", _queue_name),
    BUCKET: Kind("BucketName", "s3", _bucket_name),
    TOPIC: Kind("TopicName", "sns", _topic_name),
    LOG_GROUP: Kind("LogGroupName", None, _logical),
    EVENT_BUS: Kind("Name", "events", _logical),
    DATA_STREAM: Kind("Name", "kinesis", _logical, "stream/"),
    **{kind: Kind("TableName", "dynamodb", _table_name, "table/") for kind in TABLE_TYPES},
}
