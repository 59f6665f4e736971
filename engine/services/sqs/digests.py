"""MD5 digests of bodies and of attributes, as SDKs check them.

Source: SQS Developer Guide, "Amazon SQS message metadata", calculating the MD5 message digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import partial
from typing import Final

from engine.services.sqs.message import Attribute

_md5: Final = partial(hashlib.md5, usedforsecurity=False)
_TEXT: Final = b"\x01"
_BINARY: Final = b"\x02"


def md5_of_body(body: str) -> str:
    """`MD5OfMessageBody`, `MD5OfBody`: of the UTF-8 bytes, in lower-case hex."""
    return _md5(body.encode()).hexdigest()


def md5_of_attributes(attributes: Mapping[str, Attribute]) -> str:
    """`MD5OfMessageAttributes`: over names, types and values, sorted by name."""
    digest = _md5()
    for name, (data_type, value) in sorted(attributes.items()):
        digest.update(_sized(name.encode()) + _sized(data_type.encode()))
        if isinstance(value, bytes):
            digest.update(_BINARY + _sized(value))
        else:
            digest.update(_TEXT + _sized(value.encode()))
    return digest.hexdigest()


def _sized(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data
