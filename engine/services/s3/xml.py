"""Writes XML in the form of S3."""

from __future__ import annotations

from typing import Final

from engine.protocols.aws.rest_xml import DECLARATION, text

NAMESPACE: Final = "http://s3.amazonaws.com/doc/2006-03-01/"


def element(name: str, value: str) -> str:
    """`<name>value</name>`."""
    return f"<{name}>{text(value)}</{name}>"


def document(root: str, content: str) -> bytes:
    """A complete document in S3's namespace."""
    return f'{DECLARATION}<{root} xmlns="{NAMESPACE}">{content}</{root}>'.encode("utf-8", "replace")
