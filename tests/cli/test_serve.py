"""`engine serve` as it is started."""

import json
import subprocess
import sys
from urllib.request import urlopen

import pytest

pytestmark = pytest.mark.real_time


@pytest.mark.parametrize("text", [None, "", "[engine]\ngrace_s = 1\n", "[queues.q]\n"])
def test_with_no_function_named_it_starts_and_says_so_in_one_line(tmp_path, text):
    """Functions come over the Lambda API then."""
    command = [sys.executable, "-m", "engine", "serve", "--log-format", "off"]
    for listener in ("http", "aws", "admin"):
        command += [f"--{listener}", "127.0.0.1:0"]
    if text is not None:
        (tmp_path / "engine.toml").write_text(text)
        command += ["--config", str(tmp_path / "engine.toml")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path)
    try:
        addresses = json.loads(process.stdout.readline())
        with urlopen(f"{addresses['aws']}/2015-03-31/functions", timeout=60) as answer:
            listed = json.loads(answer.read())["Functions"]
    finally:
        process.terminate()
        _, said = process.communicate(timeout=100)

    assert (0, []) == (process.returncode, listed)
    assert f"no functions are named: they come over the Lambda API at {addresses['aws']}\n" == said.decode()
