"""When the backlog of a queue is drained, by the live rules of its mapping's pollers, and what that takes.

As soon as the policy allows one more batch at a time, one is taken, waits for an environment of its own, and
is followed by batch after batch: runs are whole, nothing is idle. A batch of a law takes its mean; the end is
then when the longest of those in flight is over.

Source of the rules: see `core.scaling.pollers`. In closed form, with c batches at first, r more a second and
W seconds of work, the work is done after (sqrt(c^2 + 2 r W) - c) / r while no maximum is reached.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, Final

from engine.core.function import Account, Function
from engine.core.late_dataclass import dataclass
from engine.core.scaling.pollers import (
    FIRST_CONCURRENCY,
    GROWTH_PER_S,
    POLLER_CONCURRENCY,
    Load,
    ProvisionedPollers,
    SqsPollers,
)
from engine.core.throttling import SCALING_PERIOD_S
from engine.model.cost.usage import DAY_S, SQS_BATCH, Usage, invocations, provisioned_pollers, sqs, total
from engine.model.distributions import Capped, Distribution, excess_s, mean_billed_ms

ERROR: Final = "within 2 % and 2 s of a simulation, where nothing is refused; a law: and within its p99"
"""What is known of the accuracy: see `tests/model/test_model_backlog.py`."""

Pollers = SqsPollers | ProvisionedPollers

_OFTEN_S: Final = 0.1
_EACH_MINUTE_S: Final = 60.0
"""How often the policy is asked: AWS adds so many "a minute", and does not say in how many steps."""

_RECEIVES_PER_S: Final = 10
"""Calls of one provisioned poller. Source: AWS News Blog, see `core.scaling.pollers`."""

_RETENTION_S: Final = 4 * DAY_S
TIMEOUTS_OUT_OF_SIGHT: Final = 6
"""Visibility timeout of a queue, in time-outs of its function, that AWS recommends."""

_POINTS: Final = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """Messages that wait in a queue at second 0, and the mapping that takes them to a function.

    Attributes:
        messages: How many wait.
        arrivals_per_s: Messages that come meanwhile.
        batch_size, send_batch: Messages of one invocation, and of one call of who sends them.
        policy: Decides the concurrent batches.
        service, init: How long a batch takes, and an environment to initialise.
    """

    function: Function
    account: Account
    messages: int
    arrivals_per_s: float = 0.0
    batch_size: int = 10
    send_batch: int = 1
    policy: Pollers
    service: Capped
    init: Distribution

    @property
    def places(self) -> int:
        """Batches that may run at a time: what the mapping, the function and the account allow."""
        return min(self.policy.max_concurrent, self.account.limit_of(self.function))

    def is_drained_ever(self, each_s: float) -> bool:
        """Whether more can be done than comes if each batch takes so long."""
        return self.arrivals_per_s * each_s < self.places * self.batch_size

    def batches(self, to_s: float) -> int:
        """Invocations that it takes for all that waited or came before `to_s`."""
        return math.ceil(round((self.messages + self.arrivals_per_s * to_s) / self.batch_size, 9))


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """What becomes of a backlog.

    Attributes:
        backlog: The messages, and what takes them.
        drained_s: When the last batch is over.
        in_steps_s: The same if pollers are added once a minute.
        by_receives_s: The same if the calls of provisioned pollers bind; None if they do not.
        starts_s: When the n-th batch at a time is allowed; those that are used.
        taken_s: When the last batch is taken.
    """

    backlog: Backlog
    drained_s: float
    in_steps_s: float
    by_receives_s: float | None
    starts_s: Sequence[float]
    taken_s: float

    @property
    def messages(self) -> int:
        """Those that waited, and that came until the last was taken."""
        return self.backlog.messages + round(self.backlog.arrivals_per_s * self.taken_s)

    @property
    def invocations(self) -> int:
        """Batches."""
        return self.backlog.batches(self.taken_s)

    @property
    def peak(self) -> int:
        """Batches in flight at the most; each had an environment to initialise."""
        return len(self.starts_s)

    @property
    def init_ms(self) -> float:
        """Milliseconds of initialisation that are billed."""
        return self.peak * self.backlog.init.mean_s * 1000

    @property
    def billed_ms(self) -> float:
        """Milliseconds that are billed, initialisation included."""
        return self.invocations * mean_billed_ms(self.backlog.service) + self.init_ms

    @property
    def in_flight(self) -> float:
        """Batches in flight on average, init included."""
        work_s = self.invocations * self.backlog.service.mean_s + self.peak * self.backlog.init.mean_s
        return work_s / self.drained_s

    def usage(self) -> Usage:
        """What is billed for this backlog, by meter."""
        backlog = self.backlog
        function = backlog.function
        used = [
            invocations(
                self.invocations,
                round(self.billed_ms),
                function.memory_mb,
                function.architecture,
                storage_mb=function.ephemeral_storage_mb,
            ),
            sqs(self.messages, batch=backlog.batch_size, send_batch=backlog.send_batch),
        ]
        if isinstance(backlog.policy, ProvisionedPollers):
            allowed = [(at_s, number) for number, at_s in enumerate(self.starts_s, 1)]
            first = int(backlog.policy.begin(0.0).level)
            used.append(provisioned_pollers([(0.0, first), *allowed[first:]], self.drained_s))
        return total(*used)

    def levels(self) -> dict[str, list[float]]:
        """Batches in flight and messages that wait, at equal distances."""
        at_s = [self.drained_s * place / _POINTS for place in range(_POINTS + 1)]
        taken = [
            min(_taken(self.backlog, self.starts_s, one, self.backlog.service.mean_s), self.invocations)
            for one in at_s
        ]
        come = [self.backlog.messages + self.backlog.arrivals_per_s * min(one, self.taken_s) for one in at_s]
        waiting = [max(0.0, all_ - self.backlog.batch_size * n) for all_, n in zip(come, taken, strict=True)]
        allowed = [float(bisect_right(self.starts_s, one)) for one in at_s]
        return {"at_s": at_s, "batches_at_a_time": allowed, "messages_waiting": waiting}

    def document(self) -> dict[str, Any]:
        """Return it as JSON values."""
        drained_s_if = {"pollers are added once a minute": round(self.in_steps_s, 3)}
        if self.by_receives_s is not None:
            drained_s_if["a poller's 10 receives/s bind"] = round(self.by_receives_s, 3)
        return {
            "method": "analytic",
            "error": ERROR,
            "seed": None,
            "messages": self.messages,
            "invocations": self.invocations,
            "drained_s": round(self.drained_s, 3),
            "drained_s_if": drained_s_if,
            "concurrency": {"mean": round(self.in_flight, 3), "peak": self.peak},
            "cold_starts": self.peak,
            "billed_ms": round(self.billed_ms, 3),
            "init_ms": round(self.init_ms, 3),
            "gb_seconds": round(self.billed_ms / 1000 * self.backlog.function.memory_mb / 1024, 3),
            "to_check": self.to_check(),
            "assumptions": self.assumptions(),
        }

    def to_check(self) -> list[str]:
        """What has to be so, or should be, of queue and mapping, a sentence each."""
        backlog = self.backlog
        function, policy = backlog.function, backlog.policy
        hidden_s = TIMEOUTS_OUT_OF_SIGHT * function.timeout_s
        kept = "longer than" if self.drained_s > _RETENTION_S else "within"
        age = f"the oldest message is {self.drained_s:,.4g} s old at the end"
        said = [
            f"visibility timeout: {hidden_s:g} s or more, six times the time-out (AWS)",
            f"retention: {age}, {kept} the 4 days of a queue that says nothing else",
        ]
        if policy.max_concurrent > backlog.places == self.peak:
            said.append(
                f"maximum concurrency: the mapping may come to {policy.max_concurrent:,} batches where "
                f"{backlog.places:,} may run; more are refused and tried again, which takes longer than this"
            )
        if backlog.batch_size > SQS_BATCH:
            said.append("batching window: batches of more than 10 need one of a second or more (AWS)")
        return said

    def assumptions(self) -> list[str]:
        """What is taken for granted, a sentence each."""
        backlog = self.backlog
        late = backlog.service.late_share
        return [
            *growth(backlog.policy),
            "every batch is full and succeeds" + (f" (but {100 * late:.2g} % time out)" if late else ""),
            "every batch at a time initialises one environment, and nothing else runs in the account",
            sending(backlog.send_batch),
        ]


def growth(policy: Pollers) -> list[str]:
    """How the concurrent batches of a mapping grow, a sentence for each thing taken for granted."""
    most = f"up to {policy.max_concurrent:,}"
    if not isinstance(policy, ProvisionedPollers):
        rate = f"{GROWTH_PER_S:g} a second, {most} (AWS: 300 a minute, not in how many steps)"
        return [f"SQS: pollers begin at {min(FIRST_CONCURRENCY, policy.max_concurrent)} and grow by {rate}"]
    pollers = (
        f"{policy.minimum_pollers} to {policy.maximum_pollers} provisioned pollers of {POLLER_CONCURRENCY}"
    )
    return [
        f"SQS: {pollers} batches, growing all the time, {most} (AWS: 1,000 a minute, not in how many steps)",
        "SQS: a provisioned poller receives as often as it can use; AWS: ten times a second",
        "SQS: provisioned pollers are paid for the time looked at; the fewest stand for ever",
    ]


def sending(send_batch: int) -> str:
    """What is taken for granted of the calls of a queue that are billed."""
    return f"SQS: messages are sent {send_batch} at a time, calls up to 64 KB; empty receives are not counted"


def drain(backlog: Backlog) -> Drain:
    """Work out when the backlog is drained.

    Raises:
        ValueError: It never is: as much comes as can be done.
    """
    mean_s = backlog.service.mean_s
    if not backlog.is_drained_ever(mean_s):
        most = backlog.places * backlog.batch_size / mean_s
        raise ValueError(f"never drained: {backlog.places:,} batches at a time are {most:,.4g} messages/s")
    starts_s = _starts_s(backlog, _OFTEN_S)
    taken_s = _last_taken_s(backlog, starts_s, mean_s)
    stepped_s = _starts_s(backlog, _EACH_MINUTE_S)
    by_receives_s = None
    if isinstance(backlog.policy, ProvisionedPollers):
        call_s = -(-backlog.batch_size // SQS_BATCH) * POLLER_CONCURRENCY / _RECEIVES_PER_S
        if call_s > mean_s and backlog.is_drained_ever(call_s):
            by_receives_s = _last_taken_s(backlog, starts_s, call_s) + mean_s
    used = min(bisect_right(starts_s, taken_s), backlog.batches(taken_s))
    return Drain(
        backlog=backlog,
        drained_s=_end_s(backlog, starts_s[:used], taken_s),
        in_steps_s=_end_s(backlog, stepped_s, _last_taken_s(backlog, stepped_s, mean_s)),
        by_receives_s=by_receives_s,
        starts_s=starts_s[:used],
        taken_s=taken_s,
    )


def _starts_s(backlog: Backlog, every_s: float) -> list[float]:
    """When the n-th batch at a time may begin, if the policy is asked so often and there is enough to do."""
    places, rate = backlog.places, backlog.account.scaling_rate
    memory = backlog.policy.begin(0.0)
    starts_s: list[float] = []
    turn = 0
    while len(starts_s) < places:
        decision, memory = backlog.policy.decide(Load(backlog=places), memory, turn * every_s)
        starts_s += [turn * every_s] * (min(decision.wanted, places) - len(starts_s))
        turn += 1
    if not rate:
        return starts_s
    return [max(at_s, (place - rate) * SCALING_PERIOD_S / rate) for place, at_s in enumerate(starts_s, 1)]


def _taken(backlog: Backlog, starts_s: Sequence[float], to_s: float, each_s: float) -> int:
    """Batches that are taken up to `to_s`, each of them taking `each_s`, if there are enough."""
    init_s, fixed = backlog.init.mean_s, backlog.service.fixed
    begun = [to_s - at_s - init_s for at_s in starts_s[: bisect_right(starts_s, to_s)]]
    more = (for_s / each_s for for_s in begun if for_s > 0)
    return len(begun) + (sum(map(math.floor, more)) if fixed else math.floor(sum(more)))


def _last_taken_s(backlog: Backlog, starts_s: Sequence[float], each_s: float) -> float:
    """When the last batch is taken, each of them taking `each_s`."""

    def enough(to_s: float) -> bool:
        return _taken(backlog, starts_s, to_s, each_s) >= backlog.batches(to_s)

    if enough(0.0):
        return 0.0
    low_s, high_s = 0.0, each_s
    while not enough(high_s):
        low_s, high_s = high_s, 2 * high_s
    while high_s - low_s > 1e-6 * high_s:
        middle_s = (low_s + high_s) / 2
        low_s, high_s = (low_s, middle_s) if enough(middle_s) else (middle_s, high_s)
    return high_s


def _end_s(backlog: Backlog, starts_s: Sequence[float], taken_s: float) -> float:
    """When all that runs as the last batch is taken is over."""
    service, init_s = backlog.service, backlog.init.mean_s
    used = starts_s[: bisect_right(starts_s, taken_s)]
    longest_s = service.mean_s if service.fixed else excess_s(service, len(used) + 1)[-1]
    return max(taken_s + longest_s, used[-1] + init_s + service.mean_s)
