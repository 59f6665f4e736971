"""For tests of handlers, sources and executors: virtual time, and fakes that are implementations.

clock                 `VirtualClock`, `VirtualTimeLoop`, `virtual_platform`
fakes                 `ScriptedExecutor`, `ScriptedSource`, `RecordingObserver`
plugin                the pytest fixture `engine`
"""

from engine.testing.clock import VirtualClock, VirtualTimeLoop, virtual_platform
from engine.testing.fakes import RecordingObserver, ScriptedExecutor, ScriptedSource

__all__ = [
    "RecordingObserver",
    "ScriptedExecutor",
    "ScriptedSource",
    "VirtualClock",
    "VirtualTimeLoop",
    "virtual_platform",
]
