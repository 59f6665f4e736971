"""For tests of handlers, sources and executors: virtual time, and fakes that are implementations.

clock                 `VirtualClock`, `VirtualTimeLoop`, `handler_platform`, `virtual_platform`
sync_engine           `SyncEngine`: an engine for code that is not asynchronous
fakes                 `ScriptedExecutor`, `scripted_executor`, `Act`, `ScriptedSource`, `RecordingObserver`
events                `engine.testing.events`: the events of every source
plugin                the pytest fixtures `engine` and `engine_sync`

A name is imported when it is first asked for: every run of pytest on this machine imports this package, for
the plugin. `__init__.pyi` beside this file tells type checkers the same.
"""

from importlib import import_module as _import_module
from typing import Any as _Any

_HOMES = {
    "Act": "fakes",
    "RecordingObserver": "fakes",
    "ScriptedEvent": "fakes",
    "ScriptedExecutor": "fakes",
    "ScriptedSource": "fakes",
    "SyncEngine": "sync_engine",
    "VirtualClock": "clock",
    "VirtualTimeLoop": "clock",
    "events": "events",
    "handler_platform": "clock",
    "scripted_executor": "fakes",
    "virtual_platform": "clock",
}
__all__ = [*_HOMES]


def __getattr__(name: str) -> _Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _import_module(f"{__name__}.{_HOMES[name]}")
    value = globals()[name] = home if name == _HOMES[name] else getattr(home, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
