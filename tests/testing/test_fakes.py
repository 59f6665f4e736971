"""The fakes are implementations: they keep the promises of the ports, and remember what they saw."""

import asyncio
import itertools
import json

import anyio
import pytest
from pydantic import ValidationError

from engine import Engine, Function, Status
from engine.core.error_bodies import InitFailure
from engine.core.function import Account
from engine.core.invocation import Result
from engine.ports import Binding, Host
from engine.testing import (
    Act,
    RecordingObserver,
    ScriptedEvent,
    ScriptedExecutor,
    ScriptedSource,
    scripted_executor,
    virtual_platform,
)

FUNCTION = Function("f", handler="app.handler")


class Facts:
    """What an executor said, with its time."""

    def __init__(self):
        self.loop = asyncio.get_running_loop()
        self.said, self.began_s = [], self.loop.time()

    def _say(self, *words):
        self.said.append((round(self.loop.time() - self.began_s, 3), *words))

    def ready(self, env_id, init_s):
        self._say("ready", env_id, init_s)

    def failed(self, env_id, failure, _init_s):
        self._say("failed", env_id, failure.error_type)

    def ended(self, invocation, result):
        self._say("ended", invocation, result.status.value)


async def test_the_scripted_executor_does_as_it_is_told_when_it_is_told():
    """Init and acts take their time; commands are kept in order."""
    facts = Facts()
    inits = {1: 0.5, 2: InitFailure("OSError", "no table")}
    executor = ScriptedExecutor(facts=facts, loop=facts.loop, init=inits.get)
    executor.start(1)
    executor.start(2)
    executor.renew()
    await asyncio.sleep(5)

    assert [(0.0, "failed", 2, "OSError"), (0.5, "ready", 1, 0.5)] == facts.said
    assert ["start 1", "start 2", "renew"] == executor.commands


async def test_the_scripted_executor_leaves_no_timer_behind():
    """Stopped in any phase."""
    loop = asyncio.get_running_loop()
    made = scripted_executor(act=lambda _: Act(takes_s=1000), init=lambda number: 500.0 * (number - 1))
    functions = [Function("f", handler="json.dumps", environment_concurrency=2)]
    async with Engine(functions, platform=virtual_platform(), executor=made, grace_s=1) as engine:
        waiting = [asyncio.ensure_future(engine.invoke("f")) for _ in range(5)]
        await asyncio.sleep(1)
    outcomes = [await one for one in waiting]

    assert {Status.CANCELLED, Status.TIMEOUT} >= {outcome.status for outcome in outcomes}
    assert [] == loop.timers()


async def test_an_act_is_null_at_once_if_nothing_else_is_said():
    """The simplest script."""
    functions = [Function("f", handler="json.dumps")]
    async with Engine(functions, platform=virtual_platform(), executor=scripted_executor()) as engine:
        outcome = await engine.invoke("f", {})

    assert (True, None, 0.0) == (outcome.ok, outcome.payload, outcome.duration_s)


class Sink:
    """Takes two seconds for each event."""

    def __init__(self):
        self.loop = asyncio.get_running_loop()
        self.began_s, self.events = self.loop.time(), []

    async def invoke(self, event):
        self.events.append(
            (round(self.loop.time() - self.began_s, 3), event.function, json.loads(event.payload))
        )
        await asyncio.sleep(2)
        return event.request_id


def host():
    ids = itertools.count(1)
    clock = asyncio.get_running_loop().clock
    return Host(account=Account(), clock=clock, new_request_id=lambda: f"id-{next(ids)}", listen={})


def source(*scripts):
    bindings = [Binding(function=FUNCTION, settings=ScriptedEvent(**script)) for script in scripts]
    return ScriptedSource.build(bindings, host())


async def test_the_scripted_source_delivers_at_its_times_and_keeps_the_outcomes():
    """All scripts together, in the order of time."""
    played, sink = source({"at_s": (1, 5), "payload": "a"}, {"at_s": (0, 3), "payload": "b"}), Sink()
    async with anyio.create_task_group() as group:
        assert None is await group.start(played.serve, sink, anyio.Event())

    assert [(0.0, "f", "b"), (1.0, "f", "a"), (3.0, "f", "b"), (5.0, "f", "a")] == sink.events
    assert ["id-1", "id-2", "id-3", "id-4"] == played.outcomes


async def test_the_scripted_source_stops_when_it_is_told_to_and_answers_what_it_took():
    """The rest of its script is not played."""
    played, sink, stopping = source({"at_s": (0, 1, 5), "payload": 1}), Sink(), anyio.Event()
    asyncio.get_running_loop().call_later(2, stopping.set)
    async with anyio.create_task_group() as group:
        await group.start(played.serve, sink, stopping)

    assert 2 == len(sink.events) == len(played.outcomes)
    assert 3 == pytest.approx(asyncio.get_running_loop().time() - sink.began_s)


def test_a_scripted_event_is_checked_like_any_other():
    """Unknown keys are refused; `type` is not its own."""
    with pytest.raises(ValidationError):
        ScriptedEvent(at=(1,))


async def test_the_scripted_source_can_be_named_in_a_configuration(tmp_path):
    """As `module:Class`, like a source of a third party."""
    event = {"type": "engine.testing:ScriptedSource", "at_s": (1.0,), "payload": {"a": 1}}
    made = Function("f", handler="json.dumps", events=(event,))
    engine = Engine([made], platform=virtual_platform())

    [(name, [binding])] = engine.config.bindings.items()
    assert "engine.testing:ScriptedSource" == name
    assert ((1.0,), {"a": 1}) == (binding.settings.at_s, binding.settings.payload)


def test_the_observer_remembers_what_it_saw():
    """Counts what began; keeps outcomes, refusals and notices."""
    seen = RecordingObserver()
    seen.began(None)
    seen.ended(None, "outcome", None)
    seen.refused(None, "outcome", "function_limit")
    seen.noticed("notice")

    assert (1, ["outcome"], ["function_limit"], ["notice"]) == (
        seen.begun,
        seen.outcomes,
        seen.refusals,
        seen.notices,
    )


def test_an_act_holds_a_result():
    """Each act has one of its own."""
    assert Act().result == Result(Status.SUCCESS, b"null")
