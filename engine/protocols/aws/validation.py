"""Checks the parameters of a request against a service's model, as AWS does.

All constraints that are broken are told at once, in AWS's words. What is wrong inside a list or a map is told
of the whole of it: its value, and every constraint that its members have. Structures inside lists are told
by their place, `tags.1.member.key`.
Source: answers recorded on AWS; the API models of botocore.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final

from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.service_model import Node, ServiceModel

_SHOWN: Final = 10_000
_NOT_NULL: Final = "Member must not be null"
_NESTED: Final = ("structure", "list", "map")
_NUMBERS: Final = ("integer", "long", "float", "double")

_LINE_ENDS: Final = r"\n\r\u0085\u2028\u2029"
_SPACES: Final = r" \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_CLASSES: Final = {"L": r"\w", "N": r"\w", "Z": _SPACES}
"""Java's classes of characters for Python, inside brackets. `\\w` has `_` too, as all patterns with them."""
_JAVA: Final = re.compile(r"\\p\{(?P<name>\w+)\}|\\.|\[\^?\]?|\]|\.", re.DOTALL)


VALIDATION: Final = "ValidationException"


def check(model: ServiceModel, operation: str, parameters: Mapping[str, Any], code: str = VALIDATION) -> None:
    """Raise a ServiceError with that code if the parameters of an operation break the model."""
    found = violations(model, model.input_of(operation), parameters)
    if found:
        raise validation_error(*found, code=code)


def violations(model: ServiceModel, shape: Node, value: Any, at: str = "") -> list[str]:
    """What is wrong with a value of that shape, in AWS's words; `at` is its place in the request."""
    return list(_violations(model, shape, value, at))


def validation_error(*found: str, code: str = VALIDATION) -> ServiceError:
    """What AWS says when members of a request break constraints of the API's model, all at once.

    `found` come from `violation`; some services have another `code` for it.
    """
    count = len(found)
    plural = "s" if count > 1 else ""
    message = f"{count} validation error{plural} detected: {'; '.join(found)}"
    return ServiceError(400, code, message)


def violation(value: str, member: str, constraint: str) -> str:
    """`constraint` follows `Member must `."""
    return f"Value '{value}' at '{member}' failed to satisfy constraint: Member must {constraint}"


def not_in_set(value: str, member: str, allowed: Sequence[str]) -> ServiceError:
    """An enumeration's member must be one of its values."""
    constraint = f"satisfy enum value set: [{', '.join(allowed)}]"
    return validation_error(violation(value, member, constraint))


def spelled(name: str) -> str:
    """As AWS's messages spell a member: `memorySize`, `kMSKeyArn`, `s3Bucket`."""
    return name[:1].lower() + name[1:]


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern of a model, which is Java's, for Python; for `fullmatch`."""
    translated = []
    position, in_class = 0, False
    for found in _JAVA.finditer(pattern):
        part = found[0]
        translated.append(pattern[position : found.start()])
        position = found.end()
        if found["name"] is not None:
            part = _CLASSES[found["name"]]
        elif part == "." and not in_class:
            part = f"[^{_LINE_ENDS}]"
        elif part[0] == "[":
            in_class, part = True, part.replace("[", r"\[") if in_class else part
        elif part == "]":
            in_class = False
        translated.append(part)
    text = "".join(translated) + pattern[position:]
    return re.compile(text, 0 if r"\p{" in pattern else re.ASCII)


def _violations(model: ServiceModel, shape: Node, value: Any, at: str) -> Iterator[str]:
    match shape["type"]:
        case "structure":
            yield from _of_structure(model, shape, value, at)
        case "list":
            yield from _of_list(model, shape, value, at)
        case "map":
            yield from _of_map(model, shape, value, at)
        case _:
            for constraint in _broken(shape, value):
                yield _message(shape, value, at, constraint)


def _of_structure(model: ServiceModel, shape: Node, value: Mapping[str, Any], at: str) -> Iterator[str]:
    required = shape.get("required", ())
    for name, reference in shape["members"].items():
        place = f"{at}.{spelled(name)}" if at else spelled(name)
        given = value.get(name)
        if given is not None:
            yield from _violations(model, model.shape_of(reference), given, place)
        elif name in required:
            yield f"Value null at '{place}' failed to satisfy constraint: {_NOT_NULL}"


