"""A handler whose module computes for 0.3 s while it is imported, and which then waits for half a second."""

import time

from computing import compute

compute(0.3)


def handler(event, context):
    """Wait."""
    time.sleep(0.5)
    return {}
