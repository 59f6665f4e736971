"""What a command prints arrives whole, however slowly it is read."""

import fcntl
import json
import os
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest

pytestmark = pytest.mark.real_time

PIPE_BYTES = 65_536


def unread(pipe):
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0\0\0\0"))[0]


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_write_that_a_signal_cut_short_goes_on(tmp_path, unbuffered):
    """As when the user stops the command and goes on: Ctrl-Z and `fg`."""
    (tmp_path / "app.py").write_text("def handler(event, context): ...\n")
    table = "".join(f'[functions.f{number}]\nhandler = "app.handler"\n' for number in range(900))
    (tmp_path / "engine.toml").write_text(table)
    command = [sys.executable, "-m", "engine", "check", "--config", "engine.toml", "--json"]
    variables = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=tmp_path, env=variables) as process:
        while unread(process.stdout) < PIPE_BYTES - 4096:
            time.sleep(0.02)
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        process.send_signal(signal.SIGCONT)
        time.sleep(0.1)
        text = process.stdout.read().decode()

    assert 0 == process.returncode
    assert 900 == len(json.loads(text)["functions"])
