"""What suspended durable executions take of memory: `python -m tests.bench.durable_memory [HOW_MANY]`.

Each has done a step, waits for a day, and has the history of that; then the same with a callback it waits
for too. Its ARN, input, result and the id of its invocation are its own; ids and names of operations are the
same in all, as the SDK makes them. Exits with 1 if 100,000 of the first kind take more than 200 MB.
"""

from __future__ import annotations

import gc
import json
import resource
import sys
from multiprocessing import get_context
from pathlib import Path
from uuid import UUID

from engine.core.durable.checkpoint_rules import read_update
from engine.core.durable.execution import Execution
from engine.core.durable.facts import Checkpointed, ExecutionStarted, InvocationEnded, InvocationStarted
from engine.core.durable.values import DurableConfig, InvocationEnd

HOW_MANY = 100_000
BUDGET_BYTES = 2_000  # each
START_S = 1764547200.0
CONFIG = DurableConfig(86_400 * 30)
IDS = [character * 64 for character in "123"]
PENDING = b'{"Status":"PENDING"}'


def suspended(number: int, *, calls_back: bool = False) -> Execution:
    """An execution that has done what there is to do for now. Documents are read anew, as from a socket."""
    name = str(UUID(int=number))
    arn = f"arn:aws:lambda:us-east-1:123456789012:function:orders:$LATEST/durable-execution/{name}/{name}"
    now_s = START_S + number / 1000
    execution = Execution(ExecutionStarted(now_s, arn, CONFIG, f'{{"order": {number}}}'))
    request_id = str(UUID(int=number + 2**64))
    execution.handle(InvocationStarted(now_s, request_id))
    token = execution.invocation_input()["CheckpointToken"]
    step, wait, callback = IDS
    batches = [
        [
            {"Id": step, "Type": "STEP", "Action": "START", "Name": "reserve", "SubType": "Step"},
            {"Id": step, "Type": "STEP", "Action": "SUCCEED", "Payload": f'{{"reserved": {number}}}'},
        ],
        [
            {"Id": wait, "Type": "WAIT", "Action": "START", "WaitOptions": {"WaitSeconds": 86_400}},
        ],
    ]
    if calls_back:
        batches[1].append({"Id": callback, "Type": "CALLBACK", "Action": "START", "Name": "approve"})
    for place, batch in enumerate(batches):
        updates = tuple(map(read_update, json.loads(json.dumps(batch))))
        execution.handle(Checkpointed(now_s + place, token, f"{name}-{place}", updates))
        token = execution.checkpoint_answer.token or ""
    execution.handle(InvocationEnded(now_s + 2, request_id, InvocationEnd.ANSWERED, PENDING))
    return execution


def resident_bytes() -> int:
    """Memory of this process in RAM, now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def bytes_each(how_many: int, calls_back: bool) -> float:
    """Memory that one of `how_many` takes. To be called once in a process: freed memory is used again."""
    warm = [suspended(number, calls_back=calls_back) for number in range(100)]
    gc.collect()
    before = resident_bytes()
    executions = [suspended(len(warm) + number, calls_back=calls_back) for number in range(how_many)]
    gc.collect()
    each = (resident_bytes() - before) / how_many
    assert how_many == len({execution.next_due_s for execution in executions})
    what = "a step, a wait and a callback" if calls_back else "a step and a wait"
    text = f"{how_many} executions with {what}: {each * how_many / 1e6:.0f} MB, {each:.0f} bytes each"
    print(text, flush=True)
    return each


def main() -> int:
    how_many = int(sys.argv[1]) if len(sys.argv) > 1 else HOW_MANY
    with get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        each, _ = pool.starmap(bytes_each, [(how_many, False), (how_many, True)], chunksize=1)
    return int(each > BUDGET_BYTES)


if __name__ == "__main__":
    raise SystemExit(main())
