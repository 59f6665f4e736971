"""The Query protocol of older SDKs: parameters as a form, answers in XML, or in JSON for those who accept it.

Names are those of the model: `queryName` where it differs from the member's. Both are taken.
Source: SQS Developer Guide, "Making Query API requests", "Constructing a response"; the last model of
botocore with this protocol; recorded answers.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson

from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.json_values import unreadable
from engine.protocols.aws.service_model import Node, ServiceModel
from engine.protocols.aws.xml_text import escape
from engine.protocols.http.message import Request

_MAX_FIELDS: Final = 2_000
_DEEPEST: Final = 8
_DIGITS: Final = 9
_NOT_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_XML: Final = '<?xml version="1.0"?>'
_KEYS: Final = ("Name", "Key", "key")
"""What a pair of a map may call its key: clients do not agree."""
_WRAPPERS: Final = frozenset({"member", "entry"})
_NO_NAMES: Final[Mapping[str, str]] = {}


class Query:
    """Reads the requests to one service, and writes its answers."""

    def __init__(
        self,
        model: ServiceModel,
        *,
        texts: Mapping[str, str] = _NO_NAMES,
        json_names: Mapping[str, str] = _NO_NAMES,
        declaration: str = _XML,
        detail: str = "<Detail/>",
    ) -> None:
        """What differs from other protocols, and between services.

        Args:
            model: Of the service.
            texts: By name of an error, its text in this protocol.
            json_names: By name of a member, its name in answers in JSON.
            declaration: What XML begins with.
            detail: What an error ends with.
        """
        self._model = model
        self._declaration, self._detail = declaration, detail
        self._texts = texts
        self._json_names = json_names
        self._namespace = model.metadata["xmlNamespace"]

    # --- reading

    def parameters(self, operation: str, form: Mapping[str, str]) -> dict[str, Any]:
        """The members of the operation's input that the form has; blobs are base64, as in JSON.

        Raises:
            ServiceError: A number is none, or a list's item has no number.
        """
        return self._structure(self._model.input_of(operation), _tree(form))

    def _structure(self, shape: Node, node: Any) -> dict[str, Any]:
        found = {}
        if isinstance(node, dict):
            for name, member in shape["members"].items():
                target = self._model.shape_of(member)
                given = [node[alias] for alias in self._aliases(name, member, target) if alias in node]
                if given:
                    value = self._value(name, target, given)
                    if value is not None:
                        found[name] = value
        return found

    def _aliases(self, name: str, member: Node, target: Node) -> dict[str, None]:
        """The names that a member may have in a form."""
        named = target["member"] if target["type"] == "list" and _is_flat(member, target) else member
        plural = f"{named['queryName']}s" if "queryName" in named else name
        return dict.fromkeys((named.get("queryName", name), name, plural))

    def _value(self, name: str, shape: Node, given: list[Any]) -> Any:
        """The value of one member, which may be given under several names; None if it is none at all."""
        kind = shape["type"]
        if kind == "list":
            of = self._model.shape_of(shape["member"])
            items = [item for node in given for item in _numbered(node)]
            return [one for item in items if (one := self._value(name, of, [item])) is not None]
        if kind == "map":
            return self._map(shape, [item for node in given for item in _numbered(node)])
        if kind == "structure":
            return self._structure(shape, given[0])
        text = given[0]
        if not isinstance(text, str):
            return None
        if kind in ("integer", "long"):
            return _integer(name, text)
        return text == "true" if kind == "boolean" else text

    def _map(self, shape: Node, items: list[Any]) -> dict[str, Any]:
        value_name = shape["value"].get("queryName", "value")
        of = self._model.shape_of(shape["value"])
        found = {}
        for item in items:
            if not isinstance(item, dict):
                continue
            key = next((item[name] for name in _KEYS if name in item), None)
            if isinstance(key, str):
                value = self._value(key, of, [item.get(value_name, "")])
                if value is not None:
                    found[key] = value
        return found

    # --- answering

    def succeed(self, request: Request, request_id: str, operation: str, result: Mapping[str, Any]) -> None:
        """Answer with 200. `result` is in the names of the model."""
        has_result = "output" in self._model.operations[operation]
        shape = self._model.output_of(operation)
        response, wrapper = f"{operation}Response", f"{operation}Result"
        if _wants_json(request):
            view: dict[str, Any] = {"ResponseMetadata": {"RequestId": request_id}}
            if has_result:
                view[wrapper] = self._view(shape, result)
            self._respond(request, request_id, 200, {response: view})
            return
        inner = ""
        if has_result:
            content = "".join(self._members(shape, result))
            inner = f"<{wrapper}>{content}</{wrapper}>" if content else f"<{wrapper}/>"
        metadata = f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
        text = f'{self._declaration}<{response} xmlns="{self._namespace}">{inner}{metadata}</{response}>'
        request.respond(200, _head(request_id, "text/xml"), text.encode())

    def fail(self, request: Request, request_id: str, error: ServiceError) -> None:
        """Answer with the error's code of this protocol."""
        code = self._model.query_code(error.code)
        message = self._texts.get(error.code, error.message)
        fault = "Sender" if error.status < 500 else "Receiver"
        if _wants_json(request):
            message = message.encode("utf-8", "replace").decode()  # a lone surrogate has no UTF-8
            about = {"Code": code, "Message": message, "Type": fault}
            self._respond(request, request_id, error.status, {"Error": about, "RequestId": request_id})
            return
        text = (
            f'{self._declaration}<ErrorResponse xmlns="{self._namespace}"><Error><Type>{fault}</Type>'
            f"<Code>{code}</Code><Message>{_text(message)}</Message>{self._detail}</Error>"
            f"<RequestId>{request_id}</RequestId></ErrorResponse>"
        )
        request.respond(error.status, _head(request_id, "text/xml"), text.encode())

    def _members(self, shape: Node, value: Mapping[str, Any]) -> Iterator[str]:
        """The elements of a structure's members, in the order of `value`."""
        for name, item in value.items():
            member = shape["members"][name]
            yield self._element(member.get("queryName", name), member, item)

    def _element(self, name: str, reference: Node, value: Any) -> str:
        """One member; what is flat repeats its element, without one around it all."""
        shape = self._model.shape_of(reference)
        kind = shape["type"]
        if kind == "structure":
            return f"<{name}>{''.join(self._members(shape, value))}</{name}>"
        if kind not in ("list", "map"):
            return f"<{name}>{_text(value)}</{name}>"
        flat = _is_flat(reference, shape)
        if kind == "list":
            of = shape["member"]
            each = of.get("queryName", name if flat else "member")
            content = "".join(self._element(each, of, item) for item in value)
        else:
            each = name if flat else "entry"
            of = shape["value"]
            key_name, value_name = shape["key"].get("queryName", "key"), of.get("queryName", "value")
            content = "".join(
                f"<{each}><{key_name}>{_text(key)}</{key_name}>{self._element(value_name, of, item)}</{each}>"
                for key, item in value.items()
            )
        return content if flat else f"<{name}>{content}</{name}>"

    def _view(self, shape: Node, value: Any) -> Any:
        """A value in answers in JSON: all members of a structure, null if absent; maps are lists of pairs."""
        kind = shape["type"]
        if kind == "structure":
            required = shape.get("required", ())
            view = {}
            for name, member in shape["members"].items():
                target, item = self._model.shape_of(member), value.get(name)
                if item is None and name in required and target["type"] == "list":
                    item = []
                view[self._json_names.get(name, name)] = None if item is None else self._view(target, item)
            return view
        if kind == "list":
            of = self._model.shape_of(shape["member"])
            return [self._view(of, item) for item in value]
        if kind == "map":
            key_name = shape["key"].get("queryName", "key")
            value_name = shape["value"].get("queryName", "value")
            of = self._model.shape_of(shape["value"])
            return [{key_name: key, value_name: self._view(of, item)} for key, item in value.items()]
        return value

    def _respond(self, request: Request, request_id: str, status: int, document: Mapping[str, Any]) -> None:
        body = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
        request.respond(status, _head(request_id, "application/json"), body)


