"""A signal that ends is obeyed also where no thread can be started any more."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.real_time

PROGRAM = """
import asyncio, os, resource, signal
from engine.runtime.clock import SystemClock
from engine.runtime.signals import StopSignals

async def main():
    with StopSignals(asyncio.get_running_loop(), SystemClock(), 1.0) as signals:
        if os.getuid() == 0:
            os.setuid(65534)  # root has no limit of processes
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(signals.asked.wait(), 60)
        print("asked")

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of processes is of another kind elsewhere")
def test_a_stop_signal_is_heard_though_no_thread_can_be_started():
    """As with `ulimit -u`, or the pids limit of a container, used up by environments."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=100, env=dict(os.environ)
    )

    assert (0, "asked\n", "") == (done.returncode, done.stdout, done.stderr)
