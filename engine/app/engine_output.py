"""Where goes what handlers print and what the engine says: the platform log, or what there is without one."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from typing import Final, Literal

from engine.config import Config
from engine.core.function import Function
from engine.core.invocation import Invocation
from engine.executors.capture import Capture
from engine.ports import Clock
from engine.telemetry.emf import EmfTap
from engine.telemetry.function_log import FunctionLog
from engine.telemetry.log import PlatformLog
from engine.telemetry.stats import Stats

_log = logging.getLogger("engine")
_MB: Final = 1_000_000


class EngineOutput:
    """The output of one engine.

    Attributes:
        log: The platform log; None if it is off or goes nowhere.
        function_log: What the logs service reads; None if there is none.
        logs_bytes: Bound of what that keeps until it is read, and of what the service keeps of it then.
        capture: Tells apart by invocation what handlers print; to be entered while they run.
    """

    def __init__(
        self,
        config: Config,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        stats: Stats,
        write_log: Callable[[str], object] | None,
    ) -> None:
        """`write_log` takes the log's text; None: there is no log, and handlers print where Python does."""
        self._goes_nowhere = write_log is None
        self.log: PlatformLog | None = None
        if write_log is not None and config.log_format != "off":
            self.log = PlatformLog(config.log_format, clock, write_log, loop.call_soon_threadsafe)
        write_line = self._line_writer(debug=config.debug)
        self.function_log: FunctionLog | None = None
        self.logs_bytes = config.logs_mb * _MB // 2
        if config.logs_mb and ("aws" in config.listeners or "logs" in config.bindings):
            self.function_log = stats.function_log = FunctionLog(clock, self.logs_bytes, write_line)
            if write_line is not None:
                write_line = self.function_log.line
        self._has_lines = self.log is not None or (self.function_log is not None and write_line is not None)
        # Handlers' metrics are in their lines, whether or not these are shown.
        tap = None if write_line is None else EmfTap(stats, write_line, loop.call_soon_threadsafe).line
        self._logs_json = config.log_format == "json"
        style: Literal["text", "json"] = "json" if self._logs_json else "text"
        keeps_all = self.function_log is not None or "admin" in config.listeners
        self.capture = Capture(tap, log_format=style, keeps_all=keeps_all)

    def _line_writer(self, *, debug: bool) -> Callable[[Invocation | None, str], object] | None:
        """What takes whole lines of handlers; None: they are written where Python writes, as they come."""
        if debug:
            return None  # a debugger's prompt is no whole line, and must be seen at once
        if self.log is not None:
            return self.log.line
        return None if self._goes_nowhere else _drop

    def register(self, function: Function) -> None:
        """Learn of a function, before its first invocation."""
        if self.function_log is not None:
            self.function_log.register(function, logs_json=self._logs_json)
        if self.log is not None:
            self.log.register(function)

    def say(self, text: str) -> None:
        """Log a line, without its newline, for whoever runs the engine."""
        if self.log is not None:
            self.log.say(text)

    def complain(self, text: str) -> None:
        """As `say`, and to Python's logging if this engine writes nowhere."""
        if self.log is not None:
            self.log.say(text)
        elif self._goes_nowhere:
            _log.warning(text)

    def flush(self) -> None:
        """Write at once what waits to be written."""
        if self.log is not None:
            self.log.flush()

    def name_log_stream(self, function: str, version: str, env_id: int, name: str) -> None:
        """Learn what an environment tells its handler to be its log stream."""
        if self.function_log is not None:
            self.function_log.name_stream(function, version, env_id, name)

    def write_for_invocation(self, invocation: Invocation, text: str) -> None:
        """Add to an invocation's log what the runtime itself says."""
        self.capture.end(invocation)  # what is ours begins a line of its own
        if self._has_lines or invocation.event.wants_log:
            self.capture.take(invocation, text)
        else:
            self.capture.keep(invocation, text)

    def write_of_process(self, invocation: Invocation | None, text: str) -> None:
        """Take what a handler in a process of its own wrote; None: outside of any invocation."""
        if invocation is not None:
            self.capture.take(invocation, text)
        elif self.log is not None:
            self.log.line(None, text)
        elif self._goes_nowhere:  # as what a module prints in process, while it is imported
            sys.stdout.write(text)


def _drop(_invocation: Invocation | None, _text: str) -> None:
    """Where handler output goes when the log is off."""
