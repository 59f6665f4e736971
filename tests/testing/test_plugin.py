"""The pytest plugin: what the author of a handler gets for a test."""

import os
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.real_time, pytest.mark.slow]

CONFTEST = """
from engine.testing import VirtualTimeLoop

def pytest_asyncio_loop_factories(config, item):
    return {"virtual": VirtualTimeLoop}
"""

INI = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""

HANDLERS = """
import asyncio, os, socket, time

async def sleeper(event, context):
    await asyncio.sleep(event)
    return event

def plain(event, context):
    return {"hello": event["name"]}

def found(event, context):
    return [os.getpid(), socket.gethostname()]
"""

TESTS = """
import asyncio, os, socket
import pytest
from engine import Function

PLAIN = Function("plain", handler="app.plain")
SLEEPER = Function("sleeper", handler="app.sleeper", timeout_s=900)

@pytest.mark.engine(PLAIN, SLEEPER)
async def test_both_kinds(engine):
    assert {"hello": "Ada"} == (await engine.invoke("plain", {"name": "Ada"})).payload
    assert 800 == (await engine.invoke("sleeper", 800)).payload

@pytest.mark.engine(Function("sleeper", handler="app.sleeper"), concurrency_limit=2)
async def test_settings(engine):
    outcomes = await asyncio.gather(*(engine.invoke("sleeper", 1) for _ in range(3)))
    assert ["success", "success", "throttled"] == [outcome.status for outcome in outcomes]

@pytest.mark.engine(Function("found", handler="app.found"))
async def test_patches(engine, monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "patched")
    assert [os.getpid(), "patched"] == (await engine.invoke("found")).payload

async def test_without_marker(engine):
    pass
"""


def run(folder, *, virtual):
    """pytest in a process of its own."""
    (folder / "app.py").write_text(HANDLERS)
    (folder / "test_app.py").write_text(TESTS)
    if virtual:
        (folder / "conftest.py").write_text(CONFTEST)
    (folder / "pytest.ini").write_text(INI)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--strict-markers"]
    if not virtual:
        command += ["-k", "not both_kinds"]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=50, check=False, env={**os.environ}
    )


@pytest.mark.parametrize("virtual", [True, False], ids=["virtual time", "real time"])
def test_the_fixture_runs_the_functions_of_the_marker(tmp_path, virtual):
    """In the test's own interpreter; on virtual time a quarter of an hour passes at once.

    Without a marker it says what is missing.
    """
    done = run(tmp_path, virtual=virtual)
    passed = 3 if virtual else 2

    assert f"{passed} passed" in done.stdout, done.stdout + done.stderr
    assert "1 error" in done.stdout
    assert "the fixture `engine` needs @pytest.mark.engine(Function(...), ...)" in done.stdout


WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "pytest_asyncio":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
import pytest
from importlib import metadata

entry_points = metadata.Distribution.entry_points
metadata.Distribution.entry_points = property(
    lambda self: [one for one in entry_points.fget(self) if one.value != "pytest_asyncio.plugin"]
)
code = pytest.main(["-q", "-p", "no:cacheprovider", "-W", "error"])
print("imported:", sorted(name for name in sys.modules if name.partition(".")[0] == "engine"))
sys.exit(code)
"""

OTHERS = """
def test_of_somebody_else():
    pass
"""


def without_asyncio(folder, tests):
    """pytest as it is where pytest-asyncio is not installed."""
    (folder / "test_others.py").write_text(tests)
    (folder / "run.py").write_text(WITHOUT)
    return subprocess.run(
        [sys.executable, "run.py"], cwd=folder, capture_output=True, text=True, timeout=50, check=False
    )


def test_without_pytest_asyncio_other_tests_run_and_nothing_of_the_engine_is_imported(tmp_path):
    """Every run of pytest in the environment loads the plugin."""
    done = without_asyncio(tmp_path, OTHERS)

    assert (0, True) == (done.returncode, "1 passed" in done.stdout), done.stdout + done.stderr
    assert "imported: ['engine', 'engine.testing', 'engine.testing.plugin']" in done.stdout


def test_without_pytest_asyncio_a_test_that_uses_the_fixture_says_what_it_needs(tmp_path):
    """And no other test of the same file fails."""
    done = without_asyncio(tmp_path, OTHERS + "\n\ndef test_mine(engine):\n    pass\n")

    assert "1 passed, 1 error" in done.stdout, done.stdout + done.stderr
    assert "the fixture `engine` needs pytest-asyncio" in done.stdout
    assert "pip install 'invocation-engine[testing]'" in done.stdout
