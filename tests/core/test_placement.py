"""The node that an environment is given: whatever nodes there are, and whatever it needs."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.placement import EnvironmentNeed, NodeRoom, choose, fits

CODES = ("a", "b", "c")


def room(name="n", memory_mb=1000, vcpus=2.0, free_mb=1000.0, free_vcpus=2.0, codes=()):
    return NodeRoom(name, memory_mb, vcpus, free_mb, free_vcpus, frozenset(codes))


rooms = st.lists(
    st.builds(
        room,
        memory_mb=st.integers(1, 4000),
        vcpus=st.sampled_from([0.25, 1.0, 2.0, 64.0]),
        free_mb=st.integers(-100, 4000),
        free_vcpus=st.sampled_from([-3.0, 0.0, 0.1, 1.0, 64.0]),
        codes=st.frozensets(st.sampled_from(CODES)),
    ),
    max_size=6,
).map(lambda found: [one._replace(name=f"n{number}") for number, one in enumerate(found)])
needs = st.builds(
    EnvironmentNeed,
    memory_mb=st.integers(1, 3000),
    vcpus=st.sampled_from([0.0, 0.0, 0.1, 1.0]),
    code=st.sampled_from(["", *CODES]),
)


@settings(max_examples=50, deadline=None)
@given(rooms, needs)
def test_a_node_is_chosen_exactly_if_one_has_room(nodes, need):
    """And it is one of those that have."""
    fitting = [node for node in nodes if fits(node, need)]
    chosen = choose(nodes, need)

    assert (chosen in fitting) if fitting else (chosen is None)


@settings(max_examples=50, deadline=None)
@given(rooms, needs, st.randoms(use_true_random=False))
def test_the_order_in_which_nodes_stand_is_of_no_account(nodes, need, rng):
    """The same nodes, the same choice."""
    mixed = list(nodes)
    rng.shuffle(mixed)

    assert choose(nodes, need) == choose(mixed, need)


@settings(max_examples=50, deadline=None)
@given(rooms, needs)
def test_no_node_without_cpu_to_spare_is_chosen_while_another_has_some(nodes, need):
    """Not even for the sake of its code."""
    chosen = choose(nodes, need)
    spare = any(node.free_vcpus > 0 and fits(node, need) for node in nodes)

    assert chosen is None or chosen.free_vcpus > 0 or not spare


@settings(max_examples=50, deadline=None)
@given(rooms, needs)
def test_another_node_never_takes_room_away(nodes, need):
    """What had a place has one with one more node, and without a node that was not chosen the same one."""
    chosen = choose(nodes, need)

    if chosen is not None:
        assert choose([*nodes, room("z")], need) is not None
        for other in nodes:
            assert other is chosen or chosen == choose([one for one in nodes if one is not other], need)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 6), st.lists(needs, max_size=30))
def test_memory_and_reserved_cpu_are_never_shared_out_twice(count, wanted):
    """Whatever is placed, one after the other."""
    nodes = {f"n{number}": room(f"n{number}") for number in range(count)}
    for need in wanted:
        if (found := choose(nodes.values(), need)) is not None:
            left_mb, left_vcpus = found.free_memory_mb - need.memory_mb, found.free_vcpus - need.vcpus
            nodes[found.name] = found._replace(free_memory_mb=left_mb, free_vcpus=left_vcpus)

    assert all(node.free_memory_mb >= 0 and node.free_vcpus >= -1e-9 for node in nodes.values())


def test_while_cpu_is_to_spare_a_node_is_filled_before_the_next_is_touched():
    """So that nodes which are not needed become empty; its code goes before that."""
    half, empty = room("half", free_mb=500.0, free_vcpus=1.0), room("empty")
    need = EnvironmentNeed(100, code="a")

    assert half == choose([empty, half], need)
    assert "with code" == choose([half, empty._replace(name="with code", codes=frozenset("a"))], need).name


def test_without_cpu_to_spare_environments_are_spread():
    """Its code decides between equals only: one node would get them all."""
    busy, busier = room("busy", free_vcpus=0.0), room("busier", free_vcpus=-1.0, codes="a")
    need = EnvironmentNeed(100, code="a")

    assert busy == choose([busier, busy], need)
    assert "with code" == choose([busy, busy._replace(name="with code", codes=frozenset("a"))], need).name


def test_ten_tenths_of_a_cpu_fit_on_one():
    """Though sums of tenths are not exact."""
    node = room(vcpus=1.0, free_vcpus=1.0)
    placed = 0
    while (found := choose([node], EnvironmentNeed(1, vcpus=0.1))) is not None:
        placed += 1
        node = found._replace(free_vcpus=found.free_vcpus - 0.1)

    assert 10 == placed
