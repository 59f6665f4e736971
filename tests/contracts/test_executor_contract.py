"""What every executor promises, whatever it runs handlers on; differences are data, in the conftest."""

import asyncio
import json
import re
import signal
import sys
from datetime import UTC, datetime

import pytest

from engine import Status
from engine.core.event import Event
from engine.core.function import Account
from engine.core.invocation import Invocation
from engine.core.payload_limits import MAX_RESPONSE_BYTES
from engine.ports import Workshop
from engine.registry import EXECUTORS, resolve


def levels(engine, name="f"):
    return engine.sink.drivers[name].statistics()


async def quiet(engine, name="f"):
    """Until nothing is in flight."""
    while levels(engine, name).in_flight:
        await asyncio.sleep(0.001)


def wait(play, **then):
    return {"do": "wait", "s": play.wait_s, **({"then": then} if then else {})}


def together(engine, payloads, name="f"):
    return asyncio.gather(*(engine.invoke(name, payload) for payload in payloads))


# ---------------------------------------------------------------- how an invocation ends


async def test_what_a_handler_returns_is_the_payload(play):
    """A result is answered as JSON, byte for byte as AWS writes it."""
    async with play.engine() as engine:
        outcome = await engine.invoke("f", {"value": {"a": [1, None, "é"]}})

    assert Status.SUCCESS == outcome.status
    assert '{"a": [1, null, "é"]}' == json.dumps(outcome.payload, ensure_ascii=False)
    assert outcome.error is None


async def test_what_a_handler_raises_is_an_error_and_its_environment_lives_on(play):
    """An Exception costs one invocation, not the environment."""
    async with play.engine() as engine:
        failed = await engine.invoke("f", {"do": "raise"})
        then = await engine.invoke("f", {"value": 1})

    assert (Status.ERROR, "LookupError", "not in stock") == (
        failed.status,
        failed.error["errorType"],
        failed.error["errorMessage"],
    )
    assert ["errorMessage", "errorType", "requestId", "stackTrace"] == list(failed.error)
    assert failed.request_id == failed.error["requestId"]
    assert (Status.SUCCESS, False) == (then.status, then.cold_start)


@pytest.mark.needs("code")
async def test_a_result_that_is_no_json_is_a_marshal_error(play):
    """The handler ran to its end, only its result is lost; the environment lives on."""
    async with play.engine() as engine:
        failed = await engine.invoke("f", {"do": "marshal"})
        then = await engine.invoke("f", {})

    assert (Status.ERROR, "Runtime.MarshalError") == (failed.status, failed.error["errorType"])
    assert not then.cold_start


EXITS = {
    "exit 3": ({"do": "exit", "code": 3}, "Runtime exited with error: exit status 3"),
    "exit 0": ({"do": "exit", "code": 0}, "Runtime exited without providing a reason"),
    "a BaseException": ({"do": "base"}, "Runtime exited with error: exit status 1"),
}


@pytest.mark.parametrize(("payload", "text"), EXITS.values(), ids=EXITS)
async def test_a_handler_that_exits_takes_its_environment_along(play, payload, text):
    """`sys.exit` is a crash: the next invocation finds a new environment."""
    async with play.engine() as engine:
        await engine.invoke("f", {})
        crashed = await engine.invoke("f", payload)
        after = levels(engine)
        then = await engine.invoke("f", {})

    assert Status.CRASH == crashed.status
    assert {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: {crashed.request_id} Error: {text}",
    } == crashed.error
    assert (0, 0, 0) == (after.idle, after.busy, after.in_flight)
    assert (Status.SUCCESS, True) == (then.status, then.cold_start)


async def test_at_the_deadline_the_answer_is_the_timeouts_and_a_late_result_changes_nothing(play):
    """The handler may go on; whoever waited has been answered, once."""
    async with play.engine(play.function(timeout_s=play.timeout_s)) as engine:
        payload = {"do": "wait", "s": play.timeout_s + 5}
        outcome = await engine.invoke("f", payload)
        at_the_deadline = levels(engine)
        play.release()
        await play.over()
        later = levels(engine)
        then = await engine.invoke("f", {"value": 1})

    assert Status.TIMEOUT == outcome.status
    assert {
        "errorType": "Sandbox.Timedout",
        "errorMessage": f"RequestId: {outcome.request_id} Error: "
        f"Task timed out after {play.timeout_s:.2f} seconds",
    } == outcome.error
    assert play.timeout_s == outcome.duration_s
    assert (0, 0, 0) == (at_the_deadline.idle, at_the_deadline.busy, at_the_deadline.in_flight)
    assert (0, 0, 0) == (later.idle, later.busy, later.in_flight)
    assert (1, True) == (then.payload, then.cold_start)


