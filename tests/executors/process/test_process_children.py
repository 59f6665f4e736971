"""What a handler starts counts as its own: its memory is capped with it, and shown in its figure."""

import os
import signal

import pytest

from engine import Status

pytestmark = pytest.mark.real_time

CHILD = """
import subprocess, sys, time

def handler(event, context):
    code = f"data = bytearray(b'x') * ({event['mb']} << 20); import time; time.sleep(0.5)"
    return subprocess.run([sys.executable, "-c", code]).returncode
"""

POOL = """
import multiprocessing, os, time
data = os.urandom(1 << 20) * 60

def sleep(_number):
    time.sleep(0.3)
    return 1

def handler(event, context):
    processes = [multiprocessing.get_context("fork").Process(target=sleep, args=(n,)) for n in range(4)]
    for one in processes: one.start()
    for one in processes: one.join()
    return len(processes)
"""


async def test_the_memory_of_child_processes_counts_against_the_cap(make):
    """The handler itself is small."""
    async with make(CHILD, memory_mb=128) as engine:
        outcome = await engine.invoke("f", {"mb": 300})

    assert Status.OOM == outcome.status


async def test_the_memory_of_child_processes_is_in_the_figure(make):
    """Within the cap."""
    async with make(CHILD, memory_mb=512) as engine:
        outcome = await engine.invoke("f", {"mb": 150})

    assert (b"0", True) == (outcome.body, 150 <= outcome.max_memory_mb <= 260)


async def test_what_forked_children_share_with_the_handler_counts_once(make):
    """Four of them, and 60 MB that all have: not 300 MB."""
    async with make(POOL, memory_mb=160) as engine:
        outcome = await engine.invoke("f", {})

    assert (Status.SUCCESS, b"4") == (outcome.status, outcome.body)


async def test_a_zygote_that_does_not_answer_is_replaced_and_the_caller_is_answered(make, marked_processes):
    """It is stopped before the first environment is asked for."""
    async with make("def handler(event, context):\n    return 1\n") as engine:
        for pid in marked_processes():
            os.kill(pid, signal.SIGSTOP)
        outcome = await engine.invoke("f", {})

    assert (Status.SUCCESS, b"1") == (outcome.status, outcome.body)
