"""What suspended durable executions take of memory: `python -m tests.bench.durable_memory [HOW_MANY]`.

A whole engine holds them, on virtual time. Each has done a step, waits for a day, and has the history of
that; then the same with a callback it waits for too. Its ARN, input, result and the id of its invocation are
its own; ids and names of operations are the same in all, as the SDK makes them. Exits with 1 if 100,000 of
either kind take more than 200 MB.
"""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import sys
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from engine import Engine, Function, Status
from engine.core.durable_event import StartEvent
from engine.core.function import DurableConfig
from engine.core.invocation import Result
from engine.testing import Act, ScriptedExecutor, VirtualTimeLoop, virtual_platform

HOW_MANY = 100_000
BUDGET_BYTES = 2_000  # each
AT_A_TIME = 500
CONFIG = DurableConfig(86_400 * 30)
IDS = [character * 64 for character in "123"]
PENDING = Result(Status.SUCCESS, b'{"Status":"PENDING"}')


class Suspending:
    """An engine with a durable function that does what there is to do for now."""

    def __init__(self, *, calls_back: bool) -> None:
        self._calls_back = calls_back
        self.engine = Engine(
            [Function("orders", handler="handlers.hello.handler", durable=CONFIG)],
            platform=virtual_platform(),
            executor=lambda _function, facts, workshop: ScriptedExecutor(
                facts=facts, loop=workshop.loop, act=self._act
            ),
            scaling_rate=0,
            log_format="off",
        )

    def start(self, number: int) -> None:
        """Start an execution."""
        payload = f'{{"order": {number}}}'.encode()
        event = StartEvent("orders", payload, self.engine.new_request_id(), 0.0, "event")
        event.execution_name, event.waits, event.started = None, False, lambda *_: None
        self.engine.sink.submit(event, lambda _: None)

    def _act(self, invocation: Any) -> Act:
        """Send two checkpoints, whose documents are read anew, as from a socket."""
        event = invocation.event.document
        arn, token = event["DurableExecutionArn"], event["CheckpointToken"]
        payload = event["InitialExecutionState"]["Operations"][0]["ExecutionDetails"]["InputPayload"]
        for place, batch in enumerate(self._batches(payload)):
            answer = self.engine.parts.durable.checkpoint(
                arn, token, json.loads(json.dumps(batch)), f"{arn[-36:]}-{place}"
            )
            token = answer.token
        return Act(result=PENDING)

    def _batches(self, payload: str) -> list[list[dict[str, Any]]]:
        step, wait, callback = IDS
        batches: list[list[dict[str, Any]]] = [
            [
                {"Id": step, "Type": "STEP", "Action": "START", "Name": "reserve", "SubType": "Step"},
                {"Id": step, "Type": "STEP", "Action": "SUCCEED", "Payload": f"[{payload}]"},
            ],
            [{"Id": wait, "Type": "WAIT", "Action": "START", "WaitOptions": {"WaitSeconds": 86_400}}],
        ]
        if self._calls_back:
            batches[1].append({"Id": callback, "Type": "CALLBACK", "Action": "START", "Name": "approve"})
        return batches

    async def suspend(self, numbers: range) -> None:
        """Start executions, until all are suspended."""
        for number in numbers:
            self.start(number)
            if number % AT_A_TIME == 0:
                await asyncio.sleep(1)
        await asyncio.sleep(1)


def resident_bytes() -> int:
    """Memory of this process in RAM, now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


async def _bytes_each(how_many: int, calls_back: bool) -> float:
    suspending = Suspending(calls_back=calls_back)
    async with suspending.engine as engine:
        warm = 2 * AT_A_TIME
        await suspending.suspend(range(warm))
        gc.collect()
        before = resident_bytes()
        await suspending.suspend(range(warm, warm + how_many))
        gc.collect()
        each = (resident_bytes() - before) / how_many
        executions = list(engine.parts.durable.of_function("orders"))
        assert {"suspended"} == {execution.phase.value for execution in executions}
        assert warm + how_many == len(executions)
        reckoned = sum(execution.memory_bytes for execution in executions) / len(executions)
    what = "a step, a wait and a callback" if calls_back else "a step and a wait"
    text = f"{how_many} executions with {what}: {each * how_many / 1e6:.0f} MB, {each:.0f} bytes each"
    print(f"{text} ({reckoned:.0f} as reckoned for durable_mb)", flush=True)
    return each


def bytes_each(how_many: int, calls_back: bool) -> float:
    """Memory that one of `how_many` takes. To be called once in a process: freed memory is used again."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(_bytes_each(how_many, calls_back))


def main() -> int:
    how_many = int(sys.argv[1]) if len(sys.argv) > 1 else HOW_MANY
    with get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        each = pool.starmap(bytes_each, [(how_many, False), (how_many, True)], chunksize=1)
    return int(max(each) > BUDGET_BYTES)


if __name__ == "__main__":
    raise SystemExit(main())
