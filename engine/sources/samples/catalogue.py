"""The sources whose samples can be asked for by name, with the fields that can be set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from engine.services.s3.bucket_names import bucket_problem
from engine.services.s3.notification_rules import EVENTS
from engine.sources.samples.fields import EventValues, SampleField
from engine.sources.samples.limits import (
    key_of_item,
    matching,
    message_attributes,
    names_and_values,
    path_of_url,
    up_to,
)
from engine.sources.samples.making import (
    make_alb,
    make_dead_letter,
    make_destination,
    make_dynamodb,
    make_eventbridge,
    make_function_url,
    make_http_v1,
    make_http_v2,
    make_kinesis,
    make_logs,
    make_s3,
    make_s3_eventbridge,
    make_schedule,
    make_sns,
    make_sqs,
)

_BODY: Final = {"message": "hello"}

_FUNCTION_NAME: Final = matching(r"[a-zA-Z0-9-_]{1,64}")
_QUEUE_NAME: Final = matching(r"[A-Za-z0-9_-]{1,80}|[A-Za-z0-9_-]{1,75}\.fifo")
_TOKEN: Final = matching(r"[!-~]{1,128}")
_OF_LOGS: Final = matching(r"[^:*]{1,512}")

_TIME: Final = SampleField("time", None, "when it happens; else now, with `engine events` 2026-01-01", "time")
_FUNCTION: Final = SampleField(
    "function", "function", "name of the function; ids are made of it", check=_FUNCTION_NAME
)


class SampleSource(NamedTuple):
    """One source.

    Attributes:
        about: For people: what comes from there.
        fields: What can be set.
        make: An event of the values of its fields, seconds since the Unix epoch and what salts its ids.
    """

    about: str
    fields: tuple[SampleField, ...]
    make: Callable[[EventValues, float, str], Any]


_REQUEST: Final = (
    SampleField("method", "GET", "GET, POST, ..."),
    SampleField("path", "/", "of the URL, decoded", check=path_of_url),
    SampleField("query", {}, "names and values", "object", check=names_and_values),
    SampleField("headers", {}, "names and values", "object", check=names_and_values),
    SampleField("body", None, "text as it is, other JSON with its content type", "json"),
)
_ROUTE: Final = SampleField("route", None, "GET /orders/{id}: gives path parameters", "route")
_STAGE: Final = SampleField("stage", None, "of the API")
_VARIABLES: Final = SampleField("stage_variables", {}, "of the stage", "object")


_HAPPENINGS: Final = tuple(
    f"{family}:{kind}" if kind else family for family, kinds in EVENTS.items() for kind in kinds or ("",)
)


_OF_OBJECTS: Final = (
    SampleField("bucket", "bucket", "its name", check=bucket_problem),
    SampleField("key", "photos/cat 1.png", "of the object, not encoded", check=up_to(1024)),
    SampleField(
        "event", "ObjectCreated:Put", "ObjectCreated:Copy, ObjectRemoved:Delete, ...", choices=_HAPPENINGS
    ),
    SampleField("body", "hello", "of the object: gives its size and ETag"),
    SampleField("version", None, "of the object, if the bucket is versioned", check=up_to(1024)),
    _TIME,
)

_VIEWS: Final = ("KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES")


_ERROR_MESSAGE: Final = SampleField("error_message", "failed", "of that error")

SOURCES: Final[Mapping[str, SampleSource]] = {
    "http-v2": SampleSource(
        "HTTP API, payload format 2.0",
        (*_REQUEST, _ROUTE, _STAGE, _VARIABLES, _FUNCTION, _TIME),
        make_http_v2,
    ),
    "http-v1": SampleSource(
        "REST API, or HTTP API with payload format 1.0",
        (
            *_REQUEST,
            _ROUTE,
            _STAGE,
            _VARIABLES,
            SampleField("api", "rest", "which kind of API", choices=("rest", "http")),
            _FUNCTION,
            _TIME,
        ),
        make_http_v1,
    ),
    "function-url": SampleSource("function URL", (*_REQUEST, _FUNCTION, _TIME), make_function_url),
    "alb": SampleSource(
        "Application Load Balancer",
        (
            *_REQUEST,
            SampleField("multi_value_headers", False, "attribute of the target group", "flag"),  # noqa: FBT003
            _FUNCTION,
            _TIME,
        ),
        make_alb,
    ),
    "sqs": SampleSource(
        "batch of messages of an SQS queue",
        (
            SampleField("body", _BODY, "text as it is, other JSON as its text", "json"),
            SampleField(
                "attributes", {}, "message attributes: texts and numbers", "object", check=message_attributes
            ),
            SampleField("queue", "queue", "its name; one that ends in .fifo is FIFO", check=_QUEUE_NAME),
            SampleField("records", 1, "messages in the batch", "whole"),
            SampleField("group", None, "MessageGroupId; of FIFO queues else `group`", check=_TOKEN),
            SampleField(
                "deduplication", None, "MessageDeduplicationId, FIFO; else of the body", check=_TOKEN
            ),
            SampleField("receives", 1, "how often it was received, this time included", "whole"),
            _TIME,
        ),
        make_sqs,
    ),
    "s3": SampleSource("notification of an S3 bucket", _OF_OBJECTS, make_s3),
    "s3-eventbridge": SampleSource(
        "the same happening in a bucket, as EventBridge tells of it", _OF_OBJECTS, make_s3_eventbridge
    ),
    "kinesis": SampleSource(
        "batch of records of a Kinesis stream",
        (
            SampleField("data", _BODY, "text as it is, other JSON as its text; base64 in the event", "json"),
            SampleField("key", "key", "partition key", check=matching(r"(?s:.{1,256})")),
            SampleField("stream", "stream", "its name", check=matching(r"[a-zA-Z0-9_.-]{1,128}")),
            SampleField("records", 1, "records in the batch", "whole"),
            _TIME,
        ),
        make_kinesis,
    ),
    "dynamodb": SampleSource(
        "batch of changes of a DynamoDB table, from its stream",
        (
            SampleField(
                "event", "INSERT", "INSERT, MODIFY or REMOVE", choices=("INSERT", "MODIFY", "REMOVE")
            ),
            SampleField(
                "keys",
                {"id": "a"},
                'key of the item, plain or as {"id": {"S": "a"}}',
                "object",
                check=key_of_item,
            ),
            SampleField("new", {"n": 2}, "what else it holds after the change", "object"),
            SampleField("old", {"n": 1}, "what else it held before", "object"),
            SampleField("table", "table", "its name", check=matching(r"[a-zA-Z0-9_.-]{3,255}")),
            SampleField("view", _VIEWS[-1], f"of the stream, or {', '.join(_VIEWS[:-1])}", choices=_VIEWS),
            SampleField("expired", False, "time to live removed it", "flag"),  # noqa: FBT003
            SampleField("records", 1, "changes in the batch", "whole"),
            _TIME,
        ),
        make_dynamodb,
    ),
    "sns": SampleSource(
        "message of an SNS topic",
        (
            SampleField("message", _BODY, "text as it is, other JSON as its text", "json"),
            SampleField("subject", None, "for people", check=matching(r"[^\x00-\x1f\x7f]{1,100}")),
            SampleField(
                "attributes", {}, "message attributes: texts and numbers", "object", check=message_attributes
            ),
            SampleField("topic", "topic", "its name", check=matching(r"[A-Za-z0-9_-]{1,256}")),
            _FUNCTION,
            _TIME,
        ),
        make_sns,
    ),
    "eventbridge": SampleSource(
        "event of a bus, by a rule with a pattern",
        (
            SampleField("detail", _BODY, "what happened", "object"),
            SampleField("source", "shop", "who says so", check=up_to(256)),
            SampleField("detail_type", "order.created", "which kind of event it is", check=up_to(128)),
            _TIME,
        ),
        make_eventbridge,
    ),
    "schedule": SampleSource(
        "rule with a schedule, or a schedule of EventBridge Scheduler",
        (
            SampleField("service", "rule", "what fires", choices=("rule", "scheduler")),
            SampleField(
                "name",
                None,
                "of the rule or schedule; else FUNCTION-schedule",
                check=matching(r"[.\-_A-Za-z0-9]{1,64}"),
            ),
            _FUNCTION,
            _TIME,
        ),
        make_schedule,
    ),
    "logs": SampleSource(
        "log events of one stream, from a subscription filter of CloudWatch Logs",
        (
            SampleField("message", "ERROR: hello\n", "of a log event; JSON as its text", "json"),
            SampleField("records", 1, "log events", "whole"),
            SampleField(
                "group",
                "/aws/lambda/function",
                "name of the log group",
                check=matching(r"[.\-_/#A-Za-z0-9]{1,512}"),
            ),
            SampleField("stream", None, "name of the log stream; else one of a function", check=_OF_LOGS),
            SampleField("subscription", "subscription", "name of the subscription filter", check=_OF_LOGS),
            _TIME,
        ),
        make_logs,
    ),
    "destination": SampleSource(
        "what became of an asynchronous event, as a destination of it gets it",
        (
            SampleField("payload", _BODY, "of the event", "json"),
            SampleField("result", {"ok": True}, "what the function returned", "json"),
            SampleField("error", None, "type of the error it ended with"),
            _ERROR_MESSAGE,
            SampleField("via", "lambda", "who gets it", choices=("lambda", "eventbridge")),
            _FUNCTION,
            _TIME,
        ),
        make_destination,
    ),
    "dead-letter": SampleSource(
        "asynchronous event that failed, from the dead-letter queue of its function",
        (
            SampleField("payload", _BODY, "the event", "json"),
            SampleField("error", "Exception", "type of the error it ended with"),
            _ERROR_MESSAGE,
            SampleField("queue", "dead-letters", "its name", check=_QUEUE_NAME),
            _FUNCTION,
            _TIME,
        ),
        make_dead_letter,
    ),
}
"""By name, in the order in which they are listed."""
