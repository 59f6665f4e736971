"""AWS's own descriptions of its services: operations, shapes, bounds, errors.

The files in `models` are made from botocore's (tools/aws_models.py) and keep its names: an operation has
`http`, `input`, `output`, `errors`; a shape has `type`, and by type `members` and `required`, `member`, `key`
and `value`, `min`, `max`, `pattern`, `enum`. botocore itself is not needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson

Node = Mapping[str, Any]
"""A part of a model, as its file has it."""

_MODELS: Final = Path(__file__).with_name("models")
_COMMON: Final = {
    "InvalidParameterValueException": "InvalidParameterValue",
    "MissingRequiredParameterException": "MissingParameter",
    "SerializationException": "MalformedInput",
    "UnknownOperationException": "InvalidAction",
}
"""Codes of the Query protocol for errors of every service (AWS's "Common errors"), which no model has."""
_NO_MEMBERS: Final[Node] = {"type": "structure", "members": {}}


class ServiceModel:
    """One service.

    Attributes:
        metadata: Protocol, version, and how errors and targets are named.
        operations: By name.
        shapes: By name.
    """

    def __init__(self, document: Node) -> None:
        """`document` is the content of a model's file."""
        self.metadata: Node = document["metadata"]
        self.operations: Mapping[str, Node] = document["operations"]
        self.shapes: Mapping[str, Node] = document["shapes"]

    def input_of(self, operation: str) -> Node:
        """The structure that the operation takes; one without members if it takes nothing."""
        return self._structure(operation, "input")

    def output_of(self, operation: str) -> Node:
        """The structure that the operation answers; one without members if it answers nothing."""
        return self._structure(operation, "output")

    def revised(self, changes: Node) -> ServiceModel:
        """The same service with other shapes: each key in `changes` replaces that of the shape it names.

        Keys that are changed come first: what is wrong with several members is told in that order.
        """
        shapes = {name: _merged(self.shapes[name], change) for name, change in changes.items()}
        document = {"metadata": self.metadata, "operations": self.operations}
        return ServiceModel(document | {"shapes": {**self.shapes, **shapes}})

    def shape_of(self, reference: Node) -> Node:
        """The shape that a member, or an operation's input, refers to."""
        return self.shapes[reference["shape"]]

    def query_code(self, error: str) -> str:
        """The code of an error in the Query protocol, which services that left it still send along."""
        found = self.shapes.get(error, {}).get("error")
        return str(found["code"]) if found is not None else _COMMON.get(error, error)

    def query_status(self, error: str) -> int:
        """The HTTP status of an error; 400 if the model does not say."""
        found = self.shapes.get(error, {}).get("error")
        return int(found["httpStatusCode"]) if found is not None else 400

    def _structure(self, operation: str, part: str) -> Node:
        reference = self.operations[operation].get(part)
        return _NO_MEMBERS if reference is None else self.shape_of(reference)


def _merged(node: Node, change: Node) -> Node:
    changed = {
        key: _merged(node[key], value) if _is_inner(node, key, value) else value
        for key, value in change.items()
    }
    return changed | {key: value for key, value in node.items() if key not in changed}


def _is_inner(node: Node, key: str, value: object) -> bool:
    return isinstance(value, Mapping) and isinstance(node.get(key), Mapping)


@cache
def service_model(name: str) -> ServiceModel:
    """The service of that name: `lambda`, `s3`, `sqs`. It is read once, a few milliseconds."""
    return ServiceModel(orjson.loads((_MODELS / f"{name}.json").read_bytes()))
