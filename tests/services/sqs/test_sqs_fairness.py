"""The order of a standard queue with tenants, against one that looks at everything each time."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.services.sqs.delivery_order import FairDeliveryOrder
from engine.services.sqs.message import GONE, VISIBLE, Message

TENANTS = st.sampled_from([None, "a", "b", "c", "d"])
STEPS = st.lists(
    st.tuples(st.just("put"), TENANTS, st.sampled_from([1, 5, 40]))
    | st.tuples(st.just("take"), st.sampled_from([1, 10, 35]))
    | st.tuples(st.sampled_from(["delete", "return"]), st.sampled_from([1, 10, 40]), st.booleans())
    | st.tuples(st.just("drop"), st.integers(0, 50)),
    max_size=40,
)


class Naive:
    """Visible messages, and those in flight, as lists."""

    def __init__(self) -> None:
        self.visible: list[Message] = []
        self.held: list[Message] = []

    def noisy(self, group: str | None) -> bool:
        mine = sum(one.group == group for one in self.held)
        return group is not None and mine >= 30 and mine * 10 > len(self.held)

    def next(self) -> Message | None:
        """The first of all quiet tenants; if there is none, the first of who holds least."""
        line = sorted(self.visible, key=lambda one: one.seq)
        quiet = [one for one in line if not self.noisy(one.group)]
        if quiet:
            return quiet[0]
        by_share = [(sum(other.group == one.group for other in self.held), one.seq, one) for one in line]
        return min(by_share)[2] if by_share else None

    def take(self, most: int) -> list[Message]:
        taken = []
        while len(taken) < most and (one := self.next()) is not None:
            self.visible.remove(one)
            self.held.append(one)
            taken.append(one)
        return taken


@settings(max_examples=400, deadline=None)
@given(STEPS)
def test_tenants_are_served_as_if_all_were_looked_at(steps):
    """Whatever comes, goes, comes back or is deleted in between."""
    order, naive, seq = FairDeliveryOrder(), Naive(), 0
    for name, *how in steps:
        if name == "put":
            for _ in range(how[1]):
                seq += 1
                message = Message(str(seq), "x", 0.0, seq, how[0])
                order.put(message)
                naive.visible.append(message)
        elif name == "take":
            expected = naive.take(how[0])
            assert expected == order.take(how[0])
        elif name == "drop":
            for message in naive.visible[how[0] : how[0] + 1]:
                message.state = GONE
                naive.visible.remove(message)
                order.mark_gone(message)
        else:
            some = naive.held[-how[0] :] if how[1] else naive.held[: how[0]]
            for message in some:
                naive.held.remove(message)
                message.state = GONE if name == "delete" else VISIBLE
                order.mark_not_in_flight(message)
                if name == "return":
                    naive.visible.append(message)
                    order.put(message)

        assert bool(naive.visible) == order.ready()
