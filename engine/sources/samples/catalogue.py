"""The sources whose samples can be asked for by name, with the fields that can be set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from engine.services.s3.notification_rules import EVENTS
from engine.sources.samples.common import text_of
from engine.sources.samples.destinations import dead_letter, destination
from engine.sources.samples.eventbridge import eventbridge
from engine.sources.samples.fields import SampleField
from engine.sources.samples.http import alb, http_v1, http_v2
from engine.sources.samples.logs import logs
from engine.sources.samples.s3 import s3, s3_eventbridge
from engine.sources.samples.schedule import schedule
from engine.sources.samples.sns import sns
from engine.sources.samples.sqs import SqsMessage, sqs
from engine.sources.samples.streams import dynamodb, kinesis

Values = Callable[[int], dict[str, Any]]
"""The values of all fields for a record, by its place in the event from 0."""

_BODY: Final = {"message": "hello"}

_TIME: Final = SampleField("time", None, "when it happens; else now, with `engine events` 2026-01-01", "time")
_FUNCTION: Final = SampleField("function", "function", "name of the function; ids are made of it")


class SampleSource(NamedTuple):
    """One source.

    Attributes:
        about: For people: what comes from there.
        fields: What can be set.
        make: An event of the values of its fields, seconds since the Unix epoch and what salts its ids.
    """

    about: str
    fields: tuple[SampleField, ...]
    make: Callable[[Values, float, str], Any]


# ---------------------------------------------------------------- HTTP

_REQUEST: Final = (
    SampleField("method", "GET", "GET, POST, ..."),
    SampleField("path", "/", "of the URL, decoded"),
    SampleField("query", {}, "names and values", "object"),
    SampleField("headers", {}, "names and values", "object"),
    SampleField("body", None, "text as it is, other JSON with its content type", "json"),
)
_ROUTE: Final = SampleField("route", None, "GET /orders/{id}: gives path parameters", "route")
_STAGE: Final = SampleField("stage", None, "of the API")
_VARIABLES: Final = SampleField("stage_variables", {}, "of the stage", "object")


def _sent(values: dict[str, Any]) -> dict[str, Any]:
    """What of the fields of a request is an argument as it is."""
    query, headers = _texts(values.pop("query")), _texts(values.pop("headers"))
    body = values.pop("body")
    method = values.pop("method").upper()
    del values["time"]
    return {
        **values,
        "method": method,
        "query": query,
        "headers": headers,
        "body": b"" if body is None else body,
    }


def _texts(pairs: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values; a list is several values."""
    found: list[tuple[str, str]] = []
    for name, value in pairs.items():
        found += [(name, str(one)) for one in (value if isinstance(value, list) else [value])]
    return found


def _http_v2(values: Values, at_s: float, salt: str) -> Any:
    sent = _sent(values(0))
    if sent["route"] is None:
        sent["route"] = f"{sent['method']} {sent['path']}"
    return http_v2(**sent, at_s=at_s, salt=salt)


def _function_url(values: Values, at_s: float, salt: str) -> Any:
    return http_v2(**_sent(values(0)), at_s=at_s, salt=salt)


def _http_v1(values: Values, at_s: float, salt: str) -> Any:
    return http_v1(**_sent(values(0)), at_s=at_s, salt=salt)


def _alb(values: Values, at_s: float, salt: str) -> Any:
    return alb(**_sent(values(0)), at_s=at_s, salt=salt)


# ---------------------------------------------------------------- queues and buckets


def _sqs(values: Values, at_s: float, salt: str) -> Any:
    messages = [_message(values(place)) for place in range(values(0)["records"])]
    return sqs(*messages, queue=values(0)["queue"], at_s=at_s, salt=salt)


def _message(values: dict[str, Any]) -> SqsMessage:
    group = values["group"] or ("group" if values["queue"].endswith(".fifo") else None)
    return SqsMessage(
        body=values["body"],
        attributes=values["attributes"],
        group_id=group,
        deduplication_id=values["deduplication"],
        receive_count=values["receives"],
    )


_HAPPENINGS: Final = tuple(
    f"{family}:{kind}" if kind else family for family, kinds in EVENTS.items() for kind in kinds or ("",)
)


def _object(values: dict[str, Any]) -> dict[str, Any]:
    return {**{name: values[name] for name in ("key", "bucket", "event")}, "version_id": values["version"]}


