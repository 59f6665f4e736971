"""The route table: method and path to endpoint, the most specific route first.

Order, as an HTTP API selects: at each segment fixed text before a `{variable}` before `{rest+}`; on one
path the method itself before ANY; a path whose methods do not fit is passed over; `$default` last.
Source: API Gateway Developer Guide, "Routing API requests" of HTTP APIs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar
from urllib.parse import unquote

from engine.sources.http.settings import ANY, DEFAULT_PATH

T = TypeVar("T")


class Entry(NamedTuple, Generic[T]):
    """One route to put in the table. `owner` is the function's name, for messages."""

    method: str
    path: str
    owner: str
    endpoint: T


class Leaf(NamedTuple, Generic[T]):
    """Where a route ends: its endpoint and the names of its variables, from left to right."""

    endpoint: T
    names: tuple[str, ...]


class Found(NamedTuple, Generic[T]):
    """The endpoint, and the path's variables by name, percent-encoded as they were sent."""

    endpoint: T
    parameters: dict[str, str]


class _Node(Generic[T]):
    """One segment of a path that is common to several routes."""

    __slots__ = ("ends", "fixed", "rest", "variable")

    def __init__(self) -> None:
        self.fixed: dict[str, _Node[T]] = {}
        self.variable: _Node[T] | None = None
        self.rest: dict[str, Leaf[T]] = {}  # method -> where {name+} ends
        self.ends: dict[str, Leaf[T]] = {}  # method -> where the path ends


class RouteTable(Generic[T]):
    """Immutable after construction. Build it only from entries in which `conflicts` finds nothing."""

    def __init__(self, entries: Iterable[Entry[T]]) -> None:
        self._root: _Node[T] = _Node()
        self._default: dict[str, Leaf[T]] = {}
        for entry in entries:
            self._add(entry)

    def _add(self, entry: Entry[T]) -> None:
        if entry.path == DEFAULT_PATH:
            self._default[entry.method] = Leaf(entry.endpoint, ())
            return
        node, names, ends = self._root, [], None
        for segment in entry.path[1:].split("/"):
            if not segment.startswith("{"):
                node = node.fixed.setdefault(unquote(segment), _Node())
                continue
            names.append(segment[1:-1].rstrip("+"))
            if segment.endswith("+}"):
                ends = node.rest
                continue
            if node.variable is None:
                node.variable = _Node()
            node = node.variable
        (node.ends if ends is None else ends)[entry.method] = Leaf(entry.endpoint, tuple(names))

    def find(self, method: str, path: str) -> Found[T] | None:
        """The endpoint for a request. `path` is percent-encoded, without the query.

        Fixed text is compared decoded; an encoded slash never splits a segment. A variable takes at
        least one character.
        """
        if path.startswith("/"):
            segments = path[1:].split("/")
            values: list[str] = []
            leaf = _descend(self._root, method, segments, 0, values)
            if leaf is not None:
                return Found(leaf.endpoint, dict(zip(leaf.names, values, strict=True)))
        default = _of_method(self._default, method)
        return Found(default.endpoint, {}) if default is not None else None


def _descend(
    node: _Node[T], method: str, segments: Sequence[str], depth: int, values: list[str]
) -> Leaf[T] | None:
    """Depth first, most specific first; `values` holds what the variables on the way took.

    Each node of the table is visited once at most, so a hostile path costs no more than a miss.
    """
    if depth == len(segments):
        return _of_method(node.ends, method)
    segment = segments[depth]
    fixed = node.fixed.get(unquote(segment) if "%" in segment else segment)
    if fixed is not None:
        leaf = _descend(fixed, method, segments, depth + 1, values)
        if leaf is not None:
            return leaf
    if node.variable is not None and segment:
        values.append(segment)
        leaf = _descend(node.variable, method, segments, depth + 1, values)
        if leaf is not None:
            return leaf
        values.pop()
    if node.rest:
        leaf = _of_method(node.rest, method)
        tail = "/".join(segments[depth:])
        if leaf is not None and tail:
            values.append(tail)
            return leaf
    return None


def _of_method(ends: dict[str, Leaf[T]], method: str) -> Leaf[T] | None:
    return ends.get(method) or ends.get(ANY)


def conflicts(entries: Sequence[Entry[T]]) -> list[str]:
    """One line for each method and path that two entries claim; variable names do not tell routes apart."""
    return [
        f"functions.{entries[number].owner}.events: {sentence}"
        for number, sentence in duplicates([(entry.method, entry.path, entry.owner) for entry in entries])
    ]


def duplicates(routes: Sequence[tuple[str, str, str]]) -> Iterator[tuple[int, str]]:
    """The position of each (method, path, owner) that an earlier one claims, and by whom."""
    owners: dict[tuple[str, str], str] = {}
    for number, (method, path, owner) in enumerate(routes):
        key = (method, _shape(path))
        if key in owners:
            yield number, f"{method} {path} is taken by function {owners[key]!r}"
        owners.setdefault(key, owner)


def _shape(path: str) -> str:
    if path == DEFAULT_PATH:
        return path
    shapes = {True: "{+}", False: "{}"}
    return "/".join(
        shapes[segment.endswith("+}")] if segment.startswith("{") else unquote(segment)
        for segment in path.split("/")
    )
