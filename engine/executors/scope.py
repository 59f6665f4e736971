"""The function that running code belongs to, and the environment variables it sees for that reason.

Handlers on loop and thread share one interpreter with the engine. `running` says whose code runs: executors
set it, and tasks inherit it as they do every context variable; `engine.executors.interpreter` has threads
and child processes inherit it too, and makes `os.environ` look here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final

from engine.core.function import Account, Function
from engine.core.variables import Initialisation, lambda_variables
from engine.executors.capture import current
from engine.executors.host_variables import host_data

_HOST_ONLY: Final = (b"AWS_", b"LAMBDA_", b"_HANDLER", b"_X_AMZN_")
"""What names of the engine's own variables begin with that no function sees: credentials above all."""

_READ_BY_C: Final = ("PATH", "TZ", "LANG", "LC_CTYPE")
"""The C library has the engine's values of these whatever a mapping says, so handlers are shown the same."""

_TRACE: Final = b"_X_AMZN_TRACE_ID"
_LOG_STREAM: Final = b"AWS_LAMBDA_LOG_STREAM_NAME"
_INITIALISATION: Final = b"AWS_LAMBDA_INITIALIZATION_TYPE"
_ON_DEMAND: Final[Mapping[bytes, bytes]] = {_INITIALISATION: b"on-demand"}

_ENCODING: Final = (sys.getfilesystemencoding(), sys.getfilesystemencodeerrors())


class Scope:
    """What belongs to the code of one environment, which shares its interpreter with others.

    Attributes:
        variables: What it set, or was given, by encoded name; None for what it deleted.
        loggers: What it has set on each logger; see `engine.executors.loggers`.
        enabled: Which levels that enables; see there.
        known: The loggers it has asked for.
    """

    __slots__ = ("_own", "enabled", "enabled_epoch", "known", "loggers", "variables", "view")

    def __init__(self, variables: Mapping[str, str]) -> None:
        encoding, errors = _ENCODING  # as os.fsencode does, which takes four times as many calls
        self.variables: dict[bytes, bytes | None] = {
            name.encode(encoding, errors): value.encode(encoding, errors) for name, value in variables.items()
        }
        self.loggers: dict[object, dict[str, Any]] = {}
        self.enabled: dict[tuple[object, int], bool] = {}
        self.enabled_epoch = 0
        self.known: set[object] = set()
        self._own = _ON_DEMAND
        self.view = _View(self)

    def of_environment(self, log_stream: str, *, provisioned: bool) -> Scope:
        """The same for one of several environments that share a module instance: what differs is given."""
        scope = Scope({})
        scope.variables, scope.known = self.variables, self.known
        scope.loggers, scope.enabled = self.loggers, self.enabled
        kind: Initialisation = "provisioned-concurrency" if provisioned else "on-demand"
        scope._own = {_LOG_STREAM: log_stream.encode(), _INITIALISATION: kind.encode()}
        return scope

    def given(self, name: bytes) -> bytes | None:
        """What is an invocation's or an environment's own, looked up when it is asked for."""
        if name == _TRACE:
            invocation = current.get()
            trace_id = None if invocation is None else invocation.event.trace_id
            return None if trace_id is None else trace_id.encode()
        return self._own.get(name)


running: Final[ContextVar[Scope | None]] = ContextVar("running", default=None)
"""Whose code runs. None: the engine's own, or that of whoever opened the engine."""


def scope_of(function: Function, account: Account, endpoint_url: str | None, *, logs_json: bool) -> Scope:
    """A new scope, with Lambda's variables and the function's own."""
    variables = lambda_variables(
        function,
        account,
        log_stream="",  # each environment has its own: `Scope.of_environment`
        task_root=str(Path(function.code).absolute()),
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        logs_json=logs_json,
        endpoint_url=endpoint_url,
    )
    dropped = {_LOG_STREAM.decode(), _INITIALISATION.decode(), *_READ_BY_C} - set(function.environment)
    return Scope({name: value for name, value in variables.items() if name not in dropped})


class _View(MutableMapping[bytes, bytes]):
    """The variables of a scope before those of the engine's own that functions see too."""

    __slots__ = ("_scope",)

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def _find(self, name: bytes) -> bytes | None:
        own = self._scope.variables
        if name in own:
            return own[name]
        if name.startswith(_HOST_ONLY):
            return self._scope.given(name)
        return host_data().get(name)

    def __getitem__(self, name: bytes) -> bytes:
        value = self._find(name)
        if value is None:
            raise KeyError(name)
        return value

    def __setitem__(self, name: bytes, value: bytes) -> None:
        if b"\0" in name or b"\0" in value:
            raise ValueError("embedded null byte")
        if not name or b"=" in name:
            raise ValueError("illegal environment variable name")
        self._scope.variables[name] = value

    def __delitem__(self, name: bytes) -> None:
        self[name]
        self._scope.variables[name] = None

    def __iter__(self) -> Iterator[bytes]:
        names = dict.fromkeys((*self._scope.variables, *host_data(), _LOG_STREAM, _INITIALISATION, _TRACE))
        return iter([name for name in names if self._find(name) is not None])

    def __len__(self) -> int:
        return sum(1 for _ in self)


_Environ: Any = type(os.environ)


class ScopedEnviron(_Environ):  # type: ignore[misc]  # what it is made of is not public
    """`os.environ` and `os.environb` while handlers share this interpreter.

    Their class is changed, not they: so whoever took hold of them before sees the same.
    """

    @property
    def _data(self) -> Any:
        scope = running.get()
        return vars(self)["_data"] if scope is None else scope.view

    def __setitem__(self, key: Any, value: Any) -> None:
        scope = running.get()
        if scope is None:
            super().__setitem__(key, value)
        else:
            scope.view[self.encodekey(key)] = self.encodevalue(value)

    def __delitem__(self, key: Any) -> None:
        scope = running.get()
        if scope is None:
            super().__delitem__(key)
            return
        try:
            del scope.view[self.encodekey(key)]
        except KeyError:
            raise KeyError(key) from None
