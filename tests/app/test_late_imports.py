"""What is imported before an engine is ready, and by commands that need little of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine.app.at_once import started_at_once
from engine.app.early_start import started_early
from engine.config import from_targets
from engine.executors.module_names import IMPORTED_LATE
from engine.executors.process.parent.zygote_process import STARTED
from tests.late_imports import LATE

pytestmark = pytest.mark.real_time

HANDLER = "def handler(event, context):\n    return event\n"
LISTENERS = [word for name in ("http", "aws", "admin") for word in (f"--{name}", "127.0.0.1:0")]
SERVE = ["serve", "app.handler", *LISTENERS]
SERVE_FILE = ["serve", "--config", "engine.toml", *LISTENERS]
FILE = """
[engine]
grace_s = 3
hosts = ["engine.example"]

[functions.app]
handler = "app.handler"
timeout_s = 2.5
environment = { TABLE = "orders" }
tags = { team = "a" }
aliases = ["live"]

[[functions.app.events]]
type = "http"
path = "/app"
cors = { origins = ["*"] }

[[functions.app.events]]
type = "sqs"
queue = "orders"
filters = ['{"body": {"a": [1]}}']

[[functions.app.events]]
type = "schedule"
schedule = "rate(1 hour)"

[[functions.app.events]]
type = "replay"
file = "trace.jsonl"

[[functions.app.events]]
type = "s3"
bucket = "photos"

[queues.orders]
redrive = { dead_letter_queue = "dead", max_receive_count = 3 }

[buckets.photos]
versioning = true
notifications = [{ queue = "orders", suffix = ".jpg" }]
cors = [{ origins = ["*"], methods = ["GET"] }]

[s3]
max_put_mb = 5
"""
COST = ["cost", "--requests", "3M", "--duration-ms", "120", "--memory-mb", "1024"]
SERVED_LATER = (
    *("engine.services.lambda_api", "engine.services.s3.service"),
    *("engine.services.sqs.service", "engine.sources.s3", "engine.sources.sqs"),
    *("email", "http.client", "urllib.request", "xml"),
)
NEVER = (
    *("importlib.metadata", "rich", "yaml", "watchfiles", "awscrt", "botocore", "numpy"),
    "stringprep",  # what a listener's name in plain letters needs no table for
)
"""Not even with all sources and services."""
BROUGHT = {"engine", "engine__mypyc", "cython_runtime", "typing_extensions", "sniffio"}
"""By others, with some versions of Python and of theirs; and what is compiled."""
EVERYWHERE = "click engine.__main__ engine.cli engine.version"
PACKAGES = {
    "help": EVERYWHERE,
    "cost": f"{EVERYWHERE} engine.core engine.errors engine.model engine.report",
    "serve": f"{EVERYWHERE} anyio httptools orjson simplejson uvloop engine.app engine.config engine.console "
    "engine.core engine.errors engine.executors engine.machine engine.packages engine.ports engine.protocols "
    "engine.registry engine.runtime engine.services engine.sources engine.telemetry engine.timer",
}
"""All that a command imports besides the standard library: packages of the engine, and those of others."""


TOLD = """
import atexit, json, os, sys

dumps = json.dumps


def tell():
    with open("imported", "w") as file:
        file.write("\\n".join(sorted(sys.modules)))


def dumps_or_end(document, **options):
    if document.get("ready"):
        tell()
        os._exit(0)
    return dumps(document, **options)


json.dumps = dumps_or_end
atexit.register(tell)
sys.argv = ["engine", *sys.argv[1:]]
from engine.__main__ import main

