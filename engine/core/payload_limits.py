"""How large payloads and responses may be.

Source: Lambda Developer Guide, "Lambda quotas"; the response limit as recorded in errors of AWS Lambda.
"""

from __future__ import annotations

from typing import Final

MAX_EVENT_BYTES: Final = 6_291_456
"""6 MiB: the largest payload of a synchronous invocation, also that of a batch."""

MAX_ASYNC_EVENT_BYTES: Final = 1_048_576
"""1 MiB: the largest payload of an asynchronous invocation."""

MAX_RESPONSE_BYTES: Final = 6_291_556
"""6 MiB + 100: the largest result a buffered invocation may return."""
