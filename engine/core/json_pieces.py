"""Reads large JSON text a piece at a time, so that the event loop can turn in between.

One call of a parser in C for 6 MB of small objects takes 0.1 to 0.2 s, and no thread runs meanwhile. So the
text is cut after commas: a regular expression finds as many whole elements of the innermost open container as
there are in the next `_WINDOW` bytes, and `loads` reads them within brackets of their own. That is exact:
what stands between two commas of an array is a list of its elements if and only if the parser takes it as
one; the same holds for the members of an object. An element that is longer than the window, or nested deeper
than the expression sees, is opened, and what is in it is read in the same way.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from enum import Enum, auto
from functools import cache
from typing import Any, Final, NoReturn, TypeVar

from engine.core.json_document import BOM, NotJson, loads, read_text, text_of

T = TypeVar("T")

Steps = Generator[None, None, T]
"""Work that yields every few milliseconds, and returns its result."""

LARGE_BYTES: Final = 262_144
"""Up to this length text is read at once: it takes 2 ms, or 10 ms if it is brackets only."""

_WINDOW: Final = 65_536
_BYTES_PER_STEP: Final = 32_768
_READS_PER_STEP: Final = 4
_MAX_DEPTH: Final = 500
"""Text whose long elements are nested deeper is read at once: the limit of `loads` is not far above."""
_NESTING: Final = 10
"""How many levels of containers the expression sees through."""

_COMMA: Final = ord(",")
_STRING: Final = rb'"(?:[^"\\]++|\\.)*+"'


def _container(levels: int) -> bytes:
    """Matches a container of at most `levels`. Whether its brackets match is for the parser to say."""
    inner = rb'(?:[^"\[\]{}]++|%b)*+' % _STRING
    for _ in range(levels - 1):
        inner = rb'(?:[^"\[\]{}]++|%b|[\[{]%b[\]}])*+' % (_STRING, inner)
    return rb"[\[{]%b[\]}]" % inner


_KEY: Final = re.compile(rb"(%b)[ \t\n\r]*:" % _STRING, re.DOTALL)
_SPACE: Final = re.compile(rb"[ \t\n\r]*")
_SCALAR: Final = re.compile(rb'[^"\[\]{}, \t\n\r]+')
_IN_STRING: Final = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)


@cache
def _elements() -> re.Pattern[bytes]:
    """Matches elements with what ends them. It takes 2 ms to make: the first large text waits for that."""
    element = rb'(?:[^"\[\]{},]++|%b|%b)*+' % (_STRING, _container(_NESTING))
    return re.compile(rb"(?:%b(?:,|(?=[\]}])))*+" % element, re.DOTALL)


class _Place(Enum):
    """What stands before the place at which the innermost open container is read on."""

    OPENING = auto()
    COMMA = auto()
    ELEMENT = auto()


_BEGINNINGS: Final[dict[tuple[type, _Place], str]] = {
    (list, _Place.OPENING): "[",
    (list, _Place.COMMA): "[0,",
    (list, _Place.ELEMENT): "[0 ",
    (dict, _Place.OPENING): "{",
    (dict, _Place.COMMA): '{"":0,',
    (dict, _Place.ELEMENT): '{"":0 ',
}
"""Short text behind which a parser is in the same place."""


def loads_in_pieces(payload: bytes, window: int = _WINDOW) -> Steps[Any]:
    """Read `payload` as `loads` does, `window` bytes at a time: the same value, the same errors.

    Raises:
        NotJson: As `loads` does.
    """
    start = _after(_SPACE, payload, len(BOM) if payload.startswith(BOM) else 0)
    if payload[start : start + 1] not in (b"[", b"{"):
        return loads(payload)
    reader = _Reader(payload, start, window)
    yielded_at, reads = start, 0
    while reader.open_containers:
        if len(reader.open_containers) > _MAX_DEPTH:
            return loads(payload)
        reader.read()
        reads += 1
        if reads == _READS_PER_STEP or reader.seen - yielded_at >= _BYTES_PER_STEP:
            yielded_at, reads = reader.seen, 0
            yield
    return reader.document


def take_all(steps: Steps[T]) -> T:
    """Take one step after the other, and return the result."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            result: T = stop.value
            return result


