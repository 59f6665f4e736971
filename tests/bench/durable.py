"""Durable executions: how many a second, how fast one of thousands of operations, how punctual wake-ups.

Run: `python -m tests.bench.durable [process] [kept] [thread] [operations] [wakeups]`; prints one JSON line.
`kept` is process with a state folder: what it adds is the journal and its flushes to the disk.

Executions have two steps, on AWS's SDK. The SDK holds an invocation for a tenth of a second at its end: so
there are many environments. It also needs milliseconds of CPU for each, and AWS's client some for each
checkpoint. So beside each figure stands its floor: on thread what the SDK does with a client that answers at
once, in one interpreter; on process what SDK and client need with such a server, on all cores.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

from aws_durable_execution_sdk_python import execution as sdk
from aws_durable_execution_sdk_python import lambda_service as model

from engine import Engine, Function
from engine.cli.options import run
from engine.core.function import DurableConfig
from engine.core.invocation import Invocation
from engine.ports import Facts, Workshop
from tests.bench import durable_handlers

CODE = str(Path(__file__).parent)
DURABLE = DurableConfig(3600)
ENVIRONMENTS = 96
SECONDS = 5.0
OPERATIONS = 3_000
SLEEPERS = 10_000
CORES = len(os.sched_getaffinity(0))
FLOORED = {"process", "operations"}
PARTS = ("process", "kept", "thread", "operations", "wakeups")


def function(name: str, executor: str, **more: Any) -> Function:
    preload = ("aws_durable_execution_sdk_python", "boto3") if executor == "process" else ()
    return Function(
        name,
        handler=f"durable_handlers.{name}",
        code=CODE,
        executor=executor,
        timeout_s=120,
        durable=DURABLE,
        preload=preload,
        **more,
    )


async def throughput(executor: str, state_dir: str | None = None) -> dict[str, float]:
    """Executions of two steps a second, as many at a time as there are environments."""
    two_steps = function("two_steps", executor, provisioned_concurrency=ENVIRONMENTS)
    async with Engine([two_steps], aws="127.0.0.1:0", scaling_rate=0, state_dir=state_dir) as engine:
        while engine.stats.functions["two_steps"].levels().ready < ENVIRONMENTS:
            await asyncio.sleep(0.05)
        ended = 0

        async def caller(until_s: float) -> None:
            nonlocal ended
            while time.perf_counter() < until_s:
                outcome = await engine.invoke("two_steps", {"sku": "A1"})
                assert outcome.ok, outcome.body
                ended += 1

        async def load(seconds: float) -> float:
            nonlocal ended
            ended, began_s = 0, time.perf_counter()
            async with asyncio.TaskGroup() as group:
                for _ in range(ENVIRONMENTS):
                    group.create_task(caller(began_s + seconds))
            return ended / (time.perf_counter() - began_s)

        for _ in range(2):  # each environment makes its client
            await asyncio.gather(*(engine.invoke("two_steps", {"sku": "A1"}) for _ in range(ENVIRONMENTS)))
        loop_s, all_s = loop_cpu_s(), time.process_time() + descendants_cpu_s(os.getpid())
        rate = await load(SECONDS)
        loop_ms = (loop_cpu_s() - loop_s) / ended * 1000
        all_ms = (time.process_time() + descendants_cpu_s(os.getpid()) - all_s) / ended * 1000
    return {"per_s": round(rate, 1), "loop_cpu_ms": round(loop_ms, 3), "cpu_ms": round(all_ms, 3)}


def loop_cpu_s() -> float:
    """CPU of the thread that runs the loop."""
    usage = resource.getrusage(resource.RUSAGE_THREAD)
    return usage.ru_utime + usage.ru_stime


def descendants_cpu_s(pid: int) -> float:
    """CPU of the processes below one, as far as they are still there."""
    total_s = 0.0
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            with suppress(OSError):
                fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
                total_s += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
                total_s += descendants_cpu_s(int(child))
    return total_s


async def operations(executor: str) -> dict[str, float]:
    """One execution of many steps, each of which waits for its checkpoint."""
    async with Engine([function("steps", executor)], aws="127.0.0.1:0") as engine:
        assert (await engine.invoke("steps", {"steps": 1})).ok
        began_s = time.perf_counter()
        outcome = await engine.invoke("steps", {"steps": OPERATIONS})
        assert outcome.ok, outcome.body
        return {"s": round(time.perf_counter() - began_s, 2)}


class SleepingExecutor:
    """Runs one wait without the SDK: the first invocation checkpoints it, the second looks at the clock."""

    def __init__(self, _function: Function, facts: Facts, workshop: Workshop) -> None:
        self.late_ms: list[float] = []
        self._facts, self._workshop = facts, workshop

    def start(self, env_id: int, /) -> None:
        self._workshop.loop.call_soon(self._facts.ready, env_id, 0.0)

    def run(self, _env_id: int, invocation: Invocation, /) -> None:
        self._workshop.loop.call_soon(self._handle, invocation)

    def _handle(self, invocation: Invocation) -> None:
        now_s, event = time.time(), invocation.event.document
        operations = event["InitialExecutionState"]["Operations"]
        if len(operations) == 1:
            wait_s = json.loads(operations[0]["ExecutionDetails"]["InputPayload"])
            update = {"Id": "w", "Type": "WAIT", "Action": "START", "WaitOptions": {"WaitSeconds": wait_s}}
            durable = self._workshop.durable
            durable().checkpoint(event["DurableExecutionArn"], event["CheckpointToken"], [update], None)
            self._facts.succeeded(invocation, b'{"Status": "PENDING"}')
        else:
            due_s = operations[1]["WaitDetails"]["ScheduledEndTimestamp"] / 1000
            self.late_ms.append((now_s - due_s) * 1000)
            self._facts.succeeded(invocation, b'{"Status": "SUCCEEDED", "Result": "null"}')

    def stop(self, _env_id: int, /) -> None:
        pass

    def renew(self) -> None:
        pass


async def wakeups() -> dict[str, float]:
    """How late executions are invoked that wait, each for a time of its own."""
    made: list[SleepingExecutor] = []

    def executor(*parts: Any) -> SleepingExecutor:
        made.append(SleepingExecutor(*parts))
        return made[-1]

    async with Engine([function("sleeping", "loop")], executor=executor, scaling_rate=0) as engine:
        waits = (8 + number % 8 for number in range(SLEEPERS))
        calls = []
        for wait_s in waits:
            calls.append(asyncio.ensure_future(engine.invoke("sleeping", wait_s)))
            await asyncio.sleep(0)  # so that not all are due at one moment
        outcomes = await asyncio.gather(*calls)
        assert all(outcome.ok for outcome in outcomes)
    late_ms = made[0].late_ms
    p99 = quantiles(late_ms, n=100)[-1]
    return {"p50_ms": round(median(late_ms), 2), "p99_ms": round(p99, 2), "max_ms": round(max(late_ms), 2)}


# ---------------------------------------------------------------- floors


async def answer_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A service of durable executions for whom all that was started has succeeded."""
    while head := await reader.readuntil(b"\r\n\r\n"):
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        body = json.loads(await reader.readexactly(length))
        operations = [
            {
                "Id": update["Id"],
                "Type": update["Type"],
                "Status": "SUCCEEDED",
                "StartTimestamp": 1.0,
                "StepDetails": {"Attempt": 1, "Result": update["Payload"]},
            }
            for update in body["Updates"]
            if update["Action"] == "SUCCEED"
        ]
        document = {"CheckpointToken": "dG9r", "NewExecutionState": {"Operations": operations}}
        text = json.dumps(document).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text))


