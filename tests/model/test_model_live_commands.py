"""`engine tune`, `engine replay` and `engine simulate --live`: real processes, sockets and clocks."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from engine.cli import main
from engine.machine.cores import usable_cores

LARGEST_MB = 10_240
ROOT = Path(__file__).parents[2]
ENGINE = Path(sys.executable).with_name("engine")

pytestmark = [
    pytest.mark.real_time,
    pytest.mark.skipif(sys.platform != "linux", reason="the process executor needs Linux"),
]


def run(*words, code=0):
    done = subprocess.run([ENGINE, *map(str, words)], cwd=ROOT, capture_output=True, text=True, timeout=100)

    assert code == done.returncode, done.stderr
    return done


def refused(*words, code=2):
    """What is said on stderr, without a process of its own."""
    done = CliRunner().invoke(main, [str(word) for word in words])

    assert code == done.exit_code
    return done.stderr


@contextmanager
def serving(*words):
    """The aws address of an engine."""
    command = [ENGINE, "serve", *words, "--log-format", "off"]
    ports = [f"--{name}=127.0.0.1:0" for name in ("http", "aws", "admin")]
    with subprocess.Popen([*command, *ports], cwd=ROOT, stdout=subprocess.PIPE) as engine:
        try:
            yield json.loads(engine.stdout.readline())["aws"]
        finally:
            engine.terminate()


def test_a_handler_is_measured_and_extrapolated_where_the_machine_is_too_small(tmp_path):
    """One that waits: little CPU, the smallest size is the cheapest; memory and init are seen."""
    event = tmp_path / "event.json"
    event.write_text('{"seconds": 0.02}')
    printed = run(
        *("tune", "handlers.sleeper.handler", "--event", event, "--runs", 5, "--json"),
        *("--sizes", f"128,{LARGEST_MB}"),
    ).stdout
    found = json.loads(printed)

    assert "measured" == found["method"]
    assert found["cpu_share"] < 0.5
    assert 128 == found["cheapest_mb"]
    assert found["sizes"][0]["p50_s"] >= 0.02
    assert found["peak_mb"] > 5
    assert [True, LARGEST_MB / 1769 <= usable_cores()] == [size["measured"] for size in found["sizes"]]
    assert "128" in found["cpu_given"]
    assert "initialisation has a whole vCPU at every size" in found["assumptions"]
    file = tmp_path / "tuned.json"
    file.write_text(printed)
    planned = run("plan", "--traffic", 1, "--find", "memory", "--tuned", file, "--json").stdout
    assert {"memory": 128} == json.loads(planned)["found"]


def test_a_size_is_measured_with_the_cpu_and_the_memory_it_has_on_lambda(tmp_path):
    """20 ms of CPU are 276 at 128 MB, but for a first period; what needs more memory is said to."""
    (tmp_path / "app.py").write_text(
        "import os, time\n\n"
        "def handler(event, context):\n"
        "    end_s = time.process_time() + float(os.environ['CPU_S'])\n"
        "    while time.process_time() < end_s:\n        pass\n"
        "    kept = bytearray(150_000_000) if os.environ.get('LARGE') else b''\n"
    )
    (tmp_path / "engine.toml").write_text(
        '[functions.small]\nhandler = "app.handler"\nenvironment = {CPU_S = "0.02"}\n'
        '[functions.large]\nhandler = "app.handler"\nenvironment = {CPU_S = "0.001", LARGE = "yes"}\n'
    )
    words = ("--config", tmp_path / "engine.toml", "--runs", 5, "--sizes", "128,512", "--json")
    small = json.loads(run("tune", "small", *words).stdout)
    large = json.loads(run("tune", "large", *words, "--env", "CPU_S=0.002").stdout)

    assert 0.25 < small["sizes"][0]["mean_s"]
    assert [False, True] == [size["fits"] for size in large["sizes"]]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("handlers.hello.handler", "--sizes", "64"), "--sizes 64: memory is 128 to 10240 MB"),
        (("handlers.hello.handler", "--sizes", "a,b"), "must be whole numbers"),
        (("handlers.hello.handler", "--env", "x"), "--env x: must be NAME=VALUE"),
        (("nobody", "--config", "handlers/engine.toml"), "no function 'nobody'; it has "),
        (("handlers.hello.handler", "--event", "/nowhere"), "/nowhere: No such file"),
    ],
)
def test_what_cannot_be_tuned_is_one_line(words, problem):
    """And exit code 2."""
    (line,) = refused("tune", *words).splitlines()

    assert problem in line


def test_a_handler_that_does_not_succeed_is_one_line(tmp_path):
    """Why, as AWS words it."""
    (tmp_path / "app.py").write_text("import nothing_of_that_name\n\ndef handler(event, context): ...\n")
    (line,) = run("tune", "app.handler", "--code", tmp_path, code=2).stderr.splitlines()

    assert "the handler does not succeed (init_error): " in line
    assert "No module named 'nothing_of_that_name'" in line


STREAMS = """
import asyncio

