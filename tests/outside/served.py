"""What a running engine shows: metrics, status, and the context of handlers."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from tests.outside.texts import documentation

HERE = Path(__file__).parent
CLIENT_CONTEXT = {"client": {"installation_id": "i"}, "custom": {}, "env": {}}
SHOWN = ("context_members", "metrics_page", "ready_line", "status_keys")
EVENTS = 4
"""How many events `used` sends to the function `seen`."""


def documented_metrics() -> list[str]:
    """`NAME TYPE` and `NAME{LABEL}` of the tables, and the values of closed labels."""
    text, lines = documentation(), []
    for name, kind, labels in re.findall(
        r"^\| `(engine_\w+)` \| (counter|gauge|histogram) \| (.*?) \|", text, re.MULTILINE
    ):
        lines += [f"{name} {kind}", *(f"{name}{{{label}}}" for label in labels.split(", ") if label != "–")]
    table = text.partition("| label | values |\n|---|---|\n")[2].partition("\n\n")[0]
    for label, values in re.findall(r"^\| `(\w+)` \| (.*?) \|$", table, re.MULTILINE):
        lines += [f'{{{label}="{value}"}}' for value in values.split(", ")]
    return sorted(lines)


def served(name: str) -> list[str]:
    """One of `SHOWN`."""
    return shown()[name]


@cache
def shown() -> dict[str, list[str]]:
    """What an engine shows that has served something of each kind."""
    with started() as addresses:
        context = used(addresses)
        page = fetched(f"{addresses['admin']}/metrics").decode()
        status = json.loads(fetched(f"{addresses['admin']}/status.json"))
    status["functions"] = {"NAME": status["functions"]["seen"]}
    return {
        "context_members": sorted(context),
        "metrics_page": sorted(re.findall(r"^# TYPE (\w+ \w+)$", page, re.MULTILINE)),
        "ready_line": sorted(addresses),
        "status_keys": sorted(set(paths(status))),
    }


def used(addresses: dict[str, Any]) -> list[str]:
    """One event from each source, and one that fails; what `seen` returned."""
    aws = addresses["aws"]
    functions = f"{aws}/2015-03-31/functions"
    fetched(f"{addresses['http']}/seen")
    fetched(f"{functions}/fails/invocations", b"{}")
    sent = json.dumps({"QueueUrl": f"{aws}/000000000000/orders", "MessageBody": "{}"}).encode()
    target = {"X-Amz-Target": "AmazonSQS.SendMessage", "Content-Type": "application/x-amz-json-1.0"}
    fetched(aws, sent, **target)
    fetched(f"{aws}/photos/key", b"body", "PUT")
    client_context = base64.b64encode(json.dumps(CLIENT_CONTEXT).encode()).decode()
    returned = fetched(f"{functions}/seen/invocations", b"{}", **{"X-Amz-Client-Context": client_context})
    until_s = time.monotonic() + 20
    while (ended := successes(addresses)) < EVENTS and time.monotonic() < until_s:
        time.sleep(0.02)
    assert EVENTS == ended
    members: list[str] = json.loads(returned)
    return members


def successes(addresses: dict[str, Any]) -> int:
    """How many invocations of `seen` succeeded."""
    status = json.loads(fetched(f"{addresses['admin']}/status.json"))
    return int(status["functions"]["seen"]["invocations"]["success"])


def fetched(url: str, body: bytes | None = None, method: str | None = None, **headers: str) -> bytes:
    """The body of the answer."""
    with urlopen(Request(url, body, headers, method=method), timeout=60) as answer:
        found: bytes = answer.read()
    return found


@contextmanager
def started() -> Iterator[dict[str, Any]]:
    """`engine serve` on free ports; gives the line it prints when it is ready."""
    command = [sys.executable, "-m", "engine", "serve", "--config", str(HERE / "served.toml")]
    command += ["--log-format", "off"]
    command += [word for name in ("http", "aws", "admin") for word in (f"--{name}", "127.0.0.1:0")]
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AWS_") and "proxy" not in name.lower()
    }
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.communicate(timeout=100)


def paths(value: Any, above: str = "") -> Iterator[str]:
    """The paths of all keys in a JSON document."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield f"{above}{key}"
            yield from paths(inner, f"{above}{key}.")
