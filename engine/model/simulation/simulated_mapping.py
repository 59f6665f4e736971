"""A queue in front of a simulated function: messages, and the mapping that makes invocations of them.

The number of concurrent batches is decided by `core.scaling`, as live; a message that was refused or whose
invocation failed is seen again after the visibility timeout.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from engine.core.scaling.pollers import AnyPolicy, Load, SqsPollers
from engine.model.simulation.schedule import Schedule

_EVALUATE_EVERY_S: Final = 1.0
"""How often the policy decides."""

_MAX_MESSAGES: Final = 10
"""Messages of one call of SQS, at most: a larger batch takes several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLoad:
    """Messages of one queue, and the mapping that delivers them.

    Attributes:
        at_s: When messages are sent, ascending seconds.
        batch_s: How long the invocation with the n-th batch takes (over again when there are more).
        endings: How it ends, likewise; empty = all succeed.
        batch_size: Messages in one invocation, at most.
        window_s: How long a batch that is not full may wait for more.
        visibility_s: How long a message that failed stays out of sight.
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


class _Function(Protocol):
    on_attempt_end: Callable[[float, int, bool], None] | None
    hold_s: list[float]

    def add(self, now_s: float, service_s: float, ending: int = 0) -> None: ...


class SimulatedMapping:
    """A queue and its mapping during a run.

    Attributes:
        ages_s: How old each message was when its invocation succeeded.
        backlog: (seconds, messages that wait), once a second.
        dead_letters: Messages given up.
        receives, deletes: Calls that brought messages, and that deleted them: what SQS bills beside sends.
    """

    def __init__(self, simulated: _Function, load: QueueLoad, at: Schedule) -> None:
        self.simulated, self._load, self._at = simulated, load, at
        simulated.on_attempt_end = self._attempt_ended
        self.ages_s: list[float] = []
        self.backlog: list[tuple[float, int]] = []
        self.dead_letters = 0
        self.receives = self.deletes = 0
        self._visible: deque[int] = deque()
        self._hidden = 0
        self._sent = 0
        self._deliveries: dict[int, int] = {}
        self._running: dict[int, list[int]] = {}
        self._memory: Any = None
        self._limit = 0
        self._ended = self._failed = 0
        self._peak = 0
        self._waiting_until_s = math.inf

    @property
    def has_work(self) -> bool:
        """Whether a message is not delivered yet."""
        return bool(self._visible or self._running or self._hidden or self._sent < len(self._load.at_s))

    def open(self, now_s: float) -> None:
        """The first message is awaited, and the policy begins."""
        self._memory = self._load.policy.begin(now_s)
        if len(self._load.at_s):
            self._at(self._load.at_s[0], self._send)
            self._evaluate(now_s, 0, 0)

    def _send(self, now_s: float, _a: int, _b: int) -> None:
        at_s = self._load.at_s
        self._visible.append(self._sent)
        self._sent += 1
        if self._sent < len(at_s):
            self._at(at_s[self._sent], self._send)
        self._deliver(now_s)

    def _evaluate(self, now_s: float, _a: int, _b: int) -> None:
        waiting = len(self._visible)
        self.backlog.append((now_s, waiting))
        load = Load(
            in_hand=max(self._peak, len(self._running)),
            backlog=-(-waiting // self._load.batch_size),
            ended=self._ended,
            failed=self._failed,
        )
        decision, self._memory = self._load.policy.decide(load, self._memory, now_s)
        self._limit = decision.wanted
        self._ended = self._failed = 0
        self._peak = len(self._running)
        self._deliver(now_s)
        if self.has_work:
            self._at(now_s + _EVALUATE_EVERY_S, self._evaluate)

    def _deliver(self, now_s: float) -> None:
        size = self._load.batch_size
        while self._visible and len(self._running) < self._limit:
            if len(self._visible) < size and not self._waited(now_s):
                return
            batch = [self._visible.popleft() for _ in range(min(size, len(self._visible)))]
            self._waiting_until_s = math.inf
            self.receives += -(-len(batch) // _MAX_MESSAGES)
            for message in batch:
                self._deliveries[message] = self._deliveries.get(message, 0) + 1
            item = len(self.simulated.hold_s)
            self._running[item] = batch
            self._peak = max(self._peak, len(self._running))
            batch_s, endings = self._load.batch_s, self._load.endings
            ending = endings[item % len(endings)] if endings else 0
            self.simulated.add(now_s, batch_s[item % len(batch_s)], ending)

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
            self.deletes += -(-len(batch) // _MAX_MESSAGES)
            sent_s = self._load.at_s
            self.ages_s.extend(now_s - sent_s[message] for message in batch)
        else:
            self._failed += 1
            self._hide(now_s, batch)
        self._at(now_s, self._wake)  # not within the moment in which the invocation ended

    def _hide(self, now_s: float, batch: list[int]) -> None:
        max_receives = self._load.max_receives
        for message in batch:
            if max_receives and self._deliveries[message] >= max_receives:
                self.dead_letters += 1
                continue
            self._hidden += 1
            self._at(now_s + self._load.visibility_s, self._show, message)

    def _show(self, now_s: float, message: int, _b: int) -> None:
        self._hidden -= 1
        self._visible.append(message)
        self._deliver(now_s)
