"""Writes what a REST-XML operation answers, by the shapes of its service's model.

A value is what SDKs give for the same shape: a mapping with AWS's names for a structure, a sequence for a
list, seconds since the epoch for a time. Elements come in the order in which the value has its members, as
services have orders that their models do not know.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from engine.protocols.aws.service_model import Node, ServiceModel
from engine.protocols.aws.xml_text import escape, quoted

DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\r\ufffe\uffff]")

_Write = Callable[[Any], str]
"""The content of an element, or all of an element, for a value."""


def text(value: str) -> str:
    """`value` as content of an element.

    What XML 1.0 cannot hold is written as a character reference, as S3 does it: clients that may meet such
    keys ask for `encoding-type=url`.
    """
    escaped = escape(value)
    return _CONTROL.sub(_reference, escaped) if _CONTROL.search(escaped) else escaped


def element(name: str, value: str) -> str:
    """`<name>value</name>`."""
    return f"<{name}>{text(value)}</{name}>"


def _reference(found: re.Match[str]) -> str:
    return f"&#x{ord(found[0]):x};"


class XmlWriter:
    """Writes values of one service's shapes. What a shape needs is worked out once."""

    def __init__(self, model: ServiceModel, namespace: str) -> None:
        self._model = model
        self._namespace = namespace
        self._contents: dict[str, _Write] = {}

    def document(self, root: str, shape: str, value: Any) -> bytes:
        """A document with that root element, whose content is `value` of the shape of that name.

        Members that are None are left out. A structure may also be given as pairs, where elements of several
        lists alternate.
        """
        content = self._content(shape)(value)
        return f'{DECLARATION}<{root} xmlns="{self._namespace}">{content}</{root}>'.encode("utf-8", "replace")

    def _content(self, name: str) -> _Write:
        found = self._contents.get(name)
        if found is None:
            self._contents[name] = lambda value: self._contents[name](value)  # a shape may hold itself
            found = self._contents[name] = self._made(self._model.shapes[name])
        return found

    def _made(self, shape: Node) -> _Write:
        match shape["type"]:
            case "structure":
                return self._structure(shape)
            case "list":
                return self._list(shape)
            case "boolean":
                return lambda value: "true" if value else "false"
            case "timestamp":
                return _time
            case "blob":
                return lambda value: base64.b64encode(value).decode("ascii")
            case "string":
                return text
            case _:
                return str

    def _structure(self, shape: Node) -> _Write:
        elements = {
            name: _nothing if reference.get("xmlAttribute") else self._element(name, reference)
            for name, reference in shape["members"].items()
            if "location" not in reference
        }

        def write(value: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> str:
            pairs = value.items() if isinstance(value, Mapping) else value
            return "".join([elements[name](item) for name, item in pairs if item is not None])

        return write

    def _list(self, shape: Node) -> _Write:
        element = self._element("member", shape["member"])
        return lambda value: "".join([element(item) for item in value])

    def _element(self, name: str, reference: Node) -> _Write:
        """What writes a member: its element, or one for each item if it is a list that is flattened."""
        shape = self._model.shape_of(reference)
        tag = reference.get("locationName", name)
        if shape["type"] == "list" and (shape.get("flattened") or reference.get("flattened")):
            item = self._tagged(shape["member"].get("locationName", tag), shape["member"])
            return lambda value: "".join([item(each) for each in value])
        return self._tagged(tag, reference)

    def _tagged(self, tag: str, reference: Node) -> _Write:
        content = self._content(reference["shape"])
        shape = self._model.shape_of(reference)
        attributes = {
            name: member["locationName"]
            for name, member in shape.get("members", {}).items()
            if member.get("xmlAttribute")
        }
        if not attributes:
            start, end = f"<{tag}>", f"</{tag}>"
            return lambda value: f"{start}{content(value)}{end}"
        namespace = reference.get("xmlNamespace") or shape.get("xmlNamespace") or {}
        head = f'{tag} xmlns:{namespace["prefix"]}="{namespace["uri"]}"' if namespace else tag

        def write(value: Mapping[str, Any]) -> str:
            given = "".join(
                f" {attribute}={quoted(value[name])}"
                for name, attribute in attributes.items()
                if value.get(name) is not None
            )
            return f"<{head}{given}>{content(value)}</{tag}>"

        return write


def _nothing(_value: Any) -> str:
    """The content of an attribute, which stands in the tag."""
    return ""


def _time(value: float) -> str:
    return datetime.fromtimestamp(value, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