main()
"""
"""Runs a command, and writes what is imported when it ends, or in the moment in which a server is ready."""


def imported(folder: Path, words: list[str]) -> list[str]:
    """What the command imports until it ends, or its server says that it is ready."""
    command = [sys.executable, "-c", TOLD, *words]
    subprocess.run(command, cwd=folder, capture_output=True, timeout=100, check=True)
    return (folder / "imported").read_text().split()


def among(found: list[str], *modules: str) -> set[str]:
    """Those of `modules` that were imported, or something below them was."""
    return {name for name in modules if any(f"{one}.".startswith(f"{name}.") for one in found)}


def packages(found: list[str]) -> set[str]:
    """The packages of those modules: the engine's own, and others' that are not of the standard library."""
    own = {".".join(name.split(".")[:2]) for name in found if name.startswith("engine.")}
    others = {name.partition(".")[0] for name in found} - sys.stdlib_module_names - BROUGHT
    return own | {name for name in others if not name.startswith("_")}


@pytest.mark.parametrize(
    ("command", "words", "most"),
    [("help", ["--help"], 140), ("cost", COST, 230), ("serve", SERVE, 520)],
    ids=PACKAGES,
)
def test_nothing_is_imported_that_is_not_needed_yet(tmp_path, command, words, most):
    """Each is imported when it is first used; `most` is some way above how many modules there are."""
    (tmp_path / "app.py").write_text(HANDLER)
    found = imported(tmp_path, words)

    assert {*PACKAGES[command].split()} == packages(found) - {
        "engine__mypyc"
    }  # it holds the compiled modules
    assert set() == among(found, *LATE, *SERVED_LATER, *NEVER)
    assert len(found) <= most


def test_a_file_without_problems_is_read_without_what_tells_them(tmp_path):
    """Each kind of table is there, and services are imported before it is ready."""
    (tmp_path / "app.py").write_text(HANDLER)
    (tmp_path / "trace.jsonl").write_text('{"timestamp": 0, "payload": {}}\n')
    (tmp_path / "engine.toml").write_text(FILE)

    assert set() == among(imported(tmp_path, SERVE_FILE), "pydantic", "difflib", *NEVER)


def test_names_that_are_imported_while_handlers_run_are_known(tmp_path):
    """A handler's file of such a name would be imported instead: it is told before."""
    (tmp_path / "app.py").write_text(HANDLER)
    before = {name.partition(".")[0] for name in imported(tmp_path, SERVE)}
    late = "difflib, engine.app.services, engine.telemetry.exposition, pydantic"
    code = f"import sys, {late}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names = {name.partition(".")[0] for name in done.stdout.split()} - before
    files = {name for name in names & sys.stdlib_module_names if not name.startswith("_")}

    assert set() == files - {*sys.builtin_module_names} - IMPORTED_LATE


STARTS = """
import sys


def see(event, arguments):
    if event == "subprocess.Popen":
        with open("starts", "a") as file:
            told = [name for name in ("click", "engine.config", "engine.app.engine") if name in sys.modules]
            print(told, file=file)


sys.addaudithook(see)
"""
"""Notes for each process that is started what is imported by then."""
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}


@pytest.mark.parametrize(
    ("words", "starts"),
    [
        (SERVE, "[]\n"),
        ([*SERVE, "--env", "A=b"], "['click', 'engine.config']\n"),
        (SERVE_FILE, "['click', 'engine.config']\n"),
        ([*SERVE, "--executor", "thread"], ""),
        (["serve", "app.coroutine", *LISTENERS], ""),
        (["serve", "a=app.coroutine", "b=app.handler", *LISTENERS], "[]\n"),
    ],
    ids=["plain", "option", "file", "thread", "async", "both"],
)
def test_what_environments_are_forked_from_starts_while_the_engine_is_imported(tmp_path, words, starts):
    """It takes as long as the rest: so it is the first thing of all where that is plain; once, if needed."""
    (tmp_path / "app.py").write_text(f"{HANDLER}\n\nasync def coroutine(event, context):\n    return event\n")
    (tmp_path / "trace.jsonl").write_text('{"timestamp": 0, "payload": {}}\n')
    (tmp_path / "engine.toml").write_text(FILE)
    (tmp_path / "starts").touch()
    command = [sys.executable, "-c", STARTS + TOLD, *words]
    subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, timeout=100, check=True)

    assert starts == (tmp_path / "starts").read_text()


def test_what_was_started_at_once_and_is_not_needed_ends(tmp_path, monkeypatch):
    """By the command line it was a guess; the configuration decides."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    (tmp_path / "app.py").write_text(f"{HANDLER}\n\nasync def coroutine(event, context):\n    return event\n")
    config = from_targets(["app.coroutine"], {})
    with started_at_once(["app.coroutine", "--state-dir", "app.handler"]) as at_once:
        process = at_once[STARTED].process
        with started_early(config, at_once) as started:
            code = process.returncode

    assert ({}, -signal.SIGKILL) == (started, code)
