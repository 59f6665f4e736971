"""A response that goes out while the handler still writes it: the head, and who takes its pieces.

Source: Lambda Developer Guide, "Response streaming for Lambda functions" and "Using the Lambda runtime API".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

DEFAULT_TYPE: Final = "application/octet-stream"
"""Content type of a streamed response whose runtime names none."""

INTEGRATION_RESPONSE: Final = "application/vnd.awslambda.http-integration-response"
"""Content type of a response that begins with its HTTP metadata and eight NULs."""

PIECE_BYTES: Final = 65_536
"""What an executor hands over at a time, at most: larger writes of a handler are cut."""


class ResponseStream(Protocol):
    """Given to the engine by a source that passes a response on piece by piece. Called on the engine's loop.

    The outcome of the event is its end: a source that was told `begin` then ends what it sends if the
    outcome is a success, and else cuts it, or tells the error. After `fail` it has ended before.
    """

    def begin(self, content_type: str, drained: Callable[[], None], /) -> None:
        """The response begins: its first piece, or its end, comes next. Never called for a failure before.

        `drained` is to be called once after each `write` that returned False, when there is room again.
        """

    def write(self, data: bytes, /) -> bool:
        """Pass on a piece. False: hold the next ones back until `drained` is called.

        Pieces that nobody takes any more, because the client has gone, are dropped: that is True.
        """

    def fail(self, body: bytes, /) -> None:
        """The response ends here with that error document, though the function runs on."""
