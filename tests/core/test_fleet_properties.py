"""Fleets that share one pool, driven by random facts: what must hold whatever happens.

`Model` is a small obedient driver with books of its own. Each command is checked against the books
before it is entered there, and after each step the books and `statistics()` must agree.
"""

from __future__ import annotations

import itertools
import sys
from collections import Counter, deque
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine.core.fleet import Command, Fail, Fleet, FleetLimits, Refuse, Run, Start, Stop
from engine.core.limits import Pool, Refusal, TokenBucket

EIGHTH_S = 0.125  # all times are multiples, so that sums and comparisons are exact


@dataclass
class Rate:
    """A token bucket as the books see it: the times at which tokens were taken, and nothing else."""

    capacity: int
    per_s: float
    taken_s: list[float] = field(default_factory=list)

    def allows(self, now_s: float) -> bool:
        """Whether one more keeps every window at or below capacity + rate * time."""
        return all(
            count + 1 <= self.capacity + self.per_s * (now_s - from_s)
            for count, from_s in enumerate(reversed(self.taken_s), 1)
        )

    def take(self, now_s: float) -> None:
        assert self.capacity
        assert self.allows(now_s)
        self.taken_s.append(now_s)

    def bucket(self) -> TokenBucket:
        return TokenBucket(self.capacity, self.per_s)


@dataclass
class Place:
    """An environment as the books see it."""

    provisioned: bool
    generation: int
    starting: bool = True
    running: set[int] = field(default_factory=set)
    served: int = 0
    since_s: float = 0.0


