"""The environment variables that handlers find, as far as one process can give each its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Self

from engine.config import Config


class Variables:
    """The variables handlers find in `os.environ`, while an engine is open.

    The in-process executors share one environment with the engine: what differs from function to
    function (name, memory, the function's own variables) can only be right where it does not clash.
    Engines that are open at once share it too: to leave it as it was, close the last opened first.
    """

    def __init__(self, config: Config) -> None:
        account = config.account
        python = f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}"
        self._wanted = {
            "AWS_REGION": account.region,
            "AWS_DEFAULT_REGION": account.region,
            "AWS_EXECUTION_ENV": python,
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        }
        if len(config.functions) == 1:
            function = config.functions[0]
            self._wanted |= {
                "_HANDLER": function.handler,
                "AWS_LAMBDA_FUNCTION_NAME": function.name,
                "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
                "LAMBDA_TASK_ROOT": str(Path(function.code).resolve()),
            }
        for function in config.functions:
            self._wanted |= function.environment
        self._before: dict[str, str | None] = {}

    def __enter__(self) -> Self:
        self._before = {name: os.environ.get(name) for name in self._wanted}
        os.environ.update(self._wanted)
        return self

    def __exit__(self, *_: object) -> None:
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
