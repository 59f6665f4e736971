"""The queue against a naive model of it, on random histories: nothing is lost, nothing comes too early."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine.services.sqs.queue import Queue, ReceiptStatus
from engine.services.sqs.queue_attributes import QueueAttributes, Redrive

MAX_RECEIVES = 3
RETENTION_S = 3_600
GROUPS = ["a", "b", "c"]
STEPS_S = st.sampled_from([0.0, 0.5, 1.0, 7.0, 30.0, 290.0, 301.0, 3_000.0])
TIMEOUTS_S = st.sampled_from([None, 0, 1, 5, 30, 1_000])


@dataclass
class Plain:
    """A message of the model. It is hidden until `hidden_s`; `held` says whether by a receive."""

    id: str
    group: str | None
    sent_s: float
    order: int
    hidden_s: float
    held: bool = False
    receipt: int = 0
    receives: int = 0
    received_s: float = 0.0
    stamp: int = 0  # rises with whatever becomes of it after a receive


@dataclass
class Naive:
    """A queue that looks at everything each time."""

    fifo: bool
    messages: list[Plain] = field(default_factory=list)
    superseded: set[int] = field(default_factory=set)
    gone: list[str] = field(default_factory=list)
    order: int = 0

    def tick(self, now_s: float) -> None:
        for one in list(self.messages):
            if one.sent_s + RETENTION_S <= now_s:
                self.remove(one)
            elif one.hidden_s <= now_s:
                one.held = False

    def remove(self, one: Plain) -> None:
        self.messages.remove(one)
        self.gone.append(one.id)

    def visible(self, now_s: float) -> list[Plain]:
        return [one for one in self.messages if one.hidden_s <= now_s]

    def available(self, now_s: float) -> list[Plain]:
        """In order; of a FIFO group what stands before the first in flight."""
        found = sorted(self.visible(now_s), key=lambda one: one.order)
        if not self.fifo:
            return found
        barriers = {
            group: min(
                (one.order for one in self.messages if one.group == group and one.held), default=1 << 60
            )
            for group in GROUPS
        }
        return [one for one in found if one.order < barriers[one.group]]

    def counts(self, now_s: float) -> tuple[int, int, int]:
        visible, held = len(self.visible(now_s)), sum(one.held for one in self.messages)
        return visible, held, len(self.messages) - visible - held


class History(RuleBasedStateMachine):
    """Random sends, receives, deletes and waits on one queue with a dead-letter queue."""

    fifo = False

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 1_000_000.0
        self.serial = 0
        self.receipts: list[int] = []
        self.accepted: dict[str, tuple[float, str]] = {}
        self.attempts: dict[str, tuple[float, list[tuple[Plain, int]]]] = {}

    @initialize(delay_s=st.sampled_from([0, 0, 3]))
    def build(self, delay_s: int) -> None:
        policy = QueueAttributes(fifo=self.fifo, delay_s=delay_s, retention_s=RETENTION_S)
        self.dead = Queue("dead", "arn:dead", policy)
        live = QueueAttributes(
            fifo=self.fifo,
            delay_s=delay_s,
            retention_s=RETENTION_S,
            redrive=Redrive("arn:dead", MAX_RECEIVES),
        )
        self.queue = Queue("live", "arn:live", live, {"arn:dead": self.dead}.get)
        self.delay_s = delay_s
        self.model, self.dead_model = Naive(self.fifo), Naive(self.fifo)
        self.sent: list[str] = []

    def _send(self, group: str | None, dedup_id: str | None, delay_s: float | None) -> None:
        self.serial += 1
        message_id = f"m{self.serial}"
        known = self.accepted.get(dedup_id) if dedup_id is not None else None
        got = self.queue.send(self.now_s, message_id, "x", delay_s=delay_s, group=group, dedup_id=dedup_id)
        if known is not None and self.now_s < known[0] + 300:
            assert known[1] == got.message_id
            return
        assert message_id == got.message_id
        if dedup_id is not None:
            self.accepted[dedup_id] = (self.now_s, message_id)
        self.model.order += 1
        hidden_s = self.now_s + (self.delay_s if delay_s is None else delay_s)
        self.model.messages.append(Plain(message_id, group, self.now_s, self.model.order, hidden_s))
        self.sent.append(message_id)

    def _repeated(self, attempt: str | None) -> list[Plain]:
        """What an attempt that was made before gives again: all of it, or nothing."""
        kept_s, tries = self.attempts.get(attempt, (-1e9, []))
        fine = self.now_s < kept_s + 300 and all(
            one in self.model.messages and one.hidden_s > self.now_s and one.stamp == stamp
            for one, stamp in tries
        )
        return [one for one, _ in tries] if fine else []

    @rule(most=st.integers(1, 12), timeout_s=TIMEOUTS_S, attempt=st.sampled_from([None, None, "one", "two"]))
    def receive(self, most: int, timeout_s: int | None, attempt: str | None) -> None:
        self.model.tick(self.now_s)
        attempt = attempt if self.fifo else None
        limit_s = 30 if timeout_s is None else timeout_s
        if again := self._repeated(attempt):
            got = self.queue.receive(most, self.now_s, timeout_s, attempt)
            assert [(one.id, one.receipt) for one in again] == [(one.id, one.receipt) for one in got]
            for one in again:
                one.hidden_s, one.held, one.stamp = self.now_s + limit_s, limit_s > 0, one.stamp + 1
            self.attempts[attempt] = self.now_s, [(one, one.stamp) for one in again]
            return
        self.dead_model.tick(self.now_s)
        available = self.model.available(self.now_s)
        doomed = [one for one in available if one.receives >= MAX_RECEIVES]
        fine = [one for one in available if one.receives < MAX_RECEIVES]
        got = self.queue.receive(most, self.now_s, timeout_s, attempt)
        ids = [message.id for message in got]
        buried = {message.id for message in self.dead.messages.all()} - {
            one.id for one in self.dead_model.messages
        }

        assert len(set(ids)) == len(ids)
        assert buried <= {one.id for one in doomed}
        if self.fifo:
            self._check_fifo(ids, most, available, buried)
        else:
            assert [one.id for one in fine[:most]] == ids
        for one in doomed:
            if one.id in buried:
                self.model.messages.remove(one)
                self._to_dead(one)
        by_id = {one.id: one for one in self.model.messages}
        for message in got:
            one = by_id[message.id]
            one.receives += 1
            if one.receipt:
                self.model.superseded.add(one.receipt)
            one.receipt, one.hidden_s, one.held = message.receipt, self.now_s + limit_s, limit_s > 0
            one.received_s, one.stamp = self.now_s, one.stamp + 1
            self.receipts.append(message.receipt)
            assert message.receives == one.receives
        if got and attempt is not None:
            self.attempts[attempt] = self.now_s, [(by_id[one.id], by_id[one.id].stamp) for one in got]

    def _check_fifo(self, ids: list[str], most: int, available: list[Plain], buried: set[str]) -> None:
        """As many as can be, each group in order without a gap."""
        assert min(most, len([one for one in available if one.receives < MAX_RECEIVES])) <= len(ids) or buried
        assert len(ids) <= most
        for group in GROUPS:
            line = [one.id for one in available if one.group == group and one.id not in buried]
            mine = [one for one in ids if one in line]
            assert line[: len(mine)] == mine

    def _to_dead(self, one: Plain) -> None:
        self.dead_model.order += 1
        moved = Plain(one.id, one.group, one.sent_s, self.dead_model.order, self.now_s)
        moved.receives = one.receives
        self.dead_model.messages.append(moved)

    def _find(self, receipt: int) -> Plain | None:
        return next((one for one in self.model.messages if one.receipt == receipt), None)

    @precondition(lambda self: self.receipts)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        receipt = data.draw(st.sampled_from(self.receipts[-8:]))
        self.model.tick(self.now_s)
        one = self._find(receipt)
        expected = ReceiptStatus.DONE
        if one is None:
            expected = (
                ReceiptStatus.EXPIRED
                if self.fifo and receipt in self.model.superseded
                else ReceiptStatus.GONE
            )
        elif self.fifo and not one.held:
            expected = ReceiptStatus.EXPIRED
        elif one is not None:
            self.model.remove(one)
        assert expected == self.queue.delete(receipt, self.now_s)

    @precondition(lambda self: self.receipts)
    @rule(data=st.data(), timeout_s=st.sampled_from([0, 3, 40, 43_200]))
    def change_visibility(self, data: st.DataObject, timeout_s: int) -> None:
        receipt = data.draw(st.sampled_from(self.receipts[-8:]))
        self.model.tick(self.now_s)
        one = self._find(receipt)
        if one is None:
            expected = ReceiptStatus.GONE
        elif not one.held:
            expected = ReceiptStatus.EXPIRED
        elif self.now_s + timeout_s - one.received_s > 43_200:
            expected = ReceiptStatus.TOO_LONG
        else:
            expected = ReceiptStatus.DONE
            one.hidden_s, one.held = self.now_s + timeout_s, timeout_s > 0
            one.stamp += 1
        assert expected == self.queue.change_visibility(receipt, timeout_s, self.now_s)

    @rule(seconds=STEPS_S)
    def wait(self, seconds: float) -> None:
        self.now_s += seconds

    @precondition(lambda self: self.sent)
    @rule(rare=st.integers(0, 9))
    def purge(self, rare: int) -> None:
        if rare == 0:
            for one in list(self.model.messages):
                self.model.remove(one)
            self.model.superseded.clear()
            self.accepted.clear()
            self.attempts.clear()
            self.queue.purge()

    @invariant()
    def numbers_agree(self) -> None:
        if not hasattr(self, "queue"):
            return
        for queue, model in ((self.queue, self.model), (self.dead, self.dead_model)):
            queue.messages.tick(self.now_s)
            model.tick(self.now_s)
            assert model.counts(self.now_s) == (
                queue.messages.visible,
                queue.messages.in_flight,
                queue.messages.delayed,
            )
            assert {one.id for one in model.messages} == {one.id for one in queue.messages.all()}
            assert bool(model.available(self.now_s)) == queue.ready()

    @invariant()
    def nothing_is_lost(self) -> None:
        if hasattr(self, "sent"):
            models = (self.model, self.dead_model)
            found = [one.id for model in models for one in model.messages] + [
                message_id for model in models for message_id in model.gone
            ]
            assert sorted(self.sent) == sorted(found)

    def teardown(self) -> None:
        """When all has run out, nothing is left behind in any index."""
        if hasattr(self, "queue"):
            for queue in (self.queue, self.dead):
                queue.messages.tick(self.now_s + 2 * RETENTION_S)
                assert (0, 0, 0) == (queue.messages.visible, queue.messages.in_flight, queue.messages.delayed)
                assert 0 == queue.messages.statistics().receipts
                assert queue.messages.next_due_s() is None
                assert not queue.ready()


class StandardHistory(History):
    """A standard queue, some messages with groups."""

    @rule(group=st.sampled_from([None, None, *GROUPS]), delay_s=st.sampled_from([None, None, 0, 4, 100]))
    def send(self, group: str | None, delay_s: float | None) -> None:
        self._send(group, None, delay_s)


class FifoHistory(History):
    """A FIFO queue."""

    fifo = True

    @rule(group=st.sampled_from(GROUPS), number=st.integers(0, 30))
    def send(self, group: str, number: int) -> None:
        self._send(group, f"d{number}", None)


_EFFORT = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestStandardHistory = StandardHistory.TestCase
TestStandardHistory.settings = _EFFORT
TestFifoHistory = FifoHistory.TestCase
TestFifoHistory.settings = _EFFORT
