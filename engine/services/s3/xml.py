"""Writes XML in the form of S3."""

from __future__ import annotations

import re
from typing import Final
from xml.sax.saxutils import escape

DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'
NAMESPACE: Final = "http://s3.amazonaws.com/doc/2006-03-01/"

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\r\ufffe\uffff]")


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


def document(root: str, content: str) -> bytes:
    """A complete document in S3's namespace."""
    return f'{DECLARATION}<{root} xmlns="{NAMESPACE}">{content}</{root}>'.encode("utf-8", "replace")


def _reference(found: re.Match[str]) -> str:
    return f"&#x{ord(found[0]):x};"
