"""The engine as a Python object: what users write, and what they get for it."""

import asyncio
import json
import logging
import os
import re
import sys
import threading
from decimal import Decimal

import pytest

from engine import (
    ConfigError,
    Engine,
    EngineError,
    Function,
    FunctionNotFound,
    NotAccepting,
    PayloadError,
    Status,
)
from engine.core.error_bodies import InitFailure
from engine.core.event import Event
from engine.runtime.platform import offload_to_thread
from engine.testing import scripted_executor, virtual_platform

SOURCE = """
import asyncio, logging, os, sys

async def echo(event, context):
    return event

def plain(event, context):
    return event

async def fails(event, context):
    kind = event["kind"]
    if kind == "error": raise ValueError("no")
    if kind == "base": raise BaseException("stop")
    if kind == "exit": sys.exit(1)
    if kind == "keyboard": raise KeyboardInterrupt
    if kind == "generator": raise GeneratorExit
    if kind == "cancelled": raise asyncio.CancelledError
    if kind == "timeout": await asyncio.sleep(100)
    if kind == "recursion": return await fails(event, context)
    if kind == "stop iteration": raise StopIteration
    if kind == "group": raise BaseExceptionGroup("g", [SystemExit(1)])
    if kind == "unprintable": raise Unprintable
    if kind == "unserialisable": return object()

class Unprintable(Exception):
    def __str__(self): raise ValueError("no str")

async def variables(event, context):
    return {name: os.environ.get(name) for name in event}

async def prints(event, context):
    for text in event:
        print(text, end="")
    logging.warning("logged")

async def remember(event, context):
    event["changed"] = True
    return event
"""


@pytest.fixture
def code(tmp_path):
    """A folder with the handlers of `SOURCE`."""
    (tmp_path / "app_handlers.py").write_text(SOURCE)
    return tmp_path


