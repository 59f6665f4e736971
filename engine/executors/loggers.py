"""The configuration of `logging`, kept apart for functions that share an interpreter.

Loggers are shared by name, and so are the libraries that hold them. What is set on one (level, handlers,
filters, `disabled`, `propagate`) is an environment's own while its code runs: it sees what whoever opened
the engine has set until it sets something itself. So `basicConfig(force=True)` or `dictConfig` in one
function changes nothing in the logs of another.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from engine.executors.capture import handlers_of_a_function
from engine.executors.scope import Scope, running


def keep_apart(undo: ExitStack, replace: Callable[[ExitStack, Any, str, Callable[[Any], Any]], None]) -> None:
    """Keep the configuration apart until `undo`. `replace` puts something in the place of a function."""
    enabled = _Enabled()
    for name, kept in {
        "level": _Value("level"),
        "propagate": _Value("propagate"),
        "disabled": _Disabled("disabled", enabled),
        "handlers": _List("handlers"),
        "filters": _List("filters"),
        "_cache": _Cache(),
    }.items():
        setattr(logging.Logger, name, kept)
        undo.callback(delattr, logging.Logger, name)
    logging.Manager._disable = _Value("_disable")  # type: ignore[attr-defined]
    undo.callback(delattr, logging.Manager, "_disable")
    replace(undo, logging.Logger, "isEnabledFor", enabled.asking)
    replace(undo, logging.Manager, "_clear_cache", enabled.clearing)
    replace(undo, logging.Manager, "getLogger", _getting)
    replace(undo, logging, "shutdown", _shutting_down)


def make_real(scope: Scope) -> None:
    """Make what `scope` has set the configuration of this process, which no other function shares."""
    for owner, values in scope.loggers.items():
        vars(owner).update(values)
    for logger in (logging.root, *logging.root.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger):
            vars(logger)["_cache"] = {}


class _Value:
    """An attribute of loggers: an environment's own once it has set it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, owner: Any, _kind: type | None = None) -> Any:
        if owner is None:
            return self
        scope = running.get()
        if scope is not None:
            own = scope.loggers.get(owner)
            if own is not None and self.name in own:
                return own[self.name]
        try:
            return vars(owner)[self.name]
        except KeyError:
            raise AttributeError(self.name) from None

    def __set__(self, owner: Any, value: Any) -> None:
        scope = running.get()
        if scope is None or self.name not in vars(owner):  # a logger is made: it begins the same for all
            vars(owner)[self.name] = value
        else:
            scope.loggers.setdefault(owner, {})[self.name] = value


class _Disabled(_Value):
    """`dictConfig` disables all loggers there are: on Lambda those of other functions are not among them."""

    def __init__(self, name: str, enabled: _Enabled) -> None:
        super().__init__(name)
        self._enabled = enabled

    def __set__(self, owner: Any, value: Any) -> None:
        scope = running.get()
        if scope is None or owner in scope.known or self.name not in vars(owner):
            super().__set__(owner, value)
            self._enabled.forget()


class _List(_Value):
    """The same for one that is changed in place: an environment has a copy once it has looked at it."""

    def __get__(self, owner: Any, _kind: type | None = None) -> Any:
        value = super().__get__(owner, _kind)
        scope = running.get()
        if owner is None or scope is None or self.name in scope.loggers.get(owner, ()):
            return value
        copy = (
            handlers_of_a_function(value) if owner is logging.root and self.name == "handlers" else [*value]
        )
        scope.loggers.setdefault(owner, {})[self.name] = copy
        return copy


class _Cache:
    """`Logger._cache`, for code of no function. Within one, `_Enabled` has what is known."""

    def __get__(self, owner: Any, _kind: type | None = None) -> Any:
        if owner is None:
            return self
        return {} if running.get() is not None else vars(owner)["_cache"]

    def __set__(self, owner: Any, value: Any) -> None:
        vars(owner)["_cache"] = value


class _Enabled:
    """Which levels are enabled on which loggers, remembered by scope until something is set."""

    def __init__(self) -> None:
        self.epoch = 0
        """Changes when code of no function sets something: all scopes have seen it."""

    def forget(self) -> None:
        """Forget what is remembered: something was set."""
        scope = running.get()
        if scope is None:
            self.epoch += 1
        else:
            scope.enabled.clear()

    def asking(self, original: Callable[[Any, int], bool]) -> Callable[[Any, int], bool]:
        """Called by `Logger.isEnabledFor`, with which every log call begins."""
        get = running.get

        def is_enabled_for(logger: Any, level: int) -> bool:
            scope = get()
            if scope is None:
                return original(logger, level)
            if scope.enabled_epoch != self.epoch:
                scope.enabled.clear()
                scope.enabled_epoch = self.epoch
            known = scope.enabled.get((logger, level))
            if known is None:
                known = scope.enabled[logger, level] = original(logger, level)
            return known

        return is_enabled_for

    def clearing(self, original: Callable[[Any], None]) -> Callable[[Any], None]:
        """Called by `Manager._clear_cache`, with which setting a level ends."""

        def clear_cache(manager: Any) -> None:
            self.forget()
            if running.get() is None:
                original(manager)

        return clear_cache


def _getting(original: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    def get_logger(manager: Any, name: str) -> Any:
        logger = original(manager, name)
        scope = running.get()
        if scope is not None:
            scope.known.add(logger)
        return logger

    return get_logger


def _shutting_down(original: Callable[..., None]) -> Callable[..., None]:
    def shutdown(handlers: Any = logging._handlerList) -> None:  # type: ignore[attr-defined]
        scope = running.get()
        if scope is not None:  # `dictConfig` closes all there are
            own = {id(one) for values in scope.loggers.values() for one in values.get("handlers", ())}
            handlers = [reference for reference in handlers if id(reference()) in own]
        original(handlers)

    return shutdown
