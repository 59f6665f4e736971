"""Handlers find the engine that runs them: AWS clients in them need no configuration."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.real_time

HANDLERS = """
import os, boto3

AT_IMPORT = os.environ.get("AWS_ENDPOINT_URL")
QUEUES = boto3.client("sqs").list_queues()["QueueUrls"] if os.environ.get("ASKS") else None

def look():
    queues = QUEUES or boto3.client("sqs").list_queues()["QueueUrls"]
    return [AT_IMPORT, os.environ.get("AWS_ENDPOINT_URL"), queues]

def plain(event, context):
    return look()

async def awaited(event, context):
    import asyncio
    return await asyncio.to_thread(look)

def lacks(event, context):
    boto3.client("dynamodb").list_tables()
"""

BARE = """
import os

NAMES = "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_PROFILE", "TABLE"

def handler(event, context):
    return [os.environ.get(name) for name in NAMES]
"""

CONFIG = """
[engine]
partner = "none"
[queues.orders]
[functions.on-loop]
handler = "app.awaited"
executor = "loop"
timeout_s = 30
[functions.on-thread]
handler = "app.plain"
executor = "thread"
timeout_s = 30
[functions.on-process]
handler = "app.plain"
executor = "process"
timeout_s = 30
[functions.on-runtime]
handler = "app.plain"
executor = "runtime"
timeout_s = 30
[functions.early]
handler = "app.plain"
executor = "thread"
provisioned_concurrency = 1
timeout_s = 30
environment = { ASKS = "while it initialises" }
[functions.lacks]
handler = "app.lacks"
executor = "thread"
timeout_s = 30
[functions.own]
handler = "bare.handler"
executor = "process"
timeout_s = 30
environment = { AWS_ENDPOINT_URL = "http://127.0.0.1:8000", TABLE = "a" }
[functions.without]
handler = "bare.handler"
executor = "thread"
timeout_s = 30
endpoint_url = false
environment = { TABLE = "b" }
"""


@pytest.fixture
def config(tmp_path):
    (tmp_path / "app.py").write_text(HANDLERS)
    (tmp_path / "bare.py").write_text(BARE)
    (tmp_path / "engine.toml").write_text(CONFIG)
    return str(tmp_path / "engine.toml")


def test_clients_in_handlers_reach_the_engine_on_every_executor(serve, config):
    """At a port that nobody chose; also from an environment that starts first of all."""
    with serve("--config", config) as served:
        port = served.addresses["aws"].rpartition(":")[2]
        found = {
            name: served.invoke(name)[0]
            for name in ("on-loop", "on-thread", "on-process", "on-runtime", "early")
        }
        created = served.create("created", HANDLERS, Handler="app.plain", Timeout=30)
        found[created["FunctionName"]] = served.invoke("created")[0]
        bare = {name: served.invoke(name)[0] for name in ("own", "without")}
        lacking = served.invoke("lacks")[0]

    url = f"http://127.0.0.1:{port}"
    for name, (at_import, now, queues) in found.items():
        assert (name, url, url) == (name, at_import, now)
        assert ["orders"] == [queue.rpartition("/")[2] for queue in queues]
    key = "ASIAXXXXXXXXXXXXXXXX"
    assert {"own": ["http://127.0.0.1:8000", key, None, "a"], "without": [None, key, None, "b"]} == bare
    assert "'dynamodb'" in lacking["errorMessage"]
    assert "`endpoint_url = false`" in lacking["errorMessage"]
    assert "`environment`" in lacking["errorMessage"]


@pytest.mark.parametrize("name", ["own", "without"])
def test_one_invocation_sees_its_functions_variables_and_no_credentials_of_the_users(
    config, name, monkeypatch
):
    """`engine invoke`, which has no listener: what the command was started with is passed on."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4567")
    monkeypatch.setenv("AWS_PROFILE", "mine")
    command = [sys.executable, "-m", "engine", "invoke", name, "--config", config]
    done = subprocess.run(command, capture_output=True, check=False)

    assert 0 == done.returncode, done.stderr
    key = "ASIAXXXXXXXXXXXXXXXX"
    expected = {"own": ["http://127.0.0.1:8000", key, None, "a"], "without": [None, key, None, "b"]}
    assert expected[name] == json.loads(done.stdout)
