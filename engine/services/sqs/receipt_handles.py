"""Receipt handles: opaque text for clients, the number of a receipt for the queue."""

from __future__ import annotations

import binascii
from typing import Final

_RECEIPT_BYTES: Final = 6
_UID_BYTES: Final = 9
_PREFIX_LENGTH: Final = 16
_LENGTH: Final = 24
_VERSION: Final = b"\x01\x01\x01"  # "AQEB", as AWS's handles begin


class ReceiptHandles:
    """The handles of one queue; those of other queues are rejected."""

    def __init__(self, unique_id: str) -> None:
        """`unique_id`: text of a UUID; its end distinguishes queues."""
        uid = bytes.fromhex(unique_id.replace("-", ""))[-_UID_BYTES:]
        self._prefix = binascii.b2a_base64(_VERSION + uid, newline=False).decode()

    def encode(self, receipt: int) -> str:
        """The handle of a receipt."""
        number = receipt.to_bytes(_RECEIPT_BYTES, "big")
        return self._prefix + binascii.b2a_base64(number, newline=False).decode()

    def decode(self, handle: str) -> int | None:
        """The receipt of a handle; None if this queue never gave it out."""
        if len(handle) != _LENGTH or not handle.startswith(self._prefix):
            return None
        try:
            return int.from_bytes(binascii.a2b_base64(handle[_PREFIX_LENGTH:], strict_mode=True), "big")
        except ValueError:
            return None
