"""The invocation engine: runs unmodified AWS-Lambda-style handlers on your own machine, fast.

async with Engine([Function("hello", handler="handlers.hello.handler")]) as engine:
outcome = await engine.invoke("hello", {"name": "Ada"})
"""

from engine.app import Engine
from engine.app.embedded_server import Served, serve
from engine.core.function import DurableConfig, Function
from engine.core.outcome import Outcome, Status
from engine.errors import (
    ConfigError,
    EngineError,
    FunctionNotFound,
    NotAccepting,
    PayloadError,
    UnknownName,
)

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
