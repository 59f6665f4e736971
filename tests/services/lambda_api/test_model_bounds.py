"""Every bound of AWS's model holds for every operation that is served, at the door, in AWS's words.

The cases are made of the model: who changes a bound there changes what is expected here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import pytest

from engine.protocols.aws.operation import operations_of
from engine.protocols.aws.validation import compiled
from engine.services.lambda_api.control_plane import PARTS
from engine.services.lambda_api.model import lambda_model
from engine.services.lambda_api.routes import INVOKING

MODEL = lambda_model()
SERVED = sorted({*operations_of(PARTS), *INVOKING})
UUID = "01234567-89ab-cdef-0123-456789abcdef"
ARN = "arn:aws:lambda:eu-west-1:123456789012:"
CANDIDATES = (
    *("a", "1", "ab", "live", "GET", UUID, "*", "$LATEST", "123456789012", "eu-west-1", "a.b:9092"),
    *("lambda:InvokeFunction", "lambda:GetLayerVersion", "o-0123456789", "sg-1", "subnet-1", "/mnt/a"),
    f"{ARN}function:f:1/durable-execution/a/b",
    *(f"{ARN}function:f", f"{ARN}layer:l:1", f"{ARN}code-signing-config:csc-0123456789abcdefg"),
    *(
        f"{ARN}capacity-provider:p",
        "arn:aws:iam::123456789012:role/r",
        "arn:aws:sqs:eu-west-1:123456789012:q",
    ),
    *(
        f"{ARN}runtime/0123456789",
        "arn:aws:lambda:eu-west-1::runtime:0123456789",
        "arn:aws:elasticfilesystem:eu-west-1:123456789012:access-point/fsap-0123456789abcdef0",
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret:s",
    ),
)
UNFIT = ("\u2028", "!")
NUMBERS = ("integer", "long", "double", "float")


class Bounded(NamedTuple):
    """A member with a bound: its operation, the names that lead to it, its shape, how AWS spells it."""

    operation: str
    path: tuple[str, ...]
    shape: dict[str, Any]

    @property
    def place(self) -> str:
        return ".".join(name[:1].lower() + name[1:] for name in self.path)


def fits(shape: dict[str, Any], text: str) -> bool:
    return (
        shape.get("min", 0) <= len(text) <= shape.get("max", len(text))
        and ("pattern" not in shape or compiled(shape["pattern"]).fullmatch(text) is not None)
        and text in shape.get("enum", (text,))
    )


def fitting(shape: dict[str, Any]) -> Any:
    """A value that the model allows."""
    match shape["type"]:
        case "structure":
            required = shape.get("required", ())
            return {name: fitting(MODEL.shape_of(shape["members"][name])) for name in required}
        case "list":
            return [fitting(MODEL.shape_of(shape["member"]))] * shape.get("min", 1)
        case "map":
            return {fitting(MODEL.shape_of(shape["key"])): fitting(MODEL.shape_of(shape["value"]))}
        case "integer" | "long":
            return shape.get("min", 1)
        case "double" | "float":
            return float(shape.get("min", 0))
        case "boolean":
            return True
        case "timestamp":
            return 0
        case "blob":
            return "YQ=="
    return next(text for text in (*shape.get("enum", ()), *CANDIDATES, "") if fits(shape, text))


def bounded(operation: str) -> Iterator[Bounded]:
    """Every bounded member of an operation's input, inside structures too. Headers are Invoke's own."""

    def inside(shape: dict[str, Any], path: tuple[str, ...]) -> Iterator[Bounded]:
        for name, reference in shape["members"].items():
            member = MODEL.shape_of(reference)
            if reference.get("location") == "header" or member["type"] == "blob":
                continue
            if member["type"] == "structure":
                yield from inside(member, (*path, name))
            elif member["type"] in ("list", "map") or {"min", "max", "pattern", "enum"} & member.keys():
                yield Bounded(operation, (*path, name), member)

    return inside(MODEL.input_of(operation), ())


def wrong_values(case: Bounded) -> Iterator[tuple[Any, str]]:
    """Values that break one bound, with the text of it."""
    shape = case.shape
    match shape["type"]:
        case "list":
            member = MODEL.shape_of(shape["member"])
            if "max" in shape:
                most = shape["max"]
                yield (
                    [fitting(member)] * (most + 1),
                    f"Member must have length less than or equal to {most}",
                )
            for value, _ in wrong_scalars(member):
                told = shape.get(
                    "told", f"Member must satisfy constraint: [{all_constraints(shape, member)}]"
                )
                yield [value], told
        case "map":
            key, member = MODEL.shape_of(shape["key"]), MODEL.shape_of(shape["value"])
            for value, _ in wrong_scalars(key):
                text = f"Map keys must satisfy constraint: [{all_constraints(shape, key)}]"
                yield {value: fitting(member)}, text
            for value, _ in wrong_scalars(member):
                text = f"Map value must satisfy constraint: [{all_constraints(shape, member)}]"
                yield {fitting(key): value}, text
        case _:
            is_located = "location" in MODEL.input_of(case.operation)["members"][case.path[0]]
            for value, text in wrong_scalars(shape):
                if value != "" or not is_located:  # what is empty in a path or a query is not there
                    yield value, text


def wrong_scalars(shape: dict[str, Any]) -> Iterator[tuple[Any, str]]:
    is_number, cast = shape["type"] in NUMBERS, float if shape["type"] in ("double", "float") else int
    what = "value" if is_number else "length"
    if "max" in shape and shape["type"] in (*NUMBERS, "string"):
        too_large = shape["max"] + 1
        text = f"Member must have {what} less than or equal to {cast(shape['max'])}"
        yield cast(too_large) if is_number else "a" * too_large, text
    if "min" in shape and (is_number or shape["min"] > 0) and shape["type"] in (*NUMBERS, "string"):
        text = f"Member must have {what} greater than or equal to {cast(shape['min'])}"
        yield cast(shape["min"] - 1) if is_number else "", text
    if "pattern" in shape:
        text = f"Member must satisfy regular expression pattern: {shape['pattern']}"
        yield from ((value, text) for value in UNFIT if not compiled(shape["pattern"]).fullmatch(value))
    if "enum" in shape:
        yield "no such", f"Member must satisfy enum value set: [{', '.join(shape['enum'])}]"


def all_constraints(shape: dict[str, Any], member: dict[str, Any]) -> str:
    """Of the members of a list or a map, in AWS's order."""
    is_number, cast = member["type"] in NUMBERS, float if member["type"] in ("double", "float") else int
    what, found = "value" if is_number else "length", []
    if "max" in member:
        found.append(f"Member must have {what} less than or equal to {cast(member['max'])}")
    if "min" in member:
        found.append(f"Member must have {what} greater than or equal to {cast(member['min'])}")
    if "pattern" in member:
        found.append(f"Member must satisfy regular expression pattern: {member['pattern']}")
    if "enum" in member:
        found.append(f"Member must satisfy enum value set: [{', '.join(member['enum'])}]")
    return ", ".join(found if shape.get("sparse") else [*found, "Member must not be null"])


