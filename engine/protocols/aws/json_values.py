"""JSON values with the types that a service's model gives them, as AWS's JSON protocols take them.

Source: Smithy, "AWS JSON 1.0 protocol"; recorded answers.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.service_model import Node, ServiceModel

UNREADABLE: Final = "SerializationException"
"""The code of errors that are about what cannot be read at all."""

_NAMES: Final = {"integer": "an Integer", "long": "a Long", "float": "a Float", "double": "a Double"}


def read_value(model: ServiceModel, shape: Node, value: Any) -> Any:
    """The value of a shape. Members that the model does not have, and nulls, are as if they were absent.

    Blobs are decoded, timestamps are seconds since the Unix epoch.

    Raises:
        ServiceError: It is of another type, and AWS does not convert it.
    """
    kind = shape["type"]
    if kind == "structure":
        members = shape["members"].items()
        given = as_map(value)
        return {
            name: read_value(model, model.shape_of(member), item)
            for name, member in members
            if (item := given.get(member.get("locationName", name))) is not None
        }
    if kind == "list":
        of = model.shape_of(shape["member"])
        return [read_value(model, of, item) for item in as_list(value)]
    if kind == "map":
        of = model.shape_of(shape["value"])
        return {key: read_value(model, of, item) for key, item in as_map(value).items() if item is not None}
    if kind == "string":
        return as_text(value)
    if kind in ("integer", "long"):
        return as_integer(value, kind)
    return _read_rare(kind, value)


def _read_rare(kind: str, value: Any) -> Any:
    if kind == "blob":
        return as_bytes(as_text(value))
    if kind == "boolean":
        if isinstance(value, bool):
            return value
        raise unexpected(value)
    if isinstance(value, int | float) and not isinstance(value, bool):  # float, double, timestamp
        return value
    raise unexpected(value)


def as_text(value: object) -> str:
    """A string. As on AWS a number or a boolean will do."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    raise unexpected(value)


def as_integer(value: object, kind: str = "integer") -> int:
    """A whole number."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list | dict):
        raise unexpected(value)
    raise unreadable(f"{_kind_of(value)} can not be converted to {_NAMES[kind]}")


def as_list(value: object) -> list[Any]:
    """A list."""
    if isinstance(value, list):
        return value
    raise unexpected(value)


def as_map(value: object) -> dict[str, Any]:
    """An object."""
    if isinstance(value, dict):
        return value
    raise unexpected(value)


def as_bytes(text: str) -> bytes:
    """What base64 text stands for."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise unreadable("The blob is not valid base64.") from None


def unreadable(message: str) -> ServiceError:
    """The request cannot be read."""
    return ServiceError(400, UNREADABLE, message)


def unexpected(value: object) -> ServiceError:
    """There is a value of this type where none is allowed."""
    if isinstance(value, list):
        return unreadable("Start of list found where not expected")
    if isinstance(value, dict):
        return unreadable("Start of structure or map found where not expected.")
    return unreadable(f"Unexpected {_kind_of(value)}.")


def _kind_of(value: object) -> str:
    if value is None:
        return "NULL_VALUE"
    if isinstance(value, bool):
        return "BOOLEAN_VALUE"
    if isinstance(value, str):
        return "STRING_VALUE"
    return "NUMBER_VALUE" if isinstance(value, int) else "DECIMAL_VALUE"
