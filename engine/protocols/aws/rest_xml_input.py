"""Reads what a REST-XML operation is sent, by the shapes of its service's model.

Values are those that `rest_xml` writes: a mapping by AWS's names for a structure, a list, seconds since the
epoch for a time. Members come in the order of the model.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser

from engine.protocols.aws.service_model import Node, ServiceModel

_MAX_DEPTH: Final = 32
_WHOLE: Final = re.compile(r"-?[0-9]{1,18}")
_BOOLEANS: Final = {"true": True, "false": False}
_XSI: Final = "{http://www.w3.org/2001/XMLSchema-instance}"


class MalformedDocument(ValueError):
    """A document is not of the shape that it should be."""


class _Builder(TreeBuilder):
    """Builds the tree, refuses document types (entities could expand without end) and deep nesting."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0

    def start(self, tag: str, attrs: dict[str, str]) -> Element:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise MalformedDocument("nested too deep")
        return super().start(tag.rpartition("}")[2], attrs)

    def end(self, tag: str) -> Element:
        self._depth -= 1
        return super().end(tag.rpartition("}")[2])

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise MalformedDocument("a document type")


def parse(body: bytes, root: str) -> Element:
    """The root of a document, all names without their namespaces.

    Raises:
        MalformedDocument: It is not well-formed, has another root, or a document type: AWS has none.
    """
    parser = XMLParser(target=_Builder())  # noqa: S314  # the builder refuses what is dangerous
    try:
        parser.feed(body)
        found = parser.close()
    except (ParseError, ValueError, LookupError) as error:  # LookupError: an unknown encoding
        raise MalformedDocument(str(error)) from None
    if found.tag != root:
        raise MalformedDocument(found.tag)
    assert isinstance(found, Element)
    return found


def read(model: ServiceModel, shape: Node, found: Element) -> Any:
    """The value of an element whose names have no namespaces.

    Raises:
        MalformedDocument: It has elements that the shape has not, or the wrong ones; one that is required is
            missing; a text is none of those that may be, no number, no date.
    """
    match shape["type"]:
        case "structure":
            return _structure(model, shape, found)
        case "list":
            name = shape["member"].get("locationName", "member")
            if any(child.tag != name for child in found):
                raise MalformedDocument(found.tag)
            return [read(model, model.shape_of(shape["member"]), child) for child in found]
    if len(found):
        raise MalformedDocument(found.tag)
    return _scalar(shape, found.text or "")


def _structure(model: ServiceModel, shape: Node, found: Element) -> dict[str, Any]:
    children: dict[str, list[Element]] = {}
    for child in found:
        children.setdefault(child.tag, []).append(child)
    value: dict[str, Any] = {}
    for name, reference in shape["members"].items():
        inner = model.shape_of(reference)
        if "xmlAttribute" in reference:
            attribute = found.get(reference["locationName"].replace("xsi:", _XSI))
            if attribute is not None:
                value[name] = _scalar(inner, attribute)
        elif reference.get("flattened") or inner.get("flattened"):
            items = children.pop(_item_name(name, reference, inner), None)
            if items is not None:
                value[name] = [read(model, model.shape_of(inner["member"]), item) for item in items]
        else:
            items = children.pop(reference.get("locationName", name), None)
            if items is not None:
                if len(items) > 1:
                    raise MalformedDocument(name)
                value[name] = read(model, inner, items[0])
    missing = [name for name in shape.get("required", ()) if name not in value]
    if children or missing:
        raise MalformedDocument(", ".join([*children, *missing]))
    return value


def _scalar(shape: Node, found: str) -> Any:
    match shape["type"]:
        case "string":
            if shape.get("enum") and found not in shape["enum"]:
                raise MalformedDocument(found)
            return found
        case "boolean":
            if found.strip().lower() not in _BOOLEANS:
                raise MalformedDocument(found)
            return _BOOLEANS[found.strip().lower()]
        case "timestamp":
            return _http_date_s(found) if shape.get("timestampFormat") == "rfc822" else epoch_s(found)
    if _WHOLE.fullmatch(found.strip()) is None:
        raise MalformedDocument(found)
    return int(found)


def epoch_s(found: str) -> float:
    """Seconds since the epoch of a time in ISO 8601. Raises MalformedDocument if it is none."""
    try:
        moment = datetime.fromisoformat(found.strip())
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return aware.astimezone(UTC).timestamp()  # which fails for what no calendar has in UTC
    except (ValueError, OverflowError):
        raise MalformedDocument(found) from None


def _http_date_s(found: str) -> float:
    try:
        return parsedate_to_datetime(found).timestamp()
    except (ValueError, OverflowError):
        raise MalformedDocument(found) from None


def _item_name(member: str, reference: Node, shape: Node) -> str:
    """What an item of a flattened list is called."""
    name: str = shape["member"].get("locationName") or reference.get("locationName", member)
    return name