FORCE = {
    "os._exit": ({"do": "_exit", "code": 9}, "exit status 9"),
    "SIGKILL": ({"do": "signal", "signal": signal.SIGKILL}, "signal: killed"),
    "SIGSEGV": ({"do": "signal", "signal": signal.SIGSEGV}, "signal: segmentation fault"),
}


@pytest.mark.needs("own process")
@pytest.mark.parametrize(("payload", "text"), FORCE.values(), ids=FORCE)
async def test_what_ends_a_process_by_force_ends_one_environment(play, payload, text):
    """The caller gets AWS's words, and the engine serves on."""
    async with play.engine() as engine:
        crashed = await engine.invoke("f", payload)
        then = await engine.invoke("f", {"value": 1})

    assert (Status.CRASH, "Runtime.ExitError") == (crashed.status, crashed.error["errorType"])
    assert crashed.error["errorMessage"].endswith(f"Runtime exited with error: {text}")
    assert (Status.SUCCESS, True) == (then.status, then.cold_start)


@pytest.mark.needs("code")
async def test_a_flood_of_output_costs_nobody_an_answer(play):
    """Four megabytes of it; the log keeps the end."""
    async with play.engine() as engine:
        flooding = asyncio.ensure_future(engine.invoke("f", {"do": "flood", "lines": 4000}))
        other = await engine.invoke("f", {"value": 1})
        flooded = await flooding

    assert [Status.SUCCESS] * 2 == [flooded.status, other.status]


# ---------------------------------------------------------------- an end from above


async def test_what_waits_for_its_environment_can_be_cancelled(play):
    """Its init may have begun, or not."""
    async with play.engine() as engine:
        waiting = asyncio.ensure_future(engine.invoke("f", {}))
        await asyncio.sleep(0)
        engine.sink.abandon()
        outcome = await waiting
        after = levels(engine)

    assert Status.CANCELLED == outcome.status
    assert (0, 0, 0, 0) == (after.starting, after.idle, after.busy, after.waiting)


async def test_what_runs_can_be_cancelled_and_what_waits_for_it_too(play):
    """One runs, the other is in the queue of a function that may have one environment."""
    function = play.function(reserved_concurrency=1, overflow="queue")
    async with play.engine(function) as engine:
        both = [asyncio.ensure_future(engine.invoke("f", wait(play))) for _ in range(2)]
        await play.begun()
        engine.sink.abandon()
        outcomes = [await one for one in both]
        after = levels(engine)
    play.release()

    assert {Status.CANCELLED} == {outcome.status for outcome in outcomes}
    assert (0, 0, 0, 0) == (after.starting, after.idle, after.busy, after.waiting)


async def test_an_engine_may_be_abandoned_twice(play):
    """Before anything ran, and again."""
    async with play.engine() as engine:
        engine.sink.abandon()
        engine.sink.abandon()
        after = levels(engine)

    assert (0, 0, 0) == (after.starting, after.idle, after.busy)


# ---------------------------------------------------------------- init

INITS = {
    "a module it imports is missing": ("import no_such_module", "Runtime.ImportModuleError"),
    "it is not Python": ("def :", "Runtime.UserCodeSyntaxError"),
    "it raises": ("raise OSError('no table')", "OSError"),
    "it exits": ("raise SystemExit(2)", "Runtime.ExitError"),
    "it raises what is no Exception": ("raise Stop()", "Runtime.ExitError"),
    "it deletes the handler": ("del handler", "Runtime.HandlerNotFound"),
}


@pytest.mark.needs("code")
@pytest.mark.parametrize(("line", "error_type"), INITS.values(), ids=INITS)
async def test_an_init_that_fails_is_answered_and_tried_again(play, line, error_type):
    """Whoever waited gets AWS's error; the next invocation imports anew, and nothing is left behind."""
    play.write(line)
    async with play.engine() as engine:
        first = await engine.invoke("f", {})
        second = await engine.invoke("f", {})
        after = levels(engine)

    assert [Status.INIT_ERROR] * 2 == [first.status, second.status]
    assert [error_type] * 2 == [first.error["errorType"], second.error["errorType"]]
    assert first.cold_start
    assert (0, 0, 0, 0) == (after.starting, after.idle, after.busy, after.in_flight)


@pytest.mark.needs("init once")
async def test_an_init_that_fails_is_no_part_of_an_invocation(play):
    """Nothing ran, and nothing took time."""
    play.write("raise OSError('no table')")
    async with play.engine() as engine:
        outcome = await engine.invoke("f", {})

    assert (Status.INIT_ERROR, 0.0) == (outcome.status, outcome.duration_s)


