"""The invocation engine: runs unmodified AWS-Lambda-style handlers on your own machine, fast.

async with Engine([Function("hello", handler="handlers.hello.handler")]) as engine:
outcome = await engine.invoke("hello", {"name": "Ada"})

`serve` is `engine serve` inside a program.

A name is imported when it is first asked for: the processes that run handlers need only a few small modules
of this package. `__init__.pyi` beside this file tells type checkers the same.
"""

from importlib import import_module as _import_module
from typing import Any as _Any

__all__ = [
    "ConfigError",
    "DurableConfig",
    "Engine",
    "EngineError",
    "Function",
    "FunctionNotFound",
    "NotAccepting",
    "Outcome",
    "PayloadError",
    "Served",
    "Status",
    "UnknownName",
    "serve",
]

_HOMES = {
    "DurableConfig": "engine.core.function",
    "Engine": "engine.app",
    "Function": "engine.core.function",
    "Outcome": "engine.core.outcome",
    "Served": "engine.app.embedded_server",
    "Status": "engine.core.outcome",
    "serve": "engine.app.embedded_server",
}


def __getattr__(name: str) -> _Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(_import_module(_HOMES.get(name, "engine.errors")), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
