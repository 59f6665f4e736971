"""`engine top` in a terminal of its own: it draws, takes keys, and leaves the terminal as it was."""

import http.server
import json
import os
import pty
import select
import subprocess
import sys
import termios
import threading
from pathlib import Path

import pytest

pytestmark = pytest.mark.real_time

STATUS = {
    "uptime_s": 12.0,
    "in_flight": 0,
    "classes_per_doubling": 16,
    "duration_bounds_s": [1.0],
    "rejected": {},
    "functions": {},
}


class Admin(http.server.BaseHTTPRequestHandler):
    """Answers with the same status each time."""

    def do_GET(self):
        body = json.dumps(STATUS).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def url():
    """Of an admin listener."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Admin) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def terminal():
    """Both ends of a terminal: ours, and the program's."""
    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(theirs)
    os.close(ours)


def read_until(file, text, seconds=15.0):
    """What the terminal got, up to `text`."""
    seen = b""
    while text not in seen:
        ready, _, _ = select.select([file], [], [], seconds)
        assert ready, f"{text!r} did not come: {seen!r}"
        seen += os.read(file, 65_536)
    return seen


def top(url, theirs):
    command = [sys.executable, "-m", "engine", "top", "--url", url]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "30", "NO_COLOR": "1"}
    root = Path(__file__).parents[2]
    return subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, cwd=root, start_new_session=True
    )


def test_keys_work_and_the_terminal_is_as_it_was(url, terminal):
    """Sort, pause, quit: without Enter, and echo is on again afterwards."""
    ours, theirs = terminal
    known = termios.tcgetattr(theirs)
    with top(url, theirs) as process:
        read_until(ours, b"s sort: rate")
        os.write(ours, b"s")
        read_until(ours, b"s sort: errors")
        os.write(ours, b"p")
        read_until(ours, b"paused")
        os.write(ours, b"q")
        ended = process.wait(60)

    assert 0 == ended
    assert known == termios.tcgetattr(theirs)


def test_an_engine_that_is_not_there_is_waited_for(terminal):
    """A picture that says so, until a key ends it."""
    ours, theirs = terminal
    with top("http://127.0.0.1:1", theirs) as process:
        read_until(ours, b"cannot connect to 127.0.0.1:1")
        os.write(ours, b"q")
        ended = process.wait(60)

    assert 0 == ended