def _s3(values: Values, at_s: float, salt: str) -> Any:
    given = values(0)
    return s3(**_object(given), body=_content(given), at_s=at_s, salt=salt)


def _s3_eventbridge(values: Values, at_s: float, salt: str) -> Any:
    given = values(0)
    return s3_eventbridge(**_object(given), body=_content(given), at_s=at_s, salt=salt)


def _content(values: dict[str, Any]) -> bytes:
    return str(values["body"]).encode()


_OF_OBJECTS: Final = (
    SampleField("bucket", "bucket", "its name"),
    SampleField("key", "photos/cat 1.png", "of the object, not encoded"),
    SampleField(
        "event", "ObjectCreated:Put", "ObjectCreated:Copy, ObjectRemoved:Delete, ...", choices=_HAPPENINGS
    ),
    SampleField("body", "hello", "of the object: gives its size and ETag"),
    SampleField("version", None, "of the object, if the bucket is versioned"),
    _TIME,
)

# ---------------------------------------------------------------- streams

_VIEWS: Final = ("KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES")


def _kinesis(values: Values, at_s: float, salt: str) -> Any:
    each = [values(place) for place in range(values(0)["records"])]
    data, keys = [one["data"] for one in each], [one["key"] for one in each]
    return kinesis(*data, keys=keys, stream=each[0]["stream"], at_s=at_s, salt=salt)


def _dynamodb(values: Values, at_s: float, salt: str) -> Any:
    given = values(0)
    keys = [values(place)["keys"] for place in range(given["records"])]
    chosen = {name: given[name] for name in ("event", "new", "old", "table", "view", "expired")}
    return dynamodb(*keys, **chosen, at_s=at_s, salt=salt)


# ---------------------------------------------------------------- topics and buses


def _sns(values: Values, at_s: float, salt: str) -> Any:
    given = values(0)
    chosen = {name: given[name] for name in ("subject", "attributes", "topic", "function")}
    return sns(given["message"], **chosen, at_s=at_s, salt=salt)


def _eventbridge(values: Values, at_s: float, salt: str) -> Any:
    given = values(0)
    chosen = {name: given[name] for name in ("source", "detail_type")}
    return eventbridge(given["detail"], **chosen, at_s=at_s, salt=salt)


# ---------------------------------------------------------------- schedules and destinations


def _schedule(values: Values, at_s: float, salt: str) -> Any:
    given = values(0)
    chosen = {name: given[name] for name in ("name", "service", "function")}
    return schedule(**chosen, at_s=at_s, salt=salt)


def _destination(values: Values, at_s: float, salt: str) -> Any:
    given = values(0)
    error = None if given["error"] is None else (given["error"], given["error_message"])
    chosen = {name: given[name] for name in ("payload", "result", "function", "via")}
    return destination(**chosen, error=error, at_s=at_s, salt=salt)


def _dead_letter(values: Values, at_s: float, salt: str) -> Any:
    given = values(0)
    error = (given["error"], given["error_message"])
    letter = dead_letter(given["payload"], error=error, function=given["function"], at_s=at_s, salt=salt)
    return sqs(letter, queue=given["queue"], at_s=at_s, salt=salt)


# ---------------------------------------------------------------- logs


def _logs(values: Values, at_s: float, salt: str) -> Any:
    given = values(0)
    messages = [text_of(values(place)["message"]) for place in range(given["records"])]
    chosen = {name: given[name] for name in ("group", "stream", "subscription")}
    return logs(*messages, **chosen, at_s=at_s, salt=salt)


_ERROR_MESSAGE: Final = SampleField("error_message", "failed", "of that error")

