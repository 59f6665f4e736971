"""`SizeBytes` of a record of a table's stream.

Source: DynamoDB Developer Guide, "DynamoDB item sizes and formats"; ten recorded sizes, which have texts,
numbers, binaries and booleans. Those of lists and maps are the guide's and are not recorded (unverified).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_NESTED_BYTES: Final = 3
_EACH_NESTED_BYTES: Final = 1


def size_of_images(*images: Mapping[str, Any]) -> int:
    """Bytes of keys and images together, names and values. Raises ValueError for what is no attribute."""
    return sum(
        len(name.encode("utf-8", "surrogatepass")) + _size(value)
        for image in images
        for name, value in image.items()
    )


def _size(value: Mapping[str, Any]) -> int:
    """Of one attribute value: exactly one type and what it holds."""
    ((kind, held),) = value.items()
    if kind == "S":
        return len(held.encode("utf-8", "surrogatepass"))
    if kind == "N":
        return _digits_size(held)
    if kind == "B":
        return _binary_size(held)
    if kind in ("BOOL", "NULL"):
        return 1
    if kind in ("SS", "NS", "BS"):
        return sum(_size({kind[0]: one}) for one in held)
    if kind == "L":
        return _NESTED_BYTES + sum(_EACH_NESTED_BYTES + _size(one) for one in held)
    if kind == "M":
        return _NESTED_BYTES + _EACH_NESTED_BYTES * len(held) + size_of_images(held)
    raise ValueError(kind)


def _digits_size(number: str) -> int:
    """A byte for two significant digits, one more, and one more of a negative number."""
    digits = number.upper().partition("E")[0].lstrip("+-").replace(".", "").strip("0")
    return (len(digits) + 1) // 2 + 1 + number.startswith("-")


def _binary_size(text: str) -> int:
    """Of the bytes that base64 text stands for."""
    return len(text) * 3 // 4 - text.count("=", -2)
