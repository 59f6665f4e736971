"""The REST-JSON protocol: requests to parameters, answers and errors to status, headers and body.

Source: AWS restJson1 protocol (Smithy); the API models of botocore; answers recorded on AWS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn

import orjson

from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.service_model import Node, ServiceModel
from engine.protocols.http.message import Request, header_block

_CAPITAL: Final = "Message"
_UNMODELLED_CAPITAL: Final = frozenset({"AccessDeniedException"})
"""Codes that the models do not have, and whose text is in `Message` on AWS. Others have `message`."""
_UNTYPED: Final = "ValidationException"

_BITS: Final = {"integer": 31, "long": 63}
_SAID: Final = {
    "string": "a String",
    "blob": "a String",
    "boolean": "a Boolean",
    "integer": "an Integer",
    "long": "a Long",
    "float": "a Float",
    "double": "a Double",
    "timestamp": "a Timestamp",
    "list": "a List",
    "map": "a Map",
    "structure": "an Object",
}
"""Types of the models in the words of AWS's errors."""
_KINDS: Final = {
    str: "STRING_VALUE",
    int: "NUMBER_VALUE",
    float: "NUMBER_VALUE",
    bool: "TRUE_VALUE",
    list: "START_ARRAY",
    dict: "START_OBJECT",
}

# ---------------------------------------------------------------- requests