@pytest.mark.needs("code")
async def test_many_that_wait_for_a_broken_module_are_all_answered(play):
    """With shared environments too, where the first failure does not answer all who wait."""
    play.write("raise OSError('no table')")
    async with play.engine(play.function(environment_concurrency=10)) as engine:
        outcomes = await together(engine, [{}] * 25)
        after = levels(engine)

    assert {Status.INIT_ERROR} == {outcome.status for outcome in outcomes}
    assert (0, 0, 0) == (after.starting, after.in_flight, after.waiting)


# ---------------------------------------------------------------- the executor alone


class Hand:
    """Drives one executor by hand."""

    def __init__(self, play, recorder, notices):
        self.play, self.facts, self.notices = play, recorder.facts, notices
        loop = asyncio.get_running_loop()
        self._clock = play.engine().platform.clock
        workshop = Workshop(
            account=Account(),
            clock=self._clock,
            loop=loop,
            offload=play.engine().platform.offload,
            notify=notices.append,
            log=lambda *_: None,
        )
        make = play.factory or resolve("executor", play.name)
        self.executor = make(play.function(), recorder, workshop)

    def invocation(self, env_id, payload):
        now_s = self._clock.now()
        event = Event("f", json.dumps(payload).encode(), "id", now_s)
        invocation = Invocation(event, lambda _: None)
        invocation.env_id, invocation.deadline_s = env_id, now_s + 60
        return invocation

    def run(self, env_id, payload):
        self.executor.run(env_id, self.invocation(env_id, payload))

    async def next(self):
        async with asyncio.timeout(60):
            return await self.facts.get()

    async def close(self):
        if hasattr(self.executor, "close"):
            self.executor.close()
        if hasattr(self.executor, "wait_closed"):
            await self.executor.wait_closed()


@pytest.fixture
async def hand(play, recorder):
    hand = Hand(play, recorder, [])
    yield hand
    await hand.close()


async def test_one_stopped_while_it_starts_says_nothing_more(hand):
    """A later environment is told of, the stopped one never."""
    hand.executor.start(1)
    hand.executor.stop(1)
    hand.executor.start(2)

    assert ("ready", 2) == await hand.next()
    hand.executor.stop(2)
    await asyncio.sleep(0.01)
    assert hand.facts.empty()


async def test_one_stopped_while_idle_says_nothing_more(hand):
    """And one that was stopped can be stopped again, as can one that never was."""
    hand.executor.start(1)
    assert ("ready", 1) == await hand.next()

    hand.executor.stop(1)
    hand.executor.stop(1)
    hand.executor.stop(77)
    await asyncio.sleep(0.01)

    assert hand.facts.empty()


async def test_one_stopped_while_it_runs_says_nothing_more(hand, play):
    """What ran there ends unheard."""
    hand.executor.start(1)
    assert ("ready", 1) == await hand.next()
    hand.run(1, wait(play))
    await play.begun()

    hand.executor.stop(1)
    hand.executor.stop(1)
    play.release()
    await play.over()

    assert hand.facts.empty()


async def test_one_stopped_right_after_it_was_given_work_says_nothing_more(hand):
    """The handler may not even have begun."""
    hand.executor.start(1)
    assert ("ready", 1) == await hand.next()

    hand.run(1, {"value": 1})
    hand.executor.stop(1)
    await asyncio.sleep(0.01)

    assert hand.facts.empty()


async def test_an_environment_that_crashed_is_forgotten_by_its_executor(hand):
    """Stopping it afterwards is allowed, and others are not touched."""
    for env_id in (1, 2):
        hand.executor.start(env_id)
    assert {("ready", 1), ("ready", 2)} == {await hand.next(), await hand.next()}

    hand.run(1, {"do": "exit", "code": 1})
    assert ("ended", 1, "crash") == await hand.next()
    hand.executor.stop(1)
    hand.run(2, {"value": 1})

    assert ("ended", 2, "success") == await hand.next()
    hand.executor.stop(2)


# ---------------------------------------------------------------- sizes and numbers


async def test_the_largest_payload_and_result_pass(play):
    """6 MiB in; 6 MiB and 100 bytes out."""
    async with play.engine() as engine:
        text = "x" * (6 * 1024 * 1024 - len('{"do":"size","text":""}'))
        taken = await engine.invoke("f", {"do": "size", "text": text})
        given = await engine.invoke("f", {"do": "big", "bytes": MAX_RESPONSE_BYTES - 2})

    assert len(text) == taken.payload
    assert MAX_RESPONSE_BYTES == len(given.body)
    assert given.ok


