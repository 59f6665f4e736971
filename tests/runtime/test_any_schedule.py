"""Whatever comes, and whenever: every event is answered exactly once, and at the end nothing is left."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.error_bodies import InitFailure
from engine.core.invocation import Result
from engine.core.outcome import Status
from engine.core.throttling import TokenBucket
from engine.testing import Act, VirtualTimeLoop

RESULTS = {
    "success": Result(Status.SUCCESS, b"1"),
    "error": Result(Status.ERROR, b"{}"),
    "crash": Result(Status.CRASH, b"{}", error_type="Runtime.ExitError"),
    "too large": Result(Status.SUCCESS, b"x" * 6_291_557),
}
SECONDS = st.integers(0, 60).map(lambda number: number / 10)

ARRIVALS = st.lists(
    st.tuples(
        SECONDS.map(lambda pause_s: max(0.0, pause_s - 4)),  # most come together
        st.sampled_from("ab"),
        SECONDS,  # how long its handler takes
        st.sampled_from(sorted(RESULTS)),
    ),
    min_size=1,
    max_size=40,
)
INITS = st.lists(st.one_of(SECONDS, st.just(InitFailure("OSError", "no table")), st.just(50.0)), min_size=1)
LIMITS = st.fixed_dictionaries(
    {
        "environment_concurrency": st.integers(1, 3),
        "overflow": st.sampled_from(["throttle", "queue"]),
        "queue_limit": st.integers(1, 10),
        "reserved_concurrency": st.sampled_from([None, None, 1, 3]),
        "timeout_s": st.sampled_from([0.5, 3.0]),
        "keep_alive_s": st.sampled_from([0.5, 20.0]),
        "cold_start": st.sampled_from(["measured", 300]),
        "provisioned_concurrency": st.sampled_from([0, 0, 1]),
    }
)
UPSETS = st.lists(st.tuples(SECONDS, st.sampled_from(["renew", "hold up"])), max_size=3)


@settings(max_examples=150)
@given(
    arrivals=ARRIVALS,
    inits=INITS,
    limits=st.tuples(LIMITS, LIMITS),
    concurrency=st.integers(4, 10),
    scaling=st.sampled_from([0, 2]),
    upsets=UPSETS,
    drain_at_s=st.one_of(st.none(), SECONDS),
    grace_s=st.sampled_from([0.0, 2.0, 30.0]),
)
def test_every_event_is_answered_once_and_nothing_is_left(runtime_class, **schedule):
    """Runs, queues, timeouts, crashes, failed inits, new code, a stalled loop, and a stop in between."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        answers, levels, left = runner.run(_live(runtime_class, **schedule))

    assert [1] * len(answers) == answers
    for one in levels:
        assert (0, 0, 0, 0, 0, 0) == (
            one.starting,
            one.idle,
            one.busy,
            one.in_flight,
            one.waiting,
            one.blocked,
        )
    assert (0, 0, 1) == left


async def _live(runtime_class, *, arrivals, inits, limits, concurrency, scaling, upsets, drain_at_s, grace_s):
    own = sum(one["reserved_concurrency"] or one["provisioned_concurrency"] for one in limits)
    runtime = runtime_class(max(1, concurrency - own))
    plans = {}

    def act(invocation):
        takes_s, kind = plans[invocation.event.request_id]
        return Act(takes_s=takes_s, result=RESULTS[kind])

    for name, one in zip("ab", limits, strict=True):
        bucket = TokenBucket(scaling, scaling) if scaling else None
        if one["reserved_concurrency"] is not None:  # the configuration allows no more
            one = {**one, "provisioned_concurrency": min(1, one["provisioned_concurrency"])}
        runtime.add(name, act=act, init=lambda number: inits[number % len(inits)], scaling=bucket, **one)
    runtime.open()
    for at_s, upset in upsets:
        upset_by = runtime.dispatcher.renew if upset == "renew" else lambda: runtime.clock.advance(2)
        runtime.loop.call_later(at_s, upset_by)
    answers = []
    stopping = None
    if drain_at_s is not None:
        stopping = asyncio.ensure_future(_drain_later(runtime, drain_at_s, grace_s))
    for pause_s, name, takes_s, kind in arrivals:
        if pause_s:
            await asyncio.sleep(pause_s)
        if runtime.dispatcher.stage != "open":
            break
        event = runtime.event(name)
        plans[event.request_id] = takes_s, kind
        runtime.dispatcher.submit(event, _count(answers))
    await asyncio.sleep(200)
    if stopping is not None:
        await stopping
    await runtime.dispatcher.drain(30)
    levels = [runtime.levels(name) for name in "ab"]
    return answers, levels, (runtime.timers(), runtime.pool.used, len(asyncio.all_tasks()))


def _count(answers):
    answers.append(0)
    place = len(answers) - 1

    def reply(_outcome):
        answers[place] += 1

    return reply


async def _drain_later(runtime, at_s, grace_s):
    await asyncio.sleep(at_s)
    await runtime.dispatcher.drain(grace_s)
