"""All durable executions of one engine: tells each what happens, does what it asks for, wakes it in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final, assert_never

from engine.core.durable.checkpoint_rules import read_update
from engine.core.durable.commands import Command, Finish, Invoke, StartChainedInvoke
from engine.core.durable.execution import CheckpointAnswer, Execution, StatePage
from engine.core.durable.execution_arn import ExecutionArn, parse_execution_arn
from engine.core.durable.facts import (
    CallbackFailed,
    CallbackHeartbeat,
    CallbackSucceeded,
    ChainedInvokeEnded,
    Checkpointed,
    DeleteRequested,
    ExecutionStarted,
    Fact,
    InvocationEnded,
    InvocationStarted,
    PauseRequested,
    ResumeRequested,
    StopRequested,
    TimerDue,
    fact_document,
)
from engine.core.durable.function_target import parse_function_target
from engine.core.durable.names import NameUse, use_of_name
from engine.core.durable.refusals import CheckpointRefused
from engine.core.durable.service import RemoteHandler, RemoteStart
from engine.core.durable.values import (
    ErrorObject,
    InvocationEnd,
    OperationStatus,
)
from engine.core.durable_event import HandlerEvent, ReplayEvent, StartEvent
from engine.core.error_bodies import timeout_body
from engine.core.event import MISSING, Event
from engine.core.fast_json import dumps
from engine.core.function import LONGEST_WAIT_S, Account, Function
from engine.core.invocation import Reply
from engine.core.late_dataclass import dataclass
from engine.core.outcome import Outcome, Status
from engine.errors import ExecutionAlreadyStarted, FunctionNotFound, NotAccepting
from engine.ports import Clock, Offload, Sink
from engine.runtime.driver import Driver
from engine.runtime.durable.chained_invokes import (
    ChainedTargets,
    not_found,
    plain_ended,
    target_not_found,
)
from engine.runtime.durable.durable_counts import DurableCounts, standing
from engine.runtime.durable.ended import EndedExecutions
from engine.runtime.durable.execution_index import ExecutionIndex
from engine.runtime.durable.journal import Done, FileJournal, Journal, NoJournal
from engine.runtime.durable.live_execution import LiveExecution, Waiter
from engine.runtime.durable.outcomes import NO_RATE, cancelled, invocation_ended, outcome_of
from engine.runtime.durable.recovery import lost_invocation, recovered
from engine.runtime.durable.wakeups import Wakeups
from engine.runtime.qualifier_router import Entry

_UNATTENDED: Final = frozenset(("event", "s3", "schedule", "sns", "eventbridge"))
"""Triggers of events whose senders wait for nothing."""

_SOON_S: Final = 2_000.0
"""More than an invocation can take, its wait for concurrency included."""

_BAD_TOKEN: Final = "Invalid checkpoint token"  # noqa: S105  # AWS's text


@dataclass(frozen=True, slots=True, kw_only=True)
class DurableParts:
    """What durable executions are built with.

    Attributes:
        loop: For timers.
        clock: The engine clock.
        account: For ARNs.
        new_request_id: For invocations, and for the ids of executions.
        sink: Takes events for functions that are not durable.
        resolve: The driver of what a qualifier of a function stands for, or None.
        ended_bytes: Memory that executions may take that have ended; beyond it the oldest are dropped.
        ended_unattended: Told of the end of an execution that nobody waits for: its event and outcome.
        counted: Told of the counts of a function's executions, once there is the function.
        say: Logs a line for whoever runs the engine.
    """

    loop: asyncio.AbstractEventLoop
    clock: Clock
    account: Account
    new_request_id: Callable[[], str]
    sink: Sink
    resolve: Callable[[str, str | None], Driver | None]
    ended_bytes: int
    ended_unattended: Callable[[Event, Outcome], None]
    counted: Callable[[str, DurableCounts], None]
    say: Callable[[str], None]


class DurableExecutions:
    """A `DurableService`. Everything here is called on the engine's loop."""

    def __init__(self, parts: DurableParts) -> None:
        self._parts = parts
        self._wall = parts.clock.wall
        self._journal: Journal = NoJournal()
        self._keeps = False
        self._all = ExecutionIndex()
        self._targets = ChainedTargets(parts.resolve, self._new_arn)
        self._counts: dict[str, DurableCounts] = {}  # by function
        self._wakeups = Wakeups[LiveExecution](parts.loop, parts.clock, self._on_due)
        self._watchers: list[Callable[[Execution], None]] = []
        self._ended = EndedExecutions(parts.ended_bytes)
        self._was_full = False
        self._closed = False

    def watch(self, watcher: Callable[[Execution], None]) -> None:
        """Have it told of every execution that starts or changes, each time. It must change none itself."""
        self._watchers.append(watcher)

    # ---------------------------------------------------------------- starting

    def entry(self, driver: Driver) -> Entry:
        """What takes the events of a version of a durable function, in place of its driver."""
        name = driver.function.name
        self._parts.counted(name, self._counts_of(name))
        return partial(self._accept, driver)

    def _counts_of(self, function: str) -> DurableCounts:
        counts = self._counts.get(function)
        if counts is None:
            counts = self._counts[function] = DurableCounts(self._wall, partial(self.of_function, function))
        return counts

    def _accept(self, driver: Driver, event: Event, reply: Reply) -> None:
        """Start an execution for an event, or find the one of its name; `reply` is called at its end.

        Raises:
            ExecutionAlreadyStarted: Another payload was given to the execution of that name.
            NotAccepting: The engine stops.
        """
        if type(event) is HandlerEvent:
            driver.submit(event, reply)
            return
        if self._closed:
            raise NotAccepting("draining")
        start = event if isinstance(event, StartEvent) else None
        name = None if start is None else start.execution_name
        text = event.payload.decode()
        live = None if name is None else self._existing(driver.function.name, name, text)
        commands: list[Command] = []
        if live is None:
            unattended = start is not None and not start.waits
            live = self._started(
                driver.function,
                text,
                self._new_arn(driver.function.name, driver.function.version, name),
                event,
                is_unattended=unattended,
                is_synchronous=not unattended and event.trigger not in _UNATTENDED,
            )
            commands = live.execution.outstanding()
        if start is None or start.waits:
            self._wait(live, event, reply)
        if start is not None:
            start.arn = live.execution.arn
            self._journal.when_kept(start.started)
        self._obey(live, commands)

    def _existing(self, function: str, name: str, text: str) -> LiveExecution | None:
        """The execution of that name, which a start with the same payload leads to."""
        live = self._all.named(function, name)
        match use_of_name(None if live is None else live.execution, text):
            case NameUse.CONFLICT:
                raise ExecutionAlreadyStarted(name)
            case NameUse.EXISTING:
                return live
            case NameUse.NEW:
                return None

    def _new_arn(self, function: str, version: str, name: str | None) -> str:
        account, execution_id = self._parts.account, self._parts.new_request_id()
        parts = ("aws", account.region, account.account_id, function, version)
        return str(ExecutionArn(*parts, name or execution_id, execution_id))

    def _started(
        self,
        function: Function,
        text: str,
        arn: str,
        event: Event,
        *,
        is_unattended: bool,
        is_synchronous: bool,
        parent: tuple[str, str] | None = None,
    ) -> LiveExecution:
        config = function.durable
        assert config is not None  # its entry is that of a durable function
        fact = ExecutionStarted(
            self._wall(), arn, config, text, is_synchronous, event.trace_id or None, parent
        )
        counts = self._counts_of(function.name)
        live = LiveExecution(Execution(fact), counts, event.trigger, is_unattended=is_unattended)
        counts.start(live.execution)
        self._keep(live, fact)
        self._add(live)
        return live

    def start_remote(self, start: RemoteStart, handler: RemoteHandler) -> str:
        """Start an execution that `handler` runs, in memory only; returns its ARN.

        Where there is one of its name, that is found instead, and `handler` runs it from now on.

        Raises:
            ExecutionAlreadyStarted: Another payload was given to the execution of that name.
            NotAccepting: The engine stops.
        """
        if self._closed:
            raise NotAccepting("draining")
        name, arn = start.name, self._new_arn(start.function, start.version, start.name)
        live = None if name is None else self._existing(start.function, name, start.input)
        if live is None:
            fact = ExecutionStarted(self._wall(), arn, start.config, start.input)
            counts = self._counts_of(start.function)
            live = LiveExecution(Execution(fact), counts, "invoke", is_unattended=False)
            live.remote = handler
            counts.start(live.execution)
            self._add(live)
            self._obey(live, live.execution.outstanding())
        elif live.remote is not None:
            live.remote = handler
        return live.execution.arn

    def _add(self, live: LiveExecution) -> None:
        self._all.add(live)
        live.counts.add(live.execution)
        self._look(live)

    def _wait(self, live: LiveExecution, event: Event, reply: Reply) -> None:
        request_id = event.request_id
        if live.execution.is_terminal:
            self._reply_when_kept(live, request_id, reply)
        else:
            waiter = Waiter(request_id, reply)
            if event.trigger not in _UNATTENDED:
                waiter.timer = self._parts.loop.call_later(LONGEST_WAIT_S, self._end_wait, live, waiter)
            live.wait(waiter)

    def _end_wait(self, live: LiveExecution, waiter: Waiter) -> None:
        """Answer a caller who has waited long enough; the execution goes on."""
        assert live.waiters is not None  # else its timer would not have fired
        live.waiters.remove(waiter)
        body = timeout_body(waiter.request_id, LONGEST_WAIT_S)
        waiter.reply(Outcome(Status.TIMEOUT, body, waiter.request_id, live.rate))

    # ---------------------------------------------------------------- facts and commands

    def _tell(self, live: LiveExecution, fact: Fact) -> None:
        """Tell an execution what happened, keep it, and do what it asks for. Raises its refusals."""
        execution = live.execution
        was = standing(execution)
        commands = execution.handle(fact)
        live.counts.moved(was, execution)
        self._keep(live, fact)
        self._obey(live, commands)

    def _keep(self, live: LiveExecution, fact: ExecutionStarted | Fact) -> None:
        if self._keeps and live.remote is None:
            self._journal.append(live.execution.arn, dumps(fact_document(fact)))

    def _reply_when_kept(self, live: LiveExecution, request_id: str, reply: Reply) -> None:
        """Answer with the end of an execution once it is kept; if it cannot be, as if the engine stopped."""
        outcome = outcome_of(live.execution, request_id, live.rate)
        self._journal.when_kept(lambda error: reply(outcome if error is None else cancelled(request_id)))

    def _obey(self, live: LiveExecution, commands: Iterable[Command]) -> None:
        for command in commands:
            match command:
                case Invoke():
                    # Not now: the driver may be about the invocation that has just ended.
                    self._parts.loop.call_soon(self._invoke, live)
                case StartChainedInvoke():
                    self._start_chained(live, command)
                case Finish():
                    self._finish(live)
                case _:
                    assert_never(command)
        self._look(live)
        for watcher in self._watchers:
            watcher(live.execution)

    def _look(self, live: LiveExecution) -> None:
        """Have it woken in time.

        While it is invoked only its timeout counts, and there is time yet: this is asked again at the end.
        """
        execution, due_s = live.execution, live.due_s
        is_invoked = execution.wants_invocation or execution.running_request_id is not None
        if not is_invoked or (due_s is not None and due_s < self._wall() + _SOON_S):
            self._wakeups.look(live)

    def _invoke(self, live: LiveExecution) -> None:
        """Run the function, unless that has become void."""
        execution, parts = live.execution, self._parts
        if not execution.wants_invocation or self._closed:
            return
        request_id = parts.new_request_id()
        function, version = execution.function, execution.version
        self._tell(live, InvocationStarted(self._wall(), request_id))
        if live.remote is not None:
            ended = partial(self._remote_ended, live, request_id)
            live.remote.invoke(dumps(execution.invocation_input()), ended)
            return
        driver = parts.resolve(function, version)
        if driver is None:
            gone = not_found(execution.function_arn)
            fact = InvocationEnded(self._wall(), request_id, InvocationEnd.FUNCTION_GONE, None, gone)
            self._tell(live, fact)
            return
        event = ReplayEvent(
            function,
            None,
            request_id,
            parts.clock.now(),
            live.trigger,
            execution.invocation_input(),
            execution.trace,
            qualifier=version,
        )
        event.version = version
        event.of_execution = execution.arn
        driver.submit(event, partial(self._invocation_ended, live, request_id))

    def _remote_ended(self, live: LiveExecution, request_id: str, status: Status, body: bytes) -> None:
        self._invocation_ended(live, request_id, Outcome(status, body, request_id, NO_RATE))

    def _invocation_ended(self, live: LiveExecution, request_id: str, outcome: Outcome) -> None:
        live.rate = outcome.rate
        if live not in self._all:
            return  # it was deleted meanwhile
        if self._closed and outcome.status is Status.CANCELLED:
            self._abandon(live)
            return
        if outcome.status is Status.THROTTLED and _is_refused(live):
            self._refuse(live, outcome)
            return
        self._tell(live, invocation_ended(self._wall(), request_id, outcome))
        if self._closed and not live.execution.is_terminal:
            self._abandon(live)

    def _refuse(self, live: LiveExecution, outcome: Outcome) -> None:
        """There is no concurrency, and the caller waits: the execution has never been (derived)."""
        waiters = live.take_waiters()
        self._drop(live)
        for request_id, reply in waiters:
            reply(outcome.replace(request_id=request_id))

    def _on_due(self, live: LiveExecution) -> None:
        if live.execution.is_terminal:
            self._drop(live)
        elif not self._closed:
            self._tell(live, TimerDue(self._wall()))

    # ---------------------------------------------------------------- ends

    def _finish(self, live: LiveExecution) -> None:
        """Tell whoever waits, once the end is safe."""
        execution = live.execution
        for request_id, reply in live.take_waiters():
            self._reply_when_kept(live, request_id, reply)
        if execution.parent is not None:
            self._tell_parent(execution, execution.parent[0])
        if live.is_unattended:
            event = _event_of(live)
            outcome = outcome_of(execution, event.request_id, live.rate)
            send = self._parts.ended_unattended
            self._journal.when_kept(lambda _error: send(event, outcome))
        self._keep_ended(live)

    def _keep_ended(self, live: LiveExecution) -> None:
        """Keep an execution that has ended, for which the oldest of the others may have to go."""
        self._ended.add(live)
        for oldest in self._ended.surplus():
            self._drop(oldest)
            if not self._was_full:
                self._was_full = True
                self._parts.say(
                    f"durable executions: those that have ended take more than "
                    f"{self._parts.ended_bytes >> 20} MB of memory (durable_mb): "
                    "the oldest are dropped, however long they were to be kept"
                )

    def _tell_parent(self, child: Execution, arn: str) -> None:
        parent, fact = self._all.find(arn), child.ending_for_parent(self._wall())
        if parent is not None and fact is not None:
            self._tell_if_open(parent, fact)

    def _drop(self, live: LiveExecution) -> None:
        """Forget an execution: it was deleted, its retention is over, or there is no room. Once is enough."""
        if not self._all.remove(live):
            return
        live.counts.forget(live.execution)
        self._wakeups.forget(live)
        self._ended.remove(live)
        if live.remote is None:
            self._journal.forget(live.execution.arn)

    # ---------------------------------------------------------------- over the life of the engine

    async def keep_in(self, journal: FileJournal, offload: Offload) -> None:
        """Keep everything in `journal` from now on, and go on with the executions that are in it.

        To be called once, before any execution starts, when the functions are there.

        Raises:
            JournalDamaged, OSError: It cannot be used.
        """
        found = await offload(lambda: recovered(journal.recover()))
        self._journal, self._keeps = journal, True
        for problem in found.problems:
            self._parts.say(f"durable executions: {problem}")
        for execution in found.executions:
            unattended = not execution.is_synchronous and execution.parent is None
            trigger = "invoke" if execution.is_synchronous else "event"
            counts = self._counts_of(execution.function)
            self._add(LiveExecution(execution, counts, trigger, is_unattended=unattended))
        every = list(self._all)
        ended = [live for live in every if live.execution.ended_s is not None]
        for live in sorted(ended, key=lambda live: live.execution.ended_s or 0.0):
            self._keep_ended(live)
        open_ones = [live for live in every if not live.execution.is_terminal]
        for live in open_ones:
            self._resume_after_restart(live)
        if open_ones:
            self._parts.say(f"durable executions: {len(open_ones)} go on")

    def _resume_after_restart(self, live: LiveExecution) -> None:
        """Go on with what was under way; what its children did meanwhile is told."""
        execution = live.execution
        lost = lost_invocation(execution, self._wall())
        if lost is not None:
            self._tell(live, lost)
        outstanding = execution.outstanding()
        self._obey(live, [one for one in outstanding if lost is None or not isinstance(one, Invoke)])
        for command in outstanding:
            if isinstance(command, StartChainedInvoke) and command.execution_arn is not None:
                child = self._all.find(command.execution_arn)
                if child is not None and child.execution.is_terminal:
                    self._tell_parent(child.execution, execution.arn)

    async def wait_kept(self) -> None:
        """Write what is not on disk yet, and let go of the journal. To be called when nothing runs."""
        await self._journal.close()

    def close(self) -> None:
        """Start nothing more; whoever waits for a suspended execution is told that the engine stops.

        What runs now may end. To be called before the functions are drained.
        """
        if self._closed:
            return
        self._closed = True
        self._wakeups.cancel()
        running = [live for live in self._all if not live.execution.is_terminal]
        if running and not self._keeps:
            self._parts.say(
                f"{len(running)} durable executions had not ended, and end with the engine: "
                "they are kept in memory only"
            )
        for live in running:
            if live.execution.running_request_id is None:
                self._abandon(live)

    def _abandon(self, live: LiveExecution) -> None:
        """Tell whoever waits that the engine stops; an event is lost only if its execution is."""
        for request_id, reply in live.take_waiters():
            reply(cancelled(request_id))
        if live.is_unattended and not self._keeps:
            live.is_unattended = False
            event = _event_of(live)
            self._parts.ended_unattended(event, cancelled(event.request_id))

    # ---------------------------------------------------------------- chained invokes

    def _start_chained(self, live: LiveExecution, command: StartChainedInvoke) -> None:
        target = parse_function_target(command.function)
        assert target is not None  # it was resolved
        text = "{}" if command.payload is None else command.payload
        event = Event(
            target.name,
            text.encode(),
            self._parts.new_request_id(),
            self._parts.clock.now(),
            "invoke",
            trace_id=command.trace,
            qualifier=target.qualifier,
        )
        ended = partial(self._plain_ended, live, command.operation_id)
        if command.execution_arn is None:
            try:
                self._parts.sink.submit(event, ended)
            except (FunctionNotFound, NotAccepting):
                self._chained_gone(live, command)
            return
        if self._all.find(command.execution_arn) is not None:
            return  # it was started by an engine before this one
        arn = parse_execution_arn(command.execution_arn)
        driver = None if arn is None else self._parts.resolve(arn.function, arn.version)
        if driver is None:
            self._chained_gone(live, command)
            return
        parent = live.execution.arn, command.operation_id
        child = self._started(
            driver.function,
            text,
            command.execution_arn,
            event,
            is_unattended=False,
            is_synchronous=False,
            parent=parent,
        )
        self._obey(child, child.execution.outstanding())

    def _plain_ended(self, live: LiveExecution, operation_id: str, outcome: Outcome) -> None:
        if not live.execution.is_terminal and not (self._closed and outcome.status is Status.CANCELLED):
            self._tell(live, plain_ended(self._wall(), operation_id, outcome))

    def _chained_gone(self, live: LiveExecution, command: StartChainedInvoke) -> None:
        """Its function was removed since it was resolved."""
        target = parse_function_target(command.function)
        assert target is not None  # it was resolved
        error = target_not_found(target)
        fact = ChainedInvokeEnded(self._wall(), command.operation_id, OperationStatus.FAILED, None, error)
        self._parts.loop.call_soon(self._tell_if_open, live, fact)

    def _tell_if_open(self, live: LiveExecution, fact: ChainedInvokeEnded) -> None:
        if not live.execution.is_terminal:
            self._tell(live, fact)

    # ---------------------------------------------------------------- the API

    def when_kept(self, done: Done) -> None:
        """Call `done` once everything that has happened is kept: None, or why it cannot be."""
        self._journal.when_kept(done)

    def find(self, arn: str) -> Execution | None:
        """The execution of that ARN; None if there is none, or its retention is over."""
        live = self._all.find(arn)
        return None if live is None else live.execution

    def of_function(self, function: str) -> Iterable[Execution]:
        """All executions of a function, oldest first."""
        return [live.execution for live in self._all.of_function(function)]

    def checkpoint(
        self, arn: str, token: str, updates: Iterable[Mapping[str, Any]], client_token: str | None
    ) -> CheckpointAnswer:
        """CheckpointDurableExecution; `updates` as the API has them. Raises CheckpointRefused."""
        live = self._all.find(arn)
        if live is None:
            raise CheckpointRefused(_BAD_TOKEN)
        read = tuple([read_update(update) for update in updates])
        self._tell(live, Checkpointed(self._wall(), token, client_token, read, self._targets.resolved(read)))
        return live.execution.checkpoint_answer

    def state(self, arn: str, token: str, marker: str | None, max_items: int) -> StatePage:
        """GetDurableExecutionState. Raises CheckpointRefused."""
        live = self._all.find(arn)
        if live is None:
            raise CheckpointRefused(_BAD_TOKEN)
        return live.execution.state_page(token, marker, max_items)

    def stop(self, execution: Execution, error: ErrorObject) -> float:
        """StopDurableExecution; returns when it ended, seconds since the Unix epoch."""
        now_s = self._wall()
        self._tell(self._all.live(execution), StopRequested(now_s, error))
        return execution.ended_s or now_s

    def pause(
        self, execution: Execution, reason: str | None, client_token: str | None, *, pause_timeout: bool
    ) -> None:
        """PauseDurableExecution. Raises StatusConflict."""
        self._tell(
            self._all.live(execution), PauseRequested(self._wall(), reason, pause_timeout, client_token)
        )

    def resume(self, execution: Execution, reason: str | None, client_token: str | None) -> None:
        """ResumeDurableExecution. Raises StatusConflict."""
        self._tell(self._all.live(execution), ResumeRequested(self._wall(), reason, client_token))

    def delete(self, execution: Execution) -> float:
        """DeleteDurableExecution: it is gone with the next turn of the loop. Raises StatusConflict."""
        live, now_s = self._all.live(execution), self._wall()
        self._tell(live, DeleteRequested(now_s))
        self._parts.loop.call_soon(self._drop, live)
        return now_s

    def callback_succeeded(self, callback_id: str, result: str | None) -> None:
        """SendDurableExecutionCallbackSuccess. Raises CallbackUnknown, CallbackClosed."""
        self._tell(self._all.waiting_for(callback_id), CallbackSucceeded(self._wall(), callback_id, result))

    def callback_failed(self, callback_id: str, error: ErrorObject) -> None:
        """SendDurableExecutionCallbackFailure. Raises CallbackUnknown, CallbackClosed."""
        self._tell(self._all.waiting_for(callback_id), CallbackFailed(self._wall(), callback_id, error))

    def callback_heartbeat(self, callback_id: str) -> None:
        """SendDurableExecutionCallbackHeartbeat. Raises CallbackUnknown, CallbackClosed."""
        self._tell(self._all.waiting_for(callback_id), CallbackHeartbeat(self._wall(), callback_id))


def _is_refused(live: LiveExecution) -> bool:
    """Whether a throttle of its invocation is its caller's to hear: nothing of it has run yet."""
    execution = live.execution
    return bool(live.waiters) and execution.is_synchronous and len(execution.history) == 1


def _event_of(live: LiveExecution) -> Event:
    """The event an execution was started with, for destinations; its request id is the execution's id."""
    execution = live.execution
    event = Event(
        execution.function,
        execution.input.encode(),
        execution.execution_id,
        execution.started_s,
        "event",
        MISSING,
        execution.trace,
        qualifier=execution.version,
    )
    event.version = execution.version
    return event
