"""Makes samples of the values of their fields: the words of a command line to the arguments of factories."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.sources.http.settings import DEFAULT_PATH, path_problem
from engine.sources.samples.common import text_of
from engine.sources.samples.destinations import dead_letter, destination
from engine.sources.samples.eventbridge import eventbridge
from engine.sources.samples.fields import EventValues
from engine.sources.samples.http import alb, http_v1, http_v2
from engine.sources.samples.logs import logs
from engine.sources.samples.s3 import s3, s3_eventbridge
from engine.sources.samples.schedule import schedule
from engine.sources.samples.sns import sns
from engine.sources.samples.sqs import SqsMessage, sqs
from engine.sources.samples.streams import dynamodb, kinesis


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


def make_http_v2(values: EventValues, at_s: float, salt: str) -> Any:
    """A request of an HTTP API; if no route is set, that of the request, or `$default`."""
    sent = _sent(values(0))
    if sent["route"] is None and path_problem(sent["path"]) is None and "{" not in sent["path"]:
        sent["route"] = f"{sent['method']} {sent['path']}"
    elif sent["route"] is None:
        sent["stage"] = sent["stage"] or DEFAULT_PATH
    return http_v2(**sent, at_s=at_s, salt=salt)


def make_function_url(values: EventValues, at_s: float, salt: str) -> Any:
    """A request to a function URL."""
    return http_v2(**_sent(values(0)), at_s=at_s, salt=salt)


def make_http_v1(values: EventValues, at_s: float, salt: str) -> Any:
    """A request in payload format 1.0."""
    return http_v1(**_sent(values(0)), at_s=at_s, salt=salt)


def make_alb(values: EventValues, at_s: float, salt: str) -> Any:
    """A request through a load balancer."""
    return alb(**_sent(values(0)), at_s=at_s, salt=salt)


def make_sqs(values: EventValues, at_s: float, salt: str) -> Any:
    """A batch of messages."""
    messages = [_message(values(place)) for place in range(values(0)["records"])]
    return sqs(*messages, queue=values(0)["queue"], at_s=at_s, salt=salt, number=values.number)


def _message(values: dict[str, Any]) -> SqsMessage:
    group = values["group"] or ("group" if values["queue"].endswith(".fifo") else None)
    return SqsMessage(
        body=values["body"],
        attributes=values["attributes"],
        group_id=group,
        deduplication_id=values["deduplication"],
        receive_count=values["receives"],
    )


def _object(values: dict[str, Any]) -> dict[str, Any]:
    return {**{name: values[name] for name in ("key", "bucket", "event")}, "version_id": values["version"]}


def make_s3(values: EventValues, at_s: float, salt: str) -> Any:
    """A notification of a bucket."""
    given = values(0)
    return s3(**_object(given), body=_content(given), at_s=at_s, salt=salt)


def make_s3_eventbridge(values: EventValues, at_s: float, salt: str) -> Any:
    """The same as EventBridge tells it."""
    given = values(0)
    return s3_eventbridge(**_object(given), body=_content(given), at_s=at_s, salt=salt)


def _content(values: dict[str, Any]) -> bytes:
    return str(values["body"]).encode()


def make_kinesis(values: EventValues, at_s: float, salt: str) -> Any:
    """A batch of records."""
    each = [values(place) for place in range(values(0)["records"])]
    data, keys = [one["data"] for one in each], [one["key"] for one in each]
    return kinesis(*data, keys=keys, stream=each[0]["stream"], at_s=at_s, salt=salt, number=values.number)


def make_dynamodb(values: EventValues, at_s: float, salt: str) -> Any:
    """A batch of changes."""
    given = values(0)
    if given["expired"] and given["event"] != "REMOVE":
        raise ValueError("expired: time to live removes items: event is REMOVE then")
    keys = [values(place)["keys"] for place in range(given["records"])]
    chosen = {name: given[name] for name in ("event", "new", "old", "table", "view", "expired")}
    return dynamodb(*keys, **chosen, at_s=at_s, salt=salt, number=values.number)


def make_sns(values: EventValues, at_s: float, salt: str) -> Any:
    """A message of a topic."""
    given = values(0)
    chosen = {name: given[name] for name in ("subject", "attributes", "topic", "function")}
    return sns(given["message"], **chosen, at_s=at_s, salt=salt)


def make_eventbridge(values: EventValues, at_s: float, salt: str) -> Any:
    """An event of a bus."""
    given = values(0)
    chosen = {name: given[name] for name in ("source", "detail_type")}
    return eventbridge(given["detail"], **chosen, at_s=at_s, salt=salt)


def make_schedule(values: EventValues, at_s: float, salt: str) -> Any:
    """A moment of a schedule."""
    given = values(0)
    chosen = {name: given[name] for name in ("name", "service", "function")}
    return schedule(**chosen, at_s=at_s, salt=salt)


def make_destination(values: EventValues, at_s: float, salt: str) -> Any:
    """The record of an asynchronous event."""
    given = values(0)
    error = None if given["error"] is None else (given["error"], given["error_message"])
    chosen = {name: given[name] for name in ("payload", "result", "function", "via")}
    return destination(**chosen, error=error, at_s=at_s, salt=salt)


def make_dead_letter(values: EventValues, at_s: float, salt: str) -> Any:
    """A dead letter, as a message of its queue."""
    given = values(0)
    error = (given["error"], given["error_message"])
    letter = dead_letter(given["payload"], error=error, function=given["function"], at_s=at_s, salt=salt)
    return sqs(letter, queue=given["queue"], at_s=at_s, salt=salt)


def make_logs(values: EventValues, at_s: float, salt: str) -> Any:
    """Log events."""
    given = values(0)
    messages = [text_of(values(place)["message"]) for place in range(given["records"])]
    chosen = {name: given[name] for name in ("group", "stream", "subscription")}
    return logs(*messages, **chosen, at_s=at_s, salt=salt)