@pytest.fixture
def environ():
    """Puts the variables back."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def make(code):
    """An engine on virtual time whose functions are named after their handlers."""

    def make(*names, functions=(), keys=None, **settings):
        all_of_them = [function(code, name, **(keys or {})) for name in names]
        return Engine([*all_of_them, *functions], platform=virtual_platform(), **settings)

    return make


def function(code, name, **keys):
    return Function(name, handler=f"app_handlers.{name}", code=str(code), **keys)


# ---------------------------------------------------------------- invoke and submit


async def test_invoke_returns_the_outcome(make):
    """Every member of it, for a success."""
    async with make("echo") as engine:
        first = await engine.invoke("echo", {"name": "Ada"})
        outcome = await engine.invoke("echo", [1, None, "é"])

    assert [1, None, "é"] == outcome.payload
    assert (Status.SUCCESS, None, True, True) == (outcome.status, outcome.error, outcome.ok, outcome.ran)
    assert "success" == outcome.status
    assert re.fullmatch(
        "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", outcome.request_id
    )
    assert first.request_id != outcome.request_id
    assert (True, False) == (first.cold_start, outcome.cold_start)
    assert (0.0, None, 0.0, 0) == (
        outcome.queue_wait_s,
        outcome.init_s,
        outcome.duration_s,
        outcome.billed_ms,
    )
    assert Decimal("0.0000002") == outcome.cost_usd
    assert (None, None, None) == (outcome.max_memory_mb, outcome.reason, outcome.log_tail)


async def test_submit_returns_once_the_event_is_accepted(make):
    """With its request id; the handler runs later."""
    async with make("echo") as engine:
        request_id = await engine.submit("echo", {})
        in_flight = engine.sink.drivers["echo"].statistics().in_flight

    assert 36 == len(request_id)
    assert 1 == in_flight


PAYLOADS = [
    None,
    True,
    0,
    -1.5,
    "",
    "é\U0001f600",
    [],
    {},
    {"a": {"b": [1, 2, {"c": None}]}},
    2**70,
    -(2**70),
]


@pytest.mark.parametrize("payload", PAYLOADS, ids=repr)
async def test_any_json_value_reaches_the_handler_unchanged(make, payload):
    """Integers beyond 64 bits too."""
    async with make("echo") as engine:
        outcome = await engine.invoke("echo", payload)

    assert payload == outcome.payload


async def test_a_handler_may_change_its_event_and_the_caller_keeps_his(make):
    """What goes in is a copy."""
    mine = {"a": 1}
    async with make("remember") as engine:
        outcome = await engine.invoke("remember", mine)

    assert {"a": 1, "changed": True} == outcome.payload
    assert {"a": 1} == mine


def _endless():
    nested = []
    nested.append(nested)
    return nested


def _deep():
    nested = []
    for _ in range(100_000):
        nested = [nested]
    return nested


NO_JSON = {
    "a set": lambda: {1, 2},
    "bytes": lambda: b"x",
    "an object": object,
    "itself": _endless,
    "too deep": _deep,
    "a set within": lambda: {"a": [{1}]},
}


@pytest.mark.parametrize("make_payload", NO_JSON.values(), ids=NO_JSON)
async def test_what_is_no_json_value_is_refused_by_name(make, make_payload):
    """And the engine goes on."""
    async with make("echo") as engine:
        with pytest.raises(PayloadError, match="no JSON value"):
            await engine.invoke("echo", make_payload())
        with pytest.raises(PayloadError):
            await engine.submit("echo", make_payload())
        assert (await engine.invoke("echo", 1)).ok


async def test_a_payload_over_six_mebibytes_is_refused(make):
    """The limit counts bytes of JSON; what is just within it passes."""
    async with make("echo", keys={"timeout_s": 60}) as engine:
        assert (await engine.invoke("echo", "x" * (6_291_456 - 2))).ok
        with pytest.raises(PayloadError, match="6291457 byte payload is too large"):
            await engine.invoke("echo", "x" * (6_291_456 - 1))


async def test_an_unknown_function_is_named(make):
    """FunctionNotFound, which is an EngineError."""
    async with make("echo") as engine:
        with pytest.raises(FunctionNotFound, match="'ecko' is not configured"):
            await engine.invoke("ecko", {})
        with pytest.raises(EngineError):
            await engine.submit("ecko", {})


async def test_before_and_after_its_life_it_takes_nothing(make):
    """NotAccepting says which of the two."""
    engine = make("echo")
    with pytest.raises(NotAccepting, match="not started"):
        await engine.invoke("echo", {})
    with pytest.raises(NotAccepting, match="not started"):
        await engine.submit("echo", {})
    with pytest.raises(NotAccepting, match="not started"):
        _ = engine.sink
    assert await engine.drain()

    async with engine:
        assert (await engine.invoke("echo", 1)).ok
    with pytest.raises(NotAccepting, match="closed"):
        await engine.invoke("echo", {})


async def test_an_engine_can_be_opened_again_but_not_twice_at_once(make):
    """Each life starts from zero."""
    engine = make("echo")
    async with engine:
        await engine.invoke("echo", 1)
        with pytest.raises(EngineError, match="open already"):
            await engine.__aenter__()
        assert (await engine.invoke("echo", 1)).ok
    async with engine:
        outcome = await engine.invoke("echo", 1)

    assert (True, True) == (outcome.ok, outcome.cold_start)


# ---------------------------------------------------------------- failures

KINDS = {
    "error": (Status.ERROR, "ValueError"),
    "base": (Status.CRASH, "Runtime.ExitError"),
    "exit": (Status.CRASH, "Runtime.ExitError"),
    "keyboard": (Status.CRASH, "Runtime.ExitError"),
    "generator": (Status.CRASH, "Runtime.ExitError"),
    "cancelled": (Status.CRASH, "Runtime.ExitError"),
    "timeout": (Status.TIMEOUT, "Sandbox.Timedout"),
    "recursion": (Status.ERROR, "RecursionError"),
    "stop iteration": (Status.ERROR, "RuntimeError"),
    "group": (Status.CRASH, "Runtime.ExitError"),
    "unprintable": (Status.ERROR, "Unprintable"),
    "unserialisable": (Status.ERROR, "Runtime.MarshalError"),
}


@pytest.mark.parametrize(("kind", "expected"), KINDS.items(), ids=KINDS)
async def test_whatever_user_code_raises_is_a_value(make, kind, expected):
    """It never leaves the engine, and the next invocation is served."""
    async with make("fails") as engine:
        outcome = await engine.invoke("fails", {"kind": kind})
        then = await engine.invoke("fails", {"kind": "none"})

    assert expected == (outcome.status, outcome.error["errorType"])
    assert None is outcome.payload
    assert then.ok


async def test_a_thousand_and_five_hundred_at_once_meet_the_account_limit(make):
    """Default limits: 1,000 run, 500 are throttled with AWS's reason."""
    async with make("fails", keys={"timeout_s": 3}) as engine:
        outcomes = await asyncio.gather(*(engine.invoke("fails", {"kind": "timeout"}) for _ in range(1500)))
        peak = engine.sink.drivers["fails"].statistics().peak_in_flight
    throttled = [outcome for outcome in outcomes if outcome.status == "throttled"]

    assert (1000, 500) == (peak, len(throttled))
    assert {"ConcurrentInvocationLimitExceeded"} == {outcome.reason for outcome in throttled}


