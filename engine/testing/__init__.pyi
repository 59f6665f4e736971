"""For tests of handlers, sources and executors: virtual time, and fakes that are implementations.

clock                 `VirtualClock`, `VirtualTimeLoop`, `virtual_platform`
fakes                 `ScriptedExecutor`, `scripted_executor`, `Act`, `ScriptedSource`, `RecordingObserver`
plugin                the pytest fixture `engine`
"""

from engine.testing.clock import VirtualClock, VirtualTimeLoop, virtual_platform
from engine.testing.fakes import (
    Act,
    RecordingObserver,
    ScriptedEvent,
    ScriptedExecutor,
    ScriptedSource,
    scripted_executor,
)

__all__ = [
    "Act",
    "RecordingObserver",
    "ScriptedEvent",
    "ScriptedExecutor",
    "ScriptedSource",
    "VirtualClock",
    "VirtualTimeLoop",
    "scripted_executor",
    "virtual_platform",
]
