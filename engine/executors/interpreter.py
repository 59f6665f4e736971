"""What loop and thread do to the interpreter that handlers share with the engine, while one of them is open.

Each function is to see its own variables wherever its code runs: so `os.environ` is looked up by scope, and
threads, jobs of thread pools and child processes are started in the scope of whoever starts them. Code of
no function (the engine's, a test's) sees everything as it was. What C code reads, and what C code starts,
has the engine's variables: the C library knows no scopes.
"""

from __future__ import annotations

import _posixsubprocess
import _thread
import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from contextvars import ContextVar, copy_context
from functools import partial, wraps
from typing import Any, Final, Self

from engine.executors.capture import write_past_the_engine
from engine.executors.failed_imports import forget_since, holds_half_made
from engine.executors.forks import (
    Fork,
    detach_from_engine,
    exit_child,
    exit_instead_of_resuming,
    finish,
    prepare,
    socket_pairs,
    still_open,
)
from engine.executors.handler_loader import InitError, Loaded
from engine.executors.handler_runner import HandlerRunner
from engine.executors.loggers import keep_apart, make_real
from engine.executors.scope import ScopedEnviron, running
from engine.ports import Workshop

_KEY: Final = "interpreter"
_MAX_LOADS: Final = 3
"""How often a handler is imported until it holds nothing half-made: once more is enough, odd ones aside."""

_SHARERS: Final = "_sharers"
_LOCK: Final = threading.Lock()
_ENVIRONMENT: Final = 5
"""Which argument of `_posixsubprocess.fork_exec` is the environment; None: the C library's."""


forking: Final[ContextVar[Fork | None]] = ContextVar("forking", default=None)
"""Set while a handler's thread forks."""


def _nothing() -> None:
    pass


class Interpreter:
    """Shared by the executors of one engine that run handlers in its interpreter.

    Engines that are open at once share what is changed: the first one changes it, the last one restores it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._members = 0
        self.loop = loop
        self.thread = threading.get_ident()
        self._loads_lock = threading.Lock()
        self._loads = self._loading = 0  # begun so far, in progress
        self.is_copy = False
        """Whether this is a process that a handler forked: what a handler returns there is dropped."""
        self._held = ExitStack()
        # A descriptor that nothing happens to: by it a forked child knows the event loop's.
        self._loop_sockets = socket_pairs()
        self._beacon, self._other = socket.socketpair()
        self._held.enter_context(self._other)
        self._held.enter_context(self._beacon)
        loop.add_reader(self._beacon, _nothing)
        self._held.callback(self._unwatch)
        self._held.callback(_restore, self)
        _change(self)
        # uvloop starts processes in C, with the C library's variables.
        for name in ("subprocess_exec", "subprocess_shell"):
            _replace(self._held, loop, name, _with_variables)

    @classmethod
    def acquire(cls, workshop: Workshop) -> Self:
        """The one that all executors of an engine share. Each `acquire` needs a `release`."""
        commons = workshop.commons
        found: Self | None = commons.get(_KEY)
        if found is None:
            found = commons[_KEY] = cls(workshop.loop)
        found._members += 1
        return found

    def load(self, call: HandlerRunner, *, fresh: bool) -> Loaded:
        """Import a handler; on the calling thread. Raises `InitError`."""
        with self._loads_lock:
            self._loads += 1
            number, alone = self._loads, not self._loading
            self._loading += 1
        try:
            for left in reversed(range(_MAX_LOADS)):
                try:
                    loaded = self._load(call, fresh=fresh)
                except InitError as error:
                    # importlib's own: another thread's import failed, and took away what this one was at.
                    if left and error.error_type == "KeyError" and not (alone and number == self._loads):
                        continue
                    raise
                if alone and number == self._loads:
                    break  # nobody else imported anything meanwhile
                if not holds_half_made(loaded.module, call.code):
                    break
                call.discard(loaded)
            return loaded
        finally:
            with self._loads_lock:
                self._loading -= 1

    def _load(self, call: HandlerRunner, *, fresh: bool) -> Loaded:
        before = set(sys.modules)
        try:
            return call.load(fresh=fresh)
        except InitError as error:
            if self.is_copy:
                exit_child(error.exit_status or 1)
            forget_since(before, call.code)
            raise
        finally:
            if self.is_copy:
                exit_child(0)

    @property
    def beacon(self) -> int:
        """A descriptor that only the event loop watches."""
        return self._beacon.fileno()

    def own_descriptors(self) -> list[int]:
        """Those that the event loop need not watch, and that a forked child has no use for."""
        return [self._other.fileno(), *still_open(self._loop_sockets)]

    def _unwatch(self) -> None:
        if not self.loop.is_closed():
            self.loop.remove_reader(self._beacon)

    def release(self, commons: dict[str, Any]) -> None:
        """Let go of it; the last executor undoes all changes."""
        self._members -= 1
        if not self._members:
            del commons[_KEY]
            self._held.close()


def _change(member: Interpreter) -> None:
    """Change the interpreter, unless an engine has. What undoes it is kept on what is changed."""
    with _LOCK:
        state = vars(os.environ)
        sharers = state.setdefault(_SHARERS, [])
        sharers.append(member)
        if len(sharers) > 1:
            return
        if "_knows_forks" not in state:  # once in the life of a process: it cannot be taken back
            state["_knows_forks"] = True
            os.register_at_fork(
                before=_before_a_fork, after_in_parent=_after_a_fork, after_in_child=_be_a_copy
            )
        undo = state["_undo"] = ExitStack()
        for environ in (os.environ, os.environb):
            undo.callback(setattr, environ, "__class__", type(environ))
            environ.__class__ = ScopedEnviron
        keep_apart(undo, _replace)
        _replace(undo, os, "putenv", _putenv)
        _replace(undo, os, "unsetenv", _unsetenv)
        _replace(undo, os, "system", _system)
        _replace(undo, subprocess, "_fork_exec", _fork_exec)
        _replace(undo, _posixsubprocess, "fork_exec", _fork_exec)  # for multiprocessing
        for name in ("posix_spawn", "posix_spawnp"):  # by `subprocess` from Python 3.13 on
            _replace(undo, os, name, _posix_spawn)
        _replace(undo, threading.Thread, "start", _start)
        _replace(undo, _thread, "start_new_thread", _start_new_thread)
        _replace(undo, ThreadPoolExecutor, "submit", _submit)


def _restore(member: Interpreter) -> None:
    with _LOCK:
        state = vars(os.environ)
        state[_SHARERS].remove(member)
        if not state[_SHARERS]:
            del state[_SHARERS]
            state.pop("_undo").close()


def _replace(undo: ExitStack, owner: Any, name: str, wrap: Callable[[Any], Any]) -> None:
    """Put `wrap(what is there)` there until `undo`; what somebody else puts there meanwhile stays."""
    original = getattr(owner, name, None)
    if original is None:
        return
    own = name in vars(owner) if hasattr(owner, "__dict__") else True
    replacement = wraps(original)(wrap(original))
    setattr(owner, name, replacement)

    def restore() -> None:
        if vars(owner).get(name) is not replacement:
            return
        if own:
            setattr(owner, name, original)
        else:
            delattr(owner, name)

    undo.callback(restore)


# ---------------------------------------------------------------- variables, past `os.environ`


def _putenv(original: Callable[..., None]) -> Callable[..., None]:
    def putenv(name: Any, value: Any, /) -> None:
        scope = running.get()
        if scope is None:
            original(name, value)
        else:
            scope.view[os.fsencode(name)] = os.fsencode(value)

    return putenv


def _unsetenv(original: Callable[..., None]) -> Callable[..., None]:
    def unsetenv(name: Any, /) -> None:
        scope = running.get()
        if scope is None:
            original(name)
        else:
            scope.view.pop(os.fsencode(name), None)

    return unsetenv


# ---------------------------------------------------------------- child processes


def _before_a_fork() -> None:
    if running.get() is not None:
        sharers: list[Interpreter] = vars(os.environ).get(_SHARERS, [])
        forking.set(prepare({member.beacon for member in sharers}))


def _after_a_fork() -> None:
    if (fork := forking.get()) is not None:
        forking.set(None)
        finish(fork)


def _be_a_copy() -> None:
    """This is a child. One that a handler forked has its scope's variables, and nothing of the engine."""
    state = vars(os.environ)
    sharers: list[Interpreter] = state.pop(_SHARERS, [])
    if not sharers:
        return
    fork, variables = forking.get(), dict(os.environ)
    state.pop("_undo").close()
    if fork is None:
        return  # whoever opened the engine forked, and knows why
    scope = running.get()
    if scope is not None:
        make_real(scope)
    running.set(None)
    for member in sharers:
        member.is_copy = True
        if threading.get_ident() == member.thread:
            exit_instead_of_resuming(member.loop)
    detach_from_engine(fork, [one for member in sharers for one in member.own_descriptors()])
    write_past_the_engine()
    zone = os.environ.get("TZ")
    os.environ.clear()
    os.environ.update(variables)
    if variables.get("TZ") != zone:
        time.tzset()
    _after_a_fork()


