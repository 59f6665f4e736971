"""What a zygote does once so that its children need not: everything on the way of an invocation, some times.

Lazy imports are made, caches filled and bytecode specialised before the memory is shared by all.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Final

from engine.core.event import Event
from engine.core.function import Account, Function
from engine.core.invocation import Invocation
from engine.executors.call import Call
from engine.executors.marshal import decode, encode
from engine.executors.process.child import Bench, ProcessClock, nobody

_TIMES: Final = 20


def handler(event: object, context: object) -> object:
    """What is rehearsed with."""
    return event


def rehearse() -> None:
    """Load this very module as a handler would be, and run it."""
    importlib.invalidate_caches()
    function = Function(
        "rehearsal", handler=f"{Path(__file__).stem}.handler", code=str(Path(__file__).parent)
    )
    bench = Bench(account=Account(), clock=ProcessClock(), log=lambda *_: None, logs_json=False)
    for _ in range(_TIMES):
        call = Call(function, bench)
        loaded = call.load(fresh=True)
        invocation = Invocation(Event(function.name, b"", "", 0.0), nobody)
        invocation.event.document = decode(b'{"a": [1, null, "x"]}')
        document, context = call.arguments(call.furnish(), invocation)
        encode(loaded.callable(document, context))
        call.unload(loaded)
        call.close()
