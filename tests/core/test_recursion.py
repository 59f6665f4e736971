"""Calls of functions in trace headers."""

import pytest

from engine.core.recursion import MAX_CALLS, RecursionGuard, calls_in

ROOT = "Root=1-5e6a88ee-aaaabbbbccccddddeeeeffff;Parent=0123456789abcdef;Sampled=0"


def entered(guard, trace, *functions):
    for function in functions:
        trace = guard.enter(function, trace)
    return trace


def test_a_header_counts_the_calls_of_each_function():
    trace = entered(RecursionGuard(), ROOT, "a", "b", "a", "c", "a")

    assert f"{ROOT};Lineage=1:71beeff9:1|06b9df6f:1|e8b7be43:3" == trace
    assert 3 == calls_in(trace)


def test_a_function_is_stopped_at_its_sixteenth_counted_call():
    """Others in the chain are not, and one that may call itself is not; what is stopped is told."""
    dropped = []
    guard = RecursionGuard(dropped.append)
    trace = entered(guard, ROOT, *["a"] * (MAX_CALLS - 1), "b")
    last = guard.enter("a", trace)

    assert [False, False, False] == [guard.stops("a", trace), guard.stops("b", last), guard.stops("a", None)]
    assert guard.stops("a", last)
    assert ["a"] == dropped

    guard.read_from(lambda function: function == "a")
    assert not guard.stops("a", last)
    assert ["a"] == dropped


@pytest.mark.parametrize(
    "lineage",
    ["", "x", "1:", "1:a:b", "a:-1", "a:99999", "::", "|||", "1:e8b7be43:1:2"],
)
def test_a_lineage_that_is_malformed_counts_as_none(lineage):
    guard = RecursionGuard()

    assert f"{ROOT};Self=x" == guard.enter("a", f"{ROOT};Lineage={lineage};Self=x").partition(";Lineage=")[0]
    assert not guard.stops("a", f"Lineage={lineage}")


def test_the_older_form_is_read():
    """Without a version in front."""
    assert RecursionGuard().stops("a", f"{ROOT};Lineage=e8b7be43:16|06b9df6f:2")


def test_a_header_does_not_grow_without_end():
    trace = entered(RecursionGuard(), ROOT, *(f"f{number}" for number in range(500)))

    assert 32 == trace.count("|") + 1