# ---------------------------------------------------------------- configuration


def test_every_problem_is_reported_at_once(code):
    """One line each, each with its key."""
    wrong = [
        Function("a", handler="app_handlers.echo", code=str(code), memory_mb=1),
        Function("b", handler="no_such_module.handler", code=str(code)),
        Function("c", handler="app_handlers.echo", code=str(code), executor="lopo", timeout_s=0),
    ]
    with pytest.raises(ConfigError) as caught:
        Engine(wrong, concurrency_limt=5)
    problems = "\n".join(caught.value.problems)

    assert 5 == len(caught.value.problems)
    for word in ("memory_mb", "no_such_module", "lopo", "timeout_s", "concurrency_limt"):
        assert word in problems
    assert "loop" in problems  # the nearest valid name
    assert problems == str(caught.value)


async def test_the_keys_of_engine_are_settings(code):
    """The account limit, for one."""
    settings = {"concurrency_limit": 2, "scaling_rate": 0, "region": "eu-central-1"}
    engine = Engine([function(code, "fails")], platform=virtual_platform(), **settings)
    async with engine:
        outcomes = await asyncio.gather(*(engine.invoke("fails", {"kind": "timeout"}) for _ in range(3)))

    assert ["timeout", "timeout", "throttled"] == [outcome.status for outcome in outcomes]
    assert "eu-central-1" == engine.config.account.region


async def test_on_virtual_time_everything_runs_on_the_loop(make, code):
    """Threads take time that a virtual clock does not show, so they are refused by name."""
    async with make("plain") as engine:
        assert ("loop", 5) == (engine.chosen["plain"], (await engine.invoke("plain", 5)).payload)

    asked_for = function(code, "plain", executor="thread")
    with pytest.raises(ConfigError, match=r"plain\.executor: 'thread' needs the real clock"):
        async with make(functions=[asked_for]):
            pass


async def test_an_executor_can_be_given_for_all_functions(make):
    """For tests of what stands around it."""
    broken = scripted_executor(init=lambda _: InitFailure("OSError", "no table"))
    async with make("echo", "plain", executor=broken) as engine:
        outcomes = [await engine.invoke(name) for name in ("echo", "plain")]

    assert ["init_error"] * 2 == [outcome.status for outcome in outcomes]


# ---------------------------------------------------------------- the process around it

TOUCHED = ("sys.path", "sys.meta_path", "stdout", "stderr", "handlers", "level", "environ", "modules")


