"""For tests of handlers, sources and executors: virtual time, and fakes that are implementations.

clock                 `VirtualClock`, `VirtualTimeLoop`, `handler_platform`, `virtual_platform`
sync_engine           `SyncEngine`: an engine for code that is not asynchronous
fakes                 `ScriptedExecutor`, `scripted_executor`, `Act`, `ScriptedSource`, `RecordingObserver`
events                `engine.testing.events`: the events of every source
plugin                the pytest fixtures `engine` and `engine_sync`
"""

from engine.testing import events
from engine.testing.clock import VirtualClock, VirtualTimeLoop, handler_platform, virtual_platform
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
