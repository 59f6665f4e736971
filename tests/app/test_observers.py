"""`[engine] observers`: what else sees every invocation, named in the configuration."""

import asyncio
import importlib
import sys

import pytest

from engine import Engine, Function
from engine.errors import ConfigError
from engine.testing import virtual_platform

MODULE = '''
class Watcher:
    """Keeps what it sees, and where it was made."""

    made = []

    def __init__(self, account):
        self.account, self.seen = account, []
        self.made.append(self)

    @classmethod
    def build(cls, account, clock):
        return cls(account)

    def began(self, invocation):
        self.seen.append("began")

    def ended(self, invocation, outcome, error_type):
        self.seen.append(outcome.status.value)

    def refused(self, event, outcome, reason):
        self.seen.append(reason)

    def noticed(self, notice):
        pass

    def close(self):
        self.seen.append("closed")

def handler(event, context):
    return 1
'''


@pytest.fixture
def watching(tmp_path, monkeypatch):
    """The module of an observer of somebody else's."""
    (tmp_path / "watching.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


async def test_an_observer_sees_every_invocation_and_is_closed(watching):
    """Beside metrics and log, from began to the end of the engine."""
    hello = Function("hello", handler="watching.handler", code=str(watching))
    async with Engine([hello], platform=virtual_platform(), observers=["watching:Watcher"]) as engine:
        outcome = await engine.invoke("hello")
        counted = engine.stats.functions["hello"].duration.count

    import watching as module

    (watcher,) = module.Watcher.made

    assert 1 == outcome.payload
    assert (1, ["began", "success", "closed"]) == (counted, watcher.seen)


async def test_an_observer_that_is_not_there_is_one_clear_problem():
    """With the nearest name."""
    hello = Function("hello", handler="handlers.hello.handler")

    with pytest.raises(
        ConfigError, match=r"engine\.observers\[0\]: 'otl' is no observer, did you mean 'otel'"
    ):
        Engine([hello], platform=virtual_platform(), observers=["otl"])


RAISING = """
import asyncio

class Raises:
    raised = None

    @classmethod
    def build(cls, account, clock):
        return cls()

    def _raise(self, *_):
        raise self.raised

    began = ended = refused = noticed = close = _raise

class NoMethods:
    @classmethod
    def build(cls, account, clock):
        return cls()

class NotBuilt:
    @classmethod
    def build(cls, account, clock):
        raise RuntimeError("no address\\nof the collector")

def handler(event, context):
    if event == "fail":
        raise LookupError("not there")
    return 1
"""


class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError("not even this")


@pytest.fixture
def raising(tmp_path, monkeypatch):
    """The module of observers that raise."""
    (tmp_path / "raising.py").write_text(RAISING)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "raising", raising=False)
    return importlib.import_module("raising")


ERRORS = [
    ValueError("two\nlines"),
    SystemExit(3),
    KeyboardInterrupt(),
    asyncio.CancelledError(),
    GeneratorExit(),
    StopIteration(),
    RecursionError("deep"),
    Unspeakable(),
    ExceptionGroup("some", [OSError(1, "x")]),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("name", ["raising:Raises", "raising:NoMethods"])
async def test_an_observer_that_raises_changes_nothing_for_anybody(
    raising, tmp_path, monkeypatch, name, error
):
    """Callers are answered, environments and the places of the account given back; one line, and a count."""
    monkeypatch.setattr(raising.Raises, "raised", error)
    function = Function("f", handler="raising.handler", code=str(tmp_path), reserved_concurrency=1)
    lines, settings = [], {"observers": [name, "watching:Watcher"], "concurrency_limit": 200}
    (tmp_path / "watching.py").write_text(MODULE)
    async with Engine([function], platform=virtual_platform(), write_log=lines.append, **settings) as engine:
        answers = [(await engine.invoke("f", payload)).status for payload in (1, "fail", 2)]
        together = await asyncio.gather(engine.invoke("f"), engine.invoke("f"))
        failures, stats = engine.stats.observer_failures, engine.stats.functions["f"]
    told = [line for text in lines for line in text.splitlines() if "the observer" in line]

    assert ["success", "error", "success"] == answers
    assert ["success", "throttled"] == sorted(outcome.status for outcome in together)
    assert (4, 4, 1) == (failures["began"], failures["ended"], failures["refused"])
    assert 4 == stats.duration.count
    assert 1 == len(told)
    assert f"the observer {name} raised" in told[0]


async def test_an_observer_that_cannot_be_built_is_one_clear_problem(raising, tmp_path):
    function = Function("f", handler="raising.handler", code=str(tmp_path))
    engine = Engine([function], platform=virtual_platform(), observers=["raising:NotBuilt"])

    with pytest.raises(
        ConfigError, match=r"engine\.observers: 'raising:NotBuilt' cannot be built: RuntimeErr"
    ):
        await engine.__aenter__()