def process():
    """What an engine touches of its process."""
    root = logging.getLogger()
    modules = {name for name in sys.modules if name.startswith("app_handlers")}
    return dict(
        zip(
            TOUCHED,
            (
                list(sys.path),
                list(sys.meta_path),
                sys.stdout,
                sys.stderr,
                list(root.handlers),
                root.level,
                dict(os.environ),
                modules,
            ),
            strict=True,
        )
    )


@pytest.mark.real_time
@pytest.mark.parametrize("log_format", ["text", "json", "off"])
async def test_after_it_is_closed_the_process_is_as_it_was(code, log_format):
    """Twice, one after the other, with both executors at work."""
    before = process()
    threads = set(threading.enumerate())
    for _ in range(2):
        functions = [function(code, name, environment={"TABLE": "t"}) for name in ("echo", "plain", "fails")]
        async with Engine(functions, write_log=lambda _: None, log_format=log_format) as engine:
            for name in ("echo", "plain"):
                await asyncio.gather(*(engine.invoke(name, 1) for _ in range(5)))
            await engine.invoke("fails", {"kind": "exit"})
            during = process()
    left = [
        thread
        for thread in threading.enumerate()
        if thread not in threads and (thread.name.startswith(("echo", "plain", "fails", "engine")))
    ]
    for thread in left:
        thread.join(10)

    assert before == process()
    assert before["stdout"] is not during["stdout"]
    assert [] == [thread for thread in left if thread.is_alive()]


async def test_an_engine_that_cannot_be_opened_leaves_nothing(make, code):
    """What was set up before the fault is taken back."""
    before = process()
    with pytest.raises(ConfigError):
        async with make("echo", functions=[function(code, "plain", executor="thread")]):
            pass

    assert before == process()


async def test_two_engines_at_once_do_not_meet(make):
    """Each has its own environments and platform lines; handlers' lines go to the log opened last."""
    logs = [], []
    before = process()
    async with make("prints", write_log=logs[0].append) as outer:
        await outer.invoke("prints", ["outer\n"])
        async with make("prints", write_log=logs[1].append) as inner:
            await inner.invoke("prints", ["inner\n"])
            await outer.invoke("prints", ["outer again\n"])
        await outer.invoke("prints", ["and again\n"])
    first, second = "".join(logs[0]), "".join(logs[1])

    assert before == process()
    assert ["outer\n", "and again\n"] == re.findall("^(?:outer|and|inner).*\n", first, re.MULTILINE)
    assert ["inner\n", "outer again\n"] == re.findall("^(?:outer|and|inner).*\n", second, re.MULTILINE)
    assert (3, 1) == (first.count("START"), second.count("START"))


@pytest.mark.real_time
async def test_two_engines_may_be_closed_in_any_order(code, environ):
    """Streams and logging find their way back; variables do only if the last opened is closed first."""
    before = {name: value for name, value in process().items() if name != "environ"}
    one, two = Engine([function(code, "echo")]), Engine([function(code, "plain")])
    await one.__aenter__()
    await two.__aenter__()
    await one.__aexit__()
    outcome = await two.invoke("plain", 3)
    await two.__aexit__()

    assert 3 == outcome.payload
    assert before == {name: value for name, value in process().items() if name != "environ"}


def test_asyncios_own_loop_serves_as_well(code):
    """uvloop is not needed."""

    async def use():
        functions = [function(code, "echo"), function(code, "plain")]
        async with Engine(functions) as engine:
            return [(await engine.invoke(name, 7)).payload for name in ("echo", "plain")]

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        assert [7, 7] == runner.run(use())


