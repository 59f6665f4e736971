"""Drives one function's fleet: reports facts to it, executes its commands, answers whoever waits.

The hot path is `submit` -> `_run` -> (executor) -> `ended` -> `_answer`; everything else is rare.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, assert_never

from engine.core.billing import billed_ms
from engine.core.cluster_nodes import NodeEnvironments
from engine.core.engine_events import Initialised, InitsLimit
from engine.core.error_bodies import (
    InitFailure,
    cancelled_body,
    init_error_body,
    platform_error_body,
    response_too_large_body,
    throttle_body,
    timeout_body,
)
from engine.core.event import Event
from engine.core.fleet import Command, Fail, Fleet, FleetStatistics, Refuse, Run, Start, Stop
from engine.core.function import Function
from engine.core.init_turns import Use
from engine.core.invocation import Invocation, Phase, Reply, Result
from engine.core.outcome import Outcome, Status
from engine.core.payload_limits import MAX_RESPONSE_BYTES
from engine.core.rate import Rate
from engine.core.throttling import Pool, ThrottleReason
from engine.ports import Clock, Executor, Meter, Observer
from engine.runtime.deadlines import Deadlines
from engine.runtime.executor_hooks import ExecutorHooks
from engine.runtime.init_deadlines import RunningInits
from engine.runtime.init_scheduler import InitScheduler
from engine.runtime.scaling_meter import ScalingMeter
from engine.runtime.streamed_response import StreamedResponse
from engine.timer import Timer

_RUNNING: Final = Phase.RUNNING  # see core.fleet: members are read once, not once an invocation
_ENDED: Final = Phase.ENDED
_SUCCESS: Final = Status.SUCCESS
_SHORTEST_TICK_S: Final = 0.1
_REPORTED_WAIT_S: Final = 1.0
"""How long those that wait to initialise must have to wait, at least, for that to be worth a line."""
_LIGHT_INIT_S: Final = 0.02
"""CPU seconds of an init below which inits limit nothing: then the number of events does."""

LogTail = Callable[[Invocation, Outcome, str | None], bytes]


class Driver:
    """Runs one version of a function. Also the `Facts` that its executor reports to."""

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
        on_capacity_released: Callable[[], None],
        meter: Meter | None = None,
        inits: InitScheduler | None = None,
        limits_bandwidth: bool = False,
    ) -> None:
        """`inits` gives the fleet its turns to initialise; None if it need not wait for any.

        `limits_bandwidth`: streamed responses go out no faster than on AWS.
        """
        self.function = function
        self._fleet = fleet
        self._rate = rate
        self._observer = observer
        self._loop = loop
        self._clock = clock
        self._now = clock.now
        self._log_tail = log_tail
        self._pool = pool
        self._on_capacity_released = on_capacity_released
        self._closing = False
        self._meter = ScalingMeter(function.name, fleet, clock, meter)
        self._inits = inits
        if inits is not None:
            inits.add(fleet, self)
        self._timeout_s = function.timeout_s
        self._shared = function.environment_concurrency > 1
        self._executor: Executor
        self._hooks: ExecutorHooks
        self._has_reported_limit = False
        self._deadlines = Deadlines(loop, clock, self._time_out)
        # An environment that turns idle is due after keep_alive_s; the timer looks by then: see `Timer`.
        self._timer = Timer(loop, clock, self._tick, max(function.keep_alive_s, _SHORTEST_TICK_S))
        self._initialising = RunningInits(function, loop, self.init_use, self._init_timed_out)
        self._unreported_init_s: dict[int, float] = {}  # of environments that have served nothing yet
        self._failures: dict[int, tuple[InitFailure, float, str]] = {}  # with its seconds and its node
        self._running_in: dict[int, dict[Invocation, None]] = {}  # only where environments are shared
        self._has_nodes = False
        self._streams: dict[Invocation, StreamedResponse] = {}
        self._limits_bandwidth = limits_bandwidth

    def set_executor(self, executor: Executor) -> None:
        """Set the executor that does the work. To be called before `open`."""
        self._executor = executor
        self._hooks = ExecutorHooks.of(executor)

    # ---------------------------------------------------------------- called by the dispatcher

    def open(self) -> None:
        """Start the provisioned environments."""
        self._execute(self._fleet.open(self._now()))

    def submit(self, event: Event, reply: Reply) -> None:
        """Accept an event; `reply` is called once, now or later."""
        now_s = self._now()
        if now_s >= self._meter.next_sample_s:
            reply = self._meter.sample(event, reply, now_s)
        invocation = Invocation(event, reply)
        env_id = self._fleet.reserve(now_s)
        if env_id:
            self._run(env_id, invocation, False, now_s)  # noqa: FBT003  # as `_run` says
        else:
            invocation.reply = self._meter.from_zero(event, reply)
            self._execute(self._fleet.arrive(invocation, now_s), "demand")

    def unblock(self) -> None:
        """Admit blocked events: the account has concurrency again, and it is this function's turn."""
        self._execute(self._fleet.unblock(self._now()))

    def begin_init(self) -> None:
        """Start an environment that waited for its turn to initialise."""
        self._execute(self._fleet.begin(self._now()))

    def init_use(self, env_id: int) -> Use | None:
        """What a running init has used of a CPU so far; None if the executor cannot tell."""
        return self._hooks.init_use(env_id)

    def renew(self) -> None:
        """Let busy environments finish and end the idle ones: the code has changed."""
        self._executor.renew()
        self._execute(self._fleet.renew(self._now()), "renewed")

    def adjust(self, pool: Pool, provisioned: int) -> None:
        """Draw concurrency from `pool` from now on, and keep `provisioned` environments ready."""
        self._execute(self._fleet.adjust(pool, provisioned, self._now()), "limit")

    def close(self) -> None:
        """Refuse events that are not admitted yet; what was admitted still runs."""
        self._closing = True
        self._execute(self._fleet.close(self._now()), "closing")

    def abandon(self) -> None:
        """Answer everything with a cancellation, and end all environments."""
        now_s = self._now()
        commands = self._fleet.abandon(now_s)
        for invocation in self._deadlines.clear():
            body = cancelled_body(invocation.event.request_id)
            self._answer(invocation, Status.CANCELLED, body, now_s - invocation.started_s)
        self._running_in.clear()
        self._execute(commands, "closing")
        self._timer.cancel()
        if self._inits is not None:
            self._inits.remove(self._fleet)

    def statistics(self) -> FleetStatistics:
        """The fleet in numbers."""
        return self._fleet.statistics()

    def by_node(self) -> dict[str, NodeEnvironments]:
        """Its environments on the nodes of a cluster, in numbers; empty on one machine."""
        return self._fleet.by_node() if self._has_nodes else {}

    def oldest_wait_s(self) -> float:
        """Seconds that the oldest waiting event has waited; 0 if none waits."""
        oldest = self._fleet.oldest
        return 0.0 if oldest is None else max(0.0, self._now() - oldest.event.received_s)

    # ---------------------------------------------------------------- facts, from the executor

    def placed(self, env_id: int, node: str) -> None:
        """Note the node of an environment."""
        self._has_nodes = True
        self._fleet.placed(env_id, node)

    def ready(self, env_id: int, init_s: float | None) -> None:
        """An environment can serve; a modelled cold start is added to the measured one here."""
        if not self._initialising.is_in_time(env_id, init_s):
            return
        if self._inits is not None and init_s is not None:
            use = self._hooks.init_use(env_id)
            cpu_s = init_s if use is None else use.cpu_s
            self._fleet.computed(env_id, cpu_s)
            if cpu_s and not self._has_reported_limit:
                self._report_init_limit(cpu_s, self._inits)
        if self.function.cold_start == "measured" or init_s is None:
            self._become_ready(env_id, init_s)
            return
        added_s = self.function.cold_start / 1000
        self._initialising.call_later(env_id, added_s, partial(self._become_ready, env_id, init_s + added_s))
        if self._inits is not None:
            self._inits.begin_waiting()

    def _report_init_limit(self, cpu_s: float, inits: InitScheduler) -> None:
        """Report once that inits hold up more than a few events."""
        cores = inits.turns.cores
        waiting = self._fleet.statistics().pending
        if cpu_s < _LIGHT_INIT_S or waiting * cpu_s < _REPORTED_WAIT_S * cores:
            return
        self._has_reported_limit = True
        preloaded_s = self._hooks.preloaded_init_s()
        self._observer.noticed(
            InitsLimit(
                function=self.function.name,
                cpu_s=cpu_s,
                per_s=cores / cpu_s,
                on_nodes=inits.are_on_nodes,
                waiting=waiting,
                preloaded_per_s=cores / preloaded_s if preloaded_s and preloaded_s < cpu_s else None,
            )
        )

    def waits(self, env_id: int) -> None:
        """Count the time of an init from now on: it had not begun."""
        self._initialising.restart(env_id)

    def initialised(self, env_id: int) -> None:
        """An init inside a first invocation is done: others may begin theirs."""
        self._fleet.computed(env_id, None)
        if self._inits is not None:
            self._inits.begin_waiting()

    def hold(self) -> None:
        """Let no further environment begin its init until `resume`."""
        if self._inits is not None:
            self._inits.turns.hold(self._fleet)

    def resume(self) -> None:
        """Let environments begin their inits again."""
        if self._inits is not None:
            self._inits.turns.resume(self._fleet)
            self._inits.begin_waiting()

    def give_up(self, env_id: int) -> bool:
        """End an environment for others, now or after its work; False if it is to stay."""
        commands = self._fleet.give_up(env_id, self._now())
        if commands is None:
            return False
        self._execute(commands, "shortage")
        return True

    def failed(self, env_id: int, failure: InitFailure, init_s: float) -> None:
        """An environment did not come up. On demand, its init may be repeated in its first invocation."""
        provisioned = self._initialising.is_provisioned(env_id)
        if provisioned is None:
            return
        node = self._fleet.node_of(env_id)
        self._observer.noticed(
            Initialised(
                function=self.function.name,
                init_s=init_s,
                provisioned=provisioned,
                error_type=failure.error_type,
                error_message=failure.error_message,
                node=node,
            )
        )
        if not provisioned and self._hooks.repeat(env_id):
            self._become_ready(env_id, None)
            return
        self._initialising.end(env_id)
        self._failures[env_id] = failure, init_s, node
        commands = self._fleet.crashed(env_id, self._now())
        self._meter.scaled_down("init_failed")
        self._execute(commands)
        self._failures.pop(env_id, None)
        self._on_capacity_released()

    def began(self, invocation: Invocation, content_type: str, resume: Callable[[], None], /) -> None:
        """A handler streams its response; too late, or once more, it changes nothing."""
        if invocation.phase is not _RUNNING or invocation in self._streams:
            return
        response = self._streams[invocation] = StreamedResponse(
            invocation,
            content_type,
            resume,
            loop=self._loop,
            clock=self._clock,
            limits_bandwidth=self._limits_bandwidth,
            ended=self._stream_ended,
        )
        invocation.reply = response.reply
        self._meter.stream_began(response.began_s - invocation.event.received_s)

    def piece(self, invocation: Invocation, data: bytes, /) -> bool:
        """Pass on a piece of a streamed response; False: hold the next ones back."""
        response = self._streams.get(invocation)
        return response is None or response.write(data)

    def _stream_ended(self, response: StreamedResponse) -> None:
        del self._streams[response.invocation]
        self._meter.stream_ended(response.sent)

    def succeeded(self, invocation: Invocation, body: bytes, raw: bool = False, /) -> None:  # noqa: FBT001, FBT002
        """A handler returned. The hot path: what is not quite ordinary takes the way of `ended`."""
        now_s = self._now()
        if (
            invocation.phase is not _RUNNING
            or self._shared
            or now_s >= invocation.deadline_s
            or len(body) > MAX_RESPONSE_BYTES
        ):  # a streamed response ends by `ended`
            self.ended(invocation, Result(_SUCCESS, body, raw))
            return
        self._deadlines.remove(invocation)
        commands = self._fleet.finished(invocation.env_id, now_s)
        self._answer(invocation, _SUCCESS, body, now_s - invocation.started_s, None, None, raw)
        if commands or self._closing or self._pool.contended or not self._timer.armed:
            self._after_end(commands)

    def ended(self, invocation: Invocation, result: Result) -> None:
        """A handler ended; too late, it changes nothing."""
        now_s = self._now()
        if invocation.phase is not _RUNNING:
            if self._shared:  # answered at its deadline, but it held its place until now
                self._finish_late(invocation, result, now_s)
            return
        if now_s >= invocation.deadline_s:
            # The loop was held up: the deadline passed before its timer could say so.
            self._deadlines.remove(invocation)
            self._time_out(invocation, now_s)
            if self._shared:
                self._finish_late(invocation, result, now_s)
            return
        if self._streams and invocation in self._streams:
            response = self._streams[invocation]
            if not result.ends_environment and response.holds(partial(self.ended, invocation, result)):
                return  # of a handler that has ended, as if it wrote for so long
            result = response.result(result)
        self._deadlines.remove(invocation)
        status = result.status
        if status is not _SUCCESS and result.ends_environment:
            self._crashed(invocation, result, now_s)
            return
        if self._shared:
            self._remove_running(invocation)
        commands = self._fleet.finished(invocation.env_id, now_s)
        body, error_type = result.body, result.error_type
        if len(body) > MAX_RESPONSE_BYTES:
            result = Result(Status.ERROR, response_too_large_body(), max_memory_mb=result.max_memory_mb)
            status, body, error_type = result.status, result.body, None
        duration_s = now_s - invocation.started_s
        self._answer(invocation, status, body, duration_s, error_type, result.max_memory_mb, result.raw)
        self._after_end(commands)

    def died(self, env_id: int) -> None:
        """An environment in which nothing ran has ended."""
        self._unreported_init_s.pop(env_id, None)
        for response in [one for one in self._streams.values() if one.invocation.env_id == env_id]:
            response.release()  # of a handler that had ended
        commands = self._fleet.crashed(env_id, self._now())
        self._meter.scaled_down("crash")
        self._execute(commands)

    def _after_end(self, commands: Sequence[Command[Invocation]]) -> None:
        if commands:
            self._execute(commands)
        elif not self._timer.armed:
            self._timer.at(self._fleet.next_due_s())
        if self._closing or self._pool.contended:
            self._on_capacity_released()

    # ---------------------------------------------------------------- commands of the fleet

    def _execute(self, commands: Sequence[Command[Invocation]], reason: str = "demand") -> None:
        stopped = 0
        for command in commands:
            match command:
                case Run(env_id, invocation, cold):
                    self._run(env_id, invocation, cold, self._now())
                case Start(env_id, provisioned):
                    self._meter.scaled_up(provisioned=provisioned)
                    self._start(env_id, provisioned=provisioned)
                case Stop(env_id):
                    self._unreported_init_s.pop(env_id, None)
                    self._initialising.end(env_id)
                    stopped += 1
                    self._executor.stop(env_id)
                case Refuse(invocation, refusal):
                    self._refuse(invocation, refusal)
                case Fail(invocation, env_id):
                    self._fail(invocation, env_id)
                case _:
                    assert_never(command)
        if stopped:
            self._meter.scaled_down(reason, stopped)
        if not self._timer.armed or self._fleet.may_be_due_sooner:
            self._timer.at(self._fleet.next_due_s())
        if self._fleet.wanted != self._meter.wanted:
            self._meter.count_wanted()
        if self._inits is not None:
            self._inits.begin_waiting()

    def _run(self, env_id: int, invocation: Invocation, cold: bool, now_s: float) -> None:  # noqa: FBT001  # hot: by position
        invocation.phase = _RUNNING
        invocation.env_id = env_id
        invocation.started_s = now_s
        invocation.deadline_s = now_s + self._timeout_s
        invocation.cold_start = cold
        if self._unreported_init_s:
            invocation.init_s = self._unreported_init_s.pop(env_id, None)
        if self._shared:
            self._running_in.setdefault(env_id, {})[invocation] = None
        if self._has_nodes:
            invocation.node = self._fleet.node_of(env_id)
        self._deadlines.add(invocation)
        self._observer.began(invocation)
        self._executor.run(env_id, invocation)

    def _start(self, env_id: int, *, provisioned: bool) -> None:
        self._initialising.begin(env_id, provisioned=provisioned)
        (self._hooks.provision if provisioned else self._executor.start)(env_id)

    def _become_ready(self, env_id: int, init_s: float | None) -> None:
        """`init_s` None: its init is part of its first invocation, and has no figure of its own."""
        provisioned = self._initialising.end(env_id)
        if provisioned is None:
            return
        if init_s is not None:
            self._unreported_init_s[env_id] = init_s
            node = self._fleet.node_of(env_id)
            self._observer.noticed(
                Initialised(function=self.function.name, init_s=init_s, provisioned=provisioned, node=node)
            )
        self._execute(self._fleet.ready(env_id, self._now(), initialised=init_s is not None))

    def _init_timed_out(self, env_id: int, ran_s: float) -> None:
        self._executor.stop(env_id)
        text = f"Task timed out after {ran_s:.2f} seconds"
        self.failed(env_id, InitFailure("Sandbox.Timedout", text), ran_s)

    def _tick(self, now_s: float) -> float | None:
        self._execute(self._fleet.tick(now_s), "idle")
        return self._fleet.next_due_s()

    # ---------------------------------------------------------------- ends

    def _time_out(self, invocation: Invocation, now_s: float) -> None:
        """Answer the caller at the deadline, and end the environment, whatever runs in it.

        A shared environment stays, as on Managed Instances, where timeouts do not end the code: the
        invocation holds its place until it ends by itself.
        """
        commands: Sequence[Command[Invocation]] = ()
        if not self._shared:
            self._executor.stop(invocation.env_id)
            commands = self._fleet.crashed(invocation.env_id, now_s)
            self._meter.scaled_down("timeout")
        held_back = self._streams.get(invocation) if self._shared else None
        body = timeout_body(invocation.event.request_id, self._timeout_s)
        self._answer(invocation, Status.TIMEOUT, body, self._timeout_s)
        if held_back is not None:
            held_back.release()
        self._execute(commands)
        self._on_capacity_released()

    def _finish_late(self, invocation: Invocation, result: Result, now_s: float) -> None:
        """Free the place of an invocation in a shared environment that was answered at its deadline."""
        if result.ends_environment:
            self._crashed(invocation, result, now_s)
            return
        self._remove_running(invocation)
        self._after_end(self._fleet.finished(invocation.env_id, now_s))

    def _crashed(self, invocation: Invocation, result: Result, now_s: float) -> None:
        """Answer `invocation`, whose environment has died, and all others that ran there."""
        env_id = invocation.env_id
        commands = self._fleet.crashed(env_id, now_s)
        self._meter.scaled_down("crash")
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
        self._execute(commands)
        self._on_capacity_released()

    def _remove_running(self, invocation: Invocation) -> None:
        sharing = self._running_in[invocation.env_id]
        del sharing[invocation]
        if not sharing:
            del self._running_in[invocation.env_id]

    def _fail(self, invocation: Invocation, env_id: int) -> None:
        failure, init_s, invocation.node = self._failures[env_id]
        invocation.init_s = init_s
        invocation.cold_start = True
        invocation.started_s = self._now()
        self._observer.began(invocation)
        body = init_error_body(failure, invocation.event.request_id)
        self._answer(invocation, Status.INIT_ERROR, body, 0.0, error_type=failure.error_type)
        self._on_capacity_released()

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
        outcome = Outcome(
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
        )
        if self._streams and invocation in self._streams:
            outcome = self._streams[invocation].outcome(outcome)
        if event.wants_log:
            outcome.log_tail = self._log_tail(invocation, outcome, error_type)
        self._observer.ended(invocation, outcome, error_type)
        invocation.reply(outcome)
