"""`[engine] observers`: what else sees every invocation, named in the configuration."""

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

    assert outcome.payload == 1
    assert (counted, watcher.seen) == (1, ["began", "success", "closed"])


async def test_an_observer_that_is_not_there_is_one_clear_problem():
    """With the nearest name."""
    hello = Function("hello", handler="handlers.hello.handler")
    engine = Engine([hello], platform=virtual_platform(), observers=["otl"])

    with pytest.raises(
        ConfigError, match=r"engine\.observers: observer 'otl': not registered, did you mean 'otel'"
    ):
        await engine.__aenter__()