def _of_list(model: ServiceModel, shape: Node, value: Sequence[Any], at: str) -> Iterator[str]:
    for constraint in _broken(shape, value):
        yield _message(shape, value, at, constraint)
    member = model.shape_of(shape["member"])
    if _is_one_broken(shape, member, value):
        told = shape.get("told") or f"Member must satisfy constraint: [{_all(shape, member)}]"
        yield _message(shape, value, at, told)
    if member["type"] in _NESTED:
        for number, given in enumerate(value, 1):
            if given is not None:
                yield from _violations(model, member, given, f"{at}.{number}.member")


def _of_map(model: ServiceModel, shape: Node, value: Mapping[str, Any], at: str) -> Iterator[str]:
    for constraint in _broken(shape, value):
        yield _message(shape, value, at, constraint)
    key, member = model.shape_of(shape["key"]), model.shape_of(shape["value"])
    if _is_one_broken(shape, key, value):
        yield _message(shape, value, at, f"Map keys must satisfy constraint: [{_all(shape, key)}]")
    if _is_one_broken(shape, member, value.values()):
        yield _message(shape, value, at, f"Map value must satisfy constraint: [{_all(shape, member)}]")
    if member["type"] in _NESTED:
        for name, given in value.items():
            if given is not None:
                yield from _violations(model, member, given, f"{at}.{name}.member")


def _is_one_broken(shape: Node, member: Node, values: Any) -> bool:
    is_nested = member["type"] in _NESTED
    return any(
        not shape.get("sparse") if one is None else not is_nested and any(_broken(member, one))
        for one in values
    )


def _all(shape: Node, member: Node) -> str:
    """All constraints of the members of a list or a map, whether they are broken or not."""
    own = () if member["type"] in _NESTED else ("max", "min", "pattern", "enum")
    found = [_constraint(member, kind) for kind in own if kind in member]
    return ", ".join(found if shape.get("sparse") else [*found, _NOT_NULL])


def _broken(shape: Node, value: Any) -> Iterator[str]:
    """The constraints that a value breaks by itself, whatever its members."""
    if isinstance(value, bool):
        return
    size = value if isinstance(value, int | float) else len(value)
    if "pattern" in shape and not compiled(shape["pattern"]).fullmatch(value):
        yield _constraint(shape, "pattern")
    if "max" in shape and size > shape["max"]:
        yield _constraint(shape, "max")
    if "min" in shape and size < shape["min"]:
        yield _constraint(shape, "min")
    if "enum" in shape and value not in shape["enum"]:
        yield _constraint(shape, "enum")


def _constraint(shape: Node, kind: str) -> str:
    if kind == "pattern":
        return f"Member must satisfy regular expression pattern: {shape['pattern']}"
    if kind == "enum":
        return f"Member must satisfy enum value set: [{', '.join(shape['enum'])}]"
    what = "value" if shape["type"] in _NUMBERS else "length"
    bound = float(shape[kind]) if shape["type"] in ("double", "float") else shape[kind]
    return f"Member must have {what} {'less' if kind == 'max' else 'greater'} than or equal to {bound}"


def _message(shape: Node, value: Any, at: str, constraint: str) -> str:
    if (printed := shape.get("printed")) is not None:
        value = [_object(printed["name"], printed["members"], one) for one in value]
    shown = "Value" if shape.get("sensitive") else f"Value '{_shown(value)[:_SHOWN]}'"
    return f"{shown} at '{at}' failed to satisfy constraint: {constraint}"


def _object(name: str, members: Sequence[str], value: Mapping[str, Any]) -> str:
    """As Java prints an object of a class that has these members."""
    parts = [f"{spelled(member)}={_shown(value.get(member))}" for member in members]
    return f"{name}({', '.join(parts)})"


def _shown(value: Any) -> str:
    """As Java prints it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}={_shown(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_shown, value))}]"
    return "null" if value is None else str(value)
