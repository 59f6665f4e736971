"""Breakpoints in handlers by `engine serve --debug`: pdb, an editor that attaches, and coverage."""

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from contextlib import closing

import pytest

pytestmark = pytest.mark.real_time

HANDLER = """
def handler(event, context):
    name = event.get("name", "world")
    return {"greeting": f"hello {name}"}
"""
STOPS = HANDLER.replace("    return", "    breakpoint()\n    return")
LISTENERS = [part for name in ("http", "aws", "admin") for part in (f"--{name}", "127.0.0.1:0")]
SERVE = ["-m", "engine", "serve", "--debug", "app.handler", *LISTENERS]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "app.py").write_text(HANDLER)
    return tmp_path


@pytest.fixture
def start(folder):
    """`start(words, **keys)`: a child process in the folder of the handler, ended whatever happens."""
    started = []

    def run(words, **keys):
        process = subprocess.Popen(
            [sys.executable, *words], cwd=folder, **{"stdout": subprocess.PIPE, **keys}
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait(60)
        if process.stdout is not None:
            process.stdout.close()


def ready(stream):
    """The addresses, from the first line of JSON."""
    for line in stream:
        if line.lstrip().startswith(b"{" if isinstance(line, bytes) else "{"):
            return json.loads(line)
    raise AssertionError("it did not get ready")


class Asking(threading.Thread):
    """Invokes the function beside the test."""

    def __init__(self, aws, event):
        super().__init__(daemon=True)
        self.url, self.event, self.answer = f"{aws}/2015-03-31/functions/app/invocations", event, None
        self.start()

    def run(self):
        body = json.dumps(self.event).encode()
        with urllib.request.urlopen(urllib.request.Request(self.url, body, method="POST"), timeout=30) as got:
            self.answer = json.load(got)

    def result(self):
        self.join(30)
        return self.answer


def test_breakpoint_opens_pdb_on_the_terminal(folder, start):
    """One handler at a time stops there, longer than its timeout; the others wait for it."""
    (folder / "app.py").write_text(STOPS)
    ours, theirs = pty.openpty()
    process = start([*SERVE, "--timeout-s", "0.2"], stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL)
    os.close(theirs)
    with os.fdopen(ours, "r+b", buffering=0) as terminal:
        addresses = ready(terminal)
        both = [Asking(addresses["aws"], {"name": name}) for name in ("Ada", "Bob")]
        names = []
        for _ in both:
            shown = until(terminal, b"(Pdb) ")
            assert b"-> return" in shown or b"-> breakpoint()" in shown  # from Python 3.13 on
            terminal.write(b"p name\n")
            names += re.findall("'(Ada|Bob)'", until(terminal, b"(Pdb) ").decode())
            assert all(one.answer is None for one in both[len(names) :])
            terminal.write(b"c\n")
        answers = [one.result() for one in both]
        process.terminate()

    assert ["Ada", "Bob"] == sorted(names)
    assert [{"greeting": "hello Ada"}, {"greeting": "hello Bob"}] == answers


def until(terminal, end):
    """What is shown, up to `end`."""
    shown = b""
    while end not in shown:
        shown += terminal.read(4096)
    return shown


class Editor:
    """The part of an editor that speaks the Debug Adapter Protocol."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=100)
        self.stream = self.socket.makefile("rb")
        self.number = 0

    def ask(self, command, *, wait=True, **arguments):
        self.number += 1
        message = {"seq": self.number, "type": "request", "command": command, "arguments": arguments}
        body = json.dumps(message).encode()
        self.socket.sendall(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        if not wait:
            return None
        number = self.number
        return self.hear(lambda one: one["type"] == "response" and one["request_seq"] == number).get("body")

    def hear(self, is_it):
        """The first message that is it."""
        while True:
            length = 0
            while (line := self.stream.readline().strip()) != b"":
                length = int(line.partition(b":")[2])
            message = json.loads(self.stream.read(length))
            if is_it(message):
                return message

    def event(self, name):
        return self.hear(lambda one: one.get("event") == name).get("body")

    def close(self):
        self.stream.close()
        self.socket.close()


def test_an_editor_attaches_and_stops_in_the_handler(folder, start):
    """By debugpy: the breakpoint is bound by file and line, the frame and its variables are the handler's."""
    path = str(folder / "app.py")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    listen = ["-Xfrozen_modules=off", "-m", "debugpy", "--listen", f"127.0.0.1:{port}"]
    process = start([*listen, *SERVE], stderr=subprocess.DEVNULL)
    addresses = ready(process.stdout)
    with closing(Editor(port)) as editor:
        editor.ask("initialize", adapterID="test", pathFormat="path", clientID="test")
        editor.ask("attach", wait=False, justMyCode=False)
        editor.event("initialized")
        editor.ask("setBreakpoints", source={"path": path}, breakpoints=[{"line": 4}])
        editor.ask("configurationDone")
        asking = Asking(addresses["aws"], {"name": "Ada"})
        thread = editor.event("stopped")["threadId"]
        frame = editor.ask("stackTrace", threadId=thread)["stackFrames"][0]
        value = editor.ask("evaluate", expression="name", frameId=frame["id"])["result"]
        editor.ask("continue", threadId=thread)
        answer = asking.result()
        editor.ask("disconnect")
    process.send_signal(signal.SIGTERM)

    assert (path, 4, "'Ada'") == (frame["source"]["path"], frame["line"], value)
    assert {"greeting": "hello Ada"} == answer


def test_coverage_sees_the_handler(folder, start):
    """Under `coverage run`, with the data written when the engine has drained."""
    coverage = ["-m", "coverage", "run", "--include", "app.py", *SERVE]
    process = start(coverage, stderr=subprocess.DEVNULL)
    addresses = ready(process.stdout)
    answer = Asking(addresses["aws"], {}).result()
    process.send_signal(signal.SIGTERM)
    status = process.wait(30)
    report = subprocess.run(
        [sys.executable, "-m", "coverage", "json", "-o", "-"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )

    assert ({"greeting": "hello world"}, 0) == (answer, status)
    assert [2, 3, 4] == json.loads(report.stdout)["files"]["app.py"]["executed_lines"]


def test_debug_and_an_executor_exclude_each_other(start):
    """One line, and the exit code for bad usage."""
    process = start([*SERVE, "--executor", "process"], stderr=subprocess.PIPE)
    _, said = process.communicate(timeout=100)

    assert (
        2,
        "error: --debug and --executor exclude each other: breakpoints need the executor thread\n",
    ) == (
        process.returncode,
        said.decode(),
    )
