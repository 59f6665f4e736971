"""Callers in a closed model: each waits for its answer before it asks again.

Half of them use Lambda's Invoke API, half an HTTP event of the same function. Run by `loadtests.run`, which
says where and what by the environment; by hand: `locust -f loadtests/locustfile_invoke.py` with the same
variables (docs/load-testing.md).

An answer of 429 is no failure: it gets a row of its own, so that served and refused can be counted apart.
"""

from __future__ import annotations

import json
import os

from locust import FastHttpUser, constant, task

FUNCTION = os.environ.get("LOADTEST_FUNCTION", "echo")
EVENT = os.environ.get("LOADTEST_EVENT", "{}")
METHOD = os.environ.get("LOADTEST_METHOD", "POST")
TARGET = os.environ.get("LOADTEST_TARGET", "/echo")


class InvokeUser(FastHttpUser):
    """Calls the function by the Invoke API."""

    host = os.environ.get("LOADTEST_AWS", "http://127.0.0.1:4566")
    wait_time = constant(0)

    @task
    def invoke(self) -> None:
        """Send one invocation. A failure of the handler is a 200 too: the header says so."""
        path = f"/2015-03-31/functions/{FUNCTION}/invocations"
        with self.client.post(path, data=EVENT, name="invoke", catch_response=True) as answer:
            if answer.status_code == 429:
                answer.request_meta["name"] = "invoke, throttled"
                answer.success()
            elif answer.status_code != 200:
                answer.failure(f"status {answer.status_code}")
            elif answer.headers.get("x-amz-function-error"):
                answer.failure(json.loads(answer.content).get("errorType", "function error"))


class HttpUser(FastHttpUser):
    """Calls the function by its HTTP event. An HTTP API says 503 where Lambda throttles."""

    host = os.environ.get("LOADTEST_HTTP", "http://127.0.0.1:3000")
    wait_time = constant(0)

    @task
    def call(self) -> None:
        """One request."""
        body = EVENT if METHOD == "POST" else None
        with self.client.request(METHOD, TARGET, data=body, name="http", catch_response=True) as answer:
            if answer.status_code == 503 and b"Service Unavailable" in answer.content:
                answer.request_meta["name"] = "http, throttled"
                answer.success()
            elif answer.status_code != 200:
                answer.failure(f"status {answer.status_code}")