class _Reader:
    """Reads a text that begins with a bracket at `start`, at most `window` bytes at a time.

    Attributes:
        document: What has been read.
        open_containers: The lists and dicts that have not ended, outermost first.
        seen: How far the text has been looked at.
    """

    __slots__ = ("_at", "_payload", "_place", "_window", "document", "open_containers", "seen")

    def __init__(self, payload: bytes, start: int, window: int) -> None:
        self._payload = payload
        self._window = window
        self._at = self.seen = start
        self._place = _Place.OPENING
        self.open_containers: list[Any] = []
        self.document: Any = self._open(start)

    def read(self) -> None:
        """Read on: as many elements as fit into the window, or the beginning or the end of one."""
        payload = self._payload
        if self.seen > self._at:
            self._read_string()
            return
        at = self._at = self.seen = _after(_SPACE, payload, self._at)
        if self._place is _Place.ELEMENT:
            self._read_separator()
        elif (end := _after(_elements(), payload, at, at + self._window)) > at:
            if payload[end - 1] == _COMMA:
                self._add(end - 1)
                self._go_to(end, _Place.COMMA)
            else:
                self._add(end)
        elif self._place is _Place.OPENING and payload[at : at + 1] == self._closing():
            self._go_to(at, _Place.ELEMENT)  # the container is empty
        else:
            self._begin_element()

    def _go_to(self, at: int, place: _Place) -> None:
        self._at = self.seen = at
        self._place = place

    def _add(self, end: int) -> None:
        """Add what stands before `end`: whole elements with commas between them."""
        if self._at == end:
            self._fail()
        piece, container = memoryview(self._payload)[self._at : end], self.open_containers[-1]
        if type(container) is list:
            container += self._parse(b"".join((b"[", piece, b"]")))
        else:
            container.update(self._parse(b"".join((b"{", piece, b"}"))))
        self._go_to(end, _Place.ELEMENT)

    def _parse(self, text: bytes) -> Any:
        try:
            return loads(text)
        except NotJson:
            self._fail()

    def _open(self, start: int) -> Any:
        container: Any = [] if self._payload[start : start + 1] == b"[" else {}
        self.open_containers.append(container)
        self._go_to(start + 1, _Place.OPENING)
        return container

    def _closing(self) -> bytes:
        return b"]" if type(self.open_containers[-1]) is list else b"}"

    def _read_separator(self) -> None:
        at = self._at
        separator = self._payload[at : at + 1]
        if separator == b",":
            self._go_to(at + 1, _Place.COMMA)
            return
        if separator != self._closing():
            self._fail()
        self._go_to(at + 1, _Place.ELEMENT)
        self.open_containers.pop()
        if not self.open_containers and _after(_SPACE, self._payload, self._at) < len(self._payload):
            raise self._error("[]")

    def _begin_element(self) -> None:
        """Open a container, begin a long string, or read a long number."""
        payload, container = self._payload, self.open_containers[-1]
        key = _KEY.match(payload, self._at) if type(container) is dict else None
        if type(container) is dict and key is None:
            self._fail()
        start = _after(_SPACE, payload, self._at if key is None else key.end())
        first = payload[start : start + 1]
        if first == b'"':
            self.seen = start + 1
        elif first not in (b"[", b"{"):
            self._add(_after(_SCALAR, payload, start))
        elif key is None:
            container.append(self._open(start))
        else:
            name = self._parse(key[1])
            container[name] = self._open(start)

    def _read_string(self) -> None:
        """Look for the end of a string that begins the element or is the value of the member."""
        payload = self._payload
        end = _after(_IN_STRING, payload, self.seen, self.seen + self._window)
        if payload[end : end + 1] == b'"':
            self._add(end + 1)
        elif end == self.seen:
            self._fail()
        else:
            self.seen = end

    def _fail(self) -> NoReturn:
        raise self._error(_BEGINNINGS[type(self.open_containers[-1]), self._place])

    def _error(self, beginning: str) -> NotJson:
        """What `loads` would raise; the mistake is in what comes next."""
        text = text_of(self._payload)
        start = len(text_of(self._payload[: self._at]))
        try:
            read_text(beginning + text[start:])
        except NotJson as error:
            position = error.position - len(beginning) + start if error.position >= 0 else -1
            return NotJson(error.reason, text, position, beginning, start)
        raise AssertionError("text that is JSON was refused")


def _after(expression: re.Pattern[bytes], text: bytes, start: int, end: int | None = None) -> int:
    """Where what `expression` matches at `start` ends: `start` if it does not match."""
    found = expression.match(text, start, len(text) if end is None else end)
    return start if found is None else found.end()
