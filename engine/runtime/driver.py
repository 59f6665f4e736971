"""Drives one function's fleet: tells it the facts, obeys its commands, answers whoever waits.

The hot path is `submit` -> `_run` -> (executor) -> `ended` -> `_answer`; everything else is rare.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import Final, assert_never

from engine.core.billing import Rate, billed_ms
from engine.core.engine_events import Initialised, InitsLimit
from engine.core.event import Event
from engine.core.failure import (
    MAX_RESPONSE_BYTES,
    InitFailure,
    cancelled_body,
    init_error_body,
    platform_error_body,
    response_too_large_body,
    throttle_body,
    timeout_body,
)
from engine.core.fleet import Command, Fail, Fleet, FleetStatistics, Refuse, Run, Start, Stop
from engine.core.function import PROVISIONED_INIT_LIMIT_S, Function
from engine.core.inits import Use
from engine.core.invocation import Invocation, Phase, Reply, Result
from engine.core.limits import Pool, ThrottleReason
from engine.core.outcome import Outcome, Status
from engine.ports import Clock, Executor, Meter, Observer
from engine.runtime.deadlines import Deadlines
from engine.runtime.init_scheduler import InitScheduler
from engine.timer import Timer

_RUNNING: Final = Phase.RUNNING  # see core.fleet: members are read once, not once an invocation
_ENDED: Final = Phase.ENDED
_SUCCESS: Final = Status.SUCCESS
_SHORTEST_TICK_S: Final = 0.1
_SHORTEST_REPRIEVE_S: Final = 0.05
_LIMITED_S: Final = 1.0
"""How long those that wait to initialise must have to wait, at least, for that to be worth a line."""
_HEAVY_S: Final = 0.02
"""CPU seconds of an init below which inits limit nothing: then the number of events does."""
_LAST_TURNS: Final = 4
"""Turns of the loop from the limit of an init to its failure."""
_SAMPLE_EVERY_S: Final = 0.001
_new_tuple: Final = tuple.__new__

LogTail = Callable[[Invocation, Outcome, str | None], bytes]


class Driver:
    """One function, live. Also the `Facts` its executor reports to."""

    def __init__(
        self,
        function: Function,
        fleet: Fleet[Invocation],
        rate: Rate,
        observer: Observer,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        *,
        log_tail: LogTail,
        pool: Pool,
        on_release: Callable[[], None],
        meter: Meter | None = None,
        inits: InitScheduler | None = None,
    ) -> None:
        """`inits`: what gives its fleet the turns to initialise, if the fleet has to wait for them."""
        self.function = function
        self._fleet = fleet
        self._rate = rate
        self._observer = observer
        self._loop = loop
        self._clock = clock
        self._now = clock.now
        self._log_tail = log_tail
        self._pool = pool
        self._on_release = on_release
        self._closing = False
        self._meter = meter
        self._wanted = 0  # environments the meter was told of
        self._inits = inits
        if inits is not None:
            inits.add(fleet, self)
        self._sample_at_s = -1.0 if meter is not None else float("inf")
        self._timeout_s = function.timeout_s
        self._shared = function.environment_concurrency > 1
        self._executor: Executor
        self._repeat: Callable[[int], bool]
        self._use: Callable[[int], Use | None]
        self._preloaded_init_s: Callable[[], float | None]
        self._limit_told = False
        self._deadlines = Deadlines(loop, clock, self._strike)
        # An environment that turns idle falls due after keep_alive_s, unsaid: see Alarm.
        self._alarm = Timer(loop, clock, self._tick, max(function.keep_alive_s, _SHORTEST_TICK_S))
        self._fresh: dict[int, float] = {}  # init seconds of environments that have served nothing yet
        self._initialising: dict[int, tuple[asyncio.TimerHandle, bool]] = {}  # limit, and whether provisioned
        self.overdue: dict[int, float] = {}  # the limit of those that have their last turns
        self._delays: dict[int, asyncio.TimerHandle] = {}  # modelled cold starts
        self._failures: dict[int, tuple[InitFailure, float]] = {}
        self._running_in: dict[int, dict[Invocation, None]] = {}  # only where environments are shared

    def employ(self, executor: Executor) -> None:
        """Give it the executor that does the work; needed before `open`."""
        self._executor = executor
        self._repeat = getattr(executor, "repeat", _never)
        self._use = getattr(executor, "init_use", _unknown)
        self._preloaded_init_s = getattr(executor, "preloaded_init_s", _nothing)

    # ---------------------------------------------------------------- from above

    def open(self) -> None:
        """Bring up what is provisioned."""
        self._obey(self._fleet.open(self._now()))

    def submit(self, event: Event, reply: Reply) -> None:
        """Take an event: `reply` is called once, now or later."""
        now_s = self._now()
        if now_s >= self._sample_at_s:
            self._sample_at_s = now_s + _SAMPLE_EVERY_S
            reply = self._sampled(event, reply, now_s)
        invocation = Invocation(event, reply)
        env_id = self._fleet.reserve(now_s)
        if env_id:
            self._run(env_id, invocation, False, now_s)  # noqa: FBT003  # as `_run` says
        else:
            if not self._fleet.environments and self._meter is not None:
                invocation.reply = self._from_zero(event, reply, self._meter)
            self._obey(self._fleet.arrive(invocation, now_s), "demand")

    def unblock(self) -> None:
        """The account has room again, and it is this function's turn."""
        self._obey(self._fleet.unblock(self._now()))

    def begin_init(self) -> None:
        """It is this function's turn to initialise an environment."""
        self._obey(self._fleet.begin(self._now()))

    def init_use(self, env_id: int) -> Use | None:
        """What a running init has used of the CPU so far; None if the executor cannot tell."""
        return self._use(env_id)

    def renew(self) -> None:
        """The code changed: new environments get it, busy ones finish."""
        self._executor.renew()
        self._obey(self._fleet.renew(self._now()), "renewed")

    def adjust(self, pool: Pool, provisioned: int) -> None:
        """Draw concurrency on `pool` from now on, and keep so many environments ready."""
        self._obey(self._fleet.adjust(pool, provisioned, self._now()), "limit")

    def close(self) -> None:
        """Start nothing more; what was admitted still runs."""
        self._closing = True
        self._obey(self._fleet.close(self._now()), "closing")

    def abandon(self) -> None:
        """The grace period is over: answer everything with a cancellation and let everything go."""
        now_s = self._now()
        commands = self._fleet.abandon(now_s)
        for invocation in self._deadlines.clear():
            body = cancelled_body(invocation.event.request_id)
            self._answer(invocation, Status.CANCELLED, body, now_s - invocation.started_s)
        self._running_in.clear()
        self._obey(commands, "closing")
        self._alarm.cancel()
        if self._inits is not None:
            self._inits.remove(self._fleet)

    def statistics(self) -> FleetStatistics:
        """The fleet in numbers."""
        return self._fleet.statistics()

    def oldest_wait_s(self) -> float:
        """How long the event that has waited longest has; 0 if none waits."""
        oldest = self._fleet.oldest
        return 0.0 if oldest is None else max(0.0, self._now() - oldest.event.received_s)

    # ---------------------------------------------------------------- facts, from the executor

    def ready(self, env_id: int, init_s: float | None) -> None:
        """An environment can serve; a modelled cold start is added to the measured one here."""
        if env_id not in self._initialising:
            return  # it was given up meanwhile
        if self.overdue and init_s is not None and init_s > self.overdue.get(env_id, math.inf):
            return  # too late by its own account
        if self._inits is not None:
            use = None if init_s is None else self._use(env_id)
            cpu_s = init_s if use is None else use.cpu_s
            self._fleet.computed(env_id, cpu_s)
            if cpu_s and not self._limit_told:
                self._look_for_limit(cpu_s, self._inits.turns.cores)
        if self.function.cold_start == "measured" or init_s is None:
            self._serve(env_id, init_s)
            return
        added_s = self.function.cold_start / 1000
        delay = self._loop.call_later(added_s, self._serve, env_id, init_s + added_s)
        self._delays[env_id] = delay
        if self._inits is not None:
            self._inits.go_on()

    def _look_for_limit(self, cpu_s: float, cores: int) -> None:
        """Say so, once, if inits hold up more than a few events."""
        waiting = self._fleet.statistics().pending
        if cpu_s < _HEAVY_S or waiting * cpu_s < _LIMITED_S * cores:
            return
        self._limit_told = True
        preloaded_s = self._preloaded_init_s()
        self._observer.noticed(
            InitsLimit(
                function=self.function.name,
                cpu_s=cpu_s,
                per_s=cores / cpu_s,
                waiting=waiting,
                preloaded_per_s=cores / preloaded_s if preloaded_s and preloaded_s < cpu_s else None,
            )
        )

    def waits(self, env_id: int) -> None:
        """An environment's init begins later than it was asked for: its time is counted from now."""
        entry = self._initialising.get(env_id)
        if entry is not None:
            timer, provisioned = entry
            timer.cancel()
            self._limit_init(env_id, provisioned=provisioned)

    def hold(self) -> None:
        """No further environment is to begin its init until `resume`. Those that want to wait their turn."""
        if self._inits is not None:
            self._inits.turns.hold(self._fleet)

    def resume(self) -> None:
        """They may begin again."""
        if self._inits is not None:
            self._inits.turns.resume(self._fleet)
            self._inits.go_on()

    def give_up(self, env_id: int) -> bool:
        """The machine needs the room of an environment; whether it goes, now or after its work."""
        commands = self._fleet.give_up(env_id, self._now())
        if commands is None:
            return False
        self._obey(commands, "shortage")
        return True

    def failed(self, env_id: int, failure: InitFailure, init_s: float) -> None:
        """An environment did not come up. On demand, its init may be repeated in its first invocation."""
        entry = self._initialising.get(env_id)
        if entry is None:
            return
        provisioned = entry[1]
        self._observer.noticed(
            Initialised(
                function=self.function.name,
                init_s=init_s,
                provisioned=provisioned,
                error_type=failure.error_type,
                error_message=failure.error_message,
            )
        )
        if not provisioned and self._repeat(env_id):
            self._serve(env_id, None)
            return
        self._end_init(env_id)
        self._failures[env_id] = failure, init_s
        commands = self._fleet.crashed(env_id, self._now())
        self._lost("init_failed")
        self._obey(commands)
        self._failures.pop(env_id, None)
        self._on_release()

    def succeeded(self, invocation: Invocation, body: bytes, raw: bool = False, /) -> None:  # noqa: FBT001, FBT002
        """A handler returned. The hot path: what is not quite ordinary takes the way of `ended`."""
        now_s = self._now()
        if (
            invocation.phase is not _RUNNING
            or self._shared
            or now_s >= invocation.deadline_s
            or len(body) > MAX_RESPONSE_BYTES
        ):
            self.ended(invocation, Result(_SUCCESS, body, raw))
            return
        self._deadlines.remove(invocation)
        commands = self._fleet.finished(invocation.env_id, now_s)
        self._answer(invocation, _SUCCESS, body, now_s - invocation.started_s, None, None, raw)
        self._go_on(commands)

    def ended(self, invocation: Invocation, result: Result) -> None:
        """A handler ended; too late, it changes nothing."""
        now_s = self._now()
        if invocation.phase is not _RUNNING:
            if self._shared:  # answered at its deadline, but it held its place until now
                self._late(invocation, result, now_s)
            return
        if now_s >= invocation.deadline_s:
            # The loop was held up: the deadline passed before its timer could say so.
            self._deadlines.remove(invocation)
            self._strike(invocation, now_s)
            if self._shared:
                self._late(invocation, result, now_s)
            return
        self._deadlines.remove(invocation)
        status = result.status
        if status is not _SUCCESS and result.ends_environment:
            self._crashed(invocation, result, now_s)
            return
        if self._shared:
            self._leave(invocation)
        commands = self._fleet.finished(invocation.env_id, now_s)
        body, error_type = result.body, result.error_type
        if len(body) > MAX_RESPONSE_BYTES:
            result = Result(Status.ERROR, response_too_large_body(), max_memory_mb=result.max_memory_mb)
            status, body, error_type = result.status, result.body, None
        duration_s = now_s - invocation.started_s
        self._answer(invocation, status, body, duration_s, error_type, result.max_memory_mb, result.raw)
        self._go_on(commands)

    def died(self, env_id: int) -> None:
        """An environment in which nothing ran is gone."""
        self._fresh.pop(env_id, None)
        commands = self._fleet.crashed(env_id, self._now())
        self._lost("crash")
        self._obey(commands)

    def _go_on(self, commands: Sequence[Command[Invocation]]) -> None:
        if commands:
            self._obey(commands)
        elif not self._alarm.armed:
            self._alarm.at(self._fleet.next_due_s())
        if self._closing or self._pool.contended:
            self._on_release()

    # ---------------------------------------------------------------- obeying the fleet

    def _obey(self, commands: Sequence[Command[Invocation]], reason: str = "demand") -> None:
        stops = 0
        for command in commands:
            match command:
                case Run(env_id, invocation, cold):
                    self._run(env_id, invocation, cold, self._now())
                case Start(env_id, provisioned):
                    if self._meter is not None:
                        self._meter.scaled(
                            self.function.name, "up", "provisioned" if provisioned else "demand"
                        )
                    self._start(env_id, provisioned=provisioned)
                case Stop(env_id):
                    self._fresh.pop(env_id, None)
                    self._end_init(env_id)
                    stops = stops or sum(isinstance(one, Stop) for one in commands)
                    self._lost(reason, last=stops == 1)
                    stops -= 1
                    self._executor.stop(env_id)
                case Refuse(invocation, refusal):
                    self._refuse(invocation, refusal)
                case Fail(invocation, env_id):
                    self._fail(invocation, env_id)
                case _:
                    assert_never(command)
        if not self._alarm.armed or self._fleet.restless:
            self._alarm.at(self._fleet.next_due_s())
        if self._fleet.wanted != self._wanted:
            self._tell_wanted()
        if self._inits is not None:
            self._inits.go_on()

    def _run(self, env_id: int, invocation: Invocation, cold: bool, now_s: float) -> None:  # noqa: FBT001  # hot: by position
        invocation.phase = _RUNNING
        invocation.env_id = env_id
        invocation.started_s = now_s
        invocation.deadline_s = now_s + self._timeout_s
        invocation.cold_start = cold
        if self._fresh:
            invocation.init_s = self._fresh.pop(env_id, None)
        if self._shared:
            self._running_in.setdefault(env_id, {})[invocation] = None
        self._deadlines.add(invocation)
        self._observer.began(invocation)
        self._executor.run(env_id, invocation)

    def _start(self, env_id: int, *, provisioned: bool) -> None:
        self._limit_init(env_id, provisioned=provisioned)
        self._executor.start(env_id)

    def _limit_init(self, env_id: int, *, provisioned: bool) -> None:
        limit_s = self.function.init_limit_s
        if provisioned:
            limit_s = max(PROVISIONED_INIT_LIMIT_S, self._timeout_s)
        timer = self._loop.call_later(limit_s, self._init_timed_out, env_id, limit_s, 0.0)
        self._initialising[env_id] = timer, provisioned

    def _serve(self, env_id: int, init_s: float | None) -> None:
        provisioned = self._end_init(env_id)
        if provisioned is None:
            return
        if init_s is not None:  # else it is part of what comes first, and has no figure of its own
            self._fresh[env_id] = init_s
            self._observer.noticed(
                Initialised(function=self.function.name, init_s=init_s, provisioned=provisioned)
            )
        self._obey(self._fleet.ready(env_id, self._now()))

    def _end_init(self, env_id: int) -> bool | None:
        """Whether the environment that stops initialising is provisioned; None if it was not at it."""
        entry = self._initialising.pop(env_id, None)
        if entry is None:
            return None
        timer, provisioned = entry
        timer.cancel()
        if self._delays and (delay := self._delays.pop(env_id, None)) is not None:
            delay.cancel()
        return provisioned

    def _init_timed_out(self, env_id: int, limit_s: float, reprieved_s: float) -> None:
        """The limit; time in which the init was ready and had no CPU does not count, up to the limit again.

        So a caller is answered after twice the limit at most, however busy the machine is.
        """
        use = self._use(env_id)
        queued_s = 0.0 if use is None or not use.cpu_s else min(use.queued_s, limit_s)
        if queued_s - reprieved_s > _SHORTEST_REPRIEVE_S:
            after_s = queued_s - reprieved_s
            timer = self._loop.call_later(after_s, self._init_timed_out, env_id, limit_s, queued_s)
            self._initialising[env_id] = timer, self._initialising[env_id][1]
            return
        self.overdue[env_id] = limit_s + reprieved_s
        self._give_last_turns(env_id, limit_s + reprieved_s, self._initialising[env_id], _LAST_TURNS)

    def _give_last_turns(
        self, env_id: int, ran_s: float, entry: tuple[asyncio.TimerHandle, bool], turns: int
    ) -> None:
        """Hear what came in time and was not read, while the loop was held up.

        uvloop's timers ring before sockets are looked at; and an environment's birth, the listening to its
        socket and its message take a turn each.
        """
        if self._initialising.get(env_id) is not entry:
            self.overdue.pop(env_id, None)
            return  # it was ready, or was given up
        if turns:
            self._loop.call_soon(self._give_last_turns, env_id, ran_s, entry, turns - 1)
            return
        del self.overdue[env_id]
        self._executor.stop(env_id)
        text = f"Task timed out after {ran_s:.2f} seconds"
        self.failed(env_id, InitFailure("Sandbox.Timedout", text), ran_s)

    def _tick(self, now_s: float) -> float | None:
        self._obey(self._fleet.tick(now_s), "idle")
        return self._fleet.next_due_s()

    # ---------------------------------------------------------------- metering

    def _lost(self, reason: str, *, last: bool = True) -> None:
        """An environment went. `last` of those that go in this step: then none may be left."""
        if self._meter is not None:
            direction = "down" if self._fleet.environments or not last else "to_zero"
            self._meter.scaled(self.function.name, direction, reason)

    def _tell_wanted(self) -> None:
        if self._meter is not None:
            self._meter.wanted(self.function.name, self._fleet.wanted - self._wanted)
        self._wanted = self._fleet.wanted

    def _from_zero(self, event: Event, reply: Reply, meter: Meter) -> Reply:
        def answer(outcome: Outcome) -> None:
            reply(outcome)
            if outcome.ran:
                meter.came_from_zero(self.function.name, self._now() - event.received_s)

        return answer

    def _sampled(self, event: Event, reply: Reply, submitted_s: float) -> Reply:
        """Measure what the engine adds: before the event came here, and after its handler ended."""

        def answer(outcome: Outcome) -> None:
            reply(outcome)
            if outcome.ran and self._meter is not None:
                ended_s = event.received_s + outcome.queue_wait_s + outcome.duration_s
                before_s = submitted_s - event.received_s
                self._meter.answered(event.trigger, max(0.0, before_s + self._now() - ended_s))

        return answer

    # ---------------------------------------------------------------- ends

    def _strike(self, invocation: Invocation, now_s: float) -> None:
        """The deadline: the caller is answered now, and the environment goes, whatever runs in it.

        A shared environment stays, as on Managed Instances, where timeouts do not end the code: the
        invocation holds its place until it ends by itself.
        """
        commands: Sequence[Command[Invocation]] = ()
        if not self._shared:
            self._executor.stop(invocation.env_id)
            commands = self._fleet.crashed(invocation.env_id, now_s)
            self._lost("timeout")
        body = timeout_body(invocation.event.request_id, self._timeout_s)
        self._answer(invocation, Status.TIMEOUT, body, self._timeout_s)
        self._obey(commands)
        self._on_release()

    def _late(self, invocation: Invocation, result: Result, now_s: float) -> None:
        """One that was answered at its deadline ends, and leaves its place in a shared environment."""
        if result.ends_environment:
            self._crashed(invocation, result, now_s)
            return
        self._leave(invocation)
        self._go_on(self._fleet.finished(invocation.env_id, now_s))

    def _crashed(self, invocation: Invocation, result: Result, now_s: float) -> None:
        """The environment died under `invocation`, and with it all else that ran there."""
        env_id = invocation.env_id
        commands = self._fleet.crashed(env_id, now_s)
        self._lost("crash")
        if invocation.phase is _RUNNING:
            duration_s = now_s - invocation.started_s
            self._answer(
                invocation, result.status, result.body, duration_s, result.error_type, result.max_memory_mb
            )
        others = self._running_in.pop(env_id, {})
        others.pop(invocation, None)
        if others:
            self._executor.stop(env_id)
        for other in others:
            if other.phase is _RUNNING:
                self._deadlines.remove(other)
                body = platform_error_body("Runtime.ExitError", other.event.request_id, "Runtime exited")
                self._answer(
                    other, result.status, body, now_s - other.started_s, error_type="Runtime.ExitError"
                )
        self._obey(commands)
        self._on_release()

    def _leave(self, invocation: Invocation) -> None:
        sharing = self._running_in[invocation.env_id]
        del sharing[invocation]
        if not sharing:
            del self._running_in[invocation.env_id]

    def _fail(self, invocation: Invocation, env_id: int) -> None:
        failure, init_s = self._failures[env_id]
        invocation.init_s = init_s
        invocation.cold_start = True
        invocation.started_s = self._now()
        self._observer.began(invocation)
        body = init_error_body(failure, invocation.event.request_id)
        self._answer(invocation, Status.INIT_ERROR, body, 0.0, error_type=failure.error_type)
        self._on_release()

    def _refuse(self, invocation: Invocation, refusal: ThrottleReason) -> None:
        event = invocation.event
        waited_s = self._now() - event.received_s
        if refusal is ThrottleReason.CLOSING:
            status, body, reason = Status.CANCELLED, cancelled_body(event.request_id), None
        else:
            reason = refusal.aws_reason
            status, body = Status.THROTTLED, throttle_body(reason)
        outcome = Outcome(status, body, event.request_id, self._rate, queue_wait_s=waited_s, reason=reason)
        invocation.phase = _ENDED
        self._observer.refused(event, outcome, refusal.value)
        invocation.reply(outcome)

    def _answer(
        self,
        invocation: Invocation,
        status: Status,
        body: bytes,
        duration_s: float,
        error_type: str | None = None,
        max_memory_mb: int | None = None,
        raw: bool = False,  # noqa: FBT001, FBT002  # positional, all of it: once an invocation
    ) -> None:
        invocation.phase = _ENDED
        event = invocation.event
        init_s = invocation.init_s
        fields = (
            status,
            body,
            event.request_id,
            self._rate,
            invocation.cold_start,
            invocation.started_s - event.received_s,
            init_s,
            duration_s,
            billed_ms(duration_s, init_s),
            max_memory_mb,
            raw,
            None,
            None,
        )
        outcome = _new_tuple(Outcome, fields)  # what Outcome(...) does, in a third of its time
        if event.wants_log:
            outcome = outcome._replace(log_tail=self._log_tail(invocation, outcome, error_type))
        self._observer.ended(invocation, outcome, error_type)
        invocation.reply(outcome)


def _never(_env_id: int) -> bool:
    """For executors without `repeat`."""
    return False


def _nothing() -> float | None:
    """For executors without `preloaded_init_s`."""
    return None


def _unknown(_env_id: int) -> Use | None:
    """For executors without `init_use`."""
    return None
