"""How large payloads and responses may be.

Sources: Lambda Developer Guide, "Lambda quotas" and "Bandwidth limits for response streaming"; the
response limit as recorded in errors of AWS Lambda.
"""

from __future__ import annotations

from typing import Final

MAX_EVENT_BYTES: Final = 6_291_456
"""6 MiB: the largest payload of a synchronous invocation, also that of a batch."""

MAX_ASYNC_EVENT_BYTES: Final = 1_048_576
"""1 MiB: the largest payload of an asynchronous invocation."""

MAX_RESPONSE_BYTES: Final = 6_291_556
"""6 MiB + 100: the largest result a buffered invocation may return."""

MAX_STREAMED_BYTES: Final = 209_715_200
"""200 MB: the largest response that a handler may stream. That AWS means MiB by MB is not confirmed."""

FAST_STREAMED_BYTES: Final = 6_291_456
"""6 MB of a streamed response, which go out as fast as they can."""

STREAMED_BYTES_PER_S: Final = 2_097_152
"""2 MB/s: the bandwidth of what a handler streams beyond `FAST_STREAMED_BYTES`."""
