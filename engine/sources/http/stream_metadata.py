"""What a streamed response to HTTP begins with: its metadata as JSON, and eight NULs before the body.

Sources: Lambda Developer Guide, "Response streaming for Lambda functions"; API Gateway Developer Guide,
"Stream the integration response for your proxy integrations" (metadata within the first 16 KB). Not confirmed
by a primary source: that a function URL has that limit too.
"""

from __future__ import annotations

from typing import Any, Final

from engine.sources.http.responses import parse

MAX_BYTES: Final = 16_384
"""Where the NULs begin, at most."""

DELIMITER: Final = bytes(8)


class MetadataReader:
    """Reads the beginning of one response, in whatever pieces it comes. Keeps no more than the limit."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = bytearray()

    def read(self, piece: bytes) -> tuple[dict[str, Any], bytes] | None:
        """The metadata, and what of `piece` belongs to the body; None while there is more to come.

        Raises:
            ValueError: There are no eight NULs where they should be, or no JSON object before them.
        """
        held = self._held
        start = max(0, len(held) - len(DELIMITER) + 1)
        room = MAX_BYTES + len(DELIMITER) - len(held)
        rest = piece[room:]
        held += piece[:room]
        at = held.find(DELIMITER, start)
        if at < 0:
            if len(held) >= MAX_BYTES + len(DELIMITER):
                raise ValueError(f"no eight NULs end its metadata within {MAX_BYTES:,} bytes")
            return None
        metadata = parse(bytes(held[:at]))
        if type(metadata) is not dict:
            raise ValueError("the metadata is no object")
        return metadata, bytes(held[at + len(DELIMITER) :]) + rest
