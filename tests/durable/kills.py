"""Kills an engine with a state folder under load, again and again, and looks at what its successor knows."""

from __future__ import annotations

import json
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

HERE = Path(__file__).parent
LIMIT_S = 60
CONFIG = """
[functions.steps]
handler = "killed_handlers.steps"
code = "{code}"
executor = "process"
timeout_s = 30
reserved_concurrency = 6
overflow = "queue"
preload = ["aws_durable_execution_sdk_python", "boto3"]
durable = {{ execution_timeout_s = 3600 }}
[functions.steps.environment]
NOTES = "{notes}"
"""


class KilledEngine:
    """An engine in a process of its own, which is killed and started anew in the same folder.

    Attributes:
        accepted: ARNs of the executions it has acknowledged, with the names in their events.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self.notes = folder, folder / "notes"
        self.notes.touch()
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self._port = listening.getsockname()[1]
        config = CONFIG.format(code=HERE, notes=self.notes)
        (folder / "engine.toml").write_text(config)
        self.client = boto3.client(
            "lambda",
            endpoint_url=f"http://127.0.0.1:{self._port}",
            region_name="us-east-1",
            aws_access_key_id="a",
            aws_secret_access_key="b",
            config=Config(retries={"max_attempts": 0}, read_timeout=10, connect_timeout=2),
        )
        self.accepted: dict[str, str] = {}
        self._sent = 0

    def start(self) -> None:
        """Start it, and wait until it answers."""
        addresses = ("--aws", f"127.0.0.1:{self._port}", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0")
        words = ("serve", "--config", "engine.toml", "--state-dir", "state", *addresses)
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "engine", *words],
                cwd=self._folder,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        limit_s = time.monotonic() + LIMIT_S
        while True:
            try:
                self.client.get_function(FunctionName="steps")
                return
            except (BotoCoreError, ClientError):
                assert self._process.poll() is None, (self._folder / "log").read_text()
                assert time.monotonic() < limit_s
                time.sleep(0.02)

    def kill(self) -> None:
        """Kill the engine alone: what it has forked finds out by itself."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """End it in the orderly way."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(LIMIT_S)

    def load(self, for_s: float, every_s: float) -> None:
        """Start executions until the time is over."""
        until_s = time.monotonic() + for_s
        while time.monotonic() < until_s:
            name = f"n{self._sent}"
            self._sent += 1
            answer = self.client.invoke(
                FunctionName="steps:$LATEST",
                InvocationType="Event",
                Payload=json.dumps({"name": name}),
                DurableExecutionName=name,
            )
            self.accepted[answer["DurableExecutionArn"]] = name
            time.sleep(every_s)

    def wait_for_all(self) -> None:
        """Wait until every execution that was acknowledged has succeeded."""
        limit_s = time.monotonic() + LIMIT_S
        for arn in self.accepted:
            while (found := self.client.get_durable_execution(DurableExecutionArn=arn))[
                "Status"
            ] == "RUNNING":
                assert time.monotonic() < limit_s, found
                time.sleep(0.05)
            assert "SUCCEEDED" == found["Status"], found

    def problems(self) -> list[str]:
        """Steps that ran again although they were kept, and acknowledged ones that the history has not."""
        found, acknowledged = [], set()
        for line in self.notes.read_text().splitlines():
            what, name, number = line.split()
            if what == "acknowledged":
                acknowledged.add((name, number))
            elif (name, number) in acknowledged:
                found.append(f"{name}: step {number} ran again")
        for arn, name in self.accepted.items():
            pages = self.client.get_paginator("get_durable_execution_history")
            events = [
                event
                for page in pages.paginate(DurableExecutionArn=arn, IncludeExecutionData=False)
                for event in page["Events"]
            ]
            succeeded = [event["Name"] for event in events if event["EventType"] == "StepSucceeded"]
            if sorted(set(succeeded)) != sorted(succeeded) or len(succeeded) != 4:
                found.append(f"{name}: {succeeded}")
            if [event["EventId"] for event in events] != list(range(1, len(events) + 1)):
                found.append(f"{name}: event ids")
        return found


def kill_at_random(folder: Path, kills: int, seed: int, every_s: float = 0.03) -> KilledEngine:
    """Kill it so many times at random moments under load; returns it when all its executions have ended."""
    rng = random.Random(seed)
    engine = KilledEngine(folder)
    try:
        for _ in range(kills):
            engine.start()
            engine.load(rng.uniform(0.05, 1.2), every_s)
            engine.kill()
        engine.start()
        engine.wait_for_all()
    except BaseException:
        engine.kill()
        raise
    return engine
