"""What a function names besides its handler: modules to preload, and a program of its own."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Set

from engine.config.handler_file import module_is_installed
from engine.config.problems import Place, Problem, show
from engine.config.settings import FunctionSettings
from engine.core.variables import EXEC_WRAPPER, PATH


def program_problems(
    settings: FunctionSettings, code: str, place: Place, wrong: Set[object]
) -> Iterator[Problem]:
    """What of it is not there, or not started; `wrong` are keys that need not be looked at any more."""
    starts_none = settings.executor in ("loop", "thread", "process")
    wrapped = EXEC_WRAPPER in settings.environment
    if starts_none and wrapped and not wrong & {"environment", "executor"}:
        yield Problem(
            (*place, "environment"),
            f"{EXEC_WRAPPER} wraps a program, and the executor {settings.executor!r} starts none: "
            "take executor = 'runtime' or 'auto'",
        )
    if settings.streaming is not None and not wrong & {"streaming", "executor", "bootstrap", "durable"}:
        if settings.executor == "runtime" or settings.bootstrap or (wrapped and not starts_none):
            sentence = "a program of its own streams over the Runtime API, without this setting"
            yield Problem((*place, "streaming"), sentence)
        elif settings.durable is not None:
            yield Problem((*place, "streaming"), "a durable function has one result, at its end")
    if "preload" not in wrong and settings.preload != "auto":
        for number, module in enumerate(settings.preload):
            if not module_is_installed(module):
                yield Problem((*place, "preload", number), f"no module {module!r} is installed")
    if (
        "bootstrap" not in wrong and settings.bootstrap and os.path.isdir(code)
    ):  # in an archive it is yet to be unpacked
        program = settings.bootstrap[0]
        path = settings.environment.get("PATH") or os.pathsep.join(
            (os.path.dirname(sys.executable), os.environ.get("PATH", PATH))
        )
        where = os.path.join(code, program) if os.sep in program else program
        if shutil.which(where, path=path) is None:
            yield Problem((*place, "bootstrap"), f"no program {show(program)} that can be run")
