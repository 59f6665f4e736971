"""`engine invoke`: where its event comes from, and what runs it."""

import asyncio
import json
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from engine import Engine, Function
from engine.cli import main

HANDLER = """
import threading

def handler(event, context):
    return [event, threading.current_thread() is threading.main_thread()]
"""


@pytest.mark.real_time
@pytest.mark.parametrize(("executor", "is_main"), [("thread", False), ("process", True)])
def test_an_event_in_place_is_given_to_the_handler_on_the_executor_that_is_asked_for(
    tmp_path, executor, is_main
):
    """Payload alone on stdout."""
    (tmp_path / "app.py").write_text(HANDLER)
    words = ["invoke", "app.handler", "--event", '{"inline": 1}', "--executor", executor]
    done = subprocess.run(
        [sys.executable, "-m", "engine", *words], cwd=tmp_path, capture_output=True, check=True
    )

    assert [{"inline": 1}, is_main] == json.loads(done.stdout)


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ('{"inline": ', '--event {"inline": : no such file, and not JSON: '),
        ("12.json", "--event 12.json: no such file, and not JSON: "),
        ("event.json", "--event event.json: No such file or directory"),
        ("nullable", "--event nullable: No such file or directory"),
        ("[1]", "--event [1]: not JSON: "),
        ("\udcff", "No such file or directory"),
        ('"\udcff"', "no such file, and not JSON: "),
        ("[" * 5000, "no such file, and not JSON: "),
    ],
)
def test_an_event_that_is_none_is_one_line(tmp_path, monkeypatch, event, said):
    """A file of that name comes first."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "[1]").write_text("no JSON")
    done = CliRunner().invoke(main, ["invoke", "app.handler", "--event", event])

    assert (2, 1) == (done.exit_code, done.stderr.count("\n"))
    assert said in done.stderr


@pytest.mark.parametrize("option", ["--executor", "--python"])
def test_what_a_running_engine_decides_is_refused_with_its_url(option):
    """Rather than ignored."""
    done = CliRunner().invoke(main, ["invoke", "hello", "--url", "http://127.0.0.1:1", option, "thread"])

    assert 2 == done.exit_code
    assert f"{option} and --url exclude each other" in done.stderr


FLOW = """
import json
from aws_durable_execution_sdk_python import durable_execution
from aws_durable_execution_sdk_python.config import Duration

@durable_execution
def order(event, context):
    context.wait(Duration.from_days(365), name="warranty")
    return json.loads(context.wait_for_callback(lambda callback_id, _: None, name="approve"))
"""


@pytest.mark.real_time
def test_a_durable_function_is_run_on_virtual_time_and_its_timeline_shown(tmp_path):
    """A year later its callback is answered."""
    (tmp_path / "flow.py").write_text(FLOW)
    words = ["invoke", "flow.order", "--durable", "--virtual-time", "--callback", 'approve={"ok": true}']
    done = subprocess.run(
        [sys.executable, "-m", "engine", *words], cwd=tmp_path, capture_output=True, check=True, text=True
    )

    assert {"ok": True} == json.loads(done.stdout)
    assert "wait warranty" in done.stderr
    assert "took 365 d: 3 invocations" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--seed", "1"], "--seed needs --virtual-time"),
        (["--callback", "approve"], "--callback approve: must be NAME=JSON"),
        (["--callback", "approve=yes"], "--callback approve=yes: must be NAME=JSON"),
        (["--durable", "--config", "engine.toml"], "--durable is for MODULE.FUNCTION"),
        (["--virtual-time", "--url", "http://127.0.0.1:1"], "--url excludes --durable, --virtual-time"),
    ],
)
def test_options_of_durable_functions_that_do_not_go_together_are_refused(words, said):
    result = CliRunner().invoke(main, ["invoke", "app.handler", *words])

    assert 2 == result.exit_code
    assert said in result.output


@pytest.mark.real_time
def test_what_a_generator_yields_is_printed_as_it_comes(tmp_path):
    """An error in the middle is a line of standard error: what came may be a file."""
    (tmp_path / "app.py").write_text(
        "def handler(event, context):\n    yield 'one '\n    yield b'two'\n    raise LookupError(event)\n"
    )
    words = ["invoke", "app.handler", "--streaming", "--executor", "thread"]
    done = subprocess.run(
        [sys.executable, "-m", "engine", *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    error = done.stderr.splitlines()[-1]

    assert (1, "one two", "LookupError") == (done.returncode, done.stdout, json.loads(error)["errorType"])
    assert 1 == done.stderr.count("AWS has announced streaming for Python, not shipped it")


@pytest.mark.real_time
def test_a_stream_is_printed_byte_for_byte_however_slowly_it_is_read(tmp_path):
    """Nothing is dropped, and no newline is added to what may be a file."""
    (tmp_path / "app.py").write_text(
        "def handler(event, context):\n    for _ in range(160):\n        yield bytes(65_536)\n"
    )
    words = ["invoke", "app.handler", "--streaming", "--executor", "thread"]
    with subprocess.Popen(
        [sys.executable, "-m", "engine", *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as invoked:
        first = invoked.stdout.read(1)
        time.sleep(0.3)  # the pipe is full; what else could be kept is less than what comes
        rest = invoked.stdout.read()

    assert (0, 160 * 65_536) == (invoked.returncode, len(first + rest))


@pytest.mark.real_time
def test_a_reader_of_a_stream_that_goes_ends_nothing(tmp_path):
    (tmp_path / "app.py").write_text(
        "def handler(event, context):\n    for _ in range(16):\n        yield bytes(65_536)\n"
    )
    words = ["invoke", "app.handler", "--streaming", "--executor", "thread"]
    with subprocess.Popen(
        [sys.executable, "-m", "engine", *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as invoked:
        invoked.stdout.read(1)
        invoked.stdout.close()
        log = invoked.stderr.read()

    assert (0, True) == (invoked.returncode, "REPORT RequestId" in log)


REMOTE = """
import os, time

