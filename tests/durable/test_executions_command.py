"""`engine executions` against an engine with durable functions."""

import json

import pytest
from click.testing import CliRunner

from engine.cli import main

pytestmark = pytest.mark.real_time


@pytest.fixture
def executions(served):
    """Runs the command; returns its exit code, stdout and stderr."""

    def run(*words):
        done = CliRunner().invoke(main, ["executions", *words, "--url", f"http://{served.address}"])
        return done.exit_code, done.stdout, done.stderr

    return run


def test_executions_are_listed_shown_and_changed_by_name(served, executions, tmp_path):
    arn = served.start("approval", DurableExecutionName="command-1")
    served.until(lambda: served.events(arn), lambda found: "InvocationCompleted" in found)
    page = tmp_path / "page.html"

    code, listed, _ = executions("list", "--status", "running", "--json")
    assert (0, True) == (code, arn in [json.loads(one)["DurableExecutionArn"] for one in listed.splitlines()])
    rows = executions("list", "approval")[1].splitlines()
    assert [["RUNNING", "approval:$LATEST", "command-1"]] == [
        row.split()[:3] for row in rows if "command-1" in row
    ]
    assert (0, f"{arn}\n", "") == executions("pause", "command-1", "--reason", "audit")
    refused = (1, "", "error: The execution is PAUSED and cannot be paused.\n")
    assert refused == executions("pause", arn)
    assert (0, f"{arn}\n", "") == executions("resume", "command-1", "--function", "approval")
    assert (0, f"{arn}\n", "") == executions("stop", "command-1", "--message", "enough")
    code, drawn, _ = executions("show", "command-1")
    assert (0, "approval:$LATEST  command-1  STOPPED") == (code, drawn.splitlines()[0])
    assert "enough" == drawn.splitlines()[2]
    assert ["resumed: audit"] == [row[-14:] for row in drawn.splitlines() if "  paused  " in row]
    assert (0, "", "") == executions("show", arn, "--html", str(page))
    assert '"EventType":"ExecutionStopped"' in page.read_text()
    shown = json.loads(executions("show", arn, "--json")[1])
    assert ("STOPPED", "ExecutionStarted") == (shown["execution"]["Status"], shown["events"][0]["EventType"])
    assert (0, f"{arn}\n", "") == executions("delete", "command-1")
    assert 1 == executions("show", arn)[0]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("list", "nobody"), 1, "Function not found"),
        (("show", "nothing"), 1, "no durable function has an execution of the name nothing"),
        (("stop", "nothing", "--function", "waiter"), 1, "no function waiter has an execution of the name"),
    ],
)
def test_what_is_not_there_is_one_line(executions, words, code, said):
    found, out, err = executions(*words)
    assert (code, "", 1) == (found, out, err.count("\n"))
    assert said in err


def test_no_engine_is_one_line():
    done = CliRunner().invoke(main, ["executions", "list", "--url", "http://127.0.0.1:1"])
    assert (2, 1) == (done.exit_code, done.stderr.count("\n"))
    assert "cannot connect to 127.0.0.1:1" in done.stderr
