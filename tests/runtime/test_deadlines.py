"""Every invocation that still runs at its deadline is struck: in order, once, never early."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from engine.core.event import Event
from engine.core.invocation import Invocation
from engine.runtime.deadlines import Deadlines
from engine.testing import VirtualTimeLoop


def invocation(name, deadline_s):
    made = Invocation(Event("f", b"", name, 0.0), lambda _: None)
    made.deadline_s = deadline_s
    return made


LIVES = st.lists(
    st.tuples(
        st.floats(0, 10, allow_subnormal=False),  # seconds after the one before
        st.one_of(st.none(), st.floats(0, 12, allow_subnormal=False)),  # seconds it runs; None = for ever
    ),
    max_size=30,
)


@given(lives=LIVES, timeout_s=st.floats(0.001, 10, allow_subnormal=False))
def test_strikes_come_in_order_once_and_never_early(lives, timeout_s):
    """What ended before its deadline is never struck; all else is, at most a timer's grain late."""
    loop = VirtualTimeLoop()
    try:
        began = asyncio.Runner(loop_factory=lambda: loop)
        with began:
            struck, added, ended = began.run(_live(loop, lives, timeout_s))
    finally:
        loop.close()

    assert [name for name in added if name not in ended] == [name for name, _, _ in struck]
    assert all(deadline_s <= at_s <= deadline_s + 0.0021 for _, deadline_s, at_s in struck)


async def _live(loop, lives, timeout_s):
    struck, added, ended = [], [], set()
    running = {}

    def strike(one, now_s):
        del running[one.event.request_id]
        struck.append((one.event.request_id, one.deadline_s, now_s))

    def end(name):
        if name in running:
            deadlines.remove(running.pop(name))
            ended.add(name)

    deadlines = Deadlines(loop, loop.clock, strike)
    for number, (pause_s, runs_s) in enumerate(lives):
        await asyncio.sleep(pause_s)
        name = str(number)
        running[name] = invocation(name, loop.clock.now() + timeout_s)
        deadlines.add(running[name])
        added.append(name)
        if runs_s is not None:
            loop.call_later(runs_s, end, name)
    await asyncio.sleep(60)
    assert 0 == len(deadlines) == len(running)
    return struck, added, ended


async def test_cleared_it_says_what_was_running_and_strikes_nothing():
    """For the end of the grace period."""
    loop, struck = asyncio.get_running_loop(), []
    deadlines = Deadlines(loop, loop.clock, lambda one, _: struck.append(one))
    both = [invocation(name, loop.clock.now() + 1) for name in "ab"]
    for one in both:
        deadlines.add(one)

    assert both == deadlines.clear()
    await asyncio.sleep(5)
    assert ([], 0) == (struck, len(deadlines))


async def test_a_strike_may_add_and_remove_others():
    """Answering one brings the next event at once, and a crash ends its neighbours."""
    loop, struck = asyncio.get_running_loop(), []

    def strike(one, now_s):
        struck.append(one.event.request_id)
        if one.event.request_id == "a":
            deadlines.remove(neighbour)
            deadlines.add(invocation("c", now_s + 1))

    deadlines = Deadlines(loop, loop.clock, strike)
    deadlines.add(invocation("a", loop.clock.now() + 1))
    neighbour = invocation("b", loop.clock.now() + 1)
    deadlines.add(neighbour)
    await asyncio.sleep(10)

    assert ["a", "c"] == struck
