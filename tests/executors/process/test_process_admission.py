"""Environments are started while the machine has room for them; the rest waits, and nothing is stuck."""

import asyncio
import errno
from types import SimpleNamespace

import pytest

from engine.core.engine_events import EndedForMemory, Held
from engine.core.placement import PATIENCE_S
from engine.executors.process.admission import Admission, Need
from engine.machine.memory import Memory

TOTAL_KB = 10_000_000


class Known(Need):
    """A need that is known without looking at processes."""

    def measure(self, pid: int) -> None:
        pass


class One:
    """An environment."""

    def __init__(self, tenant, number: int) -> None:
        self.tenant, self.number = tenant, number
        self.pid = 0
        self.since_s = 0.0
        self.running = self.is_second = False
        self.initialised = False
        self.failure = None

    def working(self) -> bool:
        return self.running or not self.initialised

    def spawn_failed(self, failure) -> None:
        self.failure = failure

    def end_for_memory(self) -> None:
        self.tenant.give_up(self)


class Tenant:
    """One function: each of its environments takes `each_kb`."""

    def __init__(self, world, name: str, each_kb: int) -> None:
        self.world, self.each_kb = world, each_kb
        self.need = Known(name, each_kb)
        self.need.init_kb = each_kb - 512
        self.there: list[One] = []
        self.outdated: set[One] = set()
        self.notices: list = []
        self.reminded = 0
        self.told: list[str] = []
        self.hold = lambda: self.told.append("hold")
        self.resume = lambda: self.told.append("resume")
        self.notify = self.notices.append

    def ask(self, number: int = 0) -> One:
        one = One(self, number)
        self.world.admission.ask(one, self, lambda: self.start(one))
        return one

    def start(self, one: One) -> None:
        self.there.append(one)

    def settle(self) -> None:
        """All that were started are initialised, and run."""
        for one in self.there:
            if not one.pid:
                one.pid = 1
                one.initialised = one.running = True
                self.world.admission.spawned(one)
                self.world.admission.initialised(one, self.need)

    def init_waits(self, _one: One) -> None:
        self.reminded += 1

    def give_up(self, one: One) -> bool:
        if one.running:
            self.outdated.add(one)
        else:
            self.end(one)
        return True

    def end(self, one: One) -> None:
        self.there.remove(one)
        self.world.admission.forget(one)


@pytest.fixture
async def world():
    """A machine with `TOTAL_KB` of memory, used by the tenants alone unless `memory` says otherwise."""
    world = SimpleNamespace(tenants=[], descriptors=10_000, memory=None)

    def gauge() -> Memory:
        if world.memory is not None:
            return world.memory
        used = sum(tenant.each_kb for tenant in world.tenants for one in tenant.there if one.initialised)
        return Memory(TOTAL_KB - used, TOTAL_KB)

    def tenant(name: str, each_kb: int) -> Tenant:
        world.tenants.append(Tenant(world, name, each_kb))
        return world.tenants[-1]

    loop = asyncio.get_running_loop()
    clock = SimpleNamespace(now=loop.time)
    world.admission = Admission(loop, clock, lambda: 0, gauge, lambda: world.descriptors)
    world.tenant = tenant
    yield world
    world.admission.close()


