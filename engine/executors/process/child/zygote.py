"""The zygote: a fresh interpreter that has imported what environments need, to be forked from.

It never imports the engine's server side and starts no thread.
"""

from __future__ import annotations

import importlib
import json
import linecache
import os
import signal
import socket
import sys
from collections.abc import Sequence
from typing import Any, Final, NoReturn

from engine.executors.process.child.fork_hooks import ForkHooks
from engine.executors.process.child.fork_server import ForkServer
from engine.executors.process.child.handler_log import HandlerLog
from engine.executors.process.child.private_modules import PrivateModules, copy_used_modules
from engine.executors.process.child.process_setup import (
    empty_input,
    freeze_memory,
    open_streams,
    set_variables,
)
from engine.executors.process.child.snapshot_hooks import provide_hooks
from engine.executors.process.child.tmp_dir import make_tmp_dirs
from engine.executors.process.child.warmup import warm_up
from engine.executors.process.linux import adopt_orphans, die_with_parent, outlive_parent
from engine.executors.process.protocol import DOWN, pack_message, receive_message

_PROGRAM: Final = "/var/runtime/bootstrap.py"
"""`sys.argv[0]`, for a handler that parses its arguments: there are none."""


def _preload(names: Sequence[str]) -> str | None:
    """Import the modules; the error text if one cannot be imported, else None."""
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:  # noqa: BLE001  # whatever it raises is for whoever asked for it
            return f"Unable to preload module '{name}': {type(error).__name__}: {error}"
    return None


def _clear_main_module(path: Sequence[str]) -> None:
    """Remove from `sys` and `__main__` what handlers would not find there on Lambda."""
    sys.path[:] = path
    sys.argv[:] = [_PROGRAM]
    names = vars(sys.modules["__main__"])
    for name in [name for name in names if not name.startswith("__")]:
        del names[name]
    linecache.clearcache()  # from Python 3.13 on it has the text of `python -c`, as that of any `<string>`


def main(descriptor: int, parent: int) -> NoReturn:
    """Run by a fresh interpreter. The first message on the socket has the settings."""
    die_with_parent(parent)  # while it imports; from then on it exits when the socket is closed
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    adopt_orphans()
    connection = socket.socket(fileno=descriptor)
    empty_input()
    open_streams()
    log = HandlerLog()
    log.install()
    copy_used_modules()
    private = PrivateModules.take()
    warm_up(log, private)  # which takes half as long as the imports: meanwhile the engine starts
    first = receive_message(connection)
    if first is None:
        os._exit(0)
    setup: dict[str, Any] = json.loads(first.body)
    _clear_main_module(sys.path[:] if setup["path"] is None else setup["path"])
    problem = _preload(setup["preload"])
    if problem is not None:
        connection.sendall(pack_message(DOWN, 0, 0, problem.encode()))
        os._exit(1)
    provide_hooks()
    tmp_dirs = make_tmp_dirs(setup["tmp_base"])
    os.environ.clear()  # once here instead of in every child
    set_variables({"TZ": ":UTC"})
    hooks = ForkHooks()
    hooks.take_out()
    fillers = freeze_memory()
    outlive_parent()
    ForkServer(connection, tmp_dirs, log, private, hooks).run()
    del fillers
    os._exit(0)
