"""Standard output and standard error, written by threads of their own: a slow reader holds up nobody.

A pipe that nobody reads holds 64 KiB; then every write waits, and with the event loop all that runs on it.
So nothing in this process writes to the reader's pipe but one thread for each stream. What the reader does
not take in time is kept, up to a bound; above it lines are dropped and counted.
"""

from __future__ import annotations

import faulthandler
import os
import select
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Self

_KEPT_BYTES: Final = 4 * 1024 * 1024
"""How much may wait for a slow reader: about 20,000 invocations with AWS's three lines each."""

_PIECE_BYTES: Final = 65_536
_LAST_READS: Final = 32
_NO_PROGRESS_S: Final = 1.0
_LAST_WAITS: Final = 3
"""At the end the reader gets so many seconds for the rest, and at most one in which it takes nothing."""


class OutputWriter:
    """Writes to one descriptor from a daemon thread. `write` is thread-safe and never waits.

    Once the bound is reached, everything is dropped until the reader has taken all that was kept; then `gap`
    words one line in its place. A write that fails (no reader, no space) drops what it was to write, and the
    next one is tried all the same.

    Args:
        descriptor: Where to; not closed here.
        gap: Words a line, with its newline, from the number of lines that were dropped.
        encoding: Of text. What it cannot hold is written with backslashes.
        kept_bytes: The bound. One text is taken whole, however long, if nothing else waits.
    """

    def __init__(
        self,
        descriptor: int,
        gap: Callable[[int], str],
        *,
        encoding: str = "utf-8",
        kept_bytes: int = _KEPT_BYTES,
    ) -> None:
        self.dropped = 0
        """Lines that nobody will ever read."""
        self._descriptor = descriptor
        self._gap = gap
        self._encoding = encoding
        self._bound = kept_bytes
        self._kept: deque[bytes] = deque()
        self._size = 0  # bytes kept, and those that are being written
        self._dropping = False
        self._failing = False
        self._unreported = 0  # lines dropped since the last that `gap` worded
        self._written = 0
        self._closed = False
        self._changed = threading.Condition(threading.Lock())
        self._waiting = False
        self._thread = threading.Thread(target=self._run, name="engine-output", daemon=True)
        self._thread.start()

    def write(self, text: str) -> None:
        """Take whole lines."""
        self.put(text.encode(self._encoding, "backslashreplace"))

    def put(self, data: bytes) -> None:
        """Take bytes."""
        size = len(data)
        with self._changed:
            if self._closed or self._dropping or (self._size and self._size + size > self._bound):
                self._dropping = True
                self._drop(data)
                return
            self._kept.append(data)
            self._size += size
            if self._waiting:
                self._waiting = False
                self._changed.notify()

    @property
    def failing(self) -> bool:
        """Whether the last write failed, or has not ended."""
        return self._failing or self._size > 0

    @property
    def is_done(self) -> bool:
        """Whether all that was taken is written or dropped; only after `close`."""
        return not self._thread.is_alive()

    def close(self, *others: OutputWriter) -> None:
        """Take no more, and wait while readers take what is left. What they do not take is dropped."""
        writers = (self, *others)
        for writer in writers:
            with writer._changed:
                writer._closed = True
                writer._changed.notify()
        for _ in range(_LAST_WAITS):
            before = [writer._written for writer in writers]
            self._join_all(writers)
            if all(writer.is_done for writer in writers) or before == [one._written for one in writers]:
                return

    @staticmethod
    def _join_all(writers: Sequence[OutputWriter]) -> None:
        left_s = _NO_PROGRESS_S
        for writer in writers:
            writer._thread.join(left_s)
            left_s = left_s if writer.is_done else 0.0

    def _drop(self, data: bytes) -> None:
        lines = data.count(b"\n") or 1
        self.dropped += lines
        self._unreported += lines

    def _run(self) -> None:
        at_line_start = True
        while (taken := self._take()) is not None:
            data, unreported = taken
            line = self._gap(unreported) if unreported else ""
            if line:
                data = ("" if at_line_start else "\n").encode() + line.encode() + data
            left = self._send(data)
            with self._changed:
                self._failing = bool(left)
                if left:
                    self._unreported += unreported  # they are still to be reported
                    self._drop(left[-len(taken[0]) :])
                elif data:
                    at_line_start = data.endswith(b"\n")

    def _take(self) -> tuple[bytes, int] | None:
        """All that is kept, and how many lines were dropped before it; None at the end."""
        with self._changed:
            self._size = sum(map(len, self._kept))
            while not self._kept:
                self._dropping = self._closed
                if self._unreported and not self._failing:
                    break
                if self._closed:
                    return None
                self._waiting = True
                self._changed.wait()
            data = b"".join(self._kept)
            self._kept.clear()
            # Lines were dropped after those that are kept now, unless a write failed: those came before.
            unreported = self._unreported if self._failing or not data else 0
            self._unreported -= unreported
            return data, unreported

    def _send(self, data: bytes) -> bytes:
        """What could not be written."""
        rest = memoryview(data)
        while rest:
            try:
                count = os.write(self._descriptor, rest[:_PIECE_BYTES])
            except BlockingIOError:  # somebody made it non-blocking: it is shared with other processes
                _is_writable(self._descriptor, None)
                continue
            except OSError:
                return bytes(rest)
            self._written += count
            rest = rest[count:]
        return b""


