"""Functions that come, change and go while the engine runs, on virtual time."""

import asyncio
from collections import Counter

import pytest

from engine import Engine, Function, FunctionNotFound, Status
from engine.core.event import Event
from engine.packages.deployment import Readiness
from engine.testing import Act, scripted_executor, virtual_platform


@pytest.fixture
async def engine():
    """One function, `f`; each invocation takes a second, and each init half of one."""
    executor = scripted_executor(act=lambda _: Act(takes_s=1.0), init=lambda _: 0.5)
    made = Engine(
        [Function("f", handler="handlers.echo.handler")], platform=virtual_platform(), executor=executor
    )
    async with made as engine:
        yield engine


def event(engine, name="f", qualifier=None):
    return Event(name, b"null", engine.new_request_id(), engine.platform.clock.now(), qualifier=qualifier)


async def call(engine, name="f", qualifier=None):
    """The outcome, and the version that ran."""
    one = event(engine, name, qualifier)
    return await engine.sink.invoke(one), one.version


def changed(version="$LATEST", **keys):
    return Function("f", handler="handlers.echo.handler", version=version, **keys)


def levels(engine, name="f"):
    return engine.stats.functions[name].levels()


async def test_a_function_comes_and_goes(engine):
    """What runs when it goes is finished; then nothing is left of it, metrics included."""
    gone = []
    engine.deployments.on_gone(gone.append)
    with pytest.raises(FunctionNotFound):
        await call(engine, "new")
    await engine.deployments.put(Function("new", handler="handlers.echo.handler"))
    running = asyncio.ensure_future(call(engine, "new"))
    await asyncio.sleep(1.0)
    engine.deployments.remove("new")
    with pytest.raises(FunctionNotFound):
        await call(engine, "new")
    outcome, _ = await running
    await asyncio.sleep(0.1)

    assert Status.SUCCESS == outcome.status
    assert ["new"] == [function.name for function in gone]
    assert {"f"} == set(engine.stats.functions)


async def test_a_replaced_function_ends_what_it_took(engine):
    """New events go to the new one at once; nobody is refused, nothing is left."""
    before = [asyncio.ensure_future(call(engine)) for _ in range(3)]
    await asyncio.sleep(1.0)
    await engine.deployments.put(changed(timeout_s=0.25))
    after = [asyncio.ensure_future(call(engine)) for _ in range(3)]
    statuses = [(await one)[0].status for one in (*before, *after)]

    assert [Status.SUCCESS] * 3 + [Status.TIMEOUT] * 3 == statuses
    await asyncio.sleep(1.0)
    assert 0 == levels(engine).in_flight


async def test_waiting_events_of_a_replaced_function_still_run(engine):
    """Admitted is admitted, even if no environment was ready yet."""
    waiting = asyncio.ensure_future(call(engine))
    await asyncio.sleep(0.1)
    await engine.deployments.put(changed())

    assert Status.SUCCESS == (await waiting)[0].status


async def test_qualifiers_choose_versions(engine):
    """Numbers, and aliases for one or two of them."""
    await engine.deployments.put(changed("1"))
    await engine.deployments.put(changed("2"))
    engine.deployments.route("f", {"live": [("1", 1.0)], "both": [("1", 0.75), ("2", 0.25)]})

    assert ["$LATEST", "$LATEST", "1", "2", "1"] == [
        (await call(engine, qualifier=qualifier))[1] for qualifier in (None, "$LATEST", "1", "2", "live")
    ]
    shares = Counter([(await call(engine, qualifier="both"))[1] for _ in range(400)])
    assert 250 < shares["1"] < 350
    assert {"1", "2"} == shares.keys()
    with pytest.raises(FunctionNotFound):
        await call(engine, qualifier="none")


async def test_all_versions_share_one_reservation(engine):
    """And a change of it holds for the next event."""
    await engine.deployments.put(changed("1"))
    engine.deployments.reserve("f", 1)
    running = asyncio.ensure_future(call(engine))
    await asyncio.sleep(0.1)
    refused, _ = await call(engine, qualifier="1")
    engine.deployments.reserve("f", None)

    assert (Status.THROTTLED, "ReservedFunctionConcurrentInvocationLimitExceeded") == (
        refused.status,
        refused.reason,
    )
    assert Status.SUCCESS == (await call(engine, qualifier="1"))[0].status
    assert Status.SUCCESS == (await running)[0].status


async def test_reservations_come_out_of_the_accounts_pool(engine):
    await engine.deployments.put(Function("other", handler="handlers.echo.handler"))
    engine.deployments.reserve("other", 1000)
    refused, _ = await call(engine)
    engine.deployments.remove("other")

    assert "ConcurrentInvocationLimitExceeded" == refused.reason
    assert Status.SUCCESS == (await call(engine))[0].status


async def test_provisioned_environments_of_a_version_are_started_now(engine):
    await engine.deployments.put(changed("1"))
    engine.deployments.provision("f", "1", 2)
    at_first = engine.deployments.readiness("f", "1")
    await asyncio.sleep(1.0)
    outcome, _ = await call(engine, qualifier="1")

    assert Readiness(0, failing=False) == at_first
    assert Readiness(2, failing=False) == engine.deployments.readiness("f", "1")
    assert not outcome.cold_start


async def test_what_is_replaced_while_the_engine_drains_is_waited_for(engine):
    """An update in the last moment loses nothing."""
    running = asyncio.ensure_future(call(engine))
    await asyncio.sleep(1.0)
    await engine.deployments.put(changed())

    assert await engine.drain()
    assert Status.SUCCESS == (await running)[0].status


async def test_a_function_can_be_made_anew_while_the_old_one_ends(engine):
    """Its metrics go on."""
    running = asyncio.ensure_future(call(engine))
    await asyncio.sleep(1.0)
    engine.deployments.remove("f")
    await engine.deployments.put(changed())
    await running
    await asyncio.sleep(0.1)

    assert Status.SUCCESS == (await call(engine))[0].status
    assert {"f"} == set(engine.stats.functions)