async def test_handlers_find_lambdas_variables(make):
    """Its own, however many functions there are."""
    names = ["AWS_REGION", "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "_HANDLER", "TABLE"]
    async with make("variables", keys={"environment": {"TABLE": "t"}, "memory_mb": 256}) as engine:
        alone = await engine.invoke("variables", names)
    async with make("variables", "echo", region="eu-west-1") as engine:
        of_two = await engine.invoke("variables", names)

    assert ["us-east-1", "variables", "256", "app_handlers.variables", "t"] == list(alone.payload.values())
    assert ["eu-west-1", "variables", "128", "app_handlers.variables", None] == list(of_two.payload.values())
    assert "TABLE" not in os.environ


@pytest.mark.real_time
async def test_cold_imports_run_beside_the_loop():
    """The offload of the real platform is a worker thread."""
    assert threading.get_ident() != await offload_to_thread(threading.get_ident)


# ---------------------------------------------------------------- logs


async def test_the_log_has_the_handlers_lines_between_start_and_end(make):
    """Also the last one, if it has no newline."""
    log = []
    async with make("prints", write_log=log.append) as engine:
        outcome = await engine.invoke("prints", ["one\n", "two ", "three"])
    lines = "".join(log).splitlines()

    assert [
        f"START RequestId: {outcome.request_id} Version: $LATEST",
        "one",
    ] == lines[:2]
    assert any("logged" in line for line in lines[2:-2])
    assert f"END RequestId: {outcome.request_id}" == lines[-2]
    assert lines[-1].startswith(f"REPORT RequestId: {outcome.request_id}\tDuration: ")


@pytest.mark.parametrize("log_format", ["text", "json"])
async def test_an_unfinished_line_stands_before_the_end(code, log_format):
    """However the invocation ended."""
    text = "async def handler(event, context):\n    print('unfinished', end='')\n    raise event\n"
    (code / "unfinished.py").write_text(text)
    log = []
    made = Function("f", handler="unfinished.handler", code=str(code))
    async with Engine([made], platform=virtual_platform(), write_log=log.append, log_format=log_format) as e:
        await e.invoke("f", {})
        await e.invoke("f", {})
    lines = "".join(log).splitlines()
    ends = [at for at, line in enumerate(lines) if line.startswith("END") or "platform.runtimeDone" in line]
    unfinished = [at for at, line in enumerate(lines) if line == "unfinished"]

    assert 2 == len(ends)
    assert unfinished[0] < ends[0] < unfinished[1] < ends[1]


async def test_a_failure_is_logged_in_the_format_of_the_log(make):
    """Text for people, one JSON object a line for machines."""
    text, lines = [], []
    async with make("fails", write_log=text.append) as engine:
        await engine.invoke("fails", {"kind": "error"})
    async with make("fails", write_log=lines.append, log_format="json") as engine:
        outcome = await engine.invoke("fails", {"kind": "error"})
    documents = [json.loads(line) for line in "".join(lines).splitlines()]
    [told] = [document for document in documents if "errorType" in document]

    assert "[ERROR] ValueError: no\nTraceback (most recent call last):\n" in "".join(text)
    assert ("ERROR", "no", "ValueError", outcome.request_id) == (
        told["level"],
        told["errorMessage"],
        told["errorType"],
        told["requestId"],
    )


async def test_a_log_tail_takes_whatever_the_handler_prints(make):
    """A lone surrogate has no UTF-8: it is replaced, and the answer is not lost."""
    async with make("prints") as engine:
        event = Event("prints", json.dumps(["a\ud800b\n"]).encode(), "id", 0.0, wants_log=True)
        outcome = await engine.sink.invoke(event)

    assert outcome.ok
    assert b"a?b\n" in outcome.log_tail


async def test_without_a_log_prints_go_where_they_always_went(make, capsys):
    """In Python the engine is a library: it swallows nothing."""
    async with make("prints") as engine:
        await engine.invoke("prints", ["to standard output\n"])

    assert "to standard output\n" in capsys.readouterr().out


async def test_with_the_log_off_prints_are_dropped(make, capsys):
    """That is what a server with its log off is asked for."""
    async with make("prints", write_log=print, log_format="off") as engine:
        await engine.invoke("prints", ["nowhere\n"])

    assert "" == capsys.readouterr().out
