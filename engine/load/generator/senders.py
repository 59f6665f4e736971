"""How each kind of request is made, and how its answer is judged: no socket, no clock."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib import import_module
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import quote

from engine.load.aws_requests import ACCOUNT, authorization
from engine.load.generator.recorder import FAILURE, SUCCESS, THROTTLED, RequestOutcome
from engine.load.planning.plan import Mix, Stream

_TO_S3: Final = {"Authorization": authorization("s3")}
_JSON: Final = {"Content-Type": "application/json"}

_MAX_SHOWN: Final = 300


class LoadRequest(NamedTuple):
    """One HTTP request, and whether the function is to fail at it."""

    method: str
    url: str
    body: bytes
    headers: dict[str, str]
    fails: bool = False


class Reply(Protocol):
    """What of an HTTP answer is looked at."""

    status_code: int
    headers: Any
    content: bytes


class Sender:
    """Makes the requests of one stream, and judges their answers. The same number is the same request."""

    def __init__(
        self, name: str, stream: Stream, urls: Mapping[str, str], seed: int, wall_s: float = 0.0
    ) -> None:
        """`wall_s`: seconds since the Unix epoch at 0 of the monotonic clock."""
        self._name = name
        self._stream = stream
        self._seed = seed
        self._aws = urls.get("aws", "")
        self._weights = list(accumulate(mix.weight for mix in stream.events))
        self._bodies = [_body(mix) for mix in stream.events]
        self._wall_s = wall_s
        self._headers = {**_JSON, **stream.headers}
        functions = f"{self._aws}/2015-03-31/functions/{quote(stream.function, safe='')}/invocations"
        self._url = urls["http"] + stream.target if stream.send == "http" else functions
        make: dict[str, Callable[[int, float], LoadRequest]] = {
            "invoke": self._plain,
            "http": self._plain,
            "event": self._event,
            "sqs": self._batch,
            "s3": self._object,
        }
        judge = {"http": _judge_http, "event": _judge_event, "sqs": _judge_batch, "s3": _judge_object}
        self._make = make[stream.send]
        self._judge = judge.get(stream.send, _judge_invoke)

    def request(self, number: int, intended_s: float) -> LoadRequest:
        """The request with this number; `intended_s`, monotonic, goes along with records."""
        return self._make(number, intended_s)

    def answer(self, reply: Reply) -> RequestOutcome:
        """What the answer means. An exception while it was read is the caller's to judge."""
        answer = self._judge(reply)
        if self._stream.tells_begin and answer.outcome == SUCCESS:
            return answer._replace(began=_beginning(json.loads(reply.content)))
        return answer

    def _plain(self, number: int, intended_s: float) -> LoadRequest:
        index = self._chosen(number)
        method = self._stream.method if self._stream.send == "http" else "POST"
        body = b"" if method in ("GET", "HEAD") else self._bodies[index](self._moment(number, intended_s))
        return LoadRequest(method, self._url, body, self._headers, self._stream.events[index].fails)

    def _moment(self, number: int, intended_s: float) -> _Moment:
        return _Moment(number, self._wall_s + intended_s, f"{self._seed}/{self._name}")

    def _chosen(self, number: int) -> int:
        """Which of the events that request has."""
        drawn = self._drawn(number).randrange(self._weights[-1]) if len(self._weights) > 1 else 0
        return next(index for index, upto in enumerate(self._weights) if drawn < upto)

    def _event(self, number: int, intended_s: float) -> LoadRequest:
        body = json.dumps(self._record(number, intended_s)).encode()
        return LoadRequest("POST", self._url, body, {**_JSON, "X-Amz-Invocation-Type": "Event"})

    def _batch(self, number: int, intended_s: float) -> LoadRequest:
        first = number * self._stream.records
        entries = [
            {"Id": str(place), "MessageBody": self._message(first + place, intended_s)}
            for place in range(self._stream.records)
        ]
        body = {"QueueUrl": f"{self._aws}/{ACCOUNT}/{self._stream.queue}", "Entries": entries}
        headers = {
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": "AmazonSQS.SendMessageBatch",
        }
        return LoadRequest("POST", f"{self._aws}/", json.dumps(body).encode(), headers)

    def _message(self, number: int, intended_s: float) -> str:
        if self._stream.is_users:
            return self._bodies[self._chosen(number)](self._moment(number, intended_s)).decode()
        return json.dumps(self._record(number, intended_s))

    def _object(self, number: int, intended_s: float) -> LoadRequest:
        if self._stream.is_users:
            index = self._chosen(number)
            name = Path(self._stream.events[index].file).name or "event.json"
            url = f"{self._aws}/{self._stream.bucket}/{number}/{quote(name)}"
            return LoadRequest("PUT", url, self._bodies[index](self._moment(number, intended_s)), _TO_S3)
        record = self._record(number, intended_s)
        kind = "poison" if record["poison"] else "good"
        key = f"{self._name}/{kind}/{intended_s:.6f}/{number}"
        url = f"{self._aws}/{self._stream.bucket}/{key}"
        return LoadRequest("PUT", url, b"x", _TO_S3)

    def _record(self, number: int, intended_s: float) -> dict[str, Any]:
        poison = self._drawn(number).random() < self._stream.poison if self._stream.poison else False
        return {"id": f"{self._name}/{number}", "sent_s": intended_s, "poison": poison}

    def _drawn(self, number: int) -> Random:
        return Random(f"{self._seed}/{self._name}/{number}")


