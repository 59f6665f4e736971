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

class Client:
    def get(self):
        return "AWS"

client = Client()
seen = []

def reads(event, context):
    seen.append(event)
    return [client.get(), seen]

async def areads(event, context):
    return reads(event, context)

def meets(event, context):
    time.sleep(0.2)
    return reads(event, context)
"""

TESTS = """
import asyncio, os, socket, sys
from unittest import mock
import pytest
from engine import Engine, Function

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

class Fake:
    def get(self):
        return "fake"

CLIENTS = [Function("def", handler="app.reads"), Function("async", handler="app.areads")]
NAMED = [
    Function("loop", handler="app.areads", executor="loop"),
    Function("thread", handler="app.reads", executor="thread"),
]

@pytest.mark.engine(*CLIENTS)
@pytest.mark.parametrize("name", ["def", "async"])
class TestPatches:
    async def test_before_the_first_invocation(self, engine, name):
        with mock.patch("app.client", Fake()):
            assert ["fake", [1]] == (await engine.invoke(name, 1)).payload
        assert ["AWS", [1, 2]] == (await engine.invoke(name, 2)).payload

    async def test_after_the_first_invocation(self, engine, name, monkeypatch):
        assert ["AWS", [1]] == (await engine.invoke(name, 1)).payload
        monkeypatch.setattr("app.client", Fake())
        assert ["fake", [1, 2]] == (await engine.invoke(name, 2)).payload

    async def test_after_new_code(self, engine, name):
        await engine.invoke(name, 1)
        await engine.renew()
        with mock.patch("app.client", Fake()):
            assert ["fake", [2]] == (await engine.invoke(name, 2)).payload

    def test_in_a_plain_function(self, engine_sync, name):
        import app
        assert ["AWS", [1]] == engine_sync.invoke(name, 1).payload
        with mock.patch.object(app, "client", Fake()):
            assert ["fake", [1, 2]] == engine_sync.invoke(name, 2).payload
        assert [1, 2] == app.seen

@pytest.mark.engine(*NAMED, real_time=True)
@pytest.mark.parametrize("name", ["loop", "thread"])
def test_patches_on_an_executor_that_was_named(engine_sync, monkeypatch, name):
    monkeypatch.setattr("app.client", Fake())
    assert ["fake", [1]] == engine_sync.invoke(name, 1).payload

@pytest.mark.engine(Function("f", handler="app.meets"), real_time=True)
def test_patches_reach_every_environment(engine_sync, monkeypatch):
    monkeypatch.setattr("app.client", Fake())
    async def both():
        return await asyncio.gather(*(engine_sync.engine.invoke("f", number) for number in range(2)))
    outcomes = engine_sync.run(both())
    assert ["fake"] * 2 == [outcome.payload[0] for outcome in outcomes]
    assert [True] * 2 == [outcome.cold_start for outcome in outcomes]

@pytest.mark.engine(Function("def", handler="kept.reads"), isolated=True)
def test_isolation_if_it_is_asked_for(engine_sync, monkeypatch):
    monkeypatch.setattr("kept.client", Fake())
    assert ["AWS", [1]] == engine_sync.invoke("def", 1).payload

@pytest.mark.engine(SLEEPER)
def test_virtual_time_of_plain_functions(engine_sync):
    assert 800 == engine_sync.invoke("sleeper", 800).payload

@pytest.mark.parametrize("name", ["loop", "thread"])
def test_an_engine_without_the_fixture_has_its_first_environment_in_the_module(name):
    async def main():
        kind = {"loop": "areads", "thread": "meets"}[name]
        function = Function(name, handler=f"kept.{kind}", executor=name)
        async with Engine([function]) as engine:
            with mock.patch("kept.client", Fake()):
                outcomes = await asyncio.gather(*(engine.invoke(name, number) for number in range(2)))
            return sorted(outcome.payload[0] for outcome in outcomes)
    assert {"loop": ["fake", "fake"], "thread": ["AWS", "fake"]}[name] == asyncio.run(main())

def test_z_nothing_is_left():
    assert "app" not in sys.modules
"""

IMPORTED = """
import pytest
import kept as app
from engine import Function

AT_FIRST = app

@pytest.mark.engine(Function("def", handler="kept.reads"))
@pytest.mark.parametrize("renews", [False, True])
def test_a_module_that_the_file_imported_stays(engine_sync, monkeypatch, renews):
    import sys
    assert AT_FIRST is sys.modules["kept"]
    monkeypatch.setattr(app, "client", type("Fake", (), {"get": lambda self: "fake"})())
    assert "fake" == engine_sync.invoke("def", 1).payload[0]
    if renews:
        engine_sync.run(engine_sync.engine.renew())
        assert "AWS" == engine_sync.invoke("def", 1).payload[0]

def test_and_it_is_the_same_one_afterwards():
    import sys
    assert AT_FIRST is sys.modules["kept"]
"""


def run(folder, *, virtual):
    """pytest in a process of its own."""
    for name in ("app.py", "kept.py"):
        (folder / name).write_text(HANDLERS)
    (folder / "test_app.py").write_text(TESTS)
    (folder / "test_imported.py").write_text(IMPORTED)
    if virtual:
        (folder / "conftest.py").write_text(CONFTEST)
    (folder / "pytest.ini").write_text(INI)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--strict-markers"]
    if not virtual:
        command += ["-k", "not both_kinds"]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=100, check=False, env={**os.environ}
    )


@pytest.mark.parametrize("virtual", [True, False], ids=["virtual time", "real time"])
def test_the_fixture_runs_the_functions_of_the_marker(tmp_path, virtual):
    """In the test's own interpreter, where patches reach them; on virtual time 800 s pass at once.

    Without a marker it says what is missing.
    """
    done = run(tmp_path, virtual=virtual)
    passed = 22 if virtual else 21

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
        [sys.executable, "run.py"], cwd=folder, capture_output=True, text=True, timeout=100, check=False
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


PLAIN = (
    OTHERS
    + """
import asyncio
import pytest
from engine import Function

async def handler(event, context):
    await asyncio.sleep(event)
    return event

@pytest.mark.engine(Function("sleeper", handler="test_others.handler", timeout_s=900))
def test_mine(engine_sync):
    assert 800 == engine_sync.invoke("sleeper", 800).payload
"""
)


def test_plain_functions_need_no_pytest_asyncio(tmp_path):
    """Not even for handlers that are asynchronous."""
    done = without_asyncio(tmp_path, PLAIN)

    assert "2 passed" in done.stdout, done.stdout + done.stderr


FAILS = """
import pytest
from aws_durable_execution_sdk_python import durable_execution
from aws_durable_execution_sdk_python.config import Duration
from engine import DurableConfig, Function

@durable_execution
def order(event, context):
    context.wait(Duration.from_days(100), name="warranty")

@pytest.mark.engine(Function("order", handler="test_fails.order", durable=DurableConfig(366 * 24 * 3600)))
def test_fails(engine_sync):
    assert "FAILED" == engine_sync.execute("order").status
"""


def test_a_test_that_fails_shows_what_its_durable_executions_did(tmp_path):
    (tmp_path / "test_fails.py").write_text(FAILS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_fails.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=100)

    assert 1 == done.returncode
    assert "Durable executions" in done.stdout
    assert "wait warranty" in done.stdout
