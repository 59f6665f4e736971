"""`engine logs`: the log of a function in a served engine, once and as it comes."""

import json
import os
import pty
import select
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner

from engine.cli import main

pytestmark = pytest.mark.real_time

HANDLER = """
def handler(event, context):
    print(event.get("say", "nothing"))
    if event.get("fail"):
        raise ValueError("no")
    return context.aws_request_id
"""
WAIT_S = 30


@pytest.fixture(scope="module")
def engine(tmp_path_factory, serve):
    """With a function for each test."""
    folder = tmp_path_factory.mktemp("logs")
    (folder / "app.py").write_text(HANDLER)
    names = ("orders", "mails", "bills", "many", "colours")
    tables = [f'[functions.{name}]\nhandler = "app.handler"\nexecutor = "thread"\n' for name in names]
    (folder / "engine.toml").write_text("".join(tables))
    with serve("--config", str(folder / "engine.toml")) as served:
        yield served


def invoke(engine, function, **event):
    answer = engine.lambda_.invoke(FunctionName=function, Payload=json.dumps(event))
    return answer["ResponseMetadata"]["RequestId"]


def logs(engine, *words):
    return CliRunner().invoke(main, ["logs", "--admin", engine.addresses["admin"], *words])


def words_of(line):
    """What follows the time."""
    return line.split(" ")[1]


def test_lines_are_those_of_aws_behind_the_time_of_the_end(engine):
    """Control characters of a handler are shown, and change nothing: neither the terminal nor its lines."""
    invoke(engine, "orders", say="\x1b[31mred\rover\u202e\ttab\nthe second line")
    shown = logs(engine, "orders")
    lines = shown.stdout.splitlines()

    assert (0, "") == (shown.exit_code, shown.stderr)
    assert ["START", "\\x1b[31mred\\rover\\u202e\ttab", "the", "END", "REPORT"] == list(map(words_of, lines))
    assert 1 == len({line.split(" ")[0] for line in lines})
    assert "\tBilled Duration: " in lines[-1]


def test_a_terminal_has_colours_and_they_are_ours(engine):
    """An escape that a handler wrote stays text."""
    invoke(engine, "colours", say="\x1b[31mred", fail=True)
    ours, theirs = pty.openpty()
    words = ["logs", "colours", "--admin", engine.addresses["admin"]]
    variables = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    subprocess.run([sys.executable, "-m", "engine", *words], stdout=theirs, env=variables, check=True)
    shown = os.read(ours, 65536).decode()
    os.close(theirs)
    os.close(ours)

    assert "\x1b[36mSTART RequestId: " in shown
    assert "\x1b[31mREPORT RequestId: " in shown
    assert " \\x1b[31mred" in shown


def test_one_request_is_found_or_its_absence_is_told(engine):
    """A failed one is always kept."""
    wanted = invoke(engine, "mails", fail=True)
    invoke(engine, "mails")
    found = [
        json.loads(line) for line in logs(engine, "mails", "--json", "--since", "5m").stdout.splitlines()
    ]
    one = logs(engine, "mails", "--request-id", wanted)
    none = logs(engine, "mails", "--request-id", "1\x1b")

    assert ["error", "success"] == [each["status"] for each in found]
    assert {wanted} == {
        line.split("RequestId: ")[1][:36] for line in one.stdout.splitlines() if "Id: " in line
    }
    assert "ValueError" in one.stdout
    assert (1, "error: no invocation with request ID 1\\x1b is kept\n") == (none.exit_code, none.stderr)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["order"], "there is no function 'order', did you mean 'orders'?"),
        (["orders", "--admin", "http://127.0.0.1:1"], "http://127.0.0.1:1: cannot connect"),
        (["orders", "--admin", "127.0.0.1:1"], "--admin 127.0.0.1:1: not an http:// URL"),
        (
            ["orders", "--admin", "http://127.0.0.1:99999"],
            "--admin http://127.0.0.1:99999: Port out of range",
        ),
        (["orders", "--admin", "{http}"], ": Not Found"),
    ],
)
def test_what_cannot_be_read_is_one_line(engine, words, said):
    """With the nearest name of a function."""
    result = logs(engine, *(word.format(**engine.addresses) for word in words))

    assert (2, 1) == (result.exit_code, result.stderr.count("\n"))
    assert said in result.stderr


def test_how_many_are_left_out_is_told(engine):
    """Those of which an engine keeps the first alone."""
    for _ in range(230):
        invoke(engine, "many")
    result = logs(engine, "many")
    shown = result.stdout.count(" REPORT ")

    assert 200 <= shown < 230 or not result.stderr
    assert shown == 230 or f"warning: {230 - shown} more ended that are not kept" in result.stderr


class Following:
    """`engine logs FUNCTION --follow` in a process of its own."""

    def __init__(self, engine, function):
        words = ["logs", function, "--follow", "--admin", engine.addresses["admin"]]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "engine", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,  # what was read ahead would be hidden from `select`
        )

    def line(self):
        assert select.select([self.process.stdout], [], [], WAIT_S)[0], "nothing came"
        return self.process.stdout.readline().decode()

    def ended(self):
        """Its exit code, and what it said on stderr."""
        code = self.process.wait(WAIT_S)
        with self.process.stderr as errors:
            said = errors.read()
        self.process.stdout.close()
        return code, said


def test_what_comes_later_is_shown_once_until_somebody_ends_it(engine):
    """By Ctrl-C, or by reading no more, also when nothing is written any more."""
    invoke(engine, "bills", say="the first")
    one, other = Following(engine, "bills"), Following(engine, "bills")
    seen = [one.line() for _ in range(4)]
    other.line()
    invoke(engine, "bills", say="the second")
    seen += [one.line() for _ in range(4)]
    one.process.send_signal(signal.SIGINT)
    other.process.stdout.close()

    assert ["START", "the", "END", "REPORT"] * 2 == list(map(words_of, map(str.strip, seen)))
    assert "the second" in seen[5]
    assert (0, b"") == one.ended()
    assert (0, b"") == other.ended()
