"""Where `engine` and `python -m engine` begin: streams and signals first, then all else is imported."""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from types import FrameType
from typing import Any, Final

_ENDING: Final = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGXCPU")


def main() -> None:
    """Run the command line.

    The first process of a container is sent no signal that it does not handle, and one that is still
    importing answers Ctrl-C with a traceback: so signals are handled from here on. `engine serve` has
    accepted nothing yet and ends with exit code 0, as when it has drained; other commands with 128 and
    the signal's number.
    """
    _open_missing_streams()
    serves = sys.argv[1:2] == ["serve"]
    handled = [getattr(signal, name) for name in _ENDING]
    handled = [
        one for one in handled if signal.getsignal(one) in (signal.SIG_DFL, signal.default_int_handler)
    ]
    for one in handled:
        signal.signal(one, _end_well if serves else _end)
    command = import_module("engine.cli").main
    if not serves:
        for one in handled:
            if one is signal.SIGINT:
                signal.signal(one, signal.default_int_handler)  # from here on it is known what to say
            elif os.getpid() != 1:
                signal.signal(one, signal.SIG_DFL)
    command(prog_name="engine")


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


def _end(number: int, _frame: FrameType | None) -> None:
    os._exit(128 + number)


def _end_well(_number: int, _frame: FrameType | None) -> None:
    os._exit(0)


if __name__ == "__main__":
    main()
