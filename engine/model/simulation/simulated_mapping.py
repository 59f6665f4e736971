"""A queue in front of a simulated function: messages, and the mapping that makes invocations of them.

The number of concurrent batches is decided by `core.scaling`, as live; as live too, a batch that is refused
keeps its place and is tried again. Messages whose invocation failed, or that were refused for too long, are
seen again after their visibility timeout.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Any, Final, Protocol

from engine.core.late_dataclass import dataclass
from engine.core.retry import FIRST_BATCH_BACKOFF_S, LONGEST_BATCH_BACKOFF_S, backoff_s
from engine.core.scaling.pollers import AnyPolicy, Load, SqsPollers
from engine.model.cost.usage import SQS_BATCH
from engine.model.simulation.schedule import Schedule

_EVALUATE_EVERY_S: Final = 1.0
"""How often the policy decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLoad:
    """Messages of one queue, and the mapping that delivers them.

    Attributes:
        at_s: When messages are sent, ascending seconds.
        batch_s: How long the invocation with the n-th batch takes (over again when there are more).
        endings: How it ends, likewise; empty = all succeed.
        batch_size: Messages in one invocation, at most.
        window_s: How long a batch that is not full may wait for more.
        visibility_s: How long a message that was received stays out of sight.
        max_receives: Deliveries after which a message goes to the dead-letter queue; 0 = never.
        policy: Decides the concurrent batches.
    """

    at_s: Sequence[float]
    batch_s: Sequence[float]
    endings: Sequence[int] = ()
    batch_size: int = 10
    window_s: float = 0.0
    visibility_s: float = 30.0
    max_receives: int = 0
    policy: AnyPolicy = field(default_factory=SqsPollers)


@dataclass(slots=True)
class _SimulatedBatch:
    messages: list[int]
    visible_s: float
    refusals: int = 0


class MappedFunction(Protocol):
    """What a mapping needs of a simulated function."""

    on_attempt_end: Callable[[float, int, bool], None] | None
    on_refused: Callable[[float, int], None] | None
    hold_s: list[float]

    def add(self, now_s: float, service_s: float, ending: int = 0) -> None:
        """Invoke it once more."""


