"""Whatever became of standard output and standard error, invocations are served and signals obeyed."""

import json
import os
import subprocess
import sys
import urllib.request
from contextlib import contextmanager

import pytest

pytestmark = pytest.mark.real_time

NOISY = """
import logging, os, subprocess, sys, threading, warnings

def make_noise():
    print("p" * 40_000)
    print("e" * 40_000, file=sys.stderr)
    logging.error("l" * 40_000)
    sys.__stderr__.write("s" * 40_000 + "\\n")
    sys.__stdout__.write("o" * 40_000 + "\\n")
    sys.__stdout__.flush()
    os.write(2, b"d" * 40_000 + b"\\n")
    subprocess.run("head -c 40000 /dev/zero >&2", shell=True)
    bare = threading.Thread(target=print, args=("t" * 40_000,))
    bare.start()
    bare.join()
    return "made"

def handler(event, context):
    return make_noise()

async def on_the_loop(event, context):
    return make_noise()
"""
DROPPED = 'engine_output_lines_dropped_total{stream="stderr"}'
FATES = {
    "unread": 'exec "$@"',
    "closed": 'exec "$@" 2>&-',
    "full": 'exec "$@" 2>/dev/full',
}


@contextmanager
def started(folder, fate, *arguments):
    """The process, with both pipes unread, in the folder of `app.py`."""
    (folder / "app.py").write_text(NOISY)
    command = ["sh", "-c", FATES.get(fate, FATES["unread"]), "sh", sys.executable, "-m", "engine", *arguments]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": ""},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def served(url):
    with urllib.request.urlopen(url, timeout=60) as response:
        return response.read().decode()


@pytest.mark.parametrize(
    ("fate", "handler"),
    [("unread", "handler"), *((fate, "on_the_loop") for fate in ("unread", "closed", "full", "gone"))],
)
def test_nobody_who_reads_stops_nothing(tmp_path, fate, handler):
    """Every way there is to write, until any pipe is full: answers, metrics, SIGTERM, exit code 0."""
    listeners = [f"--{name}=127.0.0.1:0" for name in ("http", "aws", "admin")]
    with started(tmp_path, fate, "serve", f"app.{handler}", *listeners) as process:
        addresses = json.loads(process.stdout.readline())
        if fate == "gone":
            process.stdout.close()
            process.stderr.close()
        answers = {served(addresses["http"]) for _ in range(40)}
        page = served(f"{addresses['admin']}/metrics").splitlines()
        process.terminate()
        exit_code = process.wait(60)
        if fate == "gone":
            process.stdout = process.stderr = None
    (dropped,) = (float(line.split()[-1]) for line in page if line.startswith(DROPPED))

    assert {"made"} == answers
    assert 0 == exit_code
    assert (fate == "closed") == (dropped == 0)


@pytest.mark.parametrize("fate", ["unread", "closed"])
def test_engine_invoke_answers_whatever_became_of_the_log(tmp_path, fate):
    """The payload is on standard output; the exit code is the function's."""
    with started(tmp_path, fate, "invoke", "app.on_the_loop") as process:
        answer = process.stdout.read()
        exit_code = process.wait(60)

    assert b'"made"' == answer.strip().splitlines()[-1]
    assert 0 == exit_code
