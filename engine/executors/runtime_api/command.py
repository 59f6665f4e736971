"""The program that serves a function by the Runtime API, and the variables it is started with.

Source: Lambda Developer Guide, "Building a custom runtime for AWS Lambda" and "Using the Lambda runtime API".
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from engine.core.error_bodies import InitFailure
from engine.core.function import Account, Function
from engine.core.python_interpreter import PythonInterpreter
from engine.core.variables import EXEC_WRAPPER, initialisation_of, lambda_variables
from engine.errors import EngineError
from engine.executors.marshal import exit_reason

CLIENT: Final = "awslambdaric"
INHERITED: Final = ("LD_LIBRARY_PATH", "PYTHONHOME", "PYTHONPATH")
"""Variables of the engine's own that its interpreter may need to start, and to find AWS's client."""


class InvalidEntrypoint(EngineError):
    """There is no program to start: `places` were looked at."""

    def __init__(self, places: str) -> None:
        super().__init__(places)
        self.places = places

    def __str__(self) -> str:
        return f"Couldn't find valid bootstrap(s): [{self.places}]"

    def failure_of(self, function: Function) -> InitFailure:
        """The failure, as the driver is told of it. A wrapper is started by a shell on Lambda (recorded)."""
        if self.places != function.environment.get(EXEC_WRAPPER):
            return InitFailure("Runtime.InvalidEntrypoint", str(self))
        return InitFailure("Runtime.ExitError", exit_reason(126 if Path(self.places).exists() else 127))


def command_of(function: Function, interpreter: PythonInterpreter | None = None) -> tuple[str, ...]:
    """Program and arguments: what `bootstrap` says, else the file of that name, else AWS's Python client.

    The client is that of `interpreter`; None: of the engine's own.

    A program that `AWS_LAMBDA_EXEC_WRAPPER` names comes before them, but not before a file `bootstrap`: that
    is an OS-only runtime, for which Lambda has no wrappers.

    Raises:
        InvalidEntrypoint: There is none of the three, or the file may not be executed.
    """
    command = _unwrapped(function, interpreter)
    wrapper = function.environment.get(EXEC_WRAPPER)
    if not wrapper or Path(command[0]).name == "bootstrap":
        return command
    return (_on_this_machine(wrapper, function.code), *command)


def _on_this_machine(path: str, code: str) -> str:
    """A path as Lambda has it: below the code (`/var/task`), or below layers, which lie beside the code."""
    for root, folder in (("/var/task/", Path(code)), ("/opt/", Path(code).parent / "opt")):
        place = folder.absolute() / path.removeprefix(root)
        if path.startswith(root) and place.exists():
            return str(place)
    return path


def _unwrapped(function: Function, interpreter: PythonInterpreter | None) -> tuple[str, ...]:
    given = function.bootstrap
    if given:
        return tuple(shlex.split(given)) if isinstance(given, str) else tuple(given)
    file = Path(function.code, "bootstrap").absolute()
    if file.is_file() and os.access(file, os.X_OK):
        return (str(file),)
    if file.exists() or (interpreter is None and importlib.util.find_spec(CLIENT) is None):
        raise InvalidEntrypoint(str(file))
    executable = sys.executable if interpreter is None else interpreter.executable
    return (executable, "-m", CLIENT, _dotted(function.handler))


def variables_of(
    function: Function,
    account: Account,
    command: tuple[str, ...],
    *,
    runtime_api: str,
    log_stream: str,
    logs_json: bool,
    endpoint_url: str | None,
    host: Mapping[str, str],
    provisioned: bool = False,
    interpreter: PythonInterpreter | None = None,
) -> dict[str, str]:
    """The environment of the process: Lambda's variables, the function's own, and little of the engine's.

    Of `host`, the engine's variables, those in `INHERITED` are kept, and `PATH`, with the folder of
    the engine's interpreter before it: `python` and `node` are what they are for the engine. With an
    `interpreter` of the handler's own it is that one's folder, and PYTHONHOME is not kept.
    """
    variables = lambda_variables(
        function,
        account,
        log_stream=log_stream,
        task_root=str(Path(function.code).absolute()),
        runtime_api=runtime_api,
        initialisation=initialisation_of(function, provisioned=provisioned),
        python=_series(interpreter) if CLIENT in command else None,
        logs_json=logs_json,
        endpoint_url=endpoint_url,
    )
    own = {name: host[name] for name in INHERITED if name in host}
    executable = sys.executable
    if interpreter is not None:
        executable = interpreter.executable
        own.pop("PYTHONHOME", None)
    own["PATH"] = os.pathsep.join([str(Path(executable).parent), host.get("PATH", variables["PATH"])])
    return {**variables, **own, **function.environment}


def _series(interpreter: PythonInterpreter | None) -> str:
    if interpreter is not None:
        return interpreter.series
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _dotted(handler: str) -> str:
    """`src/app.py:handler` as AWS's client knows it: `src/app.handler`."""
    file, colon, name = handler.rpartition(":")
    return f"{file.removesuffix('.py')}.{name}" if colon else handler