def _fork_exec(original: Callable[..., int]) -> Callable[..., int]:
    def fork_exec(*args: Any) -> int:
        scope = running.get()
        if scope is not None and args[_ENVIRONMENT] is None:
            variables = [name + b"=" + value for name, value in scope.view.items()]
            args = (*args[:_ENVIRONMENT], variables, *args[_ENVIRONMENT + 1 :])
        return original(*args)

    return fork_exec


def _posix_spawn(original: Callable[..., int]) -> Callable[..., int]:
    def posix_spawn(path: Any, argv: Any, env: Any, /, **options: Any) -> int:
        scope = running.get()
        if scope is not None and env is None:
            env = dict(scope.view)
        return original(path, argv, env, **options)

    return posix_spawn


def _system(original: Callable[[Any], int]) -> Callable[[Any], int]:
    def system(command: Any) -> int:
        if running.get() is None:
            return original(command)
        code = subprocess.call(command, shell=True, close_fds=False)  # noqa: S602  as `os.system` does
        return code << 8 if code >= 0 else -code

    return system


def _with_variables(original: Callable[..., Any]) -> Callable[..., Any]:
    def start(*args: Any, env: Any = None, **options: Any) -> Any:
        if env is None and running.get() is not None:
            env = dict(os.environ)
        return original(*args, env=env, **options)

    return start


# ---------------------------------------------------------------- threads


def _start(original: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
    def start(self: threading.Thread) -> None:
        if running.get() is not None:
            context = copy_context()

            def run() -> None:
                del vars(self)["run"]
                context.run(self.run)

            self.run = run  # type: ignore[method-assign]  # of this thread alone, and until it runs
        original(self)

    return start


def _start_new_thread(original: Callable[..., int]) -> Callable[..., int]:
    def start_new_thread(function: Any, args: Any, /, *kwargs: Any) -> int:
        if running.get() is not None:
            function, args = copy_context().run, (function, *args)
        return original(function, args, *kwargs)

    return start_new_thread


def _submit(original: Callable[..., Any]) -> Callable[..., Any]:
    def submit(self: ThreadPoolExecutor, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        if running.get() is not None:
            function = partial(copy_context().run, function)
        return original(self, function, *args, **kwargs)

    return submit