SOURCES: Final[Mapping[str, SampleSource]] = {
    "http-v2": SampleSource(
        "HTTP API, payload format 2.0", (*_REQUEST, _ROUTE, _STAGE, _VARIABLES, _FUNCTION, _TIME), _http_v2
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
        _http_v1,
    ),
    "function-url": SampleSource("function URL", (*_REQUEST, _FUNCTION, _TIME), _function_url),
    "alb": SampleSource(
        "Application Load Balancer",
        (
            *_REQUEST,
            SampleField("multi_value_headers", False, "attribute of the target group", "flag"),  # noqa: FBT003
            _FUNCTION,
            _TIME,
        ),
        _alb,
    ),
    "sqs": SampleSource(
        "batch of messages of an SQS queue",
        (
            SampleField("body", _BODY, "text as it is, other JSON as its text", "json"),
            SampleField("attributes", {}, "message attributes: texts and numbers", "object"),
            SampleField("queue", "queue", "its name; one that ends in .fifo is FIFO"),
            SampleField("records", 1, "messages in the batch", "whole"),
            SampleField("group", None, "MessageGroupId; of FIFO queues else `group`"),
            SampleField("deduplication", None, "MessageDeduplicationId, FIFO; else of the body"),
            SampleField("receives", 1, "how often it was received, this time included", "whole"),
            _TIME,
        ),
        _sqs,
    ),
    "s3": SampleSource("notification of an S3 bucket", _OF_OBJECTS, _s3),
    "s3-eventbridge": SampleSource(
        "the same happening in a bucket, as EventBridge tells of it", _OF_OBJECTS, _s3_eventbridge
    ),
    "kinesis": SampleSource(
        "batch of records of a Kinesis stream",
        (
            SampleField("data", _BODY, "text as it is, other JSON as its text; base64 in the event", "json"),
            SampleField("key", "key", "partition key"),
            SampleField("stream", "stream", "its name"),
            SampleField("records", 1, "records in the batch", "whole"),
            _TIME,
        ),
        _kinesis,
    ),
    "dynamodb": SampleSource(
        "batch of changes of a DynamoDB table, from its stream",
        (
            SampleField(
                "event", "INSERT", "INSERT, MODIFY or REMOVE", choices=("INSERT", "MODIFY", "REMOVE")
            ),
            SampleField("keys", {"id": "a"}, 'key of the item, plain or as {"id": {"S": "a"}}', "object"),
            SampleField("new", {"n": 2}, "what else it holds after the change", "object"),
            SampleField("old", {"n": 1}, "what else it held before", "object"),
            SampleField("table", "table", "its name"),
            SampleField("view", _VIEWS[-1], f"of the stream, or {', '.join(_VIEWS[:-1])}", choices=_VIEWS),
            SampleField("expired", False, "time to live removed it", "flag"),  # noqa: FBT003
            SampleField("records", 1, "changes in the batch", "whole"),
            _TIME,
        ),
        _dynamodb,
    ),
    "sns": SampleSource(
        "message of an SNS topic",
        (
            SampleField("message", _BODY, "text as it is, other JSON as its text", "json"),
            SampleField("subject", None, "for people"),
            SampleField("attributes", {}, "message attributes: texts and numbers", "object"),
            SampleField("topic", "topic", "its name"),
            _FUNCTION,
            _TIME,
        ),
        _sns,
    ),
    "eventbridge": SampleSource(
        "event of a bus, by a rule with a pattern",
        (
            SampleField("detail", _BODY, "what happened", "object"),
            SampleField("source", "shop", "who says so"),
            SampleField("detail_type", "order.created", "which kind of event it is"),
            _TIME,
        ),
        _eventbridge,
    ),
    "schedule": SampleSource(
        "rule with a schedule, or a schedule of EventBridge Scheduler",
        (
            SampleField("service", "rule", "what fires", choices=("rule", "scheduler")),
            SampleField("name", None, "of the rule or schedule; else FUNCTION-schedule"),
            _FUNCTION,
            _TIME,
        ),
        _schedule,
    ),
    "logs": SampleSource(
        "log events of one stream, from a subscription filter of CloudWatch Logs",
        (
            SampleField("message", "ERROR: hello\n", "of a log event; JSON as its text", "json"),
            SampleField("records", 1, "log events", "whole"),
            SampleField("group", "/aws/lambda/function", "name of the log group"),
            SampleField("stream", None, "name of the log stream; else one of a function"),
            SampleField("subscription", "subscription", "name of the subscription filter"),
            _TIME,
        ),
        _logs,
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
        _destination,
    ),
    "dead-letter": SampleSource(
        "asynchronous event that failed, from the dead-letter queue of its function",
        (
            SampleField("payload", _BODY, "the event", "json"),
            SampleField("error", "Exception", "type of the error it ended with"),
            _ERROR_MESSAGE,
            SampleField("queue", "dead-letters", "its name"),
            _FUNCTION,
            _TIME,
        ),
        _dead_letter,
    ),
}
"""By name, in the order in which they are listed."""
