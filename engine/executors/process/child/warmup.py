"""Starts an environment some times in the zygote and has it serve, so that its children find all of it warm.

Lazy imports are made, caches filled and bytecode specialised before the memory is shared by all: a child pays
for each page that it is the first to change.
"""

from __future__ import annotations

import importlib
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from engine.executors.marshal import UnmarshalError, decode
from engine.executors.process.child.bootstrap import ChildBootstrap
from engine.executors.process.child.environment import LOG_STREAM, ChildEnvironment
from engine.executors.process.child.handler_log import HandlerLog
from engine.executors.process.child.private_modules import PrivateModules
from engine.executors.process.protocol import pack_request
from engine.executors.process.spec import EnvironmentSpec, FunctionSpec

_TIMES: Final = 20
_MODULE: Final = "warmup_handler"
_PAYLOAD: Final = b'{"a": [1, null, "x"]}'


def warm_up(log: HandlerLog, private: PrivateModules) -> None:
    """Take `_TIMES` times the steps of a child, but for those that cannot be undone."""
    importlib.invalidate_caches()
    folder = str(Path(__file__).parent)
    function = FunctionSpec("warmup", handler=f"{_MODULE}.handler", code=folder)
    spec = EnvironmentSpec(function=function, arn="", variables={LOG_STREAM: ""}, generation=0, cgroups={})
    environment = ChildEnvironment(spec, log, private, own_tmp=True)
    for _ in range(_TIMES):
        environment.before_fork()
        with _undone():
            _rehearse(environment)
    log.invocation = None
    sys.path_importer_cache.pop(folder, None)
    with suppress(UnmarshalError):
        decode(b"{")  # the parser looks for its exception by name, once: later that name may be a handler's


def _rehearse(environment: ChildEnvironment) -> None:
    ours, theirs = socket.socketpair()
    read_end, write_end = os.pipe()
    ours.sendall(pack_request(1, 0.0, "", None, None, None, len(_PAYLOAD)) + _PAYLOAD)
    ours.shutdown(socket.SHUT_WR)
    parent = os.getppid()
    ChildBootstrap(environment, theirs.detach(), write_end, parent, {}, rehearses=True).run()
    environment.release()
    ours.close()
    os.close(read_end)


@contextmanager
def _undone() -> Iterator[None]:
    """Restore what a child changes in its process: modules and where they come from, folder, streams."""
    path, finders, modules = sys.path[:], sys.meta_path[:], set(sys.modules)
    folder = os.open(".", os.O_PATH)
    streams = [os.dup(number) for number in range(3)]
    on_interrupt = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, on_interrupt)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        os.fchdir(folder)
        os.close(folder)
        sys.path[:], sys.meta_path[:] = path, finders
        for name in set(sys.modules) - modules:
            del sys.modules[name]
