"""Work of many steps: what is done at once, what in later turns, in which order."""

import asyncio

import pytest

from engine.services.deliveries.turns import MAX_WAITING, STEPS_PER_TURN, Turns

MANY = 3 * STEPS_PER_TURN


class Site:
    """Work whose steps are numbers that are remembered; a callable is called instead."""

    def __init__(self):
        self.done = []
        self.turns = Turns(asyncio.get_running_loop(), self.do)

    def do(self, step):
        step() if callable(step) else self.done.append(step)


async def test_few_steps_are_done_at_once():
    site = Site()
    site.turns.add(iter(range(STEPS_PER_TURN)))

    assert list(range(STEPS_PER_TURN)) == site.done


async def test_many_steps_share_the_loop_and_keep_their_order():
    """Other callbacks of the loop come between; work that comes later does not overtake."""
    site, counts = Site(), []
    site.turns.add(iter(range(MANY)))
    site.turns.add(iter([MANY]))
    for _ in range(5):
        counts.append(len(site.done))
        await asyncio.sleep(0)

    assert [1, 2, 3] == [count // STEPS_PER_TURN for count in counts[:3]]
    assert list(range(MANY + 1)) == site.done


async def test_a_new_turn_has_steps_of_its_own():
    site = Site()
    site.turns.add(iter(range(STEPS_PER_TURN)))
    await asyncio.sleep(0)
    site.turns.add(iter([0]))

    assert STEPS_PER_TURN + 1 == len(site.done)


async def test_work_that_a_step_brings_is_done_after_its_own():
    site = Site()
    site.turns.add(iter([lambda: site.turns.add(iter(["inner"])), "outer"]))

    assert ["outer", "inner"] == site.done


async def test_what_waits_is_bounded():
    """Then all of it is done at once."""
    site = Site()
    for _ in range(MAX_WAITING):
        site.turns.add(iter(range(MANY)))
    waited = len(site.done)
    site.turns.add(iter([0]))

    assert STEPS_PER_TURN == waited
    assert MAX_WAITING * MANY + 1 == len(site.done)


async def test_finish_does_the_rest():
    site = Site()
    site.turns.add(iter(range(MANY)))
    site.turns.finish()

    assert MANY == len(site.done)


async def test_a_step_that_raises_ends_nothing_else():
    """Who brought it is told; the rest of the work goes on in the next turn."""
    site = Site()

    def fail():
        raise ValueError("a step")

    with pytest.raises(ValueError, match="a step"):
        site.turns.add(iter([0, fail, 1]))
    await asyncio.sleep(0)

    assert [0, 1] == site.done