class Model:
    """One fleet, its books, and the driver that obeys it."""

    def __init__(self, limits: FleetLimits, pool: Pool, scaling: Rate | None, requests: Rate | None) -> None:
        self.limits, self.pool, self.scaling, self.requests = limits, pool, scaling, requests
        self.fleet: Fleet[int] = Fleet(
            limits, pool, scaling and scaling.bucket(), requests and requests.bucket()
        )
        self.own = limits.provisioned if limits.reserved is None else limits.reserved
        self.places: dict[int, Place] = {}
        self.idle: list[int] = []  # in the order in which they became idle
        self.line: deque[int] = deque()  # accepted and not yet run: waiting ones, then blocked ones
        self.came_s: dict[int, float] = {}
        self.ends: Counter[int] = Counter()  # how often each item was answered
        self.generation = 0
        self.last_id = 0
        self.closed = False
        self.abandoned = False

    @property
    def running(self) -> int:
        return sum(len(place.running) for place in self.places.values())

    def with_room(self) -> list[int]:
        """Up-to-date environments that could take an event now."""
        return [
            env_id
            for env_id, place in self.places.items()
            if not place.starting
            and place.generation == self.generation
            and len(place.running) < self.limits.environment_concurrency
        ]

    # ------------------------------------------------------------ facts

    def open(self, now_s: float) -> None:
        self.obey(self.fleet.open(now_s), now_s)

    def arrive(self, item: int, now_s: float) -> None:
        self.came_s[item] = now_s
        self.line.append(item)
        self.obey(self.fleet.arrive(item, now_s), now_s)
        refused_by_rate = self.ends[item] and self.refusals[-1] in (
            Refusal.REQUEST_RATE,
            Refusal.RESERVED_REQUEST_RATE,
        )
        if self.requests and not refused_by_rate and not self.closed:
            self.requests.take(now_s)

    def ready(self, env_id: int, now_s: float) -> None:
        self.places[env_id].starting = False
        self.idle.append(env_id)
        self.obey(self.fleet.ready(env_id, now_s), now_s, place_since=env_id)

    def init_failed(self, env_id: int, now_s: float) -> None:
        needed = len(self.waiting) > (self.starting - 1) * self.limits.environment_concurrency
        del self.places[env_id]
        commands = self.fleet.crashed(env_id, now_s)
        assert sum(type(command) is Fail for command in commands) == needed
        self.obey(commands, now_s)

    def finished(self, env_id: int, item: int, now_s: float) -> None:
        place = self.places[env_id]
        place.running.remove(item)
        place.served += 1
        self.ends[item] += 1
        if not place.running:
            self.idle.append(env_id)
        self.obey(self.fleet.finished(env_id, now_s), now_s, place_since=env_id)

    def crashed(self, env_id: int, now_s: float) -> None:
        for item in self.places.pop(env_id).running:
            self.ends[item] += 1
        if env_id in self.idle:
            self.idle.remove(env_id)
        self.obey(self.fleet.crashed(env_id, now_s), now_s)

    def tick(self, now_s: float) -> None:
        self.obey(self.fleet.tick(now_s), now_s)
        for env_id in self.idle:
            place = self.places[env_id]
            assert place.provisioned or place.since_s + self.limits.keep_alive_s > now_s
        for item in self.blocked:
            assert self.came_s[item] + self.limits.queue_wait_s > now_s

    def renew(self, now_s: float) -> None:
        self.generation += 1
        self.obey(self.fleet.renew(now_s), now_s)

    def close(self, now_s: float) -> None:
        self.closed = True
        self.obey(self.fleet.close(now_s), now_s)

    def abandon(self, now_s: float) -> None:
        self.closed = self.abandoned = True
        self.obey(self.fleet.abandon(now_s), now_s)

    def unblock(self, now_s: float) -> None:
        self.obey(self.fleet.unblock(now_s), now_s)

    # ------------------------------------------------------------ obeying

    def obey(self, commands, now_s: float, place_since: int | None = None) -> None:
        if place_since is not None:
            self.places[place_since].since_s = now_s
        self.refusals: list[Refusal] = []
        for command in commands:
            self.enter(command, now_s)
        statistics = self.fleet.statistics()
        self.waiting = list(itertools.islice(self.line, statistics.waiting))
        self.blocked = list(itertools.islice(self.line, statistics.waiting, None))

    def enter(self, command: Command[int], now_s: float) -> None:
        match command:
            case Start(env_id, provisioned):
                assert env_id == self.last_id + 1
                assert not self.with_room() or provisioned
                if self.scaling and not provisioned:
                    self.scaling.take(now_s)
                self.last_id = env_id
                self.places[env_id] = Place(provisioned, self.generation)
            case Run(env_id, item, cold):
                self.enter_run(env_id, item, cold=cold)
            case Stop(env_id):
                place = self.places.pop(env_id)
                if self.abandoned:
                    for item in place.running:
                        self.ends[item] += 1
                else:
                    assert not place.running
                if env_id in self.idle:
                    self.idle.remove(env_id)
                    expired = not place.provisioned and place.since_s + self.limits.keep_alive_s <= now_s
                    assert expired or self.closed or place.generation < self.generation
            case Refuse(item, refusal):
                self.enter_refusal(item, refusal, now_s)
            case Fail(item, env_id):
                assert item == self.line.popleft()
                assert env_id not in self.places
                self.ends[item] += 1

    def enter_run(self, env_id: int, item: int, *, cold: bool) -> None:
        assert item == self.line.popleft()  # first in, first out
        assert env_id in self.with_room()
        place = self.places[env_id]
        on_its_way = bool(place.running) or not place.served
        if not place.running:
            assert env_id in self.idle
            if not cold:
                assert self.first_choice() == env_id
            self.idle.remove(env_id)
        assert on_its_way or not cold
        place.running.add(item)

    def first_choice(self) -> int:
        """Of the idle environments the provisioned ones, and of those the one idle shortest."""
        current = [env_id for env_id in self.idle if self.places[env_id].generation == self.generation]
        assert not any(self.places[env_id].running for env_id in self.with_room())
        return max(current, key=lambda env_id: (self.places[env_id].provisioned, current.index(env_id)))

    def enter_refusal(self, item: int, refusal: Refusal, now_s: float) -> None:
        self.refusals.append(refusal)
        self.line.remove(item)
        self.ends[item] += 1
        in_flight = self.running + self.fleet.statistics().waiting
        match refusal:
            case Refusal.FUNCTION_LIMIT:
                assert in_flight == self.limits.reserved
            case Refusal.ACCOUNT_LIMIT:
                assert self.limits.reserved is None
                assert in_flight >= self.own
                assert self.pool.used == self.pool.limit
            case Refusal.SCALE_RATE:
                assert self.scaling
                assert not self.scaling.allows(now_s)
                assert not self.with_room()
            case Refusal.REQUEST_RATE | Refusal.RESERVED_REQUEST_RATE:
                assert self.requests
                assert not self.requests.allows(now_s)
            case Refusal.QUEUE_FULL:
                assert self.fleet.statistics().blocked == self.limits.queue_limit > 0
            case Refusal.QUEUE_TIMEOUT:
                assert item == self.blocked.pop(0)
                assert self.came_s[item] + self.limits.queue_wait_s <= now_s
            case Refusal.CLOSING:
                assert self.closed

    # ------------------------------------------------------------ what must hold

    @property
    def starting(self) -> int:
        return sum(place.starting for place in self.places.values())

    def check(self, now_s: float) -> None:
        statistics = self.fleet.statistics()
        busy = sum(bool(place.running) for place in self.places.values())
        in_flight = self.running + len(self.waiting)

        assert statistics.starting == self.starting
        assert statistics.busy == busy
        assert statistics.idle == len(self.idle) == len(self.places) - self.starting - busy
        assert statistics.in_flight == in_flight <= statistics.peak_in_flight
        assert statistics.waiting + statistics.blocked == len(self.line)
        self.check_limits(in_flight)
        self.check_nothing_is_lost()
        self.check_nothing_is_stuck(in_flight, now_s)

    def check_limits(self, in_flight: int) -> None:
        if self.limits.reserved is not None:
            assert in_flight <= self.limits.reserved
        assert len(self.blocked) <= self.limits.queue_limit
        alive = sum(place.provisioned for place in self.places.values())
        assert alive <= self.limits.provisioned
        for place in self.places.values():
            assert len(place.running) <= self.limits.environment_concurrency

    def check_nothing_is_lost(self) -> None:
        """Each item is in exactly one place: in line, running in one environment, or answered once."""
        whereabouts = Counter(self.line) + self.ends
        for place in self.places.values():
            whereabouts.update(place.running)
        assert whereabouts == Counter(self.came_s.keys())

    def check_nothing_is_stuck(self, in_flight: int, now_s: float) -> None:
        """Who waits does so for a reason, and something will end it."""
        due_s = self.fleet.next_due_s()
        if self.line:
            assert not self.waiting or not self.with_room()
        short = len(self.waiting) - self.starting * self.limits.environment_concurrency
        if short > 0:
            assert due_s is not None
        if self.blocked:
            assert due_s is not None
            assert due_s <= self.came_s[self.blocked[0]] + self.limits.queue_wait_s
            if in_flight >= self.own and (
                self.limits.reserved is not None or self.pool.used == self.pool.limit
            ):
                return  # for concurrency
            assert not self.with_room()  # for the scaling rate, then
            assert self.scaling
            assert self.scaling.allows(due_s)
        elif not self.closed and self.limits.provisioned:
            alive = sum(place.provisioned for place in self.places.values())
            assert alive == self.limits.provisioned or due_s is not None


