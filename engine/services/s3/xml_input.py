"""Reads XML from clients, without entities, document types and deep nesting."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, Final
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser

from engine.protocols.aws.rest_xml_input import MalformedDocument, read
from engine.protocols.aws.service_model import ServiceModel, service_model
from engine.services.s3.errors import S3Error

_MAX_DEPTH: Final = 32


class _BadXml(ValueError):
    """Not well-formed, or with a document type, which no S3 document has."""


class _Builder(TreeBuilder):
    """Builds the tree, refuses document types (entities could expand without end) and deep nesting."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0

    def start(self, tag: str, attrs: dict[str, str]) -> Element:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise _BadXml("nested too deep")
        return super().start(tag.rpartition("}")[2], attrs)

    def end(self, tag: str) -> Element:
        self._depth -= 1
        return super().end(tag.rpartition("}")[2])

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise _BadXml("a document type")


def parse(body: bytes, root: str) -> Element:
    """The document, its names without their namespaces.

    Raises:
        S3Error: MalformedXML: it is not well-formed, or its root is not `root`.
    """
    parser = XMLParser(target=_Builder())  # noqa: S314  # the builder refuses what is dangerous
    try:
        parser.feed(body)
        found = parser.close()
    except (ParseError, ValueError, LookupError):  # LookupError: an unknown encoding
        raise S3Error("MalformedXML") from None
    if found.tag != root:
        raise S3Error("MalformedXML")
    assert isinstance(found, Element)
    return found


def payload_of(operation: str, body: bytes, code: str = "MalformedXML") -> dict[str, Any]:
    """The document that a request of an operation has in its body. Raises S3Error with `code`."""
    model = _model()
    shape = model.input_of(operation)
    reference = shape["members"][shape["payload"]]
    try:
        root = parse(body, reference["locationName"])
        value: dict[str, Any] = read(model, model.shape_of(reference), root)
    except (MalformedDocument, S3Error):
        raise S3Error(code) from None
    return value


@cache
def _model() -> ServiceModel:
    """That of S3, which takes regions that are newer than its model, and has an error for others."""
    return service_model("s3").revised({"BucketLocationConstraint": {"enum": ()}})


def text_of(parent: Element, name: str) -> str | None:
    """The text of the first child of that name; None if there is none."""
    child = parent.find(name)
    return None if child is None else (child.text or "")


def children(parent: Element, name: str) -> Iterator[Element]:
    """All children of that name."""
    return (child for child in parent if child.tag == name)
