"""What a run sees of the machine: CPU of an engine and of what it started, and what waits unread."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.load.running.host_sampling import HostSampler, process_times

pytestmark = pytest.mark.real_time

BURN_S = 0.2
BURN = f"import time\nwhile time.process_time() < {BURN_S}: pass"
needs_proc = pytest.mark.skipif(not Path("/proc/stat").exists(), reason="there is no /proc")


def sampled(sampler, holds):
    """The first sample of which `holds` is true."""
    until_s = time.monotonic() + 30
    while time.monotonic() < until_s:
        found = [one for one in list(sampler.samples) if holds(one)]
        if found:
            return found[0]
        time.sleep(0.02)
    raise AssertionError(sampler.samples[-1:])


@needs_proc
def test_cpu_of_children_that_have_ended_counts_as_the_handlers():
    """It is not the engine's own."""
    with HostSampler(os.getpid(), lambda: None, [], every_s=0.02) as sampler:
        before = sampled(sampler, lambda one: True)
        subprocess.run([sys.executable, "-S", "-c", BURN], check=True)
        wanted_s = before.handlers_cpu_s + 0.9 * BURN_S
        after = sampled(sampler, lambda one: one.handlers_cpu_s >= wanted_s)

    assert after.busy_s > before.busy_s
    assert 0 < after.memory_left <= 1
    assert 0 == after.generator_cpu_s


@needs_proc
def test_a_request_that_nobody_reads_is_seen():
    """As one connection, also before it is accepted."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
        HostSampler(None, os.getpid, [server.getsockname()[1]], every_s=0.02) as sampler,
    ):
        client.sendall(b"GET /")
        waiting = sampled(sampler, lambda one: one.unread == 1)

    assert (1, 0.0) == (waiting.unaccepted, waiting.engine_cpu_s)
    assert waiting.generators_cpu_s >= waiting.generator_cpu_s > 0


def test_the_name_of_a_process_may_hold_anything():
    """Brackets and spaces too."""
    stat = "7 (a) b) (c) S 5 7 7 0 -1 0 0 0 0 0 100 50 30 20 20 0 1 0 0"

    ticks = os.sysconf("SC_CLK_TCK")
    assert (5, 150 / ticks, 50 / ticks) == process_times(stat)
