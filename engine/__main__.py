"""Where `engine` and `python -m engine` begin: streams and signals first, then all else is imported."""

from __future__ import annotations

import atexit
import errno
import gc
import io
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from importlib import import_module
from types import FrameType
from typing import Any, Final

_ENDING: Final = (
    *("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGXCPU"),
    *("SIGALRM", "SIGPROF", "SIGIO", "SIGPWR", "SIGSTKFLT"),
)

_LEAST_ADDRESS_SPACE: Final = 1 << 30
"""Bytes. Measured: a server reserves 540 MB on process and 830 MB on thread, most of it for threads."""


def main() -> None:
    """Run the command line.

    The first process of a container is sent no signal that it does not handle, and one that is still
    importing answers Ctrl-C with a traceback: so signals are handled from here on. `engine serve` has
    accepted nothing yet and ends with exit code 0, as when it has drained; other commands with 128 and
    the signal's number.
    """
    gc.disable()  # what is imported stays; `Commands.get_command` turns it on
    _open_missing_streams()
    _buffer_streams()
    serves = sys.argv[1:2] == ["serve"]
    if serves:
        _refuse_small_address_space()
    handled: list[int] = [getattr(signal, name) for name in _ENDING if hasattr(signal, name)]
    if hasattr(signal, "SIGRTMIN"):
        handled.append(signal.SIGRTMIN + 3)
    handled = [
        one for one in handled if signal.getsignal(one) in (signal.SIG_DFL, signal.default_int_handler)
    ]
    for one in handled:
        signal.signal(one, _end_well if serves else _end)
    with _started_at_once() if serves else nullcontext() as started:
        command = import_module("engine.cli").main
        if not serves:
            for one in handled:
                if one == signal.SIGINT:
                    signal.signal(one, signal.default_int_handler)  # from here on it is known what to say
                elif os.getpid() != 1:
                    signal.signal(one, signal.SIG_DFL)
        _run(command, started, serves=serves)


def _started_at_once() -> AbstractContextManager[Mapping[str, Any]]:
    """What `engine serve` waits for longest; imported here, for no other command needs it."""
    begin: Callable[..., Any] = import_module("engine.app.at_once").started_at_once
    return begin(sys.argv[2:])  # type: ignore[no-any-return]


def _run(command: Callable[..., Any], started: Mapping[str, Any] | None, *, serves: bool) -> None:
    status: list[int] = []
    atexit.register(_end_at_last, status)  # the first to be registered is the last to be called
    try:
        command(prog_name="engine", obj=started)
    except SystemExit as end:
        status.append(end.code if isinstance(end.code, int) else int(end.code is not None))
        # A result is read by somebody, if slowly; what `engine serve` says may not be.
        if not serves and _is_output_lost():
            status[0] = status[0] or 1
            raise SystemExit(status[0]) from None
        raise
    except OSError as error:
        if serves or not (_is_output_lost() or _is_no_space(error)):
            raise
        status.append(1)
        raise SystemExit(1) from None
    finally:
        process_end = _process_end()
        if process_end is not None:
            process_end.end_soon(status[0] if status else 1)


def _is_output_lost() -> bool:
    """Write what is left; one line and True if standard output cannot take it. A reader may go: False."""
    try:
        sys.stdout.flush()
    except ValueError:  # it is closed
        return False
    except OSError as error:
        # What is left would fail once more while Python ends, with an exit code of its own.
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.close(nothing)
        if error.errno != errno.EPIPE:
            _say(f"standard output: {error.strerror}")
            return True
    return False


def _is_no_space(error: OSError) -> bool:
    """One line and True for an output that could not be written, which may be a file's."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
        return False
    _say(f"{error.filename or 'output'}: {error.strerror}")
    return True


def _say(problem: str) -> None:
    with suppress(OSError, ValueError):
        sys.stderr.write(f"error: {problem}\n")
        sys.stderr.flush()


def _process_end() -> Any:
    """The module, if anything has run handlers here: else nothing is left behind."""
    return sys.modules.get("engine.runtime.process_end")


def _end_at_last(status: list[int]) -> None:
    process_end = _process_end()
    if process_end is not None and status:
        process_end.end_now(status[0])


def _open_missing_streams() -> None:
    """Without standard streams (`2>&-`) the next file or socket would be what all who print write to."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
            os.set_inheritable(number, True)  # noqa: FBT003  # as its signature is
        if getattr(sys, name) is None:
            stream: Any = open(os.devnull, "w" if number else "r", encoding="utf-8")  # noqa: SIM115
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


def _buffer_streams() -> None:
    """With `PYTHONUNBUFFERED`, Python drops what is left of a write that a signal cut short."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(getattr(stream, "buffer", None), io.RawIOBase):
            encoding, errors = stream.encoding, stream.errors
            buffered: Any = io.BufferedWriter(stream.detach())
            stream = io.TextIOWrapper(buffered, encoding, errors, line_buffering=True, write_through=True)
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


def _refuse_small_address_space() -> None:
    """Where it is used up, threads cannot be started, and libraries in C end the process without a word."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < _LEAST_ADDRESS_SPACE:
        needed_mb = _LEAST_ADDRESS_SPACE >> 20
        sys.stderr.write(
            f"error: the limit of address space (ulimit -v) is {limit >> 20} MB: the engine needs "
            f"{needed_mb} MB at least, which is not memory in use\n"
        )
        sys.stderr.flush()
        os._exit(2)


def _end(number: int, _frame: FrameType | None) -> None:
    os._exit(128 + number)


def _end_well(_number: int, _frame: FrameType | None) -> None:
    os._exit(0)


if __name__ == "__main__":
    main()