class _Moment(NamedTuple):
    """Of one request: its number, when it is due in seconds since the Unix epoch, and what salts its ids."""

    number: int
    at_s: float
    salt: str


def _body(mix: Mix) -> Callable[[_Moment], bytes]:
    """What gives the payload of each request."""
    if mix.source:
        template = import_module("engine.sources.samples.template").EventTemplate(mix.source, mix.fields)
        return lambda moment: _json(template.event(*moment))
    body = Path(mix.file).read_bytes() if mix.file else _json(mix.event)
    return lambda _: body


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _beginning(document: dict[str, Any]) -> tuple[str, float]:
    return str(document["environment"]), float(document["began_s"])


def _judge_invoke(reply: Reply) -> RequestOutcome:
    if reply.status_code != 200:
        return _refused_or_failed(reply, 429)
    if reply.headers.get("X-Amz-Function-Error"):
        return RequestOutcome(FAILURE, str(json.loads(reply.content).get("errorType", "function error")))
    return RequestOutcome(SUCCESS)


def _judge_http(reply: Reply) -> RequestOutcome:
    """An HTTP API says 503 where Lambda throttles."""
    if 200 <= reply.status_code < 300:
        return RequestOutcome(SUCCESS)
    return _refused_or_failed(reply, 429, 503)


def _judge_event(reply: Reply) -> RequestOutcome:
    if reply.status_code == 202:
        return RequestOutcome(SUCCESS, records=1)
    return _refused_or_failed(reply, 429)


def _judge_batch(reply: Reply) -> RequestOutcome:
    if reply.status_code != 200:
        return _refused_or_failed(reply)
    document = json.loads(reply.content)
    taken = len(document.get("Successful", ()))
    failed = document.get("Failed", ())
    return (
        RequestOutcome(FAILURE, str(failed[0]["Code"]), taken)
        if failed
        else RequestOutcome(SUCCESS, records=taken)
    )


def _judge_object(reply: Reply) -> RequestOutcome:
    if reply.status_code == 200:
        return RequestOutcome(SUCCESS, records=1)
    return _refused_or_failed(reply, 503)


def _refused_or_failed(reply: Reply, *throttles: int) -> RequestOutcome:
    """An answer that is no success: a refusal if its status is one of `throttles`."""
    if reply.status_code in throttles:
        return RequestOutcome(THROTTLED)
    return RequestOutcome(FAILURE, f"status {reply.status_code}")


def shown(text: str) -> str:
    """The beginning of a text in one line, with an escape for whatever cannot be printed."""
    line = " ".join(text.split())
    short = line if len(line) <= _MAX_SHOWN else f"{line[:_MAX_SHOWN]}..."
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in short)