class StandardOutput:
    """While entered, descriptors 1 and 2 of this process are pipes that are always read.

    Handlers, libraries and child processes may write there as they like. Both are what they were afterwards;
    but a stream whose reader is gone or has stopped reading is `/dev/null` from then on: nothing that the
    interpreter writes at its end can block, or change the exit code.

    Args:
        between: False where a debugger wants the terminal itself: the descriptors stay as they are, and only
            what is given to `out` and `err` never waits.

    Attributes:
        out: Writes to standard output.
        err: Writes to standard error.
    """

    def __init__(self, *, between: bool = True) -> None:
        self._between = between
        self._gap: Callable[[str, int], str] = "{1} lines for {0} were dropped\n".format

    def report_gaps_by(self, words: Callable[[str, int], str]) -> None:
        """Say on standard error what `words` returns for a stream's name and a count of dropped lines."""
        self._gap = words

    def __enter__(self) -> Self:
        self._streams = [
            _RedirectedStream(1, sys.stdout, self._report_gap_of_stdout, between=self._between),
            _RedirectedStream(2, sys.stderr, self._report_gap_of_stderr, between=self._between),
        ]
        self.out, self.err = (redirected.writer for redirected in self._streams)
        self._stop, self._stopper = os.pipe()
        self._reader = threading.Thread(target=self._read, name="engine-output-reader", daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        for redirected in self._streams:
            redirected.restore()
        os.write(
            self._stopper, b"."
        )  # closing it is not enough: a child that a handler forked may have it too
        os.close(self._stopper)
        self._reader.join()
        os.close(self._stop)
        for redirected in self._streams:
            os.close(redirected.source)
        self.out.close(self.err)
        for redirected in self._streams:
            redirected.close()

    def offer(self, data: bytes) -> int:
        """Write to standard output what its reader takes at once: for who waits for the reader himself.

        Returns how many bytes it took, 0 if it is slow. Raises OSError if it is gone.
        """
        descriptor = self._streams[0].original
        polled = select.poll()
        polled.register(descriptor, select.POLLOUT)
        if not polled.poll(0):
            return 0
        try:
            return os.write(descriptor, data[: select.PIPE_BUF])  # so much never blocks
        except BlockingIOError:
            return 0

    def dropped(self) -> dict[str, int]:
        """Lines that nobody will ever read, by stream."""
        return {"stdout": self.out.dropped, "stderr": self.err.dropped}

    def _report_gap_of_stdout(self, count: int) -> str:
        self.err.write(
            self._gap("stdout", count)
        )  # standard output may be a program's: nothing of ours there
        return ""

    def _report_gap_of_stderr(self, count: int) -> str:
        return self._gap("stderr", count)

    def _read(self) -> None:
        polled = select.poll()
        polled.register(self._stop, select.POLLIN)
        streams = {redirected.source: redirected for redirected in self._streams}
        for source in streams:
            polled.register(source, select.POLLIN)
        is_running = True
        while is_running:
            for descriptor, _ in polled.poll():
                if descriptor == self._stop:
                    is_running = False
                elif not streams[descriptor].read():
                    polled.unregister(descriptor)
        for redirected in self._streams:
            for _ in range(_LAST_READS):  # not until it is empty: a child process may write for ever
                if not redirected.read():
                    break


class _RedirectedStream:
    """One of the two: its reader's descriptor, the pipe in its place, and what writes on.

    Attributes:
        original: The reader's descriptor.
        source: What the pipe in its place gives.
        writer: Writes on.
    """

    def __init__(self, number: int, stream: object, gap: Callable[[int], str], *, between: bool) -> None:
        self._number = number
        self.original = os.dup(number)
        self.source, sink = os.pipe()
        os.set_blocking(self.source, False)
        if between:
            os.dup2(sink, number)
        os.close(sink)
        if number == 2 and faulthandler.is_enabled():
            faulthandler.enable(self.original)  # what it writes while the process dies, nobody would pass on
        self.writer = OutputWriter(self.original, gap, encoding=getattr(stream, "encoding", None) or "utf-8")

    def read(self) -> bool:
        """Pass on what is there; False if there is nothing, now or for ever."""
        try:
            data = os.read(self.source, _PIECE_BYTES)
        except BlockingIOError:
            return False
        if data:
            self.writer.put(data)
        return bool(data)

    def restore(self) -> None:
        """The descriptor is the reader's own again: nothing new comes down the pipe from this process."""
        for stream in (sys.stdout, sys.stderr):
            if stream is not None and not stream.closed:
                stream.flush()
        os.dup2(self.original, self._number)

    def close(self) -> None:
        """See whether the reader will take what comes from now on, now that all is written or dropped."""
        if self.writer.failing or not _is_writable(self.original, 0):
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, self._number)
            os.close(nothing)
        if self._number == 2 and faulthandler.is_enabled():
            faulthandler.enable(2)
        if self.writer.is_done:
            os.close(self.original)


def _is_writable(descriptor: int, wait_ms: int | None) -> bool:
    """Whether it takes more, at once or within that time; not if its reader is gone."""
    polled = select.poll()
    polled.register(descriptor, select.POLLOUT)
    return [(descriptor, select.POLLOUT)] == polled.poll(wait_ms)