async def test_no_more_are_started_than_memory_holds_with_a_reserve(world):
    """A tenth of the machine each: nine fit, with a twentieth kept free."""
    tenant = world.tenant("f", TOTAL_KB // 10)
    for _ in range(30):
        tenant.ask()
    tenant.settle()
    await asyncio.sleep(5)
    tenant.settle()

    assert (9, 21) == (len(tenant.there), world.admission.waiting)
    assert ["hold"] == tenant.told


async def test_the_next_in_line_is_started_as_soon_as_one_has_ended(world):
    """In the order they came."""
    tenant = world.tenant("f", TOTAL_KB // 2)
    first, second, third = (tenant.ask(number) for number in range(3))
    tenant.settle()
    tenant.end(first)
    await asyncio.sleep(0.2)

    assert ([second], 1) == (tenant.there, world.admission.waiting)
    assert third is not second


async def test_one_is_started_even_if_it_needs_more_than_there_is(world):
    """Else nothing ever would: it runs until its own limit, or that of the machine."""
    tenant = world.tenant("f", 2 * TOTAL_KB)
    tenant.ask()

    assert 1 == len(tenant.there)


async def test_an_idle_environment_of_another_function_makes_room(world):
    """Two functions, memory for one."""
    big, other = world.tenant("big", TOTAL_KB * 8 // 10), world.tenant("other", TOTAL_KB * 8 // 10)
    idle = big.ask()
    big.settle()
    idle.running = False
    other.ask()
    await asyncio.sleep(0.2)

    assert ([], 1) == (big.there, len(other.there))


async def test_a_busy_environment_makes_room_after_its_work_if_others_have_waited(world):
    """Two functions, memory for one, and the first is never idle."""
    big, other = world.tenant("big", TOTAL_KB * 8 // 10), world.tenant("other", TOTAL_KB * 8 // 10)
    busy = big.ask()
    big.settle()
    other.ask()
    await asyncio.sleep(PATIENCE_S / 2)
    before = set(big.outdated)
    await asyncio.sleep(PATIENCE_S)

    assert (set(), {busy}) == (before, big.outdated)
    assert 1 == world.admission.waiting


async def test_the_largest_function_does_not_keep_out_others_though_it_waits_too(world):
    """It has the whole machine, and is first in line for more: others get their turn all the same."""
    large, small = world.tenant("large", TOTAL_KB // 10), world.tenant("small", TOTAL_KB // 10)
    for _ in range(12):
        large.ask()
    large.settle()
    await asyncio.sleep(2 * PATIENCE_S)
    small.ask()
    await asyncio.sleep(2 * PATIENCE_S)
    (leaving,) = large.outdated
    large.end(leaving)  # its work is done
    await asyncio.sleep(0.2)

    assert (8, 1) == (len(large.there), len(small.there))


async def test_the_room_of_an_idle_environment_is_for_whom_it_was_given_up(world):
    """And not for its own function, which has waited longer, but for nothing."""
    some, other = world.tenant("some", TOTAL_KB // 10), world.tenant("other", TOTAL_KB // 10)
    for _ in range(12):
        some.ask()
    some.settle()
    some.there[0].running = False
    other.ask()
    await asyncio.sleep(0.5)

    assert (8, 1) == (len(some.there), len(other.there))


async def test_what_waits_for_a_function_with_an_idle_environment_takes_nothing_from_others(world):
    """Nobody waits for it any more."""
    some, other = world.tenant("some", TOTAL_KB // 10), world.tenant("other", TOTAL_KB // 10)
    for _ in range(12):
        some.ask()
    some.settle()
    some.there[0].running = False
    others = [other.ask() for _ in range(2)]
    await asyncio.sleep(5)

    assert not some.outdated
    assert len(others) >= len(other.there)
    assert len(some.there) >= 8


async def test_each_that_waits_is_counted_and_one_line_says_so(world):
    """What one takes, how many fit."""
    tenant = world.tenant("f", TOTAL_KB // 10)
    for _ in range(12):
        tenant.ask()
    tenant.settle()
    await asyncio.sleep(3)
    held = [notice for notice in tenant.notices if isinstance(notice, Held)]

    assert (3, 1) == (len(held), sum(notice.first for notice in held))
    assert ("memory", 9, -(-TOTAL_KB // 10 // 1024)) == (held[0].by, held[0].fit, held[0].environment_mb)
    assert tenant.reminded


async def test_environments_wait_for_descriptors(world):
    """As for memory."""
    tenant = world.tenant("f", 1000)
    world.descriptors = 2
    tenant.ask()
    tenant.settle()
    waits = tenant.ask()
    await asyncio.sleep(1)
    before = len(tenant.there)
    world.descriptors = 100
    await asyncio.sleep(0.2)

    assert (1, 2) == (before, len(tenant.there))
    assert waits in tenant.there
    assert ["descriptors"] == [notice.by for notice in tenant.notices]


async def test_what_waited_for_descriptors_is_not_said_to_wait_for_memory(world):
    """Nor if there are some again, and it waits on because its function has an idle environment."""
    tenant = world.tenant("f", 1000)
    world.descriptors = 2
    first = tenant.ask()
    tenant.settle()
    tenant.ask()
    first.running = False
    world.descriptors = 100
    await asyncio.sleep(1)

    assert ["descriptors"] == [notice.by for notice in tenant.notices]


@pytest.mark.parametrize(
    ("code", "by"), [(errno.EAGAIN, "processes"), (errno.EMFILE, "descriptors"), (errno.ENOSPC, "disk")]
)
async def test_a_fork_that_failed_for_want_of_something_is_tried_again(world, code, by):
    """One at a time, until one succeeds."""
    tenant = world.tenant("f", 1000)
    tries = []

    def start(one: One) -> None:
        tries.append(one)
        if len(tries) < 4:
            asyncio.get_running_loop().call_soon(postpone, one)

    def postpone(one: One) -> None:
        world.admission.postpone(one, tenant, lambda: start(one), code)

    first, second = One(tenant, 1), One(tenant, 2)
    for one in (first, second):
        world.admission.ask(one, tenant, lambda one=one: start(one))
    await asyncio.sleep(5)
    for one in (first, second):
        world.admission.spawned(one)
    await asyncio.sleep(5)

    assert {first, second} == set(tries[-2:])
    assert 0 == world.admission.waiting
    assert {by} == {notice.by for notice in tenant.notices}


async def test_what_can_wait_for_nothing_fails_in_the_end(world):
    """Somebody else has taken all memory."""
    tenant = world.tenant("f", 1000)
    world.memory = Memory(100, TOTAL_KB)
    one = tenant.ask()
    await asyncio.sleep(5)
    early = one.failure
    await asyncio.sleep(10)

    assert (None, "Sandbox.Failure") == (early, one.failure.error_type)


async def test_invocations_that_grow_beyond_all_memory_end_the_largest_environment(world):
    """Idle ones are given up first, while there still is some."""
    tenant = world.tenant("f", TOTAL_KB // 10)
    busy, idle = tenant.ask(), tenant.ask()
    tenant.settle()
    idle.running = False
    world.memory = Memory(TOTAL_KB // 60, TOTAL_KB)
    world.admission.relieve()
    after_first = list(tenant.there)
    world.memory = Memory(1000, TOTAL_KB)
    await asyncio.sleep(1)
    world.admission.relieve()

    assert ([busy], {busy}) == (after_first, tenant.outdated)
    assert [EndedForMemory] == [type(notice) for notice in tenant.notices]