async def test_a_result_over_the_limit_is_an_error_and_the_environment_lives_on(play):
    """As AWS words it."""
    async with play.engine() as engine:
        outcome = await engine.invoke("f", {"do": "big", "bytes": MAX_RESPONSE_BYTES - 1})
        then = await engine.invoke("f", {})

    assert Status.ERROR == outcome.status
    assert {
        "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
        "errorType": "Function.ResponseSizeTooLarge",
    } == outcome.error
    assert not then.cold_start


async def test_two_hundred_at_once_run_in_two_hundred_environments(play):
    """And afterwards all of them are idle. Where that would take long, it is fewer."""
    crowd = min(200, play.most)
    async with play.engine() as engine:
        running = asyncio.ensure_future(together(engine, [wait(play, value=n) for n in range(crowd)]))
        await play.begun(crowd)
        meanwhile = levels(engine)
        play.release()
        outcomes = await running
        await quiet(engine)
        after = levels(engine)

    assert list(range(crowd)) == [outcome.payload for outcome in outcomes]
    assert (crowd, crowd) == (meanwhile.busy, meanwhile.in_flight)
    assert (crowd, 0, 0) == (after.idle, after.busy, after.in_flight)


# ---------------------------------------------------------------- shared environments


async def test_an_environment_takes_as_many_as_it_may(play):
    """Five at a time in one, the sixth in another."""
    async with play.engine(play.function(environment_concurrency=5)) as engine:
        running = asyncio.ensure_future(together(engine, [wait(play, value=n) for n in range(6)]))
        await play.begun(6)
        meanwhile = levels(engine)
        play.release()
        outcomes = await running

    assert list(range(6)) == [outcome.payload for outcome in outcomes]
    assert (2, 6) == (meanwhile.busy, meanwhile.in_flight)


async def test_the_timeout_of_one_leaves_the_others_of_a_shared_environment(play):
    """As on Managed Instances: it is answered, it keeps its place until it ends, the rest goes on."""
    function = play.function(environment_concurrency=3, timeout_s=play.timeout_s)
    async with play.engine(function) as engine:
        await engine.invoke("f", {})
        late = await engine.invoke("f", {"do": "wait", "s": play.timeout_s + 5})
        meanwhile = levels(engine)
        other = await engine.invoke("f", {"value": 2})
        play.release()
        await play.over()
        await quiet(engine)
        after = levels(engine)

    assert (Status.TIMEOUT, Status.SUCCESS) == (late.status, other.status)
    assert not other.cold_start
    assert (1, 1) == (meanwhile.busy, meanwhile.in_flight)
    assert (1, 0, 0) == (after.idle, after.busy, after.in_flight)


async def test_a_crash_ends_all_that_run_in_a_shared_environment(play):
    """All are answered as crashed at once, and the next finds a new environment."""
    async with play.engine(play.function(environment_concurrency=4)) as engine:
        await engine.invoke("f", {})
        others = asyncio.ensure_future(together(engine, [wait(play)] * 3))
        await play.begun(3)
        crashed = await engine.invoke("f", {"do": "exit", "code": 1})
        ended = await others
        after = levels(engine)
        play.release()
        then = await engine.invoke("f", {})

    assert [Status.CRASH] * 4 == [crashed.status, *(outcome.status for outcome in ended)]
    assert {"Runtime.ExitError"} == {outcome.error["errorType"] for outcome in ended}
    assert {outcome.request_id for outcome in ended} == {
        re.search("RequestId: (.*) Error", outcome.error["errorMessage"])[1] for outcome in ended
    }
    assert (0, 0, 0) == (after.idle, after.busy, after.in_flight)
    assert (Status.SUCCESS, True) == (then.status, then.cold_start)


async def test_a_crash_after_its_deadline_still_ends_a_shared_environment(play):
    """The answer was given at the deadline; that the environment is gone is news all the same."""
    function = play.function(environment_concurrency=3, timeout_s=play.timeout_s)
    async with play.engine(function) as engine:
        await engine.invoke("f", {})
        then = {"do": "exit", "code": 1}
        late = await engine.invoke("f", {"do": "wait", "s": play.timeout_s + 5, "then": then})
        play.release()
        await play.over()
        await quiet(engine)
        after = levels(engine)
        last = await engine.invoke("f", {"value": 3})

    assert Status.TIMEOUT == late.status
    assert (0, 0, 0) == (after.idle, after.busy, after.in_flight)
    assert (3, True) == (last.payload, last.cold_start)


