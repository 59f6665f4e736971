"""Where the parts meet: an engine built from a `Config`, and a server around it.

A name is imported when it is first asked for: `engine serve` chooses executors before it has all of the rest.
`__init__.pyi` beside this file tells type checkers the same.
"""

from importlib import import_module as _import_module
from typing import Any as _Any

_HOMES = {
    "Announcement": ("engine.app.serving", "Announcement"),
    "AwsClient": ("engine.app.aws_client", "AwsClient"),
    "Engine": ("engine.app.embedded", "EmbeddedEngine"),
    "serve": ("engine.app.serving", "serve"),
}

__all__ = ["Announcement", "AwsClient", "Engine", "serve"]


def __getattr__(name: str) -> _Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, own_name = _HOMES[name]
    value = globals()[name] = getattr(_import_module(module), own_name)
    return value
