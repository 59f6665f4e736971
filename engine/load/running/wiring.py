"""Queues and buckets in front of functions, made through the AWS APIs of a running engine."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

from engine.load.aws_requests import ACCOUNT, authorization
from engine.load.errors import LoadTestError
from engine.load.planning.plan import Stream

_ANSWER_S: Final = 15.0
_ENABLED_S: Final = 30.0
_LOOK_S: Final = 0.1
_BATCH: Final = 10
_JSON: Final = "application/x-amz-json-1.0"
_COUNTERS: Final = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
_KEY: Final = re.compile(r"<Key>([^<]+)</Key>")
_NOTIFICATION: Final = (
    "<NotificationConfiguration><CloudFunctionConfiguration><CloudFunction>{arn}</CloudFunction>"
    "<Event>s3:ObjectCreated:*</Event></CloudFunctionConfiguration></NotificationConfiguration>"
)


@contextmanager
def wired(streams: Mapping[str, Stream], aws_url: str | None, run_id: str) -> Iterator[dict[str, Stream]]:
    """The streams, those by queue or bucket with one that was made for them; it is removed at the end.

    A message that fails is a dead letter at once, so that each is accounted for.

    Raises:
        LoadTestError: The engine did not make one.
    """
    with ExitStack() as made:
        changed = dict(streams)
        for number, (name, stream) in enumerate(streams.items()):
            if stream.send not in ("sqs", "s3") or not stream.is_users:
                continue
            if aws_url is None:
                raise LoadTestError("a queue or a bucket needs an engine")
            place = f"engine-load-{'-'.join(run_id.split('-')[-3:])}-{number}"
            if stream.send == "sqs":
                changed[name] = made.enter_context(_queue(stream, aws_url, place))
            else:
                changed[name] = made.enter_context(_bucket(stream, aws_url, place))
        yield changed


@contextmanager
def _queue(stream: Stream, aws_url: str, name: str) -> Iterator[Stream]:
    dead, timeout_s = f"{name}-dead", _function(aws_url, stream.function)["Timeout"]
    with ExitStack() as made:
        dead_url = made.enter_context(_created(aws_url, dead))
        redrive = json.dumps({"deadLetterTargetArn": _queue_arn(aws_url, dead_url), "maxReceiveCount": "1"})
        attributes = {"RedrivePolicy": redrive, "VisibilityTimeout": str(6 * timeout_s)}
        url = made.enter_context(_created(aws_url, name, Attributes=attributes))
        made.enter_context(_mapped(aws_url, stream.function, _queue_arn(aws_url, url)))
        yield stream.model_copy(update={"queue": name, "dead_letter_queue": dead})


@contextmanager
def _created(aws_url: str, name: str, **members: Any) -> Iterator[str]:
    """A queue; gives its URL."""
    url = _sqs(aws_url, "CreateQueue", QueueName=name, **members)["QueueUrl"]
    try:
        yield url
    finally:
        _sqs(aws_url, "DeleteQueue", QueueUrl=url)


@contextmanager
def _mapped(aws_url: str, function: str, queue_arn: str) -> Iterator[None]:
    """A mapping of the queue to the function, which is enabled."""
    wanted = {"FunctionName": function, "EventSourceArn": queue_arn, "BatchSize": _BATCH}
    made = json.loads(call(aws_url, "POST", "/2015-03-31/event-source-mappings/", json.dumps(wanted)))
    path = f"/2015-03-31/event-source-mappings/{made['UUID']}"
    until_s = time.monotonic() + _ENABLED_S
    try:
        while json.loads(call(aws_url, "GET", path))["State"] != "Enabled":
            if time.monotonic() > until_s:
                raise LoadTestError(f"the mapping of {queue_arn} was not enabled within {_ENABLED_S:g} s")
            time.sleep(_LOOK_S)
        yield
    finally:
        call(aws_url, "DELETE", path)


@contextmanager
def _bucket(stream: Stream, aws_url: str, name: str) -> Iterator[Stream]:
    arn = _function(aws_url, stream.function)["FunctionArn"]
    call(aws_url, "PUT", f"/{name}", service="s3")
    try:
        call(aws_url, "PUT", f"/{name}?notification", _NOTIFICATION.format(arn=arn), service="s3")
        yield stream.model_copy(update={"bucket": name})
    finally:
        call(aws_url, "PUT", f"/{name}?notification", "<NotificationConfiguration/>", service="s3")
        while keys := _KEY.findall(call(aws_url, "GET", f"/{name}?list-type=2", service="s3")):
            objects = "".join(f"<Object><Key>{key}</Key></Object>" for key in keys)
            body = f"<Delete>{objects}</Delete>"
            digest = hashlib.md5(body.encode(), usedforsecurity=False).digest()
            headers = {"Content-MD5": base64.b64encode(digest).decode()}
            call(aws_url, "POST", f"/{name}?delete", body, headers, service="s3")
        call(aws_url, "DELETE", f"/{name}", service="s3")


def messages_in(aws_url: str, queue: str) -> Counter[str]:
    """How many messages a queue holds: waiting, received, delayed. Raises `LoadTestError`."""
    attributes = _sqs(
        aws_url,
        "GetQueueAttributes",
        QueueUrl=f"{aws_url}/{ACCOUNT}/{queue}",
        AttributeNames=list(_COUNTERS),
    )["Attributes"]
    return Counter({name: int(attributes[name]) for name in _COUNTERS})


def _queue_arn(aws_url: str, queue_url: str) -> str:
    found = _sqs(aws_url, "GetQueueAttributes", QueueUrl=queue_url, AttributeNames=["QueueArn"])
    return str(found["Attributes"]["QueueArn"])


def _function(aws_url: str, name: str) -> dict[str, Any]:
    path = f"/2015-03-31/functions/{quote(name, safe='')}/configuration"
    found: dict[str, Any] = json.loads(call(aws_url, "GET", path))
    return found


def _sqs(aws_url: str, operation: str, **members: Any) -> dict[str, Any]:
    headers = {"Content-Type": _JSON, "X-Amz-Target": f"AmazonSQS.{operation}"}
    text = call(aws_url, "POST", "/", json.dumps(members), headers, service="sqs")
    answer: dict[str, Any] = json.loads(text or "{}")
    return answer


def call(
    aws_url: str,
    method: str,
    path: str,
    body: str = "",
    headers: Mapping[str, str] | None = None,
    *,
    service: str = "lambda",
) -> str:
    """The answer of the engine to one request. Raises `LoadTestError` if it refuses."""
    sent = {"Authorization": authorization(service), **(headers or {})}
    request = Request(f"{aws_url}{path}", body.encode(), sent, method=method)  # noqa: S310  the engine's own
    try:
        with urlopen(request, timeout=_ANSWER_S) as answer:  # noqa: S310
            text: bytes = answer.read()
    except HTTPError as error:
        said = error.read().decode(errors="replace")[:300]
        raise LoadTestError(f"{method} {path}: {error.code} {said}") from None
    except (URLError, OSError) as error:
        raise LoadTestError(f"{method} {path}: {error}") from None
    return text.decode()