# ---------------------------------------------------------------- renewal


@pytest.mark.needs("code")
async def test_after_a_change_of_code_new_environments_run_it_and_busy_ones_finish(play):
    """What runs keeps the code it began with."""
    play.write("VERSION = 1\n_old = act\ndef act(event, context): return VERSION\n")
    async with play.engine() as engine:
        before = await engine.invoke("f", {})
        running = asyncio.ensure_future(engine.invoke("f", wait(play, value=0)))
        await play.begun()
        play.write("VERSION = 22\n_old = act\ndef act(event, context): return VERSION\n")
        engine.sink.renew()
        after = await engine.invoke("f", {})
        play.release()
        finished = await running
        await quiet(engine)
        again = await engine.invoke("f", {})
        idle = levels(engine).idle

    assert (1, 22, 1, 22) == (before.payload, after.payload, finished.payload, again.payload)
    assert (True, False) == (after.cold_start, again.cold_start)
    assert 1 == idle


async def test_a_change_while_environments_start_is_seen_by_those_who_wait(play):
    """They wait for an environment of the new code instead."""
    async with play.engine() as engine:
        waiting = asyncio.ensure_future(together(engine, [{"value": n} for n in range(10)]))
        await asyncio.sleep(0)
        engine.sink.renew()
        outcomes = await waiting
        await quiet(engine)
        after = levels(engine)

    assert list(range(10)) == [outcome.payload for outcome in outcomes]
    assert (0, 0) == (after.waiting, after.in_flight)


# ---------------------------------------------------------------- output and context


@pytest.mark.needs("code")
async def test_what_a_thousand_print_at_once_never_mixes(play):
    """Each invocation's log holds its own lines and nothing else. Where that would take long, it is fewer."""
    logs = {}
    crowd = min(1000, play.most)

    async def one(engine, number):
        future = asyncio.get_running_loop().create_future()
        payload = wait(play, do="print", text=f"line of {number}")
        event = Event("f", json.dumps(payload).encode(), f"id-{number}", 0.0, wants_log=True)
        engine.sink.submit(event, future.set_result)
        outcome = await future
        logs[number] = outcome.log_tail.decode().splitlines()

    async with play.engine() as engine:
        running = asyncio.gather(*(one(engine, number) for number in range(crowd)))
        await play.begun(crowd)
        play.release()
        await running

    assert [f"line of {number}" for number in range(crowd)] == [logs[number][1] for number in range(crowd)]
    assert {4} == {len(lines) for lines in logs.values()}


@pytest.mark.needs("code")
async def test_the_context_tells_of_the_invocation(play):
    """Its members are Lambda's, from the invocation's own event and deadline."""
    async with play.engine(play.function(memory_mb=512, timeout_s=9, aliases=("live",))) as engine:
        plain = await engine.invoke("f", {"do": "context"})
        event = Event("f", b'{"do": "context"}', "id-1", 0.0, qualifier="live")
        qualified = await engine.sink.invoke(event)
        day = datetime.fromtimestamp(engine.platform.clock.wall(), UTC).strftime("%Y/%m/%d")

    told = plain.payload
    remaining_ms, stream = told.pop("remaining_ms"), told.pop("stream")
    assert {
        "request_id": plain.request_id,
        "name": "f",
        "version": "$LATEST",
        "memory": "512",
        "arn": "arn:aws:lambda:us-east-1:000000000000:function:f",
        "group": "/aws/lambda/f",
    } == told
    assert 0 < remaining_ms <= 9000
    assert re.fullmatch(re.escape(f"{day}/[$LATEST]") + "[0-9a-f]{32}", stream)
    assert "arn:aws:lambda:us-east-1:000000000000:function:f:live" == qualified.payload["arn"]
    assert ("id-1", stream) == (qualified.payload["request_id"], qualified.payload["stream"])


@pytest.mark.needs("own module")
async def test_each_environment_has_a_module_instance_of_its_own(play):
    """Globals are not shared, and an instance's name is free again when it is gone."""
    async with play.engine() as engine:
        running = asyncio.ensure_future(together(engine, [wait(play, do="module")] * 3))
        await play.begun(3)
        play.release()
        names = [outcome.payload for outcome in await running]
    left = [name for name in sys.modules if name == "app" or name.startswith("app#")]

    assert ["app", "app#2", "app#3"] == sorted(names)
    assert [] == left


def test_every_registered_executor_is_in_the_contract(plays):
    """A new executor needs a way to be played."""
    assert {*EXECUTORS, "scripted"} == set(plays)
