"""What the benches of the process executor run."""

from __future__ import annotations

import os
import time


def noop(event, context):
    """Do nothing."""


def cpu(event, context):
    """A few milliseconds of work, in Python."""
    return sum(number * number for number in range(50_000))


def misbehave(event, context):
    """What `process_chaos` asks for."""
    match event["do"]:
        case "exit":
            os._exit(7)
        case "crash":
            os.kill(os.getpid(), 11)
        case "loop":
            while True:
                pass
        case "allocate":
            block = bytearray(400 * 1024 * 1024)
            time.sleep(5)
            return len(block)
    return event["value"]