class SimulatedMapping:
    """A queue and its mapping during a run.

    Attributes:
        ages_s: How old each message was when its invocation succeeded.
        backlog: (seconds, messages that wait), once a second.
        dead_letters: Messages given up.
        receives, deletes: Calls that brought messages, and that deleted them: what SQS bills beside sends.
        allowed: (seconds, concurrent batches that the policy allows from then on), where that changes.
        drained_s: When for the first time no message waited any more, and what then ran had ended; None =
            never.
    """

    def __init__(self, simulated: MappedFunction, load: QueueLoad, at: Schedule) -> None:
        self.simulated, self._load, self._at = simulated, load, at
        simulated.on_attempt_end = self._attempt_ended
        simulated.on_refused = self._refused
        self.ages_s: list[float] = []
        self.backlog: list[tuple[float, int]] = []
        self.dead_letters = 0
        self.receives = self.deletes = 0
        self._visible: deque[int] = deque()
        self._hidden = 0
        self._sent = 0
        self._deliveries: dict[int, int] = {}
        self._running: dict[int, _SimulatedBatch] = {}
        self._backing_off: dict[int, _SimulatedBatch] = {}
        self._memory: Any = None
        self.allowed: list[tuple[float, int]] = []
        self.drained_s: float | None = None
        self._last: set[int] | None = None  # what runs since no message waits
        self._limit = 0
        self._ended = self._failed = 0
        self._peak = 0
        self._waiting_until_s = math.inf

    @property
    def has_work(self) -> bool:
        """Whether a message is not delivered yet."""
        waits = self._visible or self._hidden or self._sent < len(self._load.at_s)
        return bool(waits or self._in_hand)

    @property
    def _in_hand(self) -> int:
        """Batches that have a place: with the function, or to be tried again."""
        return len(self._running) + len(self._backing_off)

    def open(self, now_s: float) -> None:
        """The first message is awaited, and the policy begins."""
        self._memory = self._load.policy.begin(now_s)
        if len(self._load.at_s):
            self._at(self._load.at_s[0], self._send)
            self._evaluate(now_s, 0, 0)

    def _send(self, now_s: float, _a: int, _b: int) -> None:
        at_s = self._load.at_s
        while self._sent < len(at_s) and at_s[self._sent] <= now_s:  # what comes at once fills batches
            self._visible.append(self._sent)
            self._sent += 1
        if self._sent < len(at_s):
            self._at(at_s[self._sent], self._send)
        self._deliver(now_s)

    def _evaluate(self, now_s: float, _a: int, _b: int) -> None:
        waiting = len(self._visible)
        self.backlog.append((now_s, waiting))
        load = Load(
            in_hand=max(self._peak, self._in_hand),
            backlog=-(-waiting // self._load.batch_size),
            ended=self._ended,
            failed=self._failed,
        )
        decision, self._memory = self._load.policy.decide(load, self._memory, now_s)
        if decision.wanted != self._limit:
            self.allowed.append((now_s, decision.wanted))
        self._limit = decision.wanted
        self._ended = self._failed = 0
        self._peak = self._in_hand
        self._deliver(now_s)
        if self.has_work:
            self._at(now_s + _EVALUATE_EVERY_S, self._evaluate)

    def _deliver(self, now_s: float) -> None:
        size = self._load.batch_size
        while self._visible and self._in_hand < self._limit:
            if len(self._visible) < size and not self._waited(now_s):
                return
            batch = [self._visible.popleft() for _ in range(min(size, len(self._visible)))]
            self._waiting_until_s = math.inf
            self.receives += -(-len(batch) // SQS_BATCH)
            for message in batch:
                self._deliveries[message] = self._deliveries.get(message, 0) + 1
            self._submit(now_s, _SimulatedBatch(batch, now_s + self._load.visibility_s))
        self._note_drained(now_s)

    def _submit(self, now_s: float, batch: _SimulatedBatch) -> None:
        item = len(self.simulated.hold_s)
        self._running[item] = batch
        self._peak = max(self._peak, self._in_hand)
        batch_s, endings = self._load.batch_s, self._load.endings
        ending = endings[item % len(endings)] if endings else 0
        self.simulated.add(now_s, batch_s[item % len(batch_s)], ending)

    def _note_drained(self, now_s: float) -> None:
        if self.drained_s is not None or not self._sent:
            return
        if self._last is None:
            if self._visible or self._hidden or self._backing_off:
                return
            self._last = set(self._running)
        if not self._last:
            self.drained_s = now_s

    def _waited(self, now_s: float) -> bool:
        """Whether a batch that is not full has waited long enough for more messages."""
        if not self._load.window_s:
            return True
        if self._waiting_until_s == math.inf:
            self._waiting_until_s = now_s + self._load.window_s
            self._at(self._waiting_until_s, self._wake)
        return now_s >= self._waiting_until_s

    def _wake(self, now_s: float, _a: int, _b: int) -> None:
        self._deliver(now_s)

    def _attempt_ended(self, now_s: float, item: int, well: bool, /) -> None:  # noqa: FBT001  # as `on_attempt_end` takes it
        batch = self._running.pop(item)
        self._ended += 1
        if well:
            self.deletes += -(-len(batch.messages) // SQS_BATCH)
            sent_s = self._load.at_s
            self.ages_s.extend(now_s - sent_s[message] for message in batch.messages)
        else:
            self._failed += 1
            self._last = None
            self._hide(now_s, batch)
        if self._last is not None:
            self._last.discard(item)
            self._note_drained(now_s)
        self._at(now_s, self._wake)  # not within the moment in which the invocation ended

    def _refused(self, now_s: float, item: int, /) -> None:
        """Try the batch again later, unless its messages are visible before."""
        batch = self._running.pop(item)
        self._ended += 1
        self._failed += 1
        self._last = None
        batch.refusals += 1
        delay_s = backoff_s(batch.refusals, FIRST_BATCH_BACKOFF_S, LONGEST_BATCH_BACKOFF_S)
        if now_s + delay_s < batch.visible_s:
            self._backing_off[item] = batch
            self._at(now_s + delay_s, self._try_again, item)
        else:
            self._hide(now_s, batch)
            self._at(now_s, self._wake)

    def _try_again(self, now_s: float, item: int, _b: int) -> None:
        self._submit(now_s, self._backing_off.pop(item))
        self._note_drained(now_s)

    def _hide(self, now_s: float, batch: _SimulatedBatch) -> None:
        max_receives = self._load.max_receives
        for message in batch.messages:
            if max_receives and self._deliveries[message] >= max_receives:
                self.dead_letters += 1
                continue
            self._hidden += 1
            self._at(max(now_s, batch.visible_s), self._show, message)

    def _show(self, now_s: float, message: int, _b: int) -> None:
        self._hidden -= 1
        self._visible.append(message)
        self._deliver(now_s)
