"""A small load generator for the rig, with the metrics that `loadtests` has for real load tests."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
import urllib.parse
from types import TracebackType
from typing import Any, Final, NamedTuple

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    start_http_server,
)

from engine.load.metric_catalogue import LOAD_METRICS, LoadMetric

_SCENARIO: Final = "mixed"
_MAKERS: Final = {"counter": Counter, "gauge": Gauge, "histogram": Histogram}


class Caller(NamedTuple):
    """Callers of one function: how many, requests a second of each, and whether they rest in the middle.

    `way`: they wait for the answer (`invoke`), do not (`event`), or send to the queue, topic or stream of
    that name (`sqs`, `sns`, `kinesis`). The load metrics count requests whose answer somebody waits for.
    """

    function: str
    callers: int
    per_s: float
    pauses: bool = False
    way: str = "invoke"


_CALLERS: Final = (
    Caller("quick", 4, 12.0, pauses=True),
    Caller("steady", 5, 8.0, pauses=True),
    Caller("faulty", 2, 5.0),
    Caller("saga:$LATEST", 2, 5.0),
    Caller("near", 1, 1.0),
    Caller("held", 1, 0.5),
    Caller("heavy", 1, 2.0),
    Caller("counting", 1, 5.0),
    Caller("queued", 3, 6.0),
    Caller("broken", 1, 0.5),
    Caller("warm", 1, 4.0),
    Caller("pieces", 1, 4.0),
    Caller("nobody", 1, 0.5, way="event"),
    Caller("lost", 1, 2.0, way="event"),
    Caller("jobs", 2, 10.0, way="sqs"),
    Caller("news", 1, 3.0, way="sns"),
    Caller("clicks", 2, 8.0, way="kinesis"),
)


class Generator:
    """`with Generator(aws_url) as target`: its metrics are served at `target`, a host and port."""

    def __init__(self, url: str) -> None:
        self._address = urllib.parse.urlsplit(url).netloc
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._metrics: dict[str, Any] = {metric.name: _made(metric, registry) for metric in LOAD_METRICS}
        self._registry = registry

    def __enter__(self) -> str:
        self._server, self._thread = start_http_server(0, "127.0.0.1", self._registry)
        return f"127.0.0.1:{self._server.server_port}"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def run(self, seconds: float) -> None:
        """Send everything there is to send, for so long."""
        self._metrics["loadtest_run_info"].labels("rig", _SCENARIO, "none").set(1)
        self._metrics["loadtest_target_rate"].labels(_SCENARIO).set(
            sum(e.callers * e.per_s for e in _CALLERS if e.way == "invoke")
        )
        self._metrics["loadtest_users"].labels(_SCENARIO).set(sum(caller.callers for caller in _CALLERS))
        self._metrics["loadtest_arrivals_dropped_total"].labels(_SCENARIO)
        began_s = time.monotonic()
        threads = [
            threading.Thread(target=self._call, args=(caller, began_s, seconds))
            for caller in _CALLERS
            for _ in range(caller.callers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _call(self, caller: Caller, began_s: float, seconds: float) -> None:
        connection = http.client.HTTPConnection(self._address, timeout=20)
        due_s = began_s + random.random() / caller.per_s  # noqa: S311  spread, not secret
        rest_s = began_s + 0.45 * seconds, began_s + 0.75 * seconds
        while due_s < began_s + seconds:
            if caller.pauses and rest_s[0] <= due_s < rest_s[1]:
                due_s = rest_s[1]
            time.sleep(max(0.0, due_s - time.monotonic()))
            if caller.way == "invoke":
                self._send(connection, caller.function, due_s)
            else:
                _send_event(connection, caller)
            due_s += 1 / caller.per_s
            if due_s < time.monotonic() - 2:  # it cannot keep up: what is planned and never sent
                self._metrics["loadtest_arrivals_dropped_total"].labels(_SCENARIO).inc()
                due_s = time.monotonic()
        connection.close()

    def _send(self, connection: http.client.HTTPConnection, function: str, due_s: float) -> None:
        lag_s = max(0.0, time.monotonic() - due_s)
        self._metrics["loadtest_schedule_lag_seconds"].labels(_SCENARIO).observe(lag_s)
        try:
            connection.request("POST", f"/2015-03-31/functions/{function}/invocations", b"{}")
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            outcome = "failure"
        else:
            failed = answer.status != 200 or answer.getheader("X-Amz-Function-Error")
            outcome = "throttled" if answer.status == 429 else "failure" if failed else "success"
        self._metrics["loadtest_requests_total"].labels(_SCENARIO, function, outcome).inc()
        took_s = time.monotonic() - due_s
        self._metrics["loadtest_response_seconds"].labels(_SCENARIO, function).observe(took_s)


def _send_event(connection: http.client.HTTPConnection, caller: Caller) -> None:
    """An asynchronous invocation, or what is sent to a service."""
    if caller.way == "event":
        path = f"/2015-03-31/functions/{caller.function}/invocations"
        connection.request("POST", path, b"{}", {"X-Amz-Invocation-Type": "Event"})
    else:
        headers, body = _BODIES[caller.way](caller.function)
        scope = f"Credential=rig/20260101/us-east-1/{caller.way}/aws4_request"
        headers |= {"Authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0"}
        connection.request("POST", "/", body, headers)
    connection.getresponse().read()


def _message(queue: str) -> tuple[dict[str, str], str]:
    headers = {"X-Amz-Target": "AmazonSQS.SendMessage", "Content-Type": "application/x-amz-json-1.0"}
    url = f"http://localhost/000000000000/{queue}"
    return headers, json.dumps({"QueueUrl": url, "MessageBody": "{}"})


def _notification(topic: str) -> tuple[dict[str, str], str]:
    arn = f"arn:aws:sns:us-east-1:000000000000:{topic}"
    fields = {"Action": "Publish", "Version": "2010-03-31", "TopicArn": arn, "Message": "{}"}
    return {"Content-Type": "application/x-www-form-urlencoded"}, urllib.parse.urlencode(fields)


def _record(stream: str) -> tuple[dict[str, str], str]:
    headers = {"X-Amz-Target": "Kinesis_20131202.PutRecord", "Content-Type": "application/x-amz-json-1.1"}
    key = str(random.randint(1, 9))  # noqa: S311  spread, not secret
    return headers, json.dumps({"StreamName": stream, "PartitionKey": key, "Data": "e30="})


_BODIES: Final = {"sqs": _message, "sns": _notification, "kinesis": _record}


def _made(metric: LoadMetric, registry: CollectorRegistry) -> Any:
    options: dict[str, Any] = {"registry": registry}
    if metric.bounds:
        options["buckets"] = metric.bounds
    return _MAKERS[metric.kind](metric.name, metric.help, metric.labels, **options)