async def serve_at_once() -> None:
    server = await asyncio.start_server(answer_at_once, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def instant_server() -> Iterator[None]:
    """Points AWS's clients of this process at a server in one of its own."""
    command = [sys.executable, "-m", "tests.bench.durable", "server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        os.environ["AWS_ENDPOINT_URL_LAMBDA"] = f"http://127.0.0.1:{int(server.stdout.readline())}"
        os.environ |= {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "a"}
        os.environ["AWS_SECRET_ACCESS_KEY"] = "b"
        yield
        server.kill()


def over_http(handler: Any, payload: dict[str, Any]) -> None:
    started = {
        "Id": "e",
        "Type": "EXECUTION",
        "Status": "STARTED",
        "StartTimestamp": 1000,
        "ExecutionDetails": {"InputPayload": json.dumps(payload)},
    }
    event = {
        "DurableExecutionArn": "arn:aws:lambda:us-east-1:000000000000:function:f:1/durable-execution/n/e",
        "CheckpointToken": "dG9r",
        "InitialExecutionState": {"Operations": [started]},
    }
    assert "SUCCEEDED" == handler(event, bare_context())["Status"]


def floors_over_http() -> tuple[float, float]:
    """CPU milliseconds of two steps, and seconds of many, by SDK and client."""
    with instant_server():
        over_http(durable_handlers.two_steps, {"sku": "A1"})
        cpu_s = time.process_time()
        for _ in range(40):
            over_http(durable_handlers.two_steps, {"sku": "A1"})
        cpu_ms = (time.process_time() - cpu_s) / 40 * 1000
        began_s = time.perf_counter()
        over_http(durable_handlers.steps, {"steps": OPERATIONS})
        return round(cpu_ms, 2), round(time.perf_counter() - began_s, 2)


class InstantClient:
    """Answers each checkpoint at once: all that was started has succeeded."""

    def checkpoint(
        self, durable_execution_arn: str, checkpoint_token: str, updates: list[Any], client_token: str | None
    ) -> Any:
        operations = [
            model.Operation(
                update.operation_id,
                update.operation_type,
                model.OperationStatus.SUCCEEDED,
                step_details=model.StepDetails(1, None, update.payload),
            )
            for update in updates
            if update.action is model.OperationAction.SUCCEED
        ]
        state = model.CheckpointUpdatedExecutionState(operations=operations, next_marker=None)
        return model.CheckpointOutput(checkpoint_token, state)


def bare_context() -> SimpleNamespace:
    context = SimpleNamespace(
        aws_request_id="r", tenant_id=None, client_context=None, identity=None, memory_limit_in_mb=128
    )
    for name in ("function_name", "function_version", "invoked_function_arn"):
        setattr(context, name, name)
    context.log_group_name = context.log_stream_name = "log"
    return context


def by_the_sdk_alone(handler: Any, payload: dict[str, Any]) -> None:
    started = model.Operation(
        "e",
        model.OperationType.EXECUTION,
        model.OperationStatus.STARTED,
        execution_details=model.ExecutionDetails(json.dumps(payload)),
    )
    state = sdk.InitialExecutionState([started], "")
    event = sdk.DurableExecutionInvocationInputWithClient("arn/e", "t", state, service_client=InstantClient())
    assert "SUCCEEDED" == handler(event, bare_context())["Status"]


def floor_of_throughput() -> float:
    """Executions a second of the SDK alone in one interpreter, with as many threads."""
    ended, until_s = [0] * ENVIRONMENTS, time.perf_counter() + SECONDS

    def work(number: int) -> None:
        while time.perf_counter() < until_s:
            by_the_sdk_alone(durable_handlers.two_steps, {"sku": "A1"})
            ended[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(ENVIRONMENTS)]
    began_s = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return round(sum(ended) / (time.perf_counter() - began_s), 1)


def floor_of_operations() -> float:
    began_s = time.perf_counter()
    by_the_sdk_alone(durable_handlers.steps, {"steps": OPERATIONS})
    return round(time.perf_counter() - began_s, 2)


async def main(parts: list[str]) -> None:
    found: dict[str, Any] = {}
    floor_cpu_ms, floor_s = await asyncio.to_thread(floors_over_http) if FLOORED & {*parts} else (0.0, 0.0)
    if "process" in parts:
        found["process"] = await throughput("process")
        found["process"]["floor_cpu_ms"] = floor_cpu_ms
        found["process"]["floor_per_s"] = round(CORES * 1000 / floor_cpu_ms, 1)
    if "kept" in parts:
        with TemporaryDirectory() as folder:
            found["kept"] = await throughput("process", folder)
    if "thread" in parts:
        found["thread"] = await throughput("thread")
        found["thread"]["floor_per_s"] = await asyncio.to_thread(floor_of_throughput)
    if "operations" in parts:
        for executor in ("process", "thread"):
            found[f"operations_{executor}"] = await operations(executor)
        found["operations_process"]["floor_s"] = floor_s
        found["operations_thread"]["floor_s"] = await asyncio.to_thread(floor_of_operations)
    if "wakeups" in parts:
        found["wakeups"] = await wakeups()
    print(json.dumps(found))


if __name__ == "__main__":
    run(serve_at_once() if sys.argv[1:] == ["server"] else main(sys.argv[1:] or list(PARTS)))
