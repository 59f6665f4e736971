"""What a killed engine left in the temporary folder goes when the next one starts."""

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

pytestmark = pytest.mark.real_time

CONFIG = '[functions.f]\nhandler = "app.handler"\ncode = "code.zip"\n'


@contextmanager
def serving(folder, temporary):
    """`engine serve` whose temporary folder is `temporary`."""
    command = [sys.executable, "-m", "engine", "serve", "--config", "engine.toml", "--log-format", "off"]
    for listener in ("http", "aws", "admin"):
        command += [f"--{listener}", "127.0.0.1:0"]
    environ = {**os.environ, "TMPDIR": str(temporary)}
    with subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.PIPE) as process:
        try:
            assert json.loads(process.stdout.readline())["ready"]
            yield process
        finally:
            process.terminate()


def test_code_laid_out_by_an_engine_that_was_killed_goes_at_the_next_start(tmp_path, package):
    """And that of an engine that runs stays."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    (tmp_path / "code.zip").write_bytes(package({"app.py": "def handler(event, context):\n    return 1\n"}))
    (tmp_path / "engine.toml").write_text(CONFIG)
    with serving(tmp_path, temporary) as killed:
        left = set(temporary.glob("invocation-engine-*-code-*"))
        killed.kill()
        killed.wait()
    with serving(tmp_path, temporary):
        until_s = time.monotonic() + 20
        while left & set(temporary.iterdir()) and time.monotonic() < until_s:
            time.sleep(0.02)
        there = set(temporary.glob("invocation-engine-*-code-*"))

    assert 1 == len(left)
    assert 1 == len(there - left)
    assert not left & there
