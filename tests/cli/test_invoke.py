"""`engine invoke`: where its event comes from, and what runs it."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

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
