"""A handler that computes, in a module that imports next to nothing."""

import time


def compute(seconds):
    """Use CPU for that long."""
    until_s = time.process_time() + seconds
    while time.process_time() < until_s:
        pass


def handler(event, context):
    """200 ms of a core."""
    compute(0.2)
    return {}
