"""Text in XML documents. The standard library's `xml.sax.saxutils` brings an HTTP client with it."""

from __future__ import annotations


def escape(text: str) -> str:
    """`text` as content of an element."""
    return text.replace("&", "&amp;").replace(">", "&gt;").replace("<", "&lt;")


def quoted(text: str) -> str:
    """`text` as the value of an attribute, quotes included."""
    text = escape(text).replace('"', "&quot;")
    for character, reference in (("\n", "&#10;"), ("\r", "&#13;"), ("\t", "&#9;")):
        text = text.replace(character, reference)
    return f'"{text}"'
