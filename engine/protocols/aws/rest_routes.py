"""Finds the operation that a REST request is for, from a service's model alone.

A model gives each operation a method and a URI with labels, and, after a `?`, parameters that its requests
always have: `/{Bucket}?acl`, `/2018-10-31/layers?find=LayerVersion`. Operations that share all of these
differ by what one of them requires: UploadPart is PutObject with `uploadId` and `partNumber`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, unquote

from engine.protocols.aws.service_model import Node, ServiceModel

_LABEL: Final = "{"


class RestRoute(NamedTuple):
    """How requests for one operation look.

    Attributes:
        operation: AWS's name.
        constants: Parameters that every request has, with the value they must have; empty for any.
        required: Parameters that must be there: those that tell it from operations of the same URI.
        required_headers: Likewise headers, in lower case.
        known: All parameters the operation has.
    """

    operation: str
    constants: Mapping[str, str]
    required: frozenset[str]
    required_headers: frozenset[str]
    known: frozenset[str]

    def takes(self, query: Mapping[str, str], headers: Container[str]) -> bool:
        """Whether a request with these parameters and headers may be for the operation."""
        return (
            all(name in query and value in ("", query[name]) for name, value in self.constants.items())
            and self.required <= query.keys()
            and all(name in headers for name in self.required_headers)
        )


class FoundOperation(NamedTuple):
    """An operation's name, and the labels of its path by their members' names, decoded."""

    operation: str
    labels: Mapping[str, str]


class RestRoutes:
    """The routes of one service.

    A parameter that names an operation of the service is never ignored: a request that has it is for an
    operation that has it too, or for none.

    Attributes:
        telling: Those parameters.
    """

    def __init__(self, model: ServiceModel) -> None:
        """`model` is the service's; deprecated operations are found by the name of what replaced them."""
        by_uri: dict[tuple[str, str], list[str]] = {}
        for name, operation in model.operations.items():
            http = operation["http"]
            by_uri.setdefault((http["method"], http["requestUri"].partition("?")[0]), []).append(name)
        routes = {uri: _routes(model, names) for uri, names in by_uri.items()}
        self.telling = _telling(model, chain.from_iterable(routes.values()))
        self._routes = {
            uri: [_with_telling(model, route, self.telling) for route in group]
            for uri, group in routes.items()
        }
        self._templates: dict[str, list[tuple[str, ...]]] = {}
        for template in sorted({_parts(uri) for _, uri in by_uri}, key=_labels_last):
            first = template[0]
            self._templates.setdefault(_LABEL if first.startswith(_LABEL) else first, []).append(template)

    def choose(
        self, method: str, uri: str, query: Mapping[str, str], headers: Container[str] = ()
    ) -> str | None:
        """The operation of `uri`, as the model writes it, that a request is for; None if it is for none."""
        telling = self.telling & query.keys() if query else frozenset[str]()
        for route in self._routes.get((method, uri), ()):
            if route.takes(query, headers) and telling <= route.known:
                return route.operation
        return None

    def find(
        self, method: str, path: str, query: Mapping[str, str], headers: Container[str] = ()
    ) -> FoundOperation | None:
        """The operation that a request with this path, still percent-encoded, is for; None if there is none.

        A slash at the end is ignored, unless it belongs to a label that takes the rest of the path.
        """
        parts = path.removeprefix("/").split("/")
        for template in (*self._templates.get(parts[0], ()), *self._templates.get(_LABEL, ())):
            labels = _matched(template, parts)
            if labels is not None:
                operation = self.choose(method, "/" + "/".join(template), query, headers)
                if operation is not None:
                    return FoundOperation(operation, labels)
        return None


def _routes(model: ServiceModel, names: Sequence[str]) -> list[RestRoute]:
    """Of operations with one method and URI: those that ask for the most come first."""
    replaced = {name for name in names if model.operations[name].get("deprecated")}
    routes: list[RestRoute] = []

    def constants(name: str) -> tuple[tuple[str, str], ...]:
        _, _, query = model.operations[name]["http"]["requestUri"].partition("?")
        return tuple(sorted(parse_qsl(query, keep_blank_values=True)))

    for shared, group in groupby(sorted(names, key=constants), constants):
        rivals = list(group)
        current = [name for name in rivals if name not in replaced] or rivals
        routes += [_route(model, name, dict(shared), is_alone=len(current) == 1) for name in current]
    return sorted(routes, key=_demands, reverse=True)


def _demands(route: RestRoute) -> int:
    return len(route.constants) + len(route.required) + len(route.required_headers)


def _route(model: ServiceModel, name: str, constants: Mapping[str, str], *, is_alone: bool) -> RestRoute:
    required = list(_located(model, name, "querystring", required=True))
    headers = list(_located(model, name, "header", required=True))
    return RestRoute(
        name,
        constants,
        frozenset() if is_alone else frozenset(required),
        frozenset() if is_alone else frozenset(header.lower() for header in headers),
        frozenset((*constants, *_located(model, name, "querystring"))),
    )


def _located(model: ServiceModel, name: str, place: str, *, required: bool | None = None) -> Iterator[str]:
    """Names of an operation's members in `place`: all, or those that are required, or those that are not."""
    shape: Node = model.input_of(name)
    for member, reference in shape["members"].items():
        if reference.get("location") == place and required in (None, member in shape.get("required", ())):
            yield reference["locationName"]


def _telling(model: ServiceModel, found: Iterable[RestRoute]) -> frozenset[str]:
    routes = list(found)
    optional = {
        parameter
        for name in model.operations
        for parameter in _located(model, name, "querystring", required=False)
    }
    constants = {name for route in routes for name in route.constants}
    required = {name for route in routes if not route.constants for name in route.required}
    return frozenset(constants | (required - optional))


def _with_telling(model: ServiceModel, route: RestRoute, telling: frozenset[str]) -> RestRoute:
    """The route, with what it requires among `telling`, though no other operation has its URI."""
    required = telling.intersection(_located(model, route.operation, "querystring", required=True))
    return route._replace(required=route.required | required)


def _parts(uri: str) -> tuple[str, ...]:
    return tuple(uri.removeprefix("/").split("/"))


def _labels_last(template: tuple[str, ...]) -> tuple[list[bool], tuple[str, ...]]:
    return [part.startswith(_LABEL) for part in template], template


def _matched(template: Sequence[str], parts: Sequence[str]) -> dict[str, str] | None:
    """The labels of `parts`, decoded; None if they do not fit. `{Name+}` takes all parts that are left."""
    greedy = template[-1].endswith("+}")
    if not greedy and len(parts) > 1 and not parts[-1]:
        parts = parts[:-1]
    if len(parts) != len(template) and not (greedy and len(parts) > len(template)):
        return None
    labels: dict[str, str] = {}
    for position, expected in enumerate(template):
        part = parts[position]
        if expected.startswith(_LABEL):
            if expected.endswith("+}"):
                part = "/".join(parts[position:])
            if not part:
                return None
            labels[expected.strip("{+}")] = unquote(part)
        elif part != expected:
            return None
    return labels