def pieces(event, context):
    for _ in range(int(event)):
        yield bytes(1_000_000)

async def awaited(event, context):
    for _ in range(4):
        await asyncio.sleep(0.01)
        yield b"a piece"

def breaks(event, context):
    yield b"a piece"
    raise ValueError("after the first piece")

def no_json(event, context):
    return {1, 2}

def too_large(event, context):
    return "x" * 7_000_000
"""


@pytest.fixture
def streams(tmp_path):
    """A configuration of functions that stream, and of one whose generator nothing takes."""
    (tmp_path / "app.py").write_text(STREAMS)
    table = '[functions.{0}]\nhandler = "app.{0}"\nstreaming = "generator"\n'
    names = ("pieces", "awaited", "breaks", "no_json", "too_large")
    path = tmp_path / "engine.toml"
    path.write_text("".join(map(table.format, names)) + '[functions.plain]\nhandler = "app.pieces"\n')
    return path


def test_a_stream_is_measured_to_its_end(streams):
    """Not until its generator is made: waits and CPU are of all pieces, which may be over 6 MB."""
    words = ("--config", streams, "--event", "7", "--runs", 5, "--sizes", 128, "--cpu", "host", "--json")
    found = {
        name: json.loads(CliRunner().invoke(main, list(map(str, ("tune", name, *words)))).stdout)
        for name in ("pieces", "awaited")
    }

    assert 0.04 < found["awaited"]["sizes"][0]["p50_s"]
    assert found["awaited"]["cpu_share"] < found["pieces"]["cpu_share"]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("breaks", "(error): after the first piece"),
        ("plain", "(error): Unable to marshal response: Object of type generator"),
        ("no_json", "(error): Unable to marshal response: Object of type set"),
        ("too_large", "(error): Response payload size exceeded maximum allowed payload size"),
    ],
)
def test_what_an_invocation_would_fail_of_cannot_be_tuned(streams, name, problem):
    """A handler is called, and what it gives taken, as the executors do."""
    said = refused("tune", name, "--config", streams, "--event", "1", "--sizes", "128", "--cpu", "host")

    assert f"the handler does not succeed {problem}" in said.splitlines()[-1]


def test_a_trace_is_played_into_a_running_engine(tmp_path):
    """Its events at ten times their speed; the figures can be read by `engine simulate --observed`."""
    trace, observed = tmp_path / "trace.jsonl", tmp_path / "observed.json"
    rows = [{"timestamp": number / 10, "function": "hello", "payload": {}} for number in range(40)]
    trace.write_text("\n".join(map(json.dumps, rows)))
    with serving("hello=handlers.hello.handler") as url:
        found = run("replay", trace, "--speed", 10, "--url", url, "--json").stdout
        asynchronous = run("replay", trace, "--speed", 10, "--url", url, "--asynchronous", "--limit", 7)
        nobody = run("replay", trace, "--speed", 100, "--url", url, "--limit", 3)
    observed.write_text(found)
    simulated = run("simulate", "--trace", trace, "--observed", observed, "--json").stdout

    assert (40, 0) == (json.loads(found)["requests"], json.loads(found)["throttles"])
    assert json.loads(found)["cold_starts"] >= 1
    assert "status 202: 7" in asynchronous.stdout
    assert "status 200: 3" in nobody.stdout
    assert 40 == json.loads(simulated)["predicted_and_observed"][0]["observed"]


def test_a_replay_without_an_engine_or_with_a_wrong_line(tmp_path):
    """Exit code 1, a line on stderr with the reason."""
    good, wrong = tmp_path / "good.csv", tmp_path / "wrong.csv"
    good.write_text("timestamp,function\n0,hello\n0.1,hello\n")
    wrong.write_text("timestamp,function\nsoon,hello\n")
    nameless = tmp_path / "nameless.csv"
    nameless.write_text("timestamp\n1\n")
    url = ("--url", "http://127.0.0.1:9")

    assert "2 calls found no engine" in refused("replay", good, *url, code=1)
    assert f"{wrong}:2: timestamp" in refused("replay", wrong, *url, code=1)
    assert "names no function" in refused("replay", nameless, *url, code=1)
    assert "not an http:// URL" in refused("replay", good, "--url", "ftp://x")


def test_a_live_handler_that_does_not_succeed_is_one_line(tmp_path):
    """Nothing is compared."""
    event = tmp_path / "event.json"
    event.write_text('{"seconds": -1}')
    words = ("--live", "handlers.sleeper.blocking", "--event", event, "--traffic", 5, "--seconds", 0.2)
    (line,) = run("simulate", *words, code=2).stderr.splitlines()

    assert "the handler does not succeed (error): seconds must be 0 or more" in line


def test_a_prediction_is_held_against_the_live_engine(tmp_path):
    """Measured alone, predicted, played: every figure is there twice."""
    event = tmp_path / "event.json"
    event.write_text('{"seconds": 0.02}')
    words = ("--live", "handlers.sleeper.handler", "--executor", "loop", "--event", event, "--traffic", 20)
    found = json.loads(run("simulate", *words, "--seconds", 1, "--keep-alive-s", 0.2, "--json").stdout)
    rows = {row["name"]: row for row in found["predicted_and_observed"]}

    assert {"concurrency", "cold_starts", "cost_usd", "p99_ms"} <= set(rows)
    assert rows["requests"]["predicted"] == rows["requests"]["observed"] > 5


def test_a_function_of_a_configuration_runs_live_with_variables(tmp_path):
    """Its limits are those of the configuration, for prediction and run; any executor, Lambda's CPU."""
    (tmp_path / "app.py").write_text(
        "import os, time\n\ndef handler(event, context):\n    time.sleep(float(os.environ['PAUSE_S']))\n"
    )
    config = tmp_path / "engine.toml"
    config.write_text(
        '[functions.other]\nhandler = "app.handler"\n'
        '[functions.pause]\nhandler = "app.handler"\nmemory_mb = 256\nexecutor = "thread"\n'
    )
    words = ("simulate", "--live", "pause", "--config", config, "--traffic", 20, "--seconds", 1, "--json")
    threaded = json.loads(run(*words, "--env", "PAUSE_S=0.02").stdout)
    limited = json.loads(
        run(*words, "--env", "PAUSE_S=0.02", "--executor", "process", "--cpu", "lambda").stdout
    )
    rows = {row["name"]: row for row in threaded["predicted_and_observed"]}

    gb_s = sum(float(line["quantity"]) for line in threaded["cost_of_run"]["lines"] if "GB" in line["unit"])

    assert threaded["billed_ms"] / 1000 * 256 / 1024 == pytest.approx(gb_s)
    assert rows["requests"]["predicted"] == rows["requests"]["observed"] > 5
    assert rows["p50_ms"]["observed"] >= 20
    assert limited["predicted_and_observed"]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("--live nobody --config handlers/engine.toml", "no function 'nobody'; it has "),
        ("--live handlers.hello.handler --env x", "--env x: must be NAME=VALUE"),
        ("--live handlers.hello.handler --cpu lambda --executor loop", "--cpu lambda: needs the process"),
        ("--live handlers.hello.handler --executor nonsense", "nonsense"),
        ("--cpu lambda", "--cpu: would change nothing: needs --live"),
    ],
)
def test_what_cannot_run_live_is_one_line(words, problem):
    """And exit code 2."""
    (line,) = refused("simulate", "--traffic", 5, "--seconds", 0.2, *words.split()).splitlines()

    assert problem in line


