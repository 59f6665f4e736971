"""`engine.serve`: a server inside a program; and engines that are called from where they do not run."""

import asyncio
import json
import urllib.request
from pathlib import Path

import pytest

import engine
from engine import ConfigError, Engine, EngineError, Function, NotAccepting
from engine.config import from_functions
from engine.testing import RecordingObserver, virtual_platform

HANDLER = """
async def handler(event, context):
    return {"path": event["rawPath"]} if isinstance(event, dict) else event
"""
SLOW = """
import time

def handler(event, context):
    time.sleep(0.2)
    return 1
"""
ANY_PORTS = {"http": "127.0.0.1:0", "aws": "127.0.0.1:0", "admin": "127.0.0.1:0"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory, with a handler."""
    (tmp_path / "app.py").write_text(HANDLER)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def got(url):
    """The body of an answer."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=60) as answer:
        return answer.read()


TOML = '[functions.hello]\nhandler = "app.handler"\n'


@pytest.mark.real_time
@pytest.mark.parametrize("given", ["functions", "file"])
async def test_the_listeners_of_engine_serve_are_open_inside_the_block(folder, given):
    """One function gets every request; nothing listens afterwards; observers see what happens."""
    Path("engine.toml").write_text(TOML)
    what = {"functions": [Function("hello", handler="app.handler")], "file": "engine.toml"}[given]
    observer = RecordingObserver()
    async with engine.serve(what, observers=[observer], **ANY_PORTS) as served:
        answer = await asyncio.to_thread(got, f"{served.http}/any/path")
        status = await asyncio.to_thread(got, f"{served.admin}/status.json")
        outcome = await served.engine.invoke("hello", 1)

    assert {"path": "/any/path"} == json.loads(answer)
    assert 1 == json.loads(status)["functions"]["hello"]["invocations"]["success"]
    assert 1 == outcome.payload
    assert 2 == observer.begun == len(observer.outcomes)
    assert served.aws.startswith("http://127.0.0.1:")
    with pytest.raises(OSError, match="refused"):
        got(served.http)
    with pytest.raises(NotAccepting):
        await served.engine.invoke("hello")


@pytest.mark.real_time
async def test_what_cannot_be_served_is_one_plain_error(folder):
    """Before anything is open: an address that is taken, keys nobody knows, a Config without listeners."""
    functions = [Function("hello", handler="app.handler")]
    async with engine.serve(functions, **ANY_PORTS) as served:
        taken = {**ANY_PORTS, "aws": served.aws.removeprefix("http://")}
        with pytest.raises(OSError, match=taken["aws"].rpartition(":")[2]):
            async with engine.serve(functions, **taken):
                pass
    for what, settings in ((functions, {"htp": "x"}), (from_functions(functions), {})):
        with pytest.raises(ConfigError, match=r"htp|aws"):
            async with engine.serve(what, **settings):
                pass


@pytest.mark.real_time
async def test_the_end_of_the_block_lets_end_what_was_accepted(folder):
    """As a stop signal does."""
    (folder / "slow.py").write_text(SLOW)
    functions = [Function("slow", handler="slow.handler", executor="thread")]
    observer = RecordingObserver()
    async with engine.serve(functions, observers=[observer], **ANY_PORTS) as served:
        answer = asyncio.create_task(asyncio.to_thread(got, served.http))
        while not observer.begun:
            await asyncio.sleep(0.01)

    assert b"1" == await answer


async def test_instances_see_what_happens_and_are_not_closed(folder):
    """And what they raise goes no further."""

    class Raises(RecordingObserver):
        closed = False

        def ended(self, *_):
            raise KeyError

        def close(self):
            self.closed = True

    raises, sees = Raises(), RecordingObserver()
    functions = [Function("hello", handler="app.handler")]
    async with Engine(functions, platform=virtual_platform(), observers=[raises, sees]) as opened:
        assert (await opened.invoke("hello", 1)).ok

    assert (1, 1, False) == (raises.begun, len(sees.outcomes), raises.closed)


@pytest.mark.real_time
@pytest.mark.parametrize("call", ["invoke", "submit", "renew", "drain"])
async def test_calls_from_another_loop_are_refused_at_once(folder, call):
    """They would wait for ever: nothing there is woken by the engine's loop. The refusal says what to do."""
    arguments = ("hello", 1) if call in ("invoke", "submit") else ()
    async with Engine([Function("hello", handler="app.handler")]) as opened:

        def elsewhere():
            return asyncio.run(getattr(opened, call)(*arguments))

        with pytest.raises(EngineError, match=r"run_coroutine_threadsafe\(engine.invoke"):
            await asyncio.to_thread(elsewhere)
        assert (await opened.invoke("hello", 1)).ok


@pytest.mark.real_time
async def test_another_thread_is_answered_by_the_loop_of_the_engine(folder):
    """The way that the refusal names."""
    async with Engine([Function("hello", handler="app.handler")]) as opened:
        loop = opened.loop

        def elsewhere():
            return asyncio.run_coroutine_threadsafe(opened.invoke("hello", 2), loop).result(60)

        assert 2 == (await asyncio.to_thread(elsewhere)).payload
    with pytest.raises(NotAccepting):
        _ = opened.loop


@pytest.mark.real_time
def test_an_engine_whose_loop_stands_still_refuses(folder):
    """It was opened in another run of the loop, as in a fixture of a wider scope."""
    with asyncio.Runner() as runner:
        opened = runner.run(Engine([Function("hello", handler="app.handler")]).__aenter__())
        try:
            with pytest.raises(EngineError, match="another event loop"):
                asyncio.run(opened.invoke("hello"))
        finally:
            runner.run(opened.__aexit__())
