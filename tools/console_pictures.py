"""`python -m tools.console_pictures`: the console of an engine under load, into docs/images.

Writes console-light.png, and console-log.png in dark colours. Takes half a minute, and needs chromium.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

from tools.chromium import Browser

IMAGES = Path(__file__).parent.parent / "docs" / "images"
SIZE = 1440, 1180

_HANDLER = """
import asyncio, random

async def handler(event, context):
    print("order taken")
    await asyncio.sleep(random.lognormvariate(-3, 0.6))
    if random.random() < 0.02:
        raise ConnectionError("the payment service does not answer")
    return {"ok": True}
"""
_FUNCTIONS = {"orders": 40, "payments": 25, "stock": 12, "mails": 5, "search": 30}
"""Requests at a time, by function."""
_LIMITED = "search"


def main() -> int:
    """Serve, load, take pictures."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "shop.py").write_text(_HANDLER)
        (Path(folder) / "engine.toml").write_text(_configuration())
        command = [sys.executable, "-m", "engine", "serve", "--config", f"{folder}/engine.toml"]
        with subprocess.Popen([*command, "--log-format", "off"], stdout=subprocess.PIPE) as process:
            try:
                assert process.stdout is not None
                _take(json.loads(process.stdout.readline()), Path(folder))
            finally:
                process.terminate()
    return 0


def _configuration() -> str:
    lines = ["[engine]", 'http = "127.0.0.1:0"', 'aws = "127.0.0.1:0"', 'admin = "127.0.0.1:0"']
    lines += ["[queues.jobs]"]
    for name in _FUNCTIONS:
        lines += [f"[functions.{name}]", 'handler = "shop.handler"', "memory_mb = 512"]
        if name == _LIMITED:
            lines.append("reserved_concurrency = 20")
        if name == "mails":
            lines += ["[[functions.mails.events]]", 'type = "sqs"', 'queue = "jobs"']
        else:
            lines += [f"[[functions.{name}.events]]", 'type = "http"', f'path = "/{name}"']
    return "\n".join(lines)


def _take(addresses: dict[str, str], folder: Path) -> None:
    done = threading.Event()
    clients = [
        threading.Thread(target=_call, args=(addresses, name, done))
        for name, count in _FUNCTIONS.items()
        for _ in range(count)
    ]
    try:
        with Browser(folder / "profile") as browser:
            browser.look(*SIZE)
            browser.go(addresses["admin"])
            browser.until("document.querySelectorAll('tbody th a').length")
            for number, client in enumerate(clients):
                client.start()
                if number == len(clients) // 2:
                    time.sleep(8)
                    _mark(addresses["admin"], "more clients")
            time.sleep(14)
            browser.picture(IMAGES / "console-light.png")
            browser.look(*SIZE, dark=True)
            browser.click("a[href='#/function/orders']")
            browser.click("tr.failed a")
            browser.until("document.querySelector('.log') !== null")
            browser.picture(IMAGES / "console-log.png")
    finally:
        done.set()
        for client in clients:
            if client.ident is not None:
                client.join()


def _call(addresses: dict[str, str], name: str, done: threading.Event) -> None:
    """Requests, one after the other, with a pause between two."""
    while not done.wait(0.4):
        with suppress(OSError):
            if name == "mails":
                _post(
                    addresses["aws"],
                    {"QueueUrl": "jobs", "MessageBody": "{}"},
                    target="AmazonSQS.SendMessage",
                )
            else:
                _post(f"{addresses['http']}/{name}", {"id": 7})


def _mark(admin: str, name: str) -> None:
    with urllib.request.urlopen(f"{admin}/console/session.json", timeout=30) as answer:
        token = json.load(answer)["token"]
    _post(f"{admin}/console/phase", {"name": name}, token=token)


def _post(url: str, document: dict[str, Any], *, target: str = "", token: str = "") -> None:
    headers = {"content-type": "application/json", "x-amz-target": target, "x-console-token": token}
    headers = {header: value for header, value in headers.items() if value}
    request = urllib.request.Request(url, json.dumps(document).encode(), headers)
    urllib.request.urlopen(request, timeout=30).close()


if __name__ == "__main__":
    sys.exit(main())