RATES = st.none() | st.builds(Rate, st.integers(1, 5), st.sampled_from((0.25, 0.5, 1.0, 4.0)))
LIMITS = st.builds(
    FleetLimits,
    reserved=st.none() | st.integers(0, 6),
    provisioned=st.sampled_from((0, 0, 1, 3)),
    environment_concurrency=st.integers(1, 4),
    keep_alive_s=st.sampled_from((0.0, 1.0, 5.0)),
    queue_limit=st.sampled_from((0, 1, 5)),
    queue_wait_s=st.sampled_from((0.5, 2.0, 8.0)),
)
PICK = st.integers(0, 1 << 16)


class FleetsThatShareAPool(RuleBasedStateMachine):
    """Any facts, in any order, at any pace."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.items = itertools.count(1)
        self.models: list[Model] = []

    @initialize(
        limits=st.lists(st.tuples(LIMITS, RATES, RATES), min_size=1, max_size=3), units=st.integers(0, 6)
    )
    def build(self, limits, units) -> None:
        self.pool = Pool(units)
        self.models = [Model(limit, self.pool, scaling, requests) for limit, scaling, requests in limits]
        self.models_by_fleet = {model.fleet: model for model in self.models}
        for model in self.models:
            model.open(self.now_s)

    # ------------------------------------------------------------ choosing

    def model(self, pick: int) -> Model:
        return self.models[pick % len(self.models)]

    def places(self, wanted) -> list[tuple[Model, int]]:
        return [
            (model, env_id)
            for model in self.models
            for env_id, place in model.places.items()
            if wanted(place)
        ]

    def starting(self) -> list[tuple[Model, int]]:
        return self.places(lambda place: place.starting)

    def busy(self) -> list[tuple[Model, int]]:
        return self.places(lambda place: place.running)

    def settle(self) -> None:
        """What the dispatcher does after each release."""
        while (fleet := self.pool.next_blocked()) is not None:
            self.models_by_fleet[fleet].unblock(self.now_s)

    # ------------------------------------------------------------ facts

    @rule(pick=PICK, count=st.integers(1, 8))
    def arrive(self, pick, count) -> None:
        for _ in range(count):
            self.model(pick).arrive(next(self.items), self.now_s)

    @precondition(lambda self: self.starting())
    @rule(pick=PICK)
    def ready(self, pick) -> None:
        there = self.starting()
        model, env_id = there[pick % len(there)]
        model.ready(env_id, self.now_s)
        self.settle()

    @precondition(lambda self: self.starting())
    @rule(pick=PICK)
    def fail_init(self, pick) -> None:
        there = self.starting()
        model, env_id = there[pick % len(there)]
        model.init_failed(env_id, self.now_s)
        self.settle()

    @precondition(lambda self: self.busy())
    @rule(pick=PICK)
    def finish(self, pick) -> None:
        there = self.busy()
        model, env_id = there[pick % len(there)]
        model.finished(env_id, min(model.places[env_id].running), self.now_s)
        self.settle()

    @precondition(lambda self: self.places(lambda place: not place.starting))
    @rule(pick=PICK)
    def crash(self, pick) -> None:
        there = self.places(lambda place: not place.starting)
        model, env_id = there[pick % len(there)]
        model.crashed(env_id, self.now_s)
        self.settle()

    @rule(eighths=st.integers(1, 24))
    def time_passes_and_the_alarm_rings_in_time(self, eighths) -> None:
        self.advance(self.now_s + eighths * EIGHTH_S)

    @rule(eighths=st.integers(0, 80))
    def time_passes_and_the_alarm_rings_late(self, eighths) -> None:
        self.now_s += eighths * EIGHTH_S
        for model in self.models:
            model.tick(self.now_s)
        self.settle()

    @rule(pick=PICK)
    def renew(self, pick) -> None:
        self.model(pick).renew(self.now_s)

    @precondition(lambda self: len(self.models) > 1 or self.now_s > 5)
    @rule(pick=PICK)
    def close(self, pick) -> None:
        self.model(pick).close(self.now_s)

    @precondition(lambda self: any(model.closed for model in self.models))
    @rule()
    def abandon_what_is_closed(self) -> None:
        for model in self.models:
            if model.closed:
                model.abandon(self.now_s)
        self.settle()

    def advance(self, to_s: float) -> None:
        """Let time pass as a simulator does: from one due moment to the next."""
        for _ in range(10_000):
            due = [
                (due_s, n)
                for n, model in enumerate(self.models)
                if (due_s := model.fleet.next_due_s()) is not None
            ]
            if not due or min(due)[0] > to_s:
                break
            due_s, number = min(due)
            self.now_s = max(self.now_s, due_s)
            self.models[number].tick(self.now_s)
            self.settle()
        else:
            pytest.fail("tick does not do what next_due_s announces: time stands still")
        self.now_s = max(self.now_s, to_s)

    # ------------------------------------------------------------ what must hold

    @invariant()
    def the_books_agree(self) -> None:
        for model in self.models:
            model.check(self.now_s)
        if self.models:
            shared = sum(
                max(0, model.fleet.statistics().in_flight - model.own)
                for model in self.models
                if model.limits.reserved is None
            )
            assert self.pool.used == shared <= self.pool.limit
            assert not self.pool.contended or self.pool.used == self.pool.limit

    def teardown(self) -> None:
        """Everything ends: each event is answered once, and only provisioned environments stay."""
        if not self.models:
            return
        for _ in range(10_000):
            if there := self.busy():
                model, env_id = there[0]
                model.finished(env_id, min(model.places[env_id].running), self.now_s)
            elif there := self.starting():
                model, env_id = there[0]
                model.ready(env_id, self.now_s)
            elif any(model.line for model in self.models):
                self.advance(self.now_s + 1.0)
            else:
                break
            self.settle()
            self.the_books_agree()
        self.advance(self.now_s + 5.0)
        while there := self.starting():  # the refill of what was provisioned
            there[0][0].ready(there[0][1], self.now_s)
        self.advance(self.now_s + 61.0)
        while there := self.starting():
            there[0][0].ready(there[0][1], self.now_s)
        self.the_books_agree()

        assert self.pool.used == 0
        for model in self.models:
            kept = 0 if model.closed else model.limits.provisioned
            assert model.ends == Counter(model.came_s.keys())
            assert len(model.idle) == len(model.places) == kept
            assert model.fleet.next_due_s() is None


FleetsThatShareAPool.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
test_fleets_keep_their_promises_whatever_happens = FleetsThatShareAPool.TestCase


# ---------------------------------------------------------------- O(1)


def calls(step, *args) -> int:
    """How many calls, of Python and of C, one step of the kernel makes."""
    count = 0

    def profile(frame, event, arg) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        step(*args)
    finally:
        sys.setprofile(None)
    return count


def busy_fleet(count: int, **limits) -> Fleet[int]:
    """All `count` environments busy."""
    fleet: Fleet[int] = Fleet(FleetLimits(**limits), Pool(10 * count), TokenBucket(count + 5, 1.0))
    for item in range(count * limits.get("environment_concurrency", 1)):
        fleet.arrive(item, 0.0)
    for env_id in range(1, count + 1):
        fleet.ready(env_id, 0.0)
    return fleet


def work_with_idle(count: int) -> list[int]:
    fleet = busy_fleet(count)
    for env_id in range(1, count + 1):
        fleet.finished(env_id, 1.0)
    return [
        calls(fleet.arrive, -1, 2.0),
        calls(fleet.finished, count, 3.0),
        calls(fleet.crashed, count // 2, 4.0),
        calls(fleet.next_due_s),
        calls(fleet.tick, 5.0),
        calls(fleet.statistics),
    ]


def work_with_busy(count: int) -> list[int]:
    fleet = busy_fleet(count)
    return [
        calls(fleet.arrive, -1, 2.0),
        calls(fleet.finished, count // 2, 3.0),
        calls(fleet.crashed, count // 3, 3.0),
        calls(fleet.arrive, -2, 4.0),
        calls(fleet.ready, count + 1, 4.0),
    ]


def work_with_waiting(count: int) -> list[int]:
    fleet: Fleet[int] = Fleet(FleetLimits(), Pool(2 * count))
    for item in range(count):
        fleet.arrive(item, 0.0)
    return [
        calls(fleet.arrive, -1, 1.0),
        calls(fleet.ready, count // 2, 2.0),
        calls(fleet.finished, count // 2, 3.0),
        calls(fleet.crashed, count // 3, 3.0),
    ]


def work_with_blocked(count: int) -> list[int]:
    fleet: Fleet[int] = Fleet(FleetLimits(reserved=1, queue_limit=2 * count), Pool(0))
    for item in range(count):
        fleet.arrive(item, 0.0)
    return [
        calls(fleet.arrive, -1, 1.0),
        calls(fleet.ready, 1, 2.0),
        calls(fleet.finished, 1, 2.0),
        calls(fleet.tick, 2.5),
        calls(fleet.next_due_s),
    ]


def work_with_shared(count: int) -> list[int]:
    fleet = busy_fleet(count, environment_concurrency=2)
    work = [calls(fleet.finished, count // 2, 1.0)]
    for env_id in range(1, count // 2):
        fleet.finished(env_id, 1.0)
    return [*work, calls(fleet.arrive, -1, 2.0), calls(fleet.arrive, -2, 2.0), calls(fleet.finished, 1, 3.0)]


@pytest.mark.parametrize(
    "work", [work_with_idle, work_with_busy, work_with_waiting, work_with_blocked, work_with_shared]
)
def test_a_step_costs_the_same_with_10_and_with_10_000(work):
    """O(1) in environments, in waiting events and in blocked ones: the same number of calls."""
    assert work(10) == work(10_000)
