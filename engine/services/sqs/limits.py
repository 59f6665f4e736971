"""What SQS bounds, and has where nothing is said.

Source: SQS API reference, "SetQueueAttributes"; SQS Developer Guide, "message quotas".
"""

from __future__ import annotations

from typing import Final

MAX_MESSAGE_BYTES: Final = 1_048_576
MAX_VISIBILITY_S: Final = 43_200
MAX_DELAY_S: Final = 900
MAX_WAIT_S: Final = 20

DEFAULT_VISIBILITY_S: Final = 30
DEFAULT_RETENTION_S: Final = 345_600