def located(
    model: ServiceModel, operation: str, labels: Mapping[str, str], query: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """The parameters of an operation in the path and the query of a request, by their members' names.

    `labels` are by members' names too. Of equal parameters the first counts, and an empty one is none.

    Raises:
        ServiceError: SerializationException for what is no number, or no boolean.
    """
    found: dict[str, Any] = {}
    for name, reference in model.input_of(operation)["members"].items():
        shape = model.shape_of(reference)
        match reference.get("location"):
            case "uri":
                texts: Sequence[str] = (labels[name],) if name in labels else ()
            case "querystring":
                texts = query.get(reference["locationName"], ())
            case _:
                continue
        if shape["type"] == "list" and texts:
            found[name] = list(texts)
        elif texts and texts[0]:
            found[name] = _from_text(shape, texts[0])
    return found


def members(model: ServiceModel, operation: str, body: bytes) -> dict[str, Any]:
    """The parameters in the body of a request, a JSON object. Null and unknown members are left out.

    Bytes stay in base64, and an empty body is an empty object. Where the model says that one member is the
    whole body, it is that member.

    Raises:
        ServiceError: SerializationException for what is no such JSON, or has values of other types.
    """
    expected = {
        name: reference
        for name, reference in model.input_of(operation)["members"].items()
        if "location" not in reference
    }
    if not expected:
        return {}
    payload = model.input_of(operation).get("payload")
    if payload is not None:
        return _payload(model, payload, expected[payload], body)
    return _structure(model, expected, _parsed(body or b"{}"))


def _payload(model: ServiceModel, name: str, reference: Node, body: bytes) -> dict[str, Any]:
    """The member that is the whole body: bytes as they are, or a structure. An empty body is none."""
    if not body:
        return {}
    shape = model.shape_of(reference)
    if shape["type"] == "blob":
        return {name: body}
    return {name: _typed(model, shape, _parsed(body))}


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _unreadable(f"Could not parse request body into json: {error}") from None


def _structure(model: ServiceModel, expected: Node, value: Any) -> dict[str, Any]:
    if type(value) is not dict:
        _wrong_type(value, "structure")
    return {
        name: _typed(model, model.shape_of(reference), value[name])
        for name, reference in expected.items()
        if value.get(name) is not None
    }


def _typed(model: ServiceModel, shape: Node, value: Any) -> Any:
    """`value` as the shape has it; nulls in lists and maps stay, unless the shape may have them."""
    kind = shape["type"]
    match kind:
        case "structure":
            return _structure(model, shape["members"], value)
        case "list":
            if type(value) is not list:
                _wrong_type(value, kind)
            member = model.shape_of(shape["member"])
            kept = [one for one in value if one is not None] if shape.get("sparse") else value
            return [None if one is None else _typed(model, member, one) for one in kept]
        case "map":
            if type(value) is not dict:
                _wrong_type(value, kind)
            member = model.shape_of(shape["value"])
            return {
                key: None if one is None else _typed(model, member, one)
                for key, one in value.items()
                if one is not None or not shape.get("sparse")
            }
        case "integer" | "long":
            return _complete(kind, value)
        case "float" | "double":
            if type(value) not in (int, float):
                _wrong_type(value, kind)
            return float(value)
        case "timestamp":  # of a body: seconds since the Unix epoch
            if type(value) not in (int, float):
                _wrong_type(value, kind)
        case "boolean":
            if type(value) is not bool:
                _wrong_type(value, kind)
        case _:
            if type(value) is not str:
                _wrong_type(value, kind)
    return value


def _complete(kind: str, value: Any) -> int:
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int:
        _wrong_type(value, kind)
    number: int = value
    if not -(1 << _BITS[kind]) <= number < 1 << _BITS[kind]:
        raise _unreadable(f"{number} is out of the range of {_SAID[kind]}")
    return number


def _from_text(shape: Node, text: str) -> Any:
    kind = shape["type"]
    if kind in _BITS:
        if not (text.isascii() and text.removeprefix("-").isdecimal() and len(text) < 20):
            _wrong_type(text, kind)
        return _complete(kind, int(text))
    if kind == "boolean":
        if text not in ("true", "false"):
            _wrong_type(text, kind)
        return text == "true"
    return text


def _wrong_type(value: Any, wanted: str) -> NoReturn:
    kind = "FALSE_VALUE" if value is False else _KINDS.get(type(value), "NULL_VALUE")
    raise _unreadable(f"{kind} can not be converted to {_SAID[wanted]}")


def _unreadable(message: str) -> ServiceError:
    return ServiceError(400, "SerializationException", message)


# ---------------------------------------------------------------- answers


def answer(
    model: ServiceModel, operation: str, request: Request, document: Mapping[str, Any], request_id: str
) -> None:
    """Answer with a document: its `statusCode` member is the status where the model has one."""
    status = model.operations[operation]["http"]["responseCode"]
    for name, reference in model.output_of(operation)["members"].items():
        if reference.get("location") == "statusCode":
            status = document.get(name, status)
            document = {key: value for key, value in document.items() if key != name}
    head = f"Content-Type: application/json\r\nx-amzn-RequestId: {request_id}\r\n"
    request.respond(status, head.encode(), b"" if status == 204 else orjson.dumps(document))


# ---------------------------------------------------------------- errors


def error_head(code: str, request_id: str) -> bytes:
    """The header lines of an error."""
    return (
        f"Content-Type: application/json\r\nx-amzn-RequestId: {request_id}\r\nx-amzn-ErrorType: {code}\r\n"
    ).encode()


def error_body(model: ServiceModel, error: ServiceError) -> bytes:
    """The JSON body: the text under the name that the error's shape has for it, `Type`, other members."""
    text = error.message.encode("utf-8", "replace").decode()  # lone surrogates have no UTF-8
    shape = model.shapes.get(error.code)
    if shape is None:
        key = _CAPITAL if error.code in _UNMODELLED_CAPITAL else "message"
    else:
        key = _CAPITAL if _CAPITAL in shape["members"] else "message"
    body: dict[str, Any] = {}
    if error.has_type and error.code != _UNTYPED:
        body["Type"] = error.fault
    in_headers = _in_headers(model, error)
    members = {name: value for name, value in error.members.items() if name not in in_headers}
    return orjson.dumps(body | members | {key: text})


def _in_headers(model: ServiceModel, error: ServiceError) -> dict[str, str]:
    """The members of an error that its shape has in headers, and the names of those."""
    shape = model.shapes.get(error.code)
    members = {} if shape is None else shape["members"]
    return {
        name: members[name]["locationName"]
        for name in error.members
        if name in members and members[name].get("location") == "header"
    }


def answer_error(model: ServiceModel, request: Request, error: ServiceError, request_id: str) -> None:
    """Answer `request` with `error`."""
    lines = header_block(
        (header, str(error.members[name])) for name, header in _in_headers(model, error).items()
    )
    head = error_head(error.code, request_id) + lines
    request.respond(error.status, head, error_body(model, error))