def read_form(request: Request) -> dict[str, str]:
    """The flat parameters of URL and body; of equal names the last counts. Raises ServiceError."""
    _, _, query = request.target.partition(b"?")
    found: dict[str, str] = {}
    for source in (query, request.body):
        try:
            pairs = parse_qsl(
                source.decode("utf-8"), keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict"
            )
        except ValueError:  # UnicodeDecodeError too
            raise unreadable("The form cannot be read.") from None
        found.update(pairs)
    return found


def _tree(form: Mapping[str, str]) -> dict[str, Any]:
    """`{"a.b": "c"}` as `{"a": {"b": "c"}}`."""
    tree: dict[str, Any] = {}
    for name, value in form.items():
        *path, last = name.split(".", _DEEPEST + 1)
        node = tree
        if len(path) > _DEEPEST:
            continue
        for part in path:
            below = node.setdefault(part, {})
            if not isinstance(below, dict):  # `Entries=` and `Entries.1.Id` in one form
                below = node[part] = {}
            node = below
        if not isinstance(node.get(last), dict):
            node[last] = value
    return tree


def _numbered(node: Any) -> list[Any]:
    """The items of `Name.1`, `Name.2`, ... in order; a single one needs no number, others may be missing.

    Of lists and maps that are not flat: of `Name.member.1`, `Name.entry.1`.
    """
    if isinstance(node, dict) and len(node) == 1 and not _WRAPPERS.isdisjoint(node):
        [node] = node.values()
    if not isinstance(node, dict):
        return [node] if node else []  # `AttributeName=All`, and `Entries=` for an empty list
    if not node.keys().isdisjoint(_KEYS):  # `Attribute.Name=VisibilityTimeout&Attribute.Value=35`
        return [node]
    for key in node:
        if not (key.isascii() and key.isdecimal() and len(key) <= _DIGITS):
            raise _invalid(f"{key[:100]!r} is not a number of a list's item.")
    return [node[key] for key in sorted(node, key=int)]


def _integer(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise _invalid(
            f"Value {text[:2048]} for parameter {name} is invalid. Reason: Must be an integer."
        ) from None


def _invalid(message: str) -> ServiceError:
    return ServiceError(400, "InvalidParameterValueException", message)


def _is_flat(reference: Node, shape: Node) -> bool:
    return bool(reference.get("flattened", shape.get("flattened", False)))


def _wants_json(request: Request) -> bool:
    return b"application/json" in (request.header(b"accept") or b"").lower()


def _head(request_id: str, content_type: str) -> bytes:
    return f"Content-Type: {content_type}\r\nx-amzn-RequestId: {request_id}\r\n".encode()


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return escape(_NOT_XML.sub("?", str(value))).replace('"', "&quot;").replace("\r", "&#xD;")
