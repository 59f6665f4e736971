"""Runs an invocation some times in the zygote, so that its children start with everything warm.

Lazy imports are made, caches filled and bytecode specialised before the memory is shared by all.
"""

from __future__ import annotations

import importlib
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from engine.core.event import Event
from engine.core.function import Account, Function
from engine.core.invocation import Invocation
from engine.executors.handler_runner import HandlerRunner
from engine.executors.marshal import UnmarshalError, decode, encode
from engine.executors.process.child.environment import CallContext, ProcessClock, ignore_outcome

_TIMES: Final = 20
_MODULE: Final = "warmup_handler"


def warm_up() -> None:
    """Load a handler as those of functions are loaded, and run it `_TIMES` times."""
    importlib.invalidate_caches()
    folder = str(Path(__file__).parent)
    function = Function("warmup", handler=f"{_MODULE}.handler", code=folder)
    services = CallContext(account=Account(), clock=ProcessClock(), log=lambda *_: None, logs_json=False)
    call = HandlerRunner(function, services, alone=True)
    sys.path.insert(0, folder)
    for _ in range(_TIMES):
        loaded = call.load(fresh=True)
        invocation = Invocation(Event(function.name, b"", "", 0.0), ignore_outcome)
        invocation.event.document = decode(b'{"a": [1, null, "x"]}')
        document, context = call.arguments(call.make_context_template(), invocation)
        encode(loaded.callable(document, context))
        del sys.modules[_MODULE]
    sys.path.remove(folder)
    with suppress(UnmarshalError):
        decode(b"{")  # the parser looks for its exception by name, once: later that name may be a handler's
