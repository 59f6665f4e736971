"""For tests of handlers, sources and executors: virtual time, and fakes that are implementations.

runtime.virtual_time  `VirtualClock`, `VirtualTimeLoop`, `handler_platform`, `virtual_platform`
sync_engine           `SyncEngine`: an engine for code that is not asynchronous
app.executions        `Executions`, `DurableExecution`, `CallbackAnswer`: durable functions
fakes                 `ScriptedExecutor`, `scripted_executor`, `Act`, `ScriptedSource`, `RecordingObserver`
events                `engine.testing.events`: the events of every source
plugin                the pytest fixtures `engine` and `engine_sync`

A name is imported when it is first asked for: every run of pytest on this machine imports this package, for
the plugin. `__init__.pyi` beside this file tells type checkers the same.
"""

from importlib import import_module as _import_module
from typing import Any as _Any

_HOMES = {
    "Act": "engine.testing.fakes",
    "CallbackAnswer": "engine.app.callback_answers",
    "DurableExecution": "engine.app.executions",
    "Executions": "engine.app.executions",
    "RecordingObserver": "engine.testing.fakes",
    "ScriptedEvent": "engine.testing.fakes",
    "ScriptedExecutor": "engine.testing.fakes",
    "ScriptedSource": "engine.testing.fakes",
    "SyncEngine": "engine.testing.sync_engine",
    "VirtualClock": "engine.runtime.virtual_time",
    "VirtualTimeLoop": "engine.runtime.virtual_time",
    "events": "engine.testing.events",
    "handler_platform": "engine.runtime.virtual_time",
    "scripted_executor": "engine.testing.fakes",
    "virtual_platform": "engine.runtime.virtual_time",
}
__all__ = [*_HOMES]


def __getattr__(name: str) -> _Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _import_module(_HOMES[name])
    value = globals()[name] = home if home.__name__ == f"{__name__}.{name}" else getattr(home, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
