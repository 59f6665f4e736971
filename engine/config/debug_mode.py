"""A configuration for breakpoints: one handler at a time, in the engine's own interpreter, no deadline."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from engine.config.configuration import Config
from engine.core.function import Function

LIMIT_S: Final = 365 * 86_400.0
"""What stands for no limit, seconds: a year."""


def debugged(config: Config) -> Config:
    """`config` with every Python handler on thread, one invocation at a time, the others waiting.

    Neither an invocation nor an init is ended by time; nothing runs ahead of the first event. What handlers
    print goes straight to the engine's own stdout, so that a debugger's prompt is seen. Functions with a
    runtime of their own (`bootstrap`, `executor = "runtime"`) run as they would, also one at a time.
    """
    return replace(
        config.changed(_debugged),
        account=replace(config.account, concurrency_limit=1, scaling_rate=0, requests_per_concurrency=0),
        debug=True,
    )


def _debugged(function: Function) -> Function:
    own_runtime = bool(function.bootstrap) or function.executor == "runtime"
    return replace(
        function,
        executor=function.executor if own_runtime else "thread",
        timeout_s=LIMIT_S,
        init_limit_s=LIMIT_S,
        keep_alive_s=LIMIT_S,
        reserved_concurrency=None,
        provisioned_concurrency=0,
        environment_concurrency=1,
        snapstart=False,
        overflow="queue",
    )
