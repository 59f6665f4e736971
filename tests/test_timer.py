"""One timer that is only ever moved to an earlier time; it looks again when it rings."""

import asyncio

import pytest

from engine.timer import Timer


class Bell:
    """Remembers when it rang; gives back what is due next."""

    def __init__(self, next_s=lambda now_s: None):
        loop = asyncio.get_running_loop()
        self.rung, self.next_s, self.began_s = [], next_s, loop.clock.now()
        self.loop = loop

    def make(self, **keys):
        return Timer(self.loop, self.loop.clock, self.ring, **keys)

    def ring(self, now_s):
        self.rung.append(round(now_s - self.began_s, 3))
        return self.next_s(now_s)


async def test_it_rings_at_the_earliest_time_it_was_set_to():
    """A later time costs nothing and changes nothing."""
    bell = Bell()
    alarm = bell.make()
    for at_s in (5, 9, 3, 7):
        alarm.at(bell.began_s + at_s)
    await asyncio.sleep(20)

    assert [3.0] == bell.rung
    assert not alarm.armed


async def test_it_goes_on_with_what_its_owner_says_is_due_next():
    """Until nothing is."""
    bell = Bell()
    alarm = bell.make()
    bell.next_s = lambda now_s: now_s + 2 if len(bell.rung) < 3 else None
    alarm.at(bell.began_s + 1)
    await asyncio.sleep(20)

    assert [1.0, 3.0, 5.0] == bell.rung


async def test_cancelled_it_is_silent():
    """And can be set again."""
    bell = Bell()
    alarm = bell.make()
    alarm.at(bell.began_s + 1)
    alarm.cancel()
    alarm.cancel()
    await asyncio.sleep(5)

    assert ([], False) == (bell.rung, alarm.armed)
    alarm.at(bell.began_s + 7)
    await asyncio.sleep(5)
    assert [7.0] == bell.rung


async def test_nothing_due_arms_nothing():
    """None asks for nothing."""
    bell = Bell()
    alarm = bell.make()
    alarm.at(None)
    await asyncio.sleep(5)

    assert ([], False) == (bell.rung, alarm.armed)


async def test_what_is_overdue_rings_soon_but_not_within_the_call():
    """Nobody is called back while he still sets it."""
    bell = Bell()
    alarm = bell.make()
    alarm.at(bell.began_s - 100)

    assert [] == bell.rung
    await asyncio.sleep(1)
    assert [pytest.approx(0.001)] == bell.rung


async def test_it_never_sleeps_longer_than_it_was_told():
    """So that what turns up meanwhile need not be said."""
    bell = Bell(next_s=lambda now_s: now_s + 100 if now_s - bell.began_s < 25 else None)
    alarm = bell.make(longest_s=10)
    alarm.at(bell.began_s + 100)
    await asyncio.sleep(200)

    assert [10.0, 20.0, 30.0] == bell.rung
