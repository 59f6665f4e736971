"""The machine's clock. No other module of the engine reads the time."""

from __future__ import annotations

import time
from typing import Final


class SystemClock:
    """Real time: `now` in monotonic seconds, `wall` in seconds since the Unix epoch."""

    # The functions themselves, not methods around them: they are called several times an invocation.
    now: Final = staticmethod(time.monotonic)  # noqa: TID251  # this is the one place
    wall: Final = staticmethod(time.time)  # noqa: TID251  # this is the one place
