"""What people bring runs right without naming an executor: concurrent invocations share nothing."""

import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

pytestmark = pytest.mark.real_time

RESOLVER = """
import random, time
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver

app = APIGatewayHttpResolver()

@app.get("/items/<item>")
def item(item):
    time.sleep(random.random() / 50)
    return {"item": item, "path": app.current_event.path, "query": app.current_event.query_string_parameters}

def handler(event, context):
    return app.resolve(event, context)
"""


def test_powertools_answers_each_of_many_callers_with_his_own(tmp_path, serve):
    """Its resolver keeps the current event in the module: 200 requests, 10 at a time, default settings."""
    (tmp_path / "app.py").write_text(RESOLVER)
    (tmp_path / "engine.toml").write_text(
        '[functions.items]\nhandler = "app.handler"\ntimeout_s = 30\n'
        '[[functions.items.events]]\ntype = "http"\nmethod = "ANY"\npath = "$default"'
    )
    with serve("--config", str(tmp_path / "engine.toml")) as served:
        address = urlsplit(served.addresses["http"])

        def ask(number):
            connection = http.client.HTTPConnection(address.hostname, address.port, timeout=40)
            connection.request("GET", f"/items/{number}?n={number}")
            answer = json.loads(connection.getresponse().read())
            connection.close()
            return answer

        with ThreadPoolExecutor(10) as callers:
            answers = list(callers.map(ask, range(200)))

    assert [{"item": str(n), "path": f"/items/{n}", "query": {"n": str(n)}} for n in range(200)] == answers