def test_any_trace_is_played_into_a_running_engine(tmp_path):
    """REPORT lines and counts by minute, sorted; all to one function, with one event; a missing file is 2."""
    counts, log = tmp_path / "day.csv", tmp_path / "report.log"
    counts.write_text("HashOwner,HashApp,HashFunction,Trigger,1,2\no,a,f,http,3,1\no,a,g,http,0,2\n")
    report = "REPORT RequestId: x\tDuration: 5 ms\tBilled Duration: 5 ms\tMemory Size: 128 MB\n"
    line = f"2026-11-02T10:00:0{{}}Z {report}"
    log.write_text("".join(line.format(second) for second in (3, 1, 2)))
    event = tmp_path / "event.json"
    event.write_text('{"name": "all"}')
    with serving("hello=handlers.hello.handler") as url:
        words = ("--url", url, "--to", "hello", "--event", event, "--speed", 1000)
        counted = run("replay", counts, *words)
        logged = run("replay", log, *words)

    assert "status 200: 6" in counted.stdout
    assert "status 200: 3" in logged.stdout
    assert "/nowhere.csv: No such file" in refused("replay", "/nowhere.csv", code=2)
    assert "would change nothing: the trace has the moment" in refused("replay", log, "--spread", "even")


def test_a_replay_leaves_out_wrong_lines_on_demand(tmp_path):
    """And says how many; the others are sent."""
    trace = tmp_path / "t.csv"
    trace.write_text("timestamp,function\n0,hello\nsoon,hello\nlater,hello\n0.1,hello\n")
    said = refused("replay", trace, "--url", "http://127.0.0.1:9", "--skip-wrong-lines", code=1)

    assert "2 calls found no engine" in said
    assert f"warning: left out: {trace}:3: timestamp: 'soon' is neither" in said


def test_a_handler_in_another_folder_runs_live(tmp_path):
    """The folder of --code, which is looked into before anything runs."""
    (tmp_path / "elsewhere.py").write_text("def handler(event, context):\n    return event\n")
    words = ("--live", "elsewhere.handler", "--code", tmp_path, "--traffic", 10, "--seconds", 0.5)

    assert "observed" in run("simulate", *words, "--executor", "thread").stdout
    (line,) = refused("simulate", *words[:2], "--traffic", 1, "--code", tmp_path / "no").splitlines()
    assert "elsewhere" in line
