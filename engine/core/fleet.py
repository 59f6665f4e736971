"""The kernel: all environments and the queues of one function, as a state machine without I/O.

Each method takes a fact and its time, `now_s`, and returns the commands that follow. A step is O(1) in the
number of environments and of waiting events (one that retires n environments or wakes n events is O(n)).
An environment is reserved in the step that chooses it.

There are two queues of events: `waiting` holds those that were admitted and wait for an environment to
become free; `blocked` (only with `overflow = "queue"`) those that wait for a limit. Both are first in,
first out, and an event passes from the second to the first, so order holds across both.

An environment is requested in the step in which an event finds none free, as on Lambda. Where `InitTurns`
limit how many initialise at a time, it is `pending` until its turn comes, and then started. An event takes
whatever environment is free first, so one that is pending may no longer be needed: then it is dropped.

The rules of the common case stand three times, because they are run for every event: `reserve` repeats
what `arrive` does by `_claim`, `_free_environment` and `_place`, and
`engine/model/simulation/fast_simulator.py` repeats both over arrays. A change here is a change there:
tests/core/test_fleet_properties.py and tests/model/test_model_kernel.py hold the three together.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Generic, NamedTuple, TypeVar

from engine.core.cluster_nodes import NodeEnvironments
from engine.core.environment import Environment, Signal, State
from engine.core.init_turns import InitTurns
from engine.core.keep_alive import KEEP_ALIVE_S, next_expiry_s, take_expired
from engine.core.throttling import Pool, ThrottleReason, TokenBucket

Item = TypeVar("Item")
"""What the driver calls an event: an `Invocation` live, a number in a simulation."""

# Reading a member off its enum class costs more than the comparison it is read for (CPython 3.11).
_RESERVE: Final = Signal.RESERVE
_IDLE: Final = State.IDLE
_BUSY: Final = State.BUSY
_new_tuple: Final = tuple.__new__

_NO_GENERATION: Final = -1
"""A generation that is never the present one."""

_FIRST_RETRY_S = 1.0
_LAST_RETRY_S = 60.0


class Start(NamedTuple):
    """Initialise a new environment."""

    env_id: int
    provisioned: bool


class Run(NamedTuple, Generic[Item]):
    """Run `item` in an environment that is now reserved for it. `cold`: it waited for its init."""

    env_id: int
    item: Item
    cold: bool


class Stop(NamedTuple):
    """End an idle or starting environment."""

    env_id: int


class Refuse(NamedTuple, Generic[Item]):
    """Answer `item` with a throttle (or, while closing, with a cancellation)."""

    item: Item
    refusal: ThrottleReason


class Fail(NamedTuple, Generic[Item]):
    """Answer `item` with the init error of `env_id`, the environment it waited for."""

    item: Item
    env_id: int


Command = Start | Run[Item] | Stop | Refuse[Item] | Fail[Item]


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetLimits:
    """What one fleet may do; all durations in seconds.

    Attributes:
        reserved: Guarantee and ceiling of concurrency, or None to share the account's pool.
        provisioned: Environments kept ready.
        environment_concurrency: Events one environment takes at a time.
        keep_alive_s: How long an idle environment lives.
        queue_limit: How many events may wait for a limit; 0 = throttle at once.
        queue_wait_s: How long an event may wait for a limit.
    """

    reserved: int | None = None
    provisioned: int = 0
    environment_concurrency: int = 1
    keep_alive_s: float = KEEP_ALIVE_S
    queue_limit: int = 0
    queue_wait_s: float = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetStatistics:
    """A fleet in numbers. `in_flight` is the concurrency in use: running plus admitted.

    `pending` are environments that wait for their turn to initialise; they are in no other number.
    """

    starting: int
    idle: int
    busy: int
    in_flight: int
    peak_in_flight: int
    waiting: int
    blocked: int
    pending: int = 0


class Fleet(Generic[Item]):
    """All environments and the queue of one function."""

    def __init__(
        self,
        limits: FleetLimits,
        pool: Pool,
        scaling: TokenBucket | None = None,
        requests: TokenBucket | None = None,
        inits: InitTurns | None = None,
    ) -> None:
        """`inits`: what limits how many environments initialise at a time; None = nothing does."""
        self._limits = limits
        self._pool = pool
        self._scaling = scaling
        self._requests = requests
        self._inits = inits
        self._capacity = limits.environment_concurrency
        self._simple = requests is None and self._capacity == 1  # `reserve` knows no more
        self._reserved = limits.reserved is not None
        # Units of concurrency that are this fleet's own: more come from the pool, or not at all.
        self._own = limits.provisioned if limits.reserved is None else limits.reserved

        self._environments: dict[int, Environment] = {}
        self._last_id = 0
        self._generation = 0
        self._idle: deque[Environment] = deque()  # oldest left; may hold GONE ones, skipped when met
        self._idle_provisioned: deque[Environment] = deque()
        self._partial: dict[Environment, None] = {}  # BUSY with room left
        self._starting = 0
        self._busy = 0
        self._provisioned = 0  # pending ones included

        self.wanted = 0
        """Environments requested so far: as many as Lambda would have made."""
        self._pending = 0
        self._pending_provisioned = 0  # of them
        self._is_in_init_queue = False
        self._waiting: deque[Item] = deque()
        self._blocked: deque[tuple[Item, float]] = deque()
        self._in_flight = 0
        self._peak_in_flight = 0
        self._is_in_pool_queue = False
        self._scaling_due_s: float | None = None
        self._refill_due_s: float | None = None
        self._retry_s = _FIRST_RETRY_S
        self._closed = False

    # ---------------------------------------------------------------- facts

    def open(self, now_s: float) -> Sequence[Command[Item]]:
        """The engine starts: bring up what is provisioned."""
        commands: list[Command[Item]] = []
        self._refill(now_s, commands)
        return commands

    def reserve(self, now_s: float) -> int:
        """The common case of `arrive`, alone: the environment in which to run the event that came, or 0.

        0 changes nothing and means that `arrive` has to decide.
        """
        line = self._idle_provisioned or self._idle
        if not line or not self._simple or self._blocked or self._closed:
            return 0
        environment = line[-1]
        if environment.state is not _IDLE:
            return 0
        if self._in_flight >= self._own:
            pool = self._pool
            if self._reserved or pool.used >= pool.limit:
                return 0
            pool.used += 1  # `Pool.acquire`, without the call
        del line[-1]
        self._in_flight += 1
        if self._in_flight > self._peak_in_flight:
            self._peak_in_flight = self._in_flight
        self._busy += 1
        environment.state = _BUSY  # as `_RESERVE` would have it: here it is known to be idle
        environment.since_s = now_s
        environment.in_flight = 1
        return environment.id

    def arrive(self, item: Item, now_s: float) -> Sequence[Command[Item]]:
        """An event came. It is run, queued or refused in this step."""
        env_id = self.reserve(now_s)
        if env_id:
            return (Run(env_id, item, cold=False),)
        if self._closed:
            return (Refuse(item, ThrottleReason.CLOSING),)
        if self._requests is not None and not self._requests.take(now_s):
            return (Refuse(item, self._rate_refusal()),)
        if self._blocked:
            return self._block(item, now_s)
        refusal = self._claim()
        if refusal is None:
            environment = self._free_environment()
            if environment is not None:
                return (self._place(environment, item, now_s, cold=False),)
            commands: list[Command[Item]] = []
            refusal = self._enqueue(item, now_s, commands)
            if refusal is None:
                return commands
        if not self._limits.queue_limit:
            return (Refuse(item, refusal),)
        self._schedule_retry(refusal, now_s)
        return self._block(item, now_s)

    def ready(self, env_id: int, now_s: float, *, initialised: bool = True) -> Sequence[Command[Item]]:
        """An environment can serve. If it is not `initialised`, it does that inside its first invocation.

        Then it keeps its turn to initialise until `computed`.
        """
        environment = self._environments[env_id]
        environment.send(Signal.READY, now_s)
        self._starting -= 1
        if initialised:
            self._end_turn(env_id)
        self._retry_s = _FIRST_RETRY_S
        return self._assign_events(environment, now_s)

    def placed(self, env_id: int, node: str) -> None:
        """An environment that starts is on that node of the cluster."""
        environment = self._environments.get(env_id)
        if environment is not None:
            environment.node = node

    def computed(self, env_id: int, cpu_s: float | None) -> None:
        """An init needs no CPU any more, ready or not: its turn ends. It took `cpu_s` of a CPU, if known."""
        self._end_turn(env_id, cpu_s)

    def begin(self, now_s: float) -> Sequence[Command[Item]]:
        """The fleet's turn to initialise an environment has come."""
        self._is_in_init_queue = False
        if not self._pending:
            return ()  # none is needed any more
        provisioned = self._pending == self._pending_provisioned
        self._pending -= 1
        self._pending_provisioned -= provisioned
        if self._inits is not None:
            self._inits.begin(self, self._last_id + 1, now_s)
        self._wait_for_init_turn()
        return (self._start(now_s, provisioned=provisioned),)

    def finished(self, env_id: int, now_s: float) -> Sequence[Command[Item]]:
        """One handler ended in an environment that lives on."""
        environment = self._environments[env_id]
        self._in_flight -= 1  # `_release_claim`, without the calls
        if self._in_flight >= self._own and not self._reserved:
            self._pool.used -= 1
        environment.in_flight -= 1
        environment.served += 1
        if environment.in_flight:
            environment.send(Signal.YIELD, now_s)
            return self._assign_events(environment, now_s)
        environment.state = _IDLE  # as `Signal.RELEASE` would have it: something ran, so it was busy
        environment.since_s = now_s
        self._busy -= 1
        if self._partial:
            self._partial.pop(environment, None)
        if self._waiting or self._blocked or self._closed or environment.generation != self._generation:
            return self._assign_events(environment, now_s)
        # `_keep_idle`, without the call
        (self._idle_provisioned if environment.provisioned else self._idle).append(environment)
        return ()

    def crashed(self, env_id: int, now_s: float) -> Sequence[Command[Item]]:
        """An environment has ended, in whatever state, with all that ran in it.

        The driver answers what ran. If it was starting, one waiting event fails with it.
        """
        environment = self._environments[env_id]
        was_starting = environment.state is State.STARTING
        for _ in range(environment.in_flight):
            self._release_claim()
        self._remove(environment, Signal.CRASH, now_s)
        commands: list[Command[Item]] = []
        if was_starting and self._lacks_environment:
            self._release_claim()
            commands.append(Fail(self._waiting.popleft(), env_id))
        if environment.provisioned:
            self._refill_later(now_s, failed=was_starting)
        self._replace_missing(now_s, commands)
        self._admit_blocked(now_s, commands)
        return commands

    def tick(self, now_s: float) -> Sequence[Command[Item]]:
        """Time passed: retire what was idle too long, refuse what waited too long, refill."""
        commands: list[Command[Item]] = []
        self._retire_idle(now_s, commands)
        self._refuse_overdue(now_s, commands)
        if self._refill_due_s is not None and now_s >= self._refill_due_s:
            self._refill(now_s, commands)
        if self._scaling_due_s is not None and now_s >= self._scaling_due_s:
            self._scaling_due_s = None
            self._replace_missing(now_s, commands)
            self._admit_blocked(now_s, commands)
        return commands

    def unblock(self, now_s: float) -> Sequence[Command[Item]]:
        """The account's pool has a unit again, and it is this fleet's turn."""
        self._is_in_pool_queue = False
        commands: list[Command[Item]] = []
        self._admit_blocked(now_s, commands)
        return commands

    def renew(self, now_s: float) -> Sequence[Command[Item]]:
        """The code changed: idle environments go now, busy and starting ones after their work."""
        self._generation += 1
        if self._inits is not None:
            self._inits.forget_cost(self)
        self._partial.clear()  # nothing more goes into an outdated environment
        commands: list[Command[Item]] = []
        for environment in [e for e in self._environments.values() if e.state is State.IDLE]:
            self._remove(environment, Signal.RETIRE, now_s)
            commands.append(Stop(environment.id))
        self._refill(now_s, commands)
        return commands

    def give_up(self, env_id: int, now_s: float) -> Sequence[Command[Item]] | None:
        """The machine needs its room: an idle environment goes now, a busy one after its work.

        None: it stays, because it is provisioned, or starts, or is gone already.
        """
        environment = self._environments.get(env_id)
        if environment is None or environment.provisioned or environment.state is State.STARTING:
            return None
        if environment.state is State.IDLE:
            self._remove(environment, Signal.RETIRE, now_s)
            return (Stop(env_id),)
        environment.generation = _NO_GENERATION
        self._partial.pop(environment, None)
        return ()

    def on_demand(self, state: State) -> list[int]:
        """Environments in that state that are not provisioned: those that `give_up` is for."""
        return [e.id for e in self._environments.values() if e.state is state and not e.provisioned]

    def adjust(self, pool: Pool, provisioned: int, now_s: float) -> Sequence[Command[Item]]:
        """From now on draw on `pool` and keep `provisioned` environments ready, disturbing nothing that runs.

        What is in flight is counted in the new pool at once, above its limit if need be. Provisioned
        environments beyond the number become ordinary ones, and expire when idle.
        """
        if (pool, provisioned, None) == (self._pool, self._limits.provisioned, self._limits.reserved):
            return ()
        if self._limits.reserved is None:
            self._pool.used -= max(0, self._in_flight - self._own)
        self._limits = replace(self._limits, reserved=None, provisioned=provisioned)
        self._own = provisioned
        self._reserved = False
        self._pool = pool
        pool.used += max(0, self._in_flight - provisioned)
        self._is_in_pool_queue = False
        commands: list[Command[Item]] = []
        self._release_surplus()
        self._refill(now_s, commands)
        self._admit_blocked(now_s, commands)
        return commands

    def close(self, now_s: float) -> Sequence[Command[Item]]:
        """Nothing more is started: refuse what waits for a limit, let idle environments go.

        Events that were admitted still run; call `abandon` to end those too.
        """
        self._closed = True
        commands: list[Command[Item]] = [Refuse(item, ThrottleReason.CLOSING) for item, _ in self._blocked]
        self._blocked.clear()
        self._provisioned -= self._pending_provisioned
        self._pending_provisioned = 0
        self._drop_pending()
        for environment in list(self._environments.values()):
            if environment.state is State.IDLE or self._is_surplus(environment):
                self._remove(environment, Signal.RETIRE, now_s)
                commands.append(Stop(environment.id))
        return commands

    def abandon(self, now_s: float) -> Sequence[Command[Item]]:
        """The grace period is over: everything goes. The driver answers what ran."""
        commands = [*self.close(now_s), *(Refuse(item, ThrottleReason.CLOSING) for item in self._waiting)]
        self._waiting.clear()
        self._drop_pending()
        for environment in list(self._environments.values()):
            self._remove(environment, Signal.CRASH, now_s)
            commands.append(Stop(environment.id))
        while self._in_flight:
            self._release_claim()
        self._scaling_due_s = self._refill_due_s = None
        if self._inits is not None:
            self._inits.remove(self)
        return commands

    # ---------------------------------------------------------------- state

    @property
    def may_be_due_sooner(self) -> bool:
        """Whether `next_due_s` may be sooner than the next idle expiry."""
        return bool(self._blocked) or self._scaling_due_s is not None or self._refill_due_s is not None

    def next_due_s(self) -> float | None:
        """When `tick` has something to do, if nothing else happens before; None = never."""
        expiry_s = next_expiry_s(self._idle, self._limits.keep_alive_s)
        due = [at_s for at_s in (self._scaling_due_s, self._refill_due_s, expiry_s) if at_s is not None]
        if self._blocked:
            due.append(self._blocked[0][1] + self._limits.queue_wait_s)
        return min(due, default=None)

    @property
    def environments(self) -> int:
        """How many there are, starting ones included."""
        return len(self._environments)

    @property
    def oldest(self) -> Item | None:
        """The event that has waited longest, or None."""
        if self._waiting:
            return self._waiting[0]
        return self._blocked[0][0] if self._blocked else None

    @property
    def provisioned_ready(self) -> int:
        """Provisioned environments that are initialised."""
        return sum(e.provisioned and e.state is not State.STARTING for e in self._environments.values())

    @property
    def provisioning_fails(self) -> bool:
        """Whether the provisioned environments that were started last did not come up."""
        return self._retry_s > _FIRST_RETRY_S

    def statistics(self) -> FleetStatistics:
        """The fleet in numbers, now."""
        return FleetStatistics(
            starting=self._starting,
            idle=len(self._environments) - self._starting - self._busy,
            busy=self._busy,
            in_flight=self._in_flight,
            peak_in_flight=self._peak_in_flight,
            waiting=len(self._waiting),
            blocked=len(self._blocked),
            pending=self._pending,
        )

    def node_of(self, env_id: int) -> str:
        """The node an environment is on; "" for the engine's own machine, and for one that is gone."""
        environment = self._environments.get(env_id)
        return "" if environment is None else environment.node

    def by_node(self) -> dict[str, NodeEnvironments]:
        """The environments in numbers, by node: O(n). Those on the engine's own machine are left out."""
        counts = Counter((e.node, e.state) for e in self._environments.values() if e.node)
        return {
            node: NodeEnvironments(*(counts[node, state] for state in (State.STARTING, _IDLE, _BUSY)))
            for node in dict.fromkeys(node for node, _ in counts)
        }

    def __str__(self) -> str:
        s = self.statistics()
        environments = f"{s.starting} starting, {s.idle} idle, {s.busy} busy"
        return f"fleet of {environments}; {s.in_flight} in flight, {s.blocked} blocked"

    # ---------------------------------------------------------------- admitting events

    def _enqueue(self, item: Item, now_s: float, commands: list[Command[Item]]) -> ThrottleReason | None:
        """Queue `item`, which holds its claim, for a starting environment; request one if there is none."""
        if len(self._waiting) >= (self._starting + self._pending) * self._capacity:
            if self._scaling is not None and not self._scaling.take(now_s):
                self._release_claim()
                return ThrottleReason.SCALE_RATE
            self._request_environment(now_s, commands, provisioned=False)
        self._waiting.append(item)
        if self._in_flight > self._peak_in_flight:
            self._peak_in_flight = self._in_flight
        return None

    def _block(self, item: Item, now_s: float) -> Sequence[Command[Item]]:
        """Let `item` wait for a limit, behind those that do already."""
        if len(self._blocked) >= self._limits.queue_limit:
            return (Refuse(item, ThrottleReason.QUEUE_FULL),)
        self._blocked.append((item, now_s))
        return ()

    def _admit_blocked(self, now_s: float, commands: list[Command[Item]]) -> None:
        if self._is_in_pool_queue and self._in_flight >= self._own:
            return  # a unit just released belongs to the first in the pool's queue
        while self._blocked:
            refusal = self._claim()
            if refusal is None:
                environment = self._free_environment()
                if environment is not None:
                    item, _ = self._blocked.popleft()
                    commands.append(self._place(environment, item, now_s, cold=False))
                    continue
                refusal = self._enqueue(self._blocked[0][0], now_s, commands)
            if refusal is not None:
                self._schedule_retry(refusal, now_s)
                return
            self._blocked.popleft()

    def _schedule_retry(self, refusal: ThrottleReason, now_s: float) -> None:
        """Have the blocked events looked at again when `refusal` may have passed.

        A function limit needs nothing: the next handler to end looks at them.
        """
        if refusal is ThrottleReason.ACCOUNT_LIMIT and not self._is_in_pool_queue:
            self._is_in_pool_queue = True
            self._pool.block(self)
        elif refusal is ThrottleReason.SCALE_RATE and self._scaling is not None:
            self._scaling_due_s = self._scaling.next_s(now_s)

    def _claim(self) -> ThrottleReason | None:
        if self._in_flight >= self._own:
            if self._reserved:
                return ThrottleReason.FUNCTION_LIMIT
            if not self._pool.acquire():
                return self._pool.refusal
        self._in_flight += 1
        return None

    def _release_claim(self) -> None:
        self._in_flight -= 1
        if self._in_flight >= self._own and not self._reserved:
            self._pool.release()

    def _rate_refusal(self) -> ThrottleReason:
        if self._limits.reserved is None and self._pool.refusal is ThrottleReason.ACCOUNT_LIMIT:
            return ThrottleReason.REQUEST_RATE
        return ThrottleReason.RESERVED_REQUEST_RATE

    # ---------------------------------------------------------------- environments

    def _free_environment(self) -> Environment | None:
        """The one to use next: a shared one with room, then provisioned, then the one idle shortest."""
        if self._partial:
            return self._partial.popitem()[0]  # merely looking at the last key is not O(1) after removals
        line = self._idle_provisioned or self._idle
        while line:
            environment = line.pop()
            if environment.state is _IDLE:
                return environment
            line = self._idle_provisioned or self._idle
        return None

    def _place(self, environment: Environment, item: Item, now_s: float, *, cold: bool) -> Run[Item]:
        if environment.in_flight:
            environment.send(Signal.SHARE, now_s)
        else:
            environment.send(_RESERVE, now_s)
            self._busy += 1
        environment.in_flight += 1
        if self._in_flight > self._peak_in_flight:
            self._peak_in_flight = self._in_flight
        if self._capacity > 1:
            if environment.in_flight < self._capacity:
                self._partial[environment] = None
            else:
                self._partial.pop(environment, None)
        return _new_tuple(Run, (environment.id, item, cold))  # what Run(...) does, in half its time

    def _keep_idle(self, environment: Environment) -> None:
        """Put it where the next event takes it first, and where it expires last."""
        (self._idle_provisioned if environment.provisioned else self._idle).append(environment)

    def _assign_events(self, environment: Environment, now_s: float) -> Sequence[Command[Item]]:
        """Give an environment with room the next events, or keep it idle, or end it if it is outdated."""
        if environment.generation != self._generation:
            return self._retire_outdated(environment, now_s)
        fresh = not environment.served and not environment.in_flight
        commands: list[Command[Item]] = []
        while self._waiting and environment.in_flight < self._capacity:
            commands.append(self._place(environment, self._waiting.popleft(), now_s, cold=fresh))
        if self._pending:
            self._drop_pending()
        if not environment.in_flight:
            if self._closed:
                self._remove(environment, Signal.RETIRE, now_s)
                commands.append(Stop(environment.id))
            else:
                self._keep_idle(environment)
        elif environment.in_flight < self._capacity:
            self._partial[environment] = None
        if self._blocked:
            self._admit_blocked(now_s, commands)
        return commands

    def _retire_outdated(self, environment: Environment, now_s: float) -> Sequence[Command[Item]]:
        commands: list[Command[Item]] = []
        self._partial.pop(environment, None)
        if not environment.in_flight:
            self._remove(environment, Signal.RETIRE, now_s)
            commands.append(Stop(environment.id))
            self._refill(now_s, commands)
        self._replace_missing(now_s, commands)
        self._admit_blocked(now_s, commands)
        return commands

    def _request_environment(self, now_s: float, commands: list[Command[Item]], *, provisioned: bool) -> None:
        """Start one more environment, now or when its turn to initialise comes."""
        self.wanted += 1
        self._provisioned += provisioned
        if self._inits is None or self._inits.try_begin(self, self._last_id + 1, now_s):
            commands.append(self._start(now_s, provisioned=provisioned))
            return
        self._pending += 1
        self._pending_provisioned += provisioned
        self._wait_for_init_turn()

    def _wait_for_init_turn(self) -> None:
        """Queue for a turn while anything is pending; those for events come before provisioned ones."""
        if self._pending and not self._is_in_init_queue and self._inits is not None:
            self._is_in_init_queue = True
            self._inits.enqueue(self)

    def _drop_pending(self) -> None:
        """Drop pending environments that no event needs and that are not provisioned."""
        needed = -(-len(self._waiting) // self._capacity) - self._starting
        self._pending = max(self._pending_provisioned, min(self._pending, needed))

    def _start(self, now_s: float, *, provisioned: bool) -> Start:
        self._last_id += 1
        environment = Environment(self._last_id, now_s, self._generation, provisioned=provisioned)
        self._environments[environment.id] = environment
        self._starting += 1
        return Start(environment.id, provisioned)

    def _remove(self, environment: Environment, signal: Signal, now_s: float) -> None:
        self._end_turn(environment.id)
        if environment.state is State.STARTING:
            self._starting -= 1
        elif environment.state is State.BUSY:
            self._busy -= 1
            self._partial.pop(environment, None)
        environment.send(signal, now_s)
        del self._environments[environment.id]
        self._provisioned -= environment.provisioned

    def _end_turn(self, env_id: int, cpu_s: float | None = None) -> None:
        if self._inits is not None:
            self._inits.end(self, env_id, cpu_s)

    @property
    def _lacks_environment(self) -> bool:
        """Whether an admitted event waits for which no environment starts, or will."""
        return len(self._waiting) > (self._starting + self._pending) * self._capacity

    def _is_surplus(self, environment: Environment) -> bool:
        """Whether it starts though no event waits for it."""
        return (
            environment.state is State.STARTING
            and len(self._waiting) <= (self._starting - 1) * self._capacity
        )

    def _replace_missing(self, now_s: float, commands: list[Command[Item]]) -> None:
        """Start what admitted events still need after an environment was lost to them."""
        while self._lacks_environment:
            if self._scaling is not None and not self._scaling.take(now_s):
                self._scaling_due_s = self._scaling.next_s(now_s)
                return
            self._request_environment(now_s, commands, provisioned=False)

    def _refill(self, now_s: float, commands: list[Command[Item]]) -> None:
        self._refill_due_s = None
        if len(self._idle_provisioned) > 2 * self._limits.provisioned:  # mostly GONE, and none expires
            self._idle_provisioned = deque(e for e in self._idle_provisioned if e.state is _IDLE)
        while not self._closed and self._provisioned < self._limits.provisioned:
            self._request_environment(now_s, commands, provisioned=True)

    def _release_surplus(self) -> None:
        """More are provisioned than wanted: those that idle longest become ordinary, then any others."""
        surplus = self._provisioned - self._limits.provisioned
        if surplus <= 0:
            return
        pending = min(surplus, self._pending_provisioned)
        self._pending_provisioned -= pending
        self._provisioned -= pending
        surplus -= pending
        self._drop_pending()
        idle = [e for e in self._idle_provisioned if e.state is _IDLE]
        others = [e for e in self._environments.values() if e.provisioned and e.state is not _IDLE]
        for environment in [*idle, *others][:surplus]:
            environment.provisioned = False
        self._provisioned -= surplus
        self._idle_provisioned = deque(e for e in idle if e.provisioned)
        ordinary = [e for e in (*self._idle, *idle) if e.state is _IDLE and not e.provisioned]
        self._idle = deque(sorted(ordinary, key=lambda e: e.since_s))

    def _refill_later(self, now_s: float, *, failed: bool) -> None:
        """Replace a provisioned environment at the next tick; one that never came up, after a pause."""
        if not failed:
            self._refill_due_s = now_s
        elif self._refill_due_s is None:  # those that fail together count as one failure
            self._refill_due_s = now_s + self._retry_s
            self._retry_s = min(self._retry_s * 2, _LAST_RETRY_S)

    def _retire_idle(self, now_s: float, commands: list[Command[Item]]) -> None:
        for environment in take_expired(self._idle, self._limits.keep_alive_s, now_s):
            self._remove(environment, Signal.RETIRE, now_s)
            commands.append(Stop(environment.id))

    def _refuse_overdue(self, now_s: float, commands: list[Command[Item]]) -> None:
        while self._blocked and self._blocked[0][1] + self._limits.queue_wait_s <= now_s:
            commands.append(Refuse(self._blocked.popleft()[0], ThrottleReason.QUEUE_TIMEOUT))
