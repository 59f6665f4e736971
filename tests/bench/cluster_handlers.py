"""What the bench of a cluster runs on its nodes."""

from __future__ import annotations

import fcntl
import os
import socket
import time


def noop(event, context):
    """Do nothing."""


def sleep(event, context):
    """Be in the middle of something."""
    time.sleep(event["sleep_s"])


def cpu(event, context):
    """Some milliseconds of work, in Python."""
    return socket.gethostname(), sum(number * number for number in range(100_000))


def gated(event, context):
    """Wait until the gate is opened."""
    with open(event["gate"]) as gate:
        fcntl.flock(gate, fcntl.LOCK_SH)


def record(event, context):
    """Note that the event was seen, on a file system that all nodes of the bench have."""
    time.sleep(0.05)
    journal = os.open(event["journal"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(journal, f"{event['number']}\n".encode())
    os.close(journal)