def right_values(case: Bounded) -> Iterator[Any]:
    """Values at the bounds."""
    shape, value = case.shape, fitting(case.shape)
    yield value
    if shape["type"] in NUMBERS and "max" in shape:
        yield shape["max"]
    elif shape["type"] == "string" and shape.get("max", 10_001) <= 10_000 and value:
        longest = value + value[-1] * (shape["max"] - len(value))
        is_bare_name = (case.operation, case.path) == ("CreateFunction", ("FunctionName",))  # 64 at most
        if not is_bare_name and fits(shape, longest):
            yield longest
    yield from shape.get("enum", ())


def parameters_with(case: Bounded, value: Any) -> dict[str, Any]:
    """A request that is right but for this member."""
    parameters = fitting(MODEL.input_of(case.operation))
    inner, shape = parameters, MODEL.input_of(case.operation)
    for name in case.path[:-1]:
        shape = MODEL.shape_of(shape["members"][name])
        inner = inner.setdefault(name, fitting(shape))
    inner[case.path[-1]] = value
    return parameters


def ask(bench: Any, operation: str, parameters: dict[str, Any]) -> Any:
    """The answer to a request with these parameters, each in its place."""
    members = MODEL.input_of(operation)["members"]
    http = MODEL.operations[operation]["http"]
    path, _, query = http["requestUri"].partition("?")
    places = {name: members[name].get("location") for name in parameters}
    path = re.sub(r"\{(\w+)\}", lambda found: quote(str(parameters[found[1]]), safe=""), path)
    queried = [
        (members[name]["locationName"], one)
        for name, place in places.items()
        if place == "querystring"
        for one in (parameters[name] if isinstance(parameters[name], list) else [parameters[name]])
    ]
    body = {name: parameters[name] for name, place in places.items() if place is None}
    if (payload := MODEL.input_of(operation).get("payload")) is not None:
        body = body.get(payload, {})  # it is the whole of it
    target = f"{path}?{'&'.join(filter(None, (query, urlencode(queried))))}"
    return bench.ask(http["method"], target, body=json.dumps(body).encode())


@pytest.mark.parametrize("operation", SERVED)
def test_a_value_out_of_bounds_is_refused_in_the_words_of_the_model(any_bench, operation):
    for case in bounded(operation):
        for value, text in wrong_values(case):
            answer = ask(any_bench, operation, parameters_with(case, value))

            assert (400, "ValidationException") == answer.error[:2], (case.path, value)
            violations = answer.document["message"].partition(" detected: ")[2].split("; Value ")
            place = f"at '{case.place}' failed to satisfy constraint: {text}"
            assert any(one.endswith(place) for one in violations), (violations, place)
            assert all(f"'{case.place}'" in one for one in violations), "and nothing else"


@pytest.mark.parametrize("operation", SERVED)
def test_a_value_at_its_bounds_is_taken(any_bench, operation):
    for case in bounded(operation):
        for value in right_values(case):
            answer = ask(any_bench, operation, parameters_with(case, value))

            refused = answer.headers.get("x-amzn-errortype")
            assert refused not in ("ValidationException", "SerializationException"), answer.document


def test_there_is_much_to_be_bounded():
    assert 250 < sum(len(list(bounded(operation))) for operation in SERVED)
