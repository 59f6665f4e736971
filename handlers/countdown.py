"""Streams its response: a line for each second that is left. For `streaming = "generator"`.

AWS has announced response streaming for Python and has not shipped it: there a generator is no result.
"""

import time
from collections.abc import Iterator
from typing import Any


def handler(event: dict[str, Any], context: Any) -> Iterator[str]:
    """Count down from `event["from"]`, 3 by default, `event["pause_s"]` seconds (0.1) for each number."""
    for number in range(event.get("from", 3), 0, -1):
        yield f"{number}\n"
        time.sleep(event.get("pause_s", 0.1))
    yield "lift-off\n"
