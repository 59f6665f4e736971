"""SnapStart's hooks: what a handler registers by `snapshot_restore_py`, and when it is called.

Source: Lambda Developer Guide, "Lambda SnapStart runtime hooks for Python"; awslambdaric 4.2.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

from engine.executors.handler_loader import InitError
from engine.executors.marshal import failure_of

MODULE: Final = "snapshot_restore_py"
BEFORE_SNAPSHOT_STATUS: Final = 64
AFTER_RESTORE_STATUS: Final = 65

_Hook = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]


def provide_hooks() -> None:
    """See to it that handlers can import `snapshot_restore_py`, as they can on Lambda."""
    if MODULE in sys.modules or importlib.util.find_spec(MODULE) is not None:
        return
    module = ModuleType(MODULE, "Stands in for the package of that name, which is not installed.")
    before: list[_Hook] = []
    after: list[_Hook] = []
    vars(module).update(
        register_before_snapshot=_registrar(before),
        register_after_restore=_registrar(after),
        get_before_snapshot=lambda: before,
        get_after_restore=lambda: after,
    )
    sys.modules[MODULE] = module


def run_before_snapshot() -> None:
    """In the reverse order of their registration. Raises InitError for whatever a hook raises."""
    hooks = _registered("get_before_snapshot")
    while hooks:
        _call(hooks.pop())


def run_after_restore() -> None:
    """In the order of their registration. Raises InitError for whatever a hook raises."""
    for hook in _registered("get_after_restore"):
        _call(hook)


def _registrar(hooks: list[_Hook]) -> Callable[..., Callable[..., Any]]:
    def register(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[..., Any]:
        hooks.append((func, args, kwargs))
        return func

    return register


def _registered(getter: str) -> list[_Hook]:
    module = sys.modules.get(MODULE)
    hooks: list[_Hook] = getattr(module, getter)() if module is not None else []
    return hooks


def _call(hook: _Hook) -> None:
    func, args, kwargs = hook
    try:
        func(*args, **kwargs)
    except BaseException as error:  # AWS's client catches as much
        raise InitError(*failure_of(error)) from error
