"""Stages of a load are marked in the console, and a run goes on where that is not possible."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from engine.load.running.phase_marks import PhaseMarks

pytestmark = pytest.mark.real_time


class Console(HTTPServer):
    """Answers as an engine's admin listener does; `token` None: actions are off."""

    def __init__(self, token):
        super().__init__(("127.0.0.1", 0), _Answers)
        self.token, self.asked = token, []
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        self._answer(200 if self.path == "/console/session.json" else 404, {"token": self.server.token})

    def do_POST(self):
        document = json.loads(self.rfile.read(int(self.headers["content-length"])))
        right = self.headers["x-console-token"] == self.server.token
        self.server.asked.append(document["name"])
        self._answer(200 if right else 403, {})

    def _answer(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.mark.parametrize(
    ("token", "expected"),
    [("secret", ["/console/session.json", "steady", "spike"]), (None, ["/console/session.json"])],
)
def test_each_stage_is_marked_once_when_it_begins(token, expected):
    """If actions are on."""
    with Console(token) as console:
        thread = threading.Thread(target=console.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        marks = PhaseMarks(console.url)
        for stage in ("steady", "steady", "spike"):
            marks.begin(stage)
        console.shutdown()
        thread.join()

    assert expected == console.asked


@pytest.mark.parametrize("url", [None, "http://127.0.0.1:9"])
def test_without_a_console_nothing_is_marked(url):
    """A server that is no engine, or one that does not answer."""
    PhaseMarks(url).begin("steady")
