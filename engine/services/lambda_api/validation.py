"""Request bodies of the Lambda API: their members, checked against the constraints of the API's model.

All constraints that are broken are reported at once, in AWS's words; a member of the wrong JSON type is a
SerializationException, and unknown members are ignored, as on AWS.
Source: Lambda API reference; the API model of botocore.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

import orjson

from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.validation import validation_error, violation

_SHOWN: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class StringShape:
    """A string. `pattern` is AWS's, as it is printed; `matches` is it for Python, where that differs."""

    minimum: int = 0
    maximum: int | None = None
    pattern: str | None = None
    matches: str | None = None
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Integer:
    """An integer."""

    minimum: int | None = None
    maximum: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Double:
    """A number from 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Boolean:
    """A boolean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListShape:
    """A list of `of`."""

    of: Shape
    minimum: int = 0
    maximum: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MapShape:
    """A map of `key` to `of`."""

    key: StringShape = field(default_factory=StringShape)
    of: Shape
    maximum: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """Members by name; those in `required` must not be null."""

    members: Mapping[str, Shape]
    required: tuple[str, ...] = ()


Shape = StringShape | Integer | Double | Boolean | ListShape | MapShape | Structure


def read(shape: Structure, body: bytes) -> dict[str, Any]:
    """The known members of a JSON object; null ones are left out. An empty body is an empty object.

    Raises:
        ServiceError: SerializationException if it is no such JSON, ValidationException for all else.
    """
    try:
        document = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError as error:
        raise _unreadable(f"Could not parse request body into json: {error}") from None
    violations: list[str] = []
    result: dict[str, Any] = _checked(shape, document, "", violations)
    if violations:
        raise validation_error(*violations)
    return result


def checked_text(shape: StringShape, value: str, member: str) -> list[str]:
    """What is wrong with a string from a path or a query."""
    violations: list[str] = []
    _text(shape, value, member, violations)
    return violations


def _checked(shape: Shape, value: Any, at: str, violations: list[str]) -> Any:
    match shape:
        case StringShape():
            if type(value) is not str:
                _wrong_type(value, "a String")
            _text(shape, value, at, violations)
        case Boolean():
            if type(value) is not bool:
                _wrong_type(value, "a Boolean")
        case Integer():
            return _complete(shape, value, at, violations)
        case Double():
            return _share(value, at, violations)
        case ListShape():
            if type(value) is not list:
                _wrong_type(value, "a List")
            given = [(number, one) for number, one in enumerate(value, 1) if one is not None]
            _length(shape.minimum, shape.maximum, [one for _, one in given], at, violations)
            return [_checked(shape.of, one, f"{at}.{number}.member", violations) for number, one in given]
        case MapShape():
            if type(value) is not dict:
                _wrong_type(value, "a Map")
            _length(0, shape.maximum, value, at, violations)
            for key in value:
                _text(shape.key, key, at, violations)
            return {
                key: _checked(shape.of, one, f"{at}.{key}.member", violations)
                for key, one in value.items()
                if one is not None
            }
        case Structure():
            return _structure(shape, value, at, violations)
    return value


def _structure(shape: Structure, value: Any, at: str, violations: list[str]) -> dict[str, Any]:
    if type(value) is not dict:
        _wrong_type(value, "an Object")
    result = {}
    for name, member in shape.members.items():
        place = f"{at}.{_spelled(name)}" if at else _spelled(name)
        given = value.get(name)
        if given is not None:
            result[name] = _checked(member, given, place, violations)
        elif name in shape.required:
            violations.append(
                f"Value null at '{place}' failed to satisfy constraint: Member must not be null"
            )
    return result


def _text(shape: StringShape, value: str, at: str, violations: list[str]) -> None:
    shown = value[:_SHOWN]
    if shape.allowed and value not in shape.allowed:
        violations.append(violation(shown, at, f"satisfy enum value set: [{', '.join(shape.allowed)}]"))
    if shape.maximum is not None and len(value) > shape.maximum:
        violations.append(violation(shown, at, f"have length less than or equal to {shape.maximum}"))
    if len(value) < shape.minimum:
        violations.append(violation(shown, at, f"have length greater than or equal to {shape.minimum}"))
    if shape.pattern is not None and not re.fullmatch(shape.matches or shape.pattern, value, re.ASCII):
        violations.append(violation(shown, at, f"satisfy regular expression pattern: {shape.pattern}"))


def _complete(shape: Integer, value: Any, at: str, violations: list[str]) -> int:
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int:
        _wrong_type(value, "an Integer")
    if not -(2**31) <= value < 2**31:
        raise _unreadable(f"{value} is out of the range of an Integer")
    number: int = value
    if shape.minimum is not None and number < shape.minimum:
        constraint = f"have value greater than or equal to {shape.minimum}"
        violations.append(violation(str(number), at, constraint))
    if shape.maximum is not None and number > shape.maximum:
        violations.append(violation(str(number), at, f"have value less than or equal to {shape.maximum}"))
    return number


def _share(value: Any, at: str, violations: list[str]) -> float:
    if type(value) not in (int, float):
        _wrong_type(value, "a Double")
    number = float(value)
    if not 0 <= number <= 1:
        bound = "greater than or equal to 0.0" if number < 0 else "less than or equal to 1.0"
        violations.append(violation(str(number), at, f"have value {bound}"))
    return number


def _length(
    minimum: int, maximum: int | None, value: Collection[Any], at: str, violations: list[str]
) -> None:
    shown = f"[{', '.join(map(str, value))}]"[:_SHOWN]
    if maximum is not None and len(value) > maximum:
        violations.append(violation(shown, at, f"have length less than or equal to {maximum}"))
    if len(value) < minimum:
        violations.append(violation(shown, at, f"have length greater than or equal to {minimum}"))


_KINDS: Final = {
    str: "STRING_VALUE",
    int: "NUMBER_VALUE",
    float: "NUMBER_VALUE",
    bool: "TRUE_VALUE",
    list: "START_ARRAY",
    dict: "START_OBJECT",
}


def _wrong_type(value: Any, wanted: str) -> NoReturn:
    kind = "FALSE_VALUE" if value is False else _KINDS.get(type(value), "NULL_VALUE")
    raise _unreadable(f"{kind} can not be converted to {wanted}")


def _unreadable(message: str) -> ServiceError:
    return ServiceError(400, "SerializationException", message)


def _spelled(name: str) -> str:
    """As AWS's messages spell a member: `memorySize`, `kmsKeyArn`, `s3Bucket`."""
    capitals = len(name) - len(name.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    lowered = capitals if capitals == len(name) else max(1, capitals - 1)
    return name[:lowered].lower() + name[lowered:]
