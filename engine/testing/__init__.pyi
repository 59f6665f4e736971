"""For tests of handlers, sources and executors: virtual time, and fakes that are implementations.

runtime.virtual_time  `VirtualClock`, `VirtualTimeLoop`, `handler_platform`, `virtual_platform`
sync_engine           `SyncEngine`: an engine for code that is not asynchronous
app.executions        `Executions`, `DurableExecution`, `CallbackAnswer`: durable functions
fakes                 `ScriptedExecutor`, `scripted_executor`, `Act`, `ScriptedSource`, `RecordingObserver`
events                `engine.testing.events`: the events of every source
plugin                the pytest fixtures `engine` and `engine_sync`
"""

from engine.app.callback_answers import CallbackAnswer as CallbackAnswer
from engine.app.executions import DurableExecution, Executions
from engine.runtime.virtual_time import VirtualClock, VirtualTimeLoop, handler_platform, virtual_platform
from engine.testing import events
from engine.testing.fakes import (
    Act,
    RecordingObserver,
    ScriptedEvent,
    ScriptedExecutor,
    ScriptedSource,
    scripted_executor,
)
from engine.testing.sync_engine import SyncEngine

__all__ = [
    "Act",
    "CallbackAnswer",
    "DurableExecution",
    "Executions",
    "RecordingObserver",
    "ScriptedEvent",
    "ScriptedExecutor",
    "ScriptedSource",
    "SyncEngine",
    "VirtualClock",
    "VirtualTimeLoop",
    "events",
    "handler_platform",
    "scripted_executor",
    "virtual_platform",
]