def streams(event, context):
    print("it runs")
    yield b"first"
    while not os.path.exists(event["gate"]):
        time.sleep(0.002)
    yield b"x" * event["bytes"]
    if event["fails"]:
        raise LookupError("not in stock")

def whole(event, context):
    return 1 / event
"""


@pytest.fixture
async def remote(tmp_path):
    """An engine that runs, and what starts `engine invoke` of a function of it."""
    (tmp_path / "app.py").write_text(REMOTE)
    keys = {"code": str(tmp_path), "executor": "thread", "timeout_s": 60}
    functions = [
        Function("streams", handler="app.streams", streaming="generator", **keys),
        Function("whole", handler="app.whole", **keys),
    ]
    async with Engine(functions, aws="127.0.0.1:0") as engine:

        async def start(function, event):
            words = ["invoke", function, "--url", engine.addresses.aws, "--event", json.dumps(event)]
            return await asyncio.create_subprocess_exec(
                sys.executable, "-m", "engine", *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )

        yield start


@pytest.mark.real_time
async def test_a_running_engine_gives_a_stream_as_it_comes(remote, tmp_path):
    """More than a whole response may have; what came before an error is printed, and nothing is added."""
    gate = tmp_path / "gate"
    invoked = await remote("streams", {"gate": str(gate), "bytes": 7_000_000, "fails": 1})
    first = await invoked.stdout.readexactly(5)
    gate.touch()
    rest, log = await invoked.communicate()

    assert (1, b"first", b"x" * 7_000_000) == (invoked.returncode, first, rest)
    assert b"REPORT RequestId" in log
    assert "LookupError" == json.loads(log.splitlines()[-1])["errorType"]


@pytest.mark.real_time
async def test_a_running_engine_gives_a_result_on_a_line(remote):
    """An error too, where nothing has been streamed."""
    invoked = await remote("whole", 0)
    out, _ = await invoked.communicate()

    assert (1, 1) == (invoked.returncode, out.count(b"\n"))
    assert "ZeroDivisionError" == json.loads(out)["errorType"]


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["invoke", "app.streams", "--streaming", "--event", '{"gate": "app.py", "bytes": 1, "fails": 0}'],
            "standard output",
        ),
        (["events", "sqs"], "standard output"),
        (["rules"], "output"),  # more than Python keeps for the next try
    ],
)
def test_output_that_finds_no_space_is_one_line(tmp_path, words, said):
    """It is the result of the command."""
    (tmp_path / "app.py").write_text(REMOTE)
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "engine", *words],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert (1, False) == (done.returncode, "Traceback" in done.stderr)
    assert f"error: {said}: No space left on device" == done.stderr.splitlines()[-1]
