"""Separates what handlers print and log by invocation, when many run in one process at once.

Whoever runs a handler sets `current` in its context. Tasks inherit it, and so do threads and jobs of thread
pools that a handler starts (see `interpreter`); output of a thread that C code made belongs to none. What
goes around `sys.stdout`, by file descriptor, `sys.stdout.buffer` or a child process, is not seen. Of several
engines open in one process, the one opened last writes what the handlers of all of them print.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any, Final, Literal, TextIO

from engine.core.invocation import LOG_KEPT_CHARACTERS, Invocation, Phase
from engine.executors.log_format import JsonFormatter, TextFormatter

current: Final[ContextVar[Invocation | None]] = ContextVar("current", default=None)
"""The invocation that the running code belongs to. Set by executors."""

WriteLine = Callable[[Invocation, str], None]
"""Takes one line with its newline, on the thread that wrote it. It must not raise, print or log."""

_PIECES: Final = 256
_LONG_PIECE: Final = 1024
_ENDED: Final = Phase.ENDED
_OPEN_LINES: Final = 64


class Capture:
    """While entered, routes `sys.stdout`, `sys.stderr` and the root logger by invocation.

    Text written inside an invocation goes to its `log`, of which the last `LOG_KEPT_CHARACTERS` are kept, and
    to `write_line`. Everything else goes where it went before.

    Args:
        write_line: Gets complete lines. None: text goes on to the stream it was written to.
        log_format: `text` or `json`: what records of `logging` become, as on Lambda.
        level: Of the root logger. None: left alone with `text` (Python's default is WARNING), INFO
            with `json`.
        keeps_all: Whether every invocation has a `log`, not only those whose event wants one.
    """

    def __init__(
        self,
        write_line: WriteLine | None = None,
        *,
        log_format: Literal["text", "json"] = "text",
        level: int | None = None,
        keeps_all: bool = False,
    ) -> None:
        self._write_line = write_line
        self._keeps_all = keeps_all
        self._keeps_pieces = not keeps_all or write_line is None  # else line by line, which costs less
        self._level = logging.INFO if level is None and log_format == "json" else level
        self._handler = _Handler(self, JsonFormatter() if log_format == "json" else TextFormatter())
        self._open_lines: dict[Invocation, list[str]] = {}  # pieces written without a newline so far
        self._tidy_at = _OPEN_LINES
        self._lock = threading.RLock()
        self._routers: dict[str, StreamRouter] = {}
        self._root_level = logging.NOTSET

    def __enter__(self) -> Capture:
        for name in ("stdout", "stderr"):
            stream: TextIO | None = getattr(sys, name)
            if stream is not None:
                self._routers[name] = StreamRouter(stream, self.take)
                setattr(sys, name, self._routers[name])
        root = logging.getLogger()
        self._root_level = root.level
        if self._level is not None:
            root.setLevel(self._level)
        # First, as on Lambda: user code reaches it as `logging.getLogger().handlers[0]`.
        root.handlers.insert(0, self._handler)
        return self

    def __exit__(self, *_: object) -> None:
        root = logging.getLogger()
        root.removeHandler(self._handler)
        root.setLevel(self._root_level)
        for name, router in self._routers.items():
            router.release()
            if getattr(sys, name) is router:
                setattr(sys, name, router.beyond())
        self._routers.clear()
        with self._lock:
            for invocation in list(self._open_lines):
                self.end(invocation)

    def take(self, invocation: Invocation, text: str, stream: TextIO | None = None) -> None:
        """Route `text` of `invocation`, written to `stream` (None: by `logging`)."""
        with self._lock:
            wanted = self._keeps_pieces and (self._keeps_all or invocation.event.wants_log)
            if wanted and invocation.phase is not _ENDED:
                _keep(invocation, text)
            if self._write_line is not None:
                self._forward(invocation, text, self._write_line)
                return
        if stream is None and "stdout" in self._routers:
            stream = self._routers["stdout"].beyond()
        if stream is not None:
            stream.write(text)

    def keep(self, invocation: Invocation, text: str) -> None:
        """Add whole lines to the invocation's log, if it has one, and show them nowhere."""
        with self._lock:
            if self._keeps_all or invocation.event.wants_log:
                _keep(invocation, text)

    def end(self, invocation: Invocation) -> None:
        """Forward what `invocation` wrote after its last newline. Otherwise that happens later."""
        if not self._open_lines:
            return  # nothing is open: the lock is for those who write
        with self._lock:
            pieces = self._open_lines.pop(invocation, None)
            if pieces and self._write_line is not None:
                self._forward(invocation, "".join(pieces) + "\n", self._write_line)

    def be_a_copy(self) -> None:
        """In a child that a handler forked: write to the streams, since the log is not read there."""
        self._lock = threading.RLock()  # whoever held it is not there
        if self._write_line is not None:  # the engine's log is on stderr, its stdout is its own
            self._write_line = None
            errors = self._routers.get("stderr")
            if errors is not None:
                for router in self._routers.values():
                    router.write_to(errors.beyond())

    def _forward(self, invocation: Invocation, text: str, write_line: WriteLine) -> None:
        pieces = self._open_lines.get(invocation)
        if pieces is not None:
            pieces.append(text)  # joined once, when the line ends: it may come in thousands of pieces
            if "\n" not in text:
                return
            del self._open_lines[invocation]
            text = "".join(pieces)
        lines = text.split("\n")
        rest = lines.pop()
        if lines and not self._keeps_pieces:
            whole = text[: -len(rest)] if rest else text
            if invocation.log is None:  # as `_keep`, without the call: most handlers write a line or two
                invocation.log = [whole]
            else:
                _keep(invocation, whole)
        for line in lines:
            write_line(invocation, line + "\n")
        if not rest:
            return
        self._open_lines[invocation] = [rest]
        if len(self._open_lines) > self._tidy_at:
            for known in [known for known in self._open_lines if known.phase is _ENDED]:
                self.end(known)
            self._tidy_at = _OPEN_LINES + 2 * len(self._open_lines)


class StreamRouter:
    """Stands in for a text stream: writes inside an invocation are taken, the rest is the stream's."""

    def __init__(self, stream: TextIO, take: Callable[[Invocation, str, TextIO], None]) -> None:
        self._stream = stream
        self._take: Callable[[Invocation, str, TextIO], None] | None = take

    def write(self, text: str) -> int:
        """As `io.TextIOBase.write`."""
        invocation = current.get()
        if invocation is None or self._take is None:
            return self._stream.write(text)
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self._take(invocation, text, self._stream)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """As `io.IOBase.writelines`."""
        for line in lines:
            self.write(line)

    def close(self) -> None:
        """Do nothing: one handler cannot close the stream of all."""

    def write_to(self, stream: TextIO) -> None:
        """Stand in for that stream from now on."""
        self._stream = stream

    @property
    def capture(self) -> Capture | None:
        """What takes the writes, if anything does."""
        taker = getattr(self._take, "__self__", None)
        return taker if isinstance(taker, Capture) else None

    def release(self) -> None:
        """Stop taking writes."""
        self._take = None

    def beyond(self) -> TextIO:
        """The stream itself, past routers that take nothing any more."""
        stream = self._stream
        while isinstance(stream, StreamRouter) and stream._take is None:
            stream = stream._stream
        return stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def write_past_the_engine() -> None:
    """In a child that a handler forked: see `Capture.be_a_copy`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, StreamRouter) and stream.capture is not None:
            stream.capture.be_a_copy()


class _Handler(logging.Handler):
    """On the root logger: inside an invocation a record becomes a line of its log."""

    def __init__(self, capture: Capture, formatter: logging.Formatter) -> None:
        super().__init__()
        self._capture = capture
        self.setFormatter(formatter)

    def handle(self, record: logging.LogRecord) -> bool:
        """As `logging.Handler.handle`, without its lock: `Capture` has the only one that is needed."""
        passed: Any = self.filter(record)  # since Python 3.12 a filter may give another record
        if passed:
            self.emit(passed if isinstance(passed, logging.LogRecord) else record)
        return bool(passed)

    def emit(self, record: logging.LogRecord) -> None:
        handlers = logging.getLogger().handlers
        if next((one for one in handlers if isinstance(one, _Handler)), self) is not self:
            return  # another engine was opened in this process after this one
        self._write(record)

    def _write(self, record: logging.LogRecord) -> None:
        invocation = current.get()
        if invocation is None:
            _emit_as_if_alone(record)
            return
        record.aws_request_id = invocation.event.request_id
        record.tenant_id = None
        text = self.format(record)  # raises for a bad log call, which fails the handler as on Lambda
        self._capture.end(invocation)  # a record begins a line of its own, whatever was printed before it
        self._capture.take(invocation, text if text.endswith("\n") else text + "\n")


class _FunctionsHandler(_Handler):
    """The same for one function alone, whose formatter and filters it may change; see `loggers`."""

    def emit(self, record: logging.LogRecord) -> None:
        everybodys: list[logging.Handler] = vars(logging.root)["handlers"]
        newest = next((one for one in everybodys if isinstance(one, _Handler)), self)
        self._capture = newest._capture  # of the engine that was opened last, if there are several
        self._write(record)
        for one in everybodys:
            if not isinstance(one, _Handler) and record.levelno >= one.level:
                one.handle(record)  # a test's, say, that wants to see what is logged


def handlers_of_a_function(everybodys: list[logging.Handler]) -> list[logging.Handler]:
    """What the root logger has for one function: one handler, as on Lambda."""
    ours = next((one for one in everybodys if isinstance(one, _Handler)), None)
    if ours is None or ours.formatter is None:
        return [*everybodys]
    return [_FunctionsHandler(ours._capture, ours.formatter)]


def _emit_as_if_alone(record: logging.LogRecord) -> None:
    """A root handler silences `logging.lastResort`; outside an invocation nothing may be lost by that."""
    logger: logging.Logger | None = logging.getLogger(record.name)
    while logger is not None:
        if not all(isinstance(handler, _Handler) for handler in logger.handlers):
            return
        logger = logger.parent if logger.propagate else None
    last = logging.lastResort
    if last is not None and record.levelno >= last.level:
        last.handle(record)


def _keep(invocation: Invocation, text: str) -> None:
    """Add to the invocation's log, which stays bounded whatever the handler prints."""
    log = invocation.log
    if log is None:
        log = invocation.log = []
    log.append(text)
    if len(log) > _PIECES or len(text) > _LONG_PIECE:
        log[:] = ["".join(log)[-LOG_KEPT_CHARACTERS:]]
