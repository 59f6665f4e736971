"""Fleets that share one pool, driven by random facts: what must hold whatever happens.

`Model` is a small obedient driver with books of its own. Each command is checked against the books
before it is entered there, and after each step the books and `statistics()` must agree.
"""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine.core.fleet import Command, Fail, Fleet, FleetLimits, Refuse, Run, Start, Stop
from engine.core.init_turns import InitTurns
from engine.core.throttling import Pool, ThrottleReason, TokenBucket

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

    def __init__(
        self,
        limits: FleetLimits,
        pool: Pool,
        scaling: Rate | None,
        requests: Rate | None,
        inits: InitTurns | None = None,
    ) -> None:
        self.limits, self.pool, self.scaling, self.requests = limits, pool, scaling, requests
        self.fleet: Fleet[int] = Fleet(
            limits, pool, scaling and scaling.bucket(), requests and requests.bucket(), inits
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
            ThrottleReason.REQUEST_RATE,
            ThrottleReason.RESERVED_REQUEST_RATE,
        )
        if self.requests and not refused_by_rate and not self.closed:
            self.requests.take(now_s)

    def ready(self, env_id: int, now_s: float) -> None:
        self.places[env_id].starting = False
        self.idle.append(env_id)
        self.obey(self.fleet.ready(env_id, now_s), now_s, place_since=env_id)

    def init_failed(self, env_id: int, now_s: float) -> None:
        coming = self.starting - 1 + self.pending
        needed = len(self.waiting) > coming * self.limits.environment_concurrency
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
        self.check_nothing_is_overdue(now_s)

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

    def begin(self, now_s: float) -> None:
        pending = self.pending
        self.obey(self.fleet.begin(now_s), now_s)
        assert self.pending == max(0, pending - 1)

    # ------------------------------------------------------------ obeying

    def obey(self, commands, now_s: float, place_since: int | None = None) -> None:
        if place_since is not None:
            self.places[place_since].since_s = now_s
        self.refusals: list[ThrottleReason] = []
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

    def enter_refusal(self, item: int, refusal: ThrottleReason, now_s: float) -> None:
        self.refusals.append(refusal)
        self.line.remove(item)
        self.ends[item] += 1
        in_flight = self.running + self.fleet.statistics().waiting
        match refusal:
            case ThrottleReason.FUNCTION_LIMIT:
                assert in_flight == self.limits.reserved
            case ThrottleReason.ACCOUNT_LIMIT:
                assert self.limits.reserved is None
                assert in_flight >= self.own
                assert self.pool.used == self.pool.limit
            case ThrottleReason.SCALE_RATE:
                assert self.scaling
                assert not self.scaling.allows(now_s)
                assert not self.with_room()
            case ThrottleReason.REQUEST_RATE | ThrottleReason.RESERVED_REQUEST_RATE:
                assert self.requests
                assert not self.requests.allows(now_s)
            case ThrottleReason.QUEUE_FULL:
                assert self.fleet.statistics().blocked == self.limits.queue_limit > 0
            case ThrottleReason.QUEUE_TIMEOUT:
                assert item == self.blocked.pop(0)
                assert self.came_s[item] + self.limits.queue_wait_s <= now_s
            case ThrottleReason.CLOSING:
                assert self.closed

    # ------------------------------------------------------------ what must hold

    @property
    def pending(self) -> int:
        return self.fleet.statistics().pending

    @property
    def starting(self) -> int:
        return sum(place.starting for place in self.places.values())

    def check(self) -> None:
        statistics = self.fleet.statistics()
        busy = sum(bool(place.running) for place in self.places.values())
        in_flight = self.running + len(self.waiting)

        assert self.starting == statistics.starting
        assert busy == statistics.busy
        assert statistics.idle == len(self.idle) == len(self.places) - self.starting - busy
        assert statistics.in_flight == in_flight <= statistics.peak_in_flight
        assert statistics.waiting + statistics.blocked == len(self.line)
        self.check_limits(in_flight)
        self.check_nothing_is_lost()
        self.check_nothing_is_stuck(in_flight)
        self.check_no_init_is_begun_for_nobody()

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

    def lacks_concurrency(self, in_flight: int) -> bool:
        no_more = self.limits.reserved is not None or self.pool.used == self.pool.limit
        return in_flight >= self.own and no_more

    def check_nothing_is_late(self, now_s: float) -> None:
        """With an alarm that rings in time, what is due is done, and a token is used when it comes."""
        self.check_nothing_is_overdue(now_s)
        in_flight = self.running + len(self.waiting)
        if self.blocked and not self.lacks_concurrency(in_flight):
            assert not self.scaling.allows(now_s)
        if len(self.waiting) > (self.starting + self.pending) * self.limits.environment_concurrency:
            assert not self.scaling.allows(now_s)

    def check_nothing_is_overdue(self, now_s: float) -> None:
        for env_id in self.idle:
            place = self.places[env_id]
            assert place.provisioned or place.since_s + self.limits.keep_alive_s > now_s
        for item in self.blocked:
            assert self.came_s[item] + self.limits.queue_wait_s > now_s

    def check_nothing_is_stuck(self, in_flight: int) -> None:
        """Who waits does so for a reason, and something will end it."""
        due_s = self.fleet.next_due_s()
        if self.line:
            assert not self.waiting or not self.with_room()
        short = len(self.waiting) - (self.starting + self.pending) * self.limits.environment_concurrency
        if short > 0:
            assert due_s is not None
        if self.blocked:
            assert due_s is not None
            assert due_s <= self.came_s[self.blocked[0]] + self.limits.queue_wait_s
            if not self.lacks_concurrency(in_flight):
                assert not self.with_room()  # for the scaling rate, then
                assert self.scaling
        elif not self.closed and self.limits.provisioned:
            alive = sum(place.provisioned for place in self.places.values())
            assert alive + self.pending >= self.limits.provisioned or due_s is not None

    def check_no_init_is_begun_for_nobody(self) -> None:
        """What waits for its turn is needed: by an event that waits, or to be provisioned."""
        alive = sum(place.provisioned for place in self.places.values())
        kept = 0 if self.closed else max(0, self.limits.provisioned - alive)
        needed = -(-len(self.waiting) // self.limits.environment_concurrency) - self.starting
        assert self.pending <= kept + max(0, needed)


SCALING = st.none() | st.builds(Rate, st.integers(1, 5), st.sampled_from((0.25, 0.5, 1.0, 4.0)))
REQUESTS = st.none() | st.none() | st.none() | st.builds(Rate, st.integers(1, 9), st.sampled_from((1.0, 8.0)))
LIMITS = st.builds(
    FleetLimits,
    reserved=st.sampled_from((None, None, None, 0, 1, 3, 6)),
    provisioned=st.sampled_from((0, 0, 1, 3)),
    environment_concurrency=st.integers(1, 4),
    keep_alive_s=st.sampled_from((0.0, 1.0, 5.0)),
    queue_limit=st.sampled_from((0, 1, 5, 5)),
    queue_wait_s=st.sampled_from((0.5, 2.0, 8.0)),
)
PICK = st.integers(0, 1 << 16)
PICKS = st.lists(PICK, min_size=1, max_size=6)


def is_starting(place: Place) -> bool:
    return place.starting


def is_busy(place: Place) -> bool:
    return bool(place.running)


def is_up(place: Place) -> bool:
    return not place.starting


class FleetsThatShareAPool(RuleBasedStateMachine):
    """Any facts, in any order, at any pace."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.items = itertools.count(1)
        self.models: list[Model] = []

    @initialize(
        limits=st.lists(st.tuples(LIMITS, SCALING, REQUESTS), min_size=1, max_size=3),
        units=st.integers(0, 8),
        cores=st.none() | st.integers(1, 3),
    )
    def build(self, limits, units, cores=None) -> None:
        """With `cores`, inits wait for their turns; a token is then taken long before its `Start`."""
        self.pool = Pool(units)
        self.cores, self.turns = cores, None if cores is None else InitTurns(cores)
        self.models = [
            Model(limit, self.pool, None if cores else scaling, requests, self.turns)
            for limit, scaling, requests in limits
        ]
        self.models_by_fleet = {model.fleet: model for model in self.models}
        for model in self.models:
            model.open(self.now_s)
            self.settle()

    # ------------------------------------------------------------ choosing

    def model(self, pick: int) -> Model:
        return self.models[pick % len(self.models)]

    def chosen(self, picks: list[int], wanted) -> Iterator[tuple[Model, int]]:
        """For each pick one of the environments that then are as `wanted`."""
        for pick in picks:
            there = [
                (model, n) for model in self.models for n, place in model.places.items() if wanted(place)
            ]
            if there:
                yield there[pick % len(there)]
                self.settle()

    def settle(self) -> None:
        """What the dispatcher does after each release, and the scheduler of inits after each step."""
        while (fleet := self.pool.next_blocked()) is not None:
            self.models_by_fleet[fleet].unblock(self.now_s)
        while self.turns is not None and (fleet := self.turns.next()) is not None:
            self.models_by_fleet[fleet].begin(self.now_s)

    # ------------------------------------------------------------ facts

    @rule(pick=PICK, count=st.integers(1, 5))
    def arrive(self, pick, count) -> None:
        for _ in range(count):
            self.model(pick).arrive(next(self.items), self.now_s)
            self.settle()

    @rule(picks=PICKS)
    def ready(self, picks) -> None:
        for model, env_id in self.chosen(picks, is_starting):
            model.ready(env_id, self.now_s)

    @rule(picks=PICKS)
    def finish(self, picks) -> None:
        for model, env_id in self.chosen(picks, is_busy):
            model.finished(env_id, min(model.places[env_id].running), self.now_s)

    @rule(pick=PICK)
    def fail_init(self, pick) -> None:
        for model, env_id in self.chosen([pick], is_starting):
            model.init_failed(env_id, self.now_s)

    @rule(pick=PICK)
    def crash(self, pick) -> None:
        for model, env_id in self.chosen([pick], is_up):
            model.crashed(env_id, self.now_s)

    @rule(eighths=st.integers(1, 24))
    def time_passes_and_the_alarm_rings_in_time(self, eighths) -> None:
        self.advance(self.now_s + eighths * EIGHTH_S)
        for model in self.models:
            model.check_nothing_is_late(self.now_s)

    @rule(eighths=st.integers(0, 80))
    def time_passes_and_the_alarm_rings_late(self, eighths) -> None:
        self.now_s += eighths * EIGHTH_S
        for model in self.models:
            model.tick(self.now_s)
        self.settle()

    @rule(eighths=st.integers(1, 8))
    def time_passes_and_the_alarm_is_still_to_ring(self, eighths) -> None:
        self.now_s += eighths * EIGHTH_S

    @rule(pick=PICK)
    def renew(self, pick) -> None:
        self.model(pick).renew(self.now_s)
        self.settle()

    @precondition(lambda self: self.now_s > 4 or len(self.models) > 2)  # late enough to have work to stop
    @rule(pick=PICK, fact=st.sampled_from((Model.close, Model.close, Model.abandon)))
    def stop(self, pick, fact) -> None:
        fact(self.model(pick), self.now_s)
        self.settle()

    def advance(self, to_s: float) -> None:
        """Let time pass as a simulator does: from one due moment to the next."""
        for _ in range(10_000):
            due = [(model.fleet.next_due_s(), number) for number, model in enumerate(self.models)]
            due_s, number = min((at_s, number) for at_s, number in [*due, (math.inf, 0)] if at_s is not None)
            if due_s > to_s:
                break
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
            model.check()
        if self.models:
            shared = sum(
                max(0, model.fleet.statistics().in_flight - model.own)
                for model in self.models
                if model.limits.reserved is None
            )
            assert self.pool.used == shared <= self.pool.limit
            assert not self.pool.contended or self.pool.used == self.pool.limit
        if self.turns is not None:
            starting = sum(model.starting for model in self.models)
            assert self.turns.running == starting <= self.cores
            assert self.turns.contended or not any(model.pending for model in self.models)
            assert not self.turns.contended or starting == self.cores

    def teardown(self) -> None:
        """Everything ends: each event is answered once, and only provisioned environments stay."""
        if not self.models:
            return
        for _ in range(1000):
            self.ready([0])
            self.finish([0])
            self.advance(self.now_s + 1.0)
            self.the_books_agree()
            if not any(model.line or model.running or model.starting for model in self.models):
                break
        self.advance(self.now_s + 66.0)  # the longest pause before a provisioned one is tried again, and more
        self.ready(50 * [0])
        self.advance(self.now_s + 5.0)
        self.the_books_agree()

        assert 0 == self.pool.used
        assert self.turns is None or not self.turns.contended
        for model in self.models:
            kept = 0 if model.closed else model.limits.provisioned
            assert model.ends == Counter(model.came_s.keys())
            assert len(model.idle) == len(model.places) == kept
            assert model.fleet.next_due_s() is None


FleetsThatShareAPool.TestCase.settings = settings(max_examples=300, stateful_step_count=50, deadline=None)
test_fleets_keep_their_promises_whatever_happens = FleetsThatShareAPool.TestCase


def random_limits(rng: random.Random) -> tuple[FleetLimits, Rate | None, Rate | None]:
    limits = FleetLimits(
        reserved=rng.choice((None, None, 2, 6)),
        provisioned=rng.choice((0, 0, 2)),
        environment_concurrency=rng.choice((1, 1, 2, 4)),
        keep_alive_s=rng.choice((0.0, 1.0, 5.0)),
        queue_limit=rng.choice((0, 5, 50)),
        queue_wait_s=rng.choice((2.0, 8.0)),
    )
    scaling = rng.choice((None, Rate(4, 1.0), Rate(2, 4.0)))
    return limits, scaling, rng.choice((None, None, Rate(8, 8.0)))


@pytest.mark.parametrize("seed", range(100))
def test_fleets_keep_their_promises_on_a_long_way(seed):
    """The same books over some hundred facts in the proportions of real work."""
    rng = random.Random(seed)
    fleets = FleetsThatShareAPool()
    cores = rng.choice((None, 1, 2))
    fleets.build([random_limits(rng) for _ in range(rng.randint(1, 3))], rng.randint(3, 12), cores)
    facts = {
        lambda pick: fleets.arrive(pick, rng.randint(1, 3)): 30,
        lambda pick: fleets.ready([pick, pick + 1]): 30,
        lambda pick: fleets.finish([pick, pick + 1]): 30,
        lambda _: fleets.time_passes_and_the_alarm_rings_in_time(rng.randint(1, 8)): 15,
        lambda _: fleets.time_passes_and_the_alarm_rings_late(rng.randint(1, 24)): 5,
        lambda _: fleets.time_passes_and_the_alarm_is_still_to_ring(rng.randint(1, 8)): 5,
        fleets.fail_init: 3,
        fleets.crash: 3,
        fleets.renew: 2,
    }
    for fact in rng.choices(list(facts), list(facts.values()), k=300):
        fact(rng.randrange(1 << 16))
        fleets.the_books_agree()
    fleets.stop(seed, rng.choice((Model.close, Model.abandon)))

    fleets.teardown()
