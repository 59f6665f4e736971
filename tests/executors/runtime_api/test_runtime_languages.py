"""Runtimes in other languages, each a few dozen lines of its own, are served as Python's is."""

import asyncio
import shutil
from pathlib import Path

import pytest

from engine import Engine, Function, Status
from engine.core.event import Event

pytestmark = pytest.mark.real_time

FOLDER = Path(__file__).parent / "languages"
BOOTSTRAPS = {"node": "node boot.mjs", "bash": ()}
NEEDS = {"node": ("node",), "bash": ("bash", "curl", "sed", "tr", "mktemp")}


@pytest.fixture(params=BOOTSTRAPS)
def language(request):
    """Each language whose programs this machine has."""
    require(request.param)
    return request.param


def require(language):
    missing = [program for program in NEEDS[language] if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed")


def function(language, handler="index.handler", **keys):
    return Function(
        "f",
        handler=handler,
        code=str(FOLDER / language),
        executor="runtime",
        bootstrap=BOOTSTRAPS[language],
        **{"timeout_s": 20, **keys},
    )


async def outcome_of(engine, payload, request_id="id-1"):
    return await engine.sink.invoke(Event("f", payload, request_id, 0.0, wants_log=True))


async def test_an_event_is_answered(language):
    """Whatever its text; and again, in the same environment."""
    async with Engine([function(language)]) as engine:
        first = await engine.invoke("f", {"value": {"text": "h\u00e9 \U0001f600"}})
        second = await engine.invoke("f", {"value": 2})

    assert [{"text": "h\u00e9 \U0001f600"}, 2] == [first.payload, second.payload]
    assert [True, False] == [first.cold_start, second.cold_start]


async def test_an_error_is_the_languages_own(language):
    """The caller gets the document as it was posted; the environment lives on."""
    async with Engine([function(language)]) as engine:
        failed = await engine.invoke("f", {"do": "raise"})
        then = await engine.invoke("f", {"value": 1})

    assert Status.ERROR == failed.status
    assert {
        "errorType": "TypeError",
        "errorMessage": "no stock",
        "trace": ["TypeError: no stock"],
    } == failed.error
    assert not then.cold_start


async def test_an_exit_is_told_by_its_status(language):
    """And costs the environment."""
    async with Engine([function(language)]) as engine:
        crashed = await engine.invoke("f", {"do": "exit", "code": 3})
        then = await engine.invoke("f", {"value": 1})

    assert (Status.CRASH, "Runtime.ExitError") == (crashed.status, crashed.error["errorType"])
    assert crashed.error["errorMessage"].endswith("Error: Runtime exited with error: exit status 3")
    assert (1, True) == (then.payload, then.cold_start)


async def test_a_handler_that_hangs_is_killed_at_its_deadline(language):
    """With whatever it has started; what it wrote before is kept."""
    async with Engine([function(language, timeout_s=1)]) as engine:
        await engine.invoke("f", {"value": 0})
        late = await outcome_of(engine, b'{"do":"hang"}')
        then = await engine.invoke("f", {"value": 1})

    assert Status.TIMEOUT == late.status
    assert f"{language} works on hang" in late.log_tail.decode().splitlines()
    assert (1, True) == (then.payload, then.cold_start)


async def test_what_it_writes_is_the_invocations_log(language):
    """Each has its own lines."""
    async with Engine([function(language)]) as engine:
        await outcome_of(engine, b'{"value":1}')
        second = await outcome_of(engine, b'{"do":"raise"}', "id-2")

    assert ["START RequestId: id-2 Version: $LATEST", f"{language} works on raise"] == (
        second.log_tail.decode().splitlines()[:2]
    )


async def test_an_init_error_is_the_languages_own(language):
    """What it posted is what the caller gets."""
    message = {"node": "is undefined or not exported", "bash": "there is no script"}[language]
    handler = {"node": "index.nothing", "bash": "nothing.handler"}[language]
    async with Engine([function(language, handler=handler)]) as engine:
        outcome = await engine.invoke("f", {})

    assert Status.INIT_ERROR == outcome.status
    assert message in outcome.error["errorMessage"]


async def test_node_streams():
    """A stream arrives as a whole."""
    require("node")
    async with Engine([function("node")]) as engine:
        outcome = await engine.invoke("f", {"do": "stream"})

    assert (Status.SUCCESS, b"one two") == (outcome.status, outcome.payload)


async def test_node_breaks_a_stream_off():
    """What had come is lost; the caller gets the error told in the trailers."""
    require("node")
    async with Engine([function("node")]) as engine:
        outcome = await engine.invoke("f", {"do": "stream", "breaks": True})
        then = await engine.invoke("f", {"value": 1})

    assert (Status.ERROR, "RangeError", "midway") == (
        outcome.status,
        outcome.error["errorType"],
        outcome.error["errorMessage"],
    )
    assert (1, False) == (then.payload, then.cold_start)


async def test_node_is_told_id_and_deadline():
    """By the headers of its poll."""
    require("node")
    async with Engine([function("node")]) as engine:
        outcome = await outcome_of(engine, b'{"do":"context"}', "id-9")

    assert {"id": "id-9", "left": True} == outcome.payload


async def test_a_shared_environment_of_a_runtime_that_takes_one_at_a_time():
    """The rest waits; that such a runtime starts short-lived processes of its own is no death of a worker."""
    require("bash")
    async with Engine([function("bash", environment_concurrency=3)]) as engine:
        outcomes = await asyncio.gather(*(engine.invoke("f", {"value": number}) for number in range(20)))

    assert list(range(20)) == [outcome.payload for outcome in outcomes]
