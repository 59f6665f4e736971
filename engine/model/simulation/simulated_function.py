"""One function in a simulation: tells its fleet the facts and executes its commands, as the driver does live.

A timed callback takes `(now_s, a, b)`; it says what the two numbers are where that is not obvious.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, assert_never

from engine.core.environment import State
from engine.core.fleet import Command, Fail, Fleet, FleetLimits, Refuse, Run, Start, Stop
from engine.core.function import INIT_LIMIT_S, PROVISIONED_INIT_LIMIT_S
from engine.core.throttling import Pool, ThrottleReason, TokenBucket
from engine.model.simulation.hold_times import TIMEOUT, hold, holds
from engine.model.simulation.keep_alive_policies import KeepAlive, KeepAliveController
from engine.model.simulation.retries import Retrying
from engine.model.simulation.schedule import Schedule, TimedCallback
from engine.model.simulation.scheduled_scaling import ScheduledScaling
from engine.model.simulation.simulated_nodes import SimulatedNodes
from engine.model.simulation.workload import (
    FAILS,
    AttemptEnding,
    ColdStartRule,
    SimulatedOutcome,
    Trigger,
    Workload,
)

Log = list[tuple[float, str, Command[int]]]

MIN_TICK_S: Final = 0.1
MIN_TIMER_S: Final = 0.001
"""The live timer for idle expiry (`engine.timer`) is never set for less than this."""

_WARM, _COLD, _THROTTLED, _INIT_FAILED = (int(outcome) for outcome in SimulatedOutcome)


class Attempt(NamedTuple):
    """A start of the handler that failed and was followed by another for the same event.

    Attributes:
        due_s: When the event came, or was sent again.
        arrived_s: When it was admitted: later than `due_s` if it was refused before.
        started_s, hold_s: When it began to run, and how long it held its environment.
        kind, outcome: As in `SimulatedFunction.kinds` and `outcomes`.
        init_s: Initialisation billed with it, else 0.
        is_inside: Whether it ran in a provisioned environment.
    """

    due_s: float
    arrived_s: float
    started_s: float
    hold_s: float
    kind: int
    outcome: int
    init_s: float
    is_inside: bool


class SimulatedFunction:
    """One function. Items are the indexes of its events.

    Attributes:
        fleet: The rules.
        hold_s: Seconds the last attempt of each event holds its environment.
        kinds: How it ends: index of `end_callbacks`.
        started_s: When each began to run, or was refused, for the last time.
        outcomes: What became of each, as `SimulatedOutcome`.
        inits_s: Init seconds billed with an event, by item.
        unbilled_inits_s: Init seconds of environments that have served nothing yet.
        failed_inits_s: Seconds of initialisation on demand that came to nothing, one by one.
        is_inside: Whether each event ran in a provisioned environment; empty if there is none.
        refusals: Refusals by reason.
        earlier: Attempts before the last one, of asynchronous events.
        due_s: When an event whose attempt failed was sent again, by item.
        arrived_s: When an event was sent again, after a failure or a throttle, by item.
        peak_environments: Most environments at once.
        cut_short: (ending, seconds) of events that ended early because their shared environment crashed.
        on_attempt_end: Told the end of each attempt that a mapping made: (now_s, item, whether it went well).
        on_refused: Told each attempt that was refused: (now_s, item).
        on_run: Asked when an attempt begins to run how long it takes: (now_s, item) to seconds; None: what
            `add` was told.
    """

    def __init__(
        self,
        workload: Workload,
        pool: Pool,
        bucket: TokenBucket | None,
        requests: TokenBucket | None,
        *,
        at: Schedule,
        account_pool: Pool,
        released: Callable[[float], None],
        horizon_s: float = math.inf,
        scaler: ScheduledScaling | None = None,
        keep_alive: KeepAlive | None = None,
        cold_start: ColdStartRule = ColdStartRule.FIRST_FREE,
        nodes: SimulatedNodes | None = None,
        log: Log | None = None,
    ) -> None:
        function = workload.function
        if cold_start is ColdStartRule.OWN and function.environment_concurrency > 1:
            raise ValueError(
                f"{function.name}: events that share an environment do not wait for one of their own"
            )
        if keep_alive is not None and (
            function.provisioned_concurrency or function.environment_concurrency > 1
        ):
            raise ValueError(
                f"{function.name}: a keep-alive policy is for on-demand environments of one event each"
            )
        self.workload, self.function = workload, function
        self.at_s = list(workload.at_s)  # a mapping adds to it
        self.hold_s, self.kinds = holds(workload)
        self.end_callbacks: tuple[TimedCallback, ...] = (
            self._ended,
            self._errored,
            self._crashed,
            self._timed_out,
        )
        self.started_s = array("d", bytes(8 * len(workload.at_s)))
        self.outcomes = bytearray(len(workload.at_s))
        self.inits_s: dict[int, float] = {}
        self.unbilled_inits_s: dict[int, float] = {}
        self.failed_inits_s: list[float] = []
        self.is_inside = bytearray(len(workload.at_s) if function.provisioned_concurrency else 0)
        self.earlier: list[Attempt] = []
        self.due_s: dict[int, float] = {}
        self.arrived_s: dict[int, float] = {}
        self.refusals: dict[ThrottleReason, int] = {}
        self.cut_short: dict[int, tuple[int, float]] = {}
        self.on_attempt_end: Callable[[float, int, bool], None] | None = None
        self.on_refused: Callable[[float, int], None] | None = None
        self.on_run: Callable[[float, int], float] | None = None
        self.retrying = (
            Retrying(workload, at, self._retry) if workload.trigger is Trigger.ASYNCHRONOUS else None
        )
        self.created = self.peak_environments = 0
        self.past_environments_s = 0.0  # that environments which are gone lived up to the horizon, in sum
        self._horizon_s = horizon_s
        self._started_at_s: dict[int, float] = {}
        self._initialising: dict[int, float] = {}
        self._own = cold_start is ColdStartRule.OWN
        self._provisioned: set[int] = set()
        self._runs: dict[int, int] = {}  # attempts that ran and failed, by item
        self._shared = function.environment_concurrency > 1
        self._running: dict[int, list[int]] = {}  # only where environments are shared
        self._at, self._released, self._log = at, released, log
        self._nodes = nodes
        self._account_pool = account_pool
        keep_alive_s = function.keep_alive_s if keep_alive is None else keep_alive.longest_s
        held = scaler is not None and not scaler.spills
        if held:
            keep_alive_s = 0.0  # the policy alone says how many there are
        waits = function.overflow == "queue" or held
        self.fleet: Fleet[int] = Fleet(
            FleetLimits(
                provisioned=function.provisioned_concurrency,
                environment_concurrency=function.environment_concurrency,
                keep_alive_s=keep_alive_s,
                queue_limit=function.queue_limit if waits else 0,
                queue_wait_s=function.timeout_s,
            ),
            pool,
            bucket,
            requests,
        )
        self._scaler, self._pool = scaler, pool
        self.keep_alive = None if keep_alive is None else KeepAliveController(keep_alive, self, pool, at)
        self._longest_s = max(keep_alive_s, MIN_TICK_S)
        self._due_s = math.inf  # of the timer
        self._timer = 0  # its number: one that was moved is told by its old one

    @property
    def is_plain(self) -> bool:
        """Whether nothing but the fleet looks at arrivals."""
        watched = self.keep_alive is not None or self._log is not None or self.is_inside
        return not watched and not self._shared

    @property
    def has_work(self) -> bool:
        """Whether any event is still running, waiting or to be retried."""
        levels = self.fleet.statistics()
        return bool(
            levels.in_flight or levels.blocked or (self.retrying is not None and self.retrying.waiting)
        )

    def environment_s(self, horizon_s: float) -> float:
        """Seconds that environments lived, in sum, up to the horizon."""
        alive_s = (max(0.0, horizon_s - start_s) for start_s in self._started_at_s.values())
        return self.past_environments_s + sum(alive_s)

    def last_end_s(self) -> float:
        """When the last attempt that ran was over; 0 if none ran."""
        ran = (
            start_s + hold_s
            for start_s, hold_s, outcome in zip(self.started_s, self.hold_s, self.outcomes, strict=True)
            if outcome <= _COLD
        )
        return max(ran, default=0.0)

    def add(self, now_s: float, service_s: float, ending: int = AttemptEnding.SUCCESS) -> None:
        """Invoke the function once more, for a mapping."""
        item = len(self.hold_s)
        self.at_s.append(now_s)
        hold_s, kind = hold(self.function, service_s, ending)
        self.hold_s.append(hold_s)
        self.kinds.append(kind)
        self.started_s.append(now_s)
        if self.function.provisioned_concurrency:
            self.is_inside.append(0)
        self.outcomes.append(_WARM)
        self.arrive(now_s, item, self.fleet.reserve(now_s))

    # ---------------------------------------------------------------- what nodes ask

    @property
    def name(self) -> str:
        """Of the function."""
        return self.function.name

    @property
    def has_idle(self) -> bool:
        """Whether an environment is idle."""
        return self.fleet.statistics().idle > 0

    @property
    def waiting(self) -> int:
        """Events that wait for an environment, but for as many as initialise."""
        coming = len(self._initialising) * self.function.environment_concurrency
        return max(0, self.fleet.statistics().waiting - coming)

    @property
    def unplaced(self) -> int:
        """Environments that wait for room on a node."""
        return 0 if self._nodes is None else self._nodes.in_line(self)

    def is_provisioned(self, env_id: int) -> bool:
        """Whether it is to be there before events need it."""
        return env_id in self._provisioned

    def idle(self) -> list[int]:
        """Environments that are idle, and may be given up."""
        return self.fleet.on_demand(State.IDLE)

    def busy(self) -> list[int]:
        """Environments that are at work, and may be given up after it."""
        return self.fleet.on_demand(State.BUSY)

    def give_up(self, now_s: float, env_id: int) -> None:
        """End it, now or after its work."""
        self.execute(self.fleet.give_up(env_id, now_s) or (), now_s)

    # ---------------------------------------------------------------- facts

    def open(self, now_s: float) -> None:
        """Begin: start provisioned environments and scaling."""
        self.execute(self.fleet.open(now_s), now_s)
        if self._scaler is not None:
            self._scale(now_s, 0, 0)

    def arrive(self, now_s: float, item: int, env_id: int) -> None:
        """An event came; `env_id` is what `fleet.reserve` said to it."""
        if self.keep_alive is not None:
            self.keep_alive.arrived(now_s)
        if env_id:
            if self._log is not None:
                self._log.append((now_s, self.function.name, Run(env_id, item, cold=False)))
            self._run(now_s, env_id, item, cold=False)
        else:
            self.execute(self.fleet.arrive(item, now_s), now_s)

    def unblock(self, now_s: float) -> None:
        """The account has room again, and it is this function's turn."""
        self.execute(self.fleet.unblock(now_s), now_s)

    def died(self, env_id: int, now_s: float) -> None:
        """Tell the fleet that an environment is gone in which nothing ran."""
        self._environment_gone(env_id, now_s)
        self.execute(self.fleet.crashed(env_id, now_s), now_s)

    def _retry(self, now_s: float, item: int, _b: int) -> None:
        outcome = self.outcomes[item]
        if outcome <= _COLD:
            self._begin_attempt(now_s, item)
        if outcome != _THROTTLED:
            self.due_s[item] = now_s
        self.arrived_s[item] = now_s
        self.arrive(now_s, item, self.fleet.reserve(now_s))

    def _begin_attempt(self, now_s: float, item: int) -> None:
        """Put down the attempt that failed, and take service time and ending of the next."""
        ending, hold_s = self.cut_short.pop(item, (self.kinds[item], self.hold_s[item]))
        arrived_s = self.arrived_s.get(item, self.at_s[item])
        self.earlier.append(
            Attempt(
                due_s=self.due_s.get(item, self.at_s[item]),
                arrived_s=arrived_s,
                started_s=self.started_s[item],
                hold_s=hold_s,
                kind=ending,
                outcome=self.outcomes[item],
                init_s=self.inits_s.pop(item, 0.0),
                is_inside=bool(self.is_inside and self.is_inside[item]),
            )
        )
        number = self._runs.get(item, 0)
        self._runs[item] = number + 1
        workload = self.workload
        if number < len(workload.retry_service_s):
            ending = workload.retry_endings[number][item] if workload.retry_endings else AttemptEnding.SUCCESS
            service_s = workload.retry_service_s[number][item]
            self.hold_s[item], self.kinds[item] = hold(self.function, service_s, ending)

    def _ready(self, now_s: float, env_id: int, _b: int) -> None:
        init_s = self._initialising.pop(env_id, None)
        if init_s is None:
            return  # it was given up meanwhile
        self.unbilled_inits_s[env_id] = init_s
        if self.keep_alive is not None:
            self.keep_alive.became_idle(now_s, env_id)
        self.execute(self.fleet.ready(env_id, now_s), now_s)

    def _failed(self, now_s: float, env_id: int, _b: int) -> None:
        """Tell the fleet that an environment failed to initialise."""
        if self._initialising.pop(env_id, None) is not None:
            if env_id not in self._provisioned:
                self.failed_inits_s.append(now_s - self._started_at_s[env_id])
            self.died(env_id, now_s)
            self._released(now_s)

    # ---------------------------------------------------------------- ends

    def _ended(self, now_s: float, env_id: int, item: int) -> None:
        if self._shared and not self._remove_running(env_id, item):
            return
        self._free_capacity(now_s, env_id)
        if self.on_attempt_end is not None:
            self.on_attempt_end(now_s, item, self.kinds[item] == AttemptEnding.SUCCESS)

    def _free_capacity(self, now_s: float, env_id: int) -> None:
        if self.keep_alive is not None:
            self.keep_alive.became_idle(now_s, env_id)
        commands = self.fleet.finished(env_id, now_s)
        if commands:
            self.execute(commands, now_s)
        elif self._due_s == math.inf:
            self._set_timer(now_s)
        if self._account_pool.contended:
            self._released(now_s)

    def _errored(self, now_s: float, env_id: int, item: int) -> None:
        self._ended(now_s, env_id, item)
        if self.retrying is not None:
            self.retrying.failed(now_s, item)

    def _crashed(self, now_s: float, env_id: int, item: int) -> None:
        """The environment dies, and with it whatever else runs there."""
        if self._shared and not self._remove_running(env_id, item):
            return
        lost = [item, *self._running.pop(env_id, ())]
        self.died(env_id, now_s)
        self._released(now_s)
        for one in lost:
            ran_s = now_s - self.started_s[one]
            if self._shared and ran_s >= self.function.timeout_s:
                self.cut_short[one] = TIMEOUT, self.function.timeout_s  # it was answered then
            else:
                if one != item:
                    self.cut_short[one] = AttemptEnding.CRASH, ran_s
                self._attempt_failed(now_s, one)

    def _timed_out(self, now_s: float, env_id: int, item: int) -> None:
        """End an invocation at its deadline; its environment goes, unless it is shared."""
        if self._shared:
            if self._remove_running(env_id, item):
                self._free_capacity(now_s, env_id)
        else:
            self._crashed(now_s, env_id, item)

    def _answer_at_deadline(self, now_s: float, env_id: int, item: int) -> None:
        """Answer an invocation that shares its environment at its deadline; it keeps its place there."""
        if item in self._running.get(env_id, ()):
            self._attempt_failed(now_s, item)

    def _attempt_failed(self, now_s: float, item: int) -> None:
        if self.retrying is not None:
            self.retrying.failed(now_s, item)
        if self.on_attempt_end is not None:
            self.on_attempt_end(now_s, item, False)  # noqa: FBT003  # as the attribute says

    def _remove_running(self, env_id: int, item: int) -> bool:
        """Whether it still was there: those in an environment that crashed are not."""
        running = self._running.get(env_id)
        if running is None or item not in running:
            return False
        running.remove(item)
        return True

    # ---------------------------------------------------------------- obeying the fleet

    def execute(self, commands: Sequence[Command[int]], now_s: float) -> None:
        """Execute the fleet's commands, in order."""
        for command in commands:
            if self._log is not None:
                self._log.append((now_s, self.function.name, command))
            match command:
                case Run(env_id, item, cold):
                    self._run(now_s, env_id, item, cold=cold)
                case Start(env_id, provisioned):
                    self._start(now_s, env_id, provisioned=provisioned)
                case Stop(env_id):
                    self._initialising.pop(env_id, None)
                    self._environment_gone(env_id, now_s)
                case Refuse(item, refusal):
                    self._refuse(now_s, item, refusal)
                case Fail(item, _):
                    self.started_s[item], self.outcomes[item] = now_s, _INIT_FAILED
                    self._attempt_failed(now_s, item)
                    self._released(now_s)
                case _:
                    assert_never(command)
        if self._due_s == math.inf or self.fleet.may_be_due_sooner:
            self._set_timer(now_s)

    def _run(self, now_s: float, env_id: int, item: int, *, cold: bool) -> None:
        if self.unbilled_inits_s and (init_s := self.unbilled_inits_s.pop(env_id, None)) is not None:
            self.inits_s[item] = self.inits_s.get(item, 0.0) + init_s
            if self._own and env_id not in self._provisioned:
                now_s += init_s  # the environment is its own from the start: it waits the init out here
        self.started_s[item] = now_s
        self.outcomes[item] = _COLD if cold else _WARM
        if self.is_inside:
            self.is_inside[item] = env_id in self._provisioned
        if self._shared:
            self._run_shared(now_s, env_id, item)
        if self.keep_alive is not None:
            self.keep_alive.became_busy(env_id)
        if self.on_run is not None:
            self.hold_s[item], self.kinds[item] = hold(self.function, self.on_run(now_s, item), 0)
        self._at(now_s + self.hold_s[item], self.end_callbacks[self.kinds[item]], env_id, item)

    def _run_shared(self, now_s: float, env_id: int, item: int) -> None:
        self._running.setdefault(env_id, []).append(item)
        self.cut_short.pop(item, None)
        if self.hold_s[item] >= self.function.timeout_s:
            self._at(now_s + self.function.timeout_s, self._answer_at_deadline, env_id, item)

    def _start(self, now_s: float, env_id: int, *, provisioned: bool) -> None:
        if provisioned:
            self._provisioned.add(env_id)
        if self._nodes is None:
            self.placed(now_s, env_id)
        else:
            self._nodes.ask(self, now_s, env_id)

    def placed(self, now_s: float, env_id: int) -> None:
        """An environment has room: it begins to initialise."""
        self._started_at_s[env_id] = now_s
        self.created += 1
        self.peak_environments = max(self.peak_environments, len(self._started_at_s))
        provisioned = env_id in self._provisioned
        inits_s = self.workload.inits_s
        init_s = inits_s[(env_id - 1) % len(inits_s)]
        limit_s = max(PROVISIONED_INIT_LIMIT_S, self.function.timeout_s) if provisioned else INIT_LIMIT_S
        self._initialising[env_id] = init_s
        if init_s == FAILS:
            self._at(now_s, self._failed, env_id)
        elif init_s >= limit_s:
            self._at(now_s + limit_s, self._failed, env_id)
        elif self._own and not provisioned:
            self._at(now_s, self._ready, env_id)
        else:
            self._at(now_s + init_s, self._ready, env_id)

    def _refuse(self, now_s: float, item: int, refusal: ThrottleReason) -> None:
        self.refusals[refusal] = self.refusals.get(refusal, 0) + 1
        self.started_s[item], self.outcomes[item] = now_s, _THROTTLED
        if self.retrying is not None:
            self.retrying.refused(now_s, item)
        if self.on_refused is not None:
            self.on_refused(now_s, item)

    def _environment_gone(self, env_id: int, now_s: float) -> None:
        if self._nodes is not None:
            self._nodes.gone(self, now_s, env_id)
            if env_id not in self._started_at_s:
                return  # it waited for a node
        self.past_environments_s += max(0.0, min(now_s, self._horizon_s) - self._started_at_s.pop(env_id))
        self.unbilled_inits_s.pop(env_id, None)
        if self.keep_alive is not None:
            self.keep_alive.became_busy(env_id)

    # ---------------------------------------------------------------- time

    def _set_timer(self, now_s: float) -> None:
        """Set the timer as `engine.timer` does: it only moves earlier, and waits one keep-alive at most."""
        due_s = self.fleet.next_due_s()
        if due_s is None or self._due_s <= due_s:
            return
        self._due_s = min(max(due_s, now_s + MIN_TIMER_S), now_s + self._longest_s)
        self._timer += 1
        self._at(self._due_s, self._tick, self._timer)

    def _tick(self, now_s: float, timer: int, _b: int) -> None:
        if timer == self._timer:
            self._due_s = math.inf
            self.execute(self.fleet.tick(now_s), now_s)

    def _scale(self, now_s: float, _a: int, _b: int) -> None:
        """The policy is asked: so many environments are kept from now on, and no others are started."""
        scaler = self._scaler
        if scaler is None:
            return
        wanted = scaler.wanted(self.fleet.statistics(), self.workload, now_s, self._account_pool)
        self.execute(self.fleet.adjust(self._pool, wanted, now_s), now_s)
        self._at(now_s + scaler.every_s, self._scale)
