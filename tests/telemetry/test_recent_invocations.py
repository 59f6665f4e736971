"""The last invocations of a function: which are kept, for how long, and what is shown of them."""

from __future__ import annotations

from engine.core.outcome import Status
from engine.telemetry.recent_invocations import (
    KEPT,
    KEPT_CHARACTERS,
    KEPT_FAILURES,
    KEPT_PER_S,
    LOG_KEPT_CHARACTERS,
)


class MovedClock:
    """Stands until it is moved."""

    now_s = 5.0

    def now(self):
        return self.now_s

    def wall(self):
        return 1767225600.0 + self.now_s


def keep(bench, ended, status=Status.SUCCESS, log=None, **facts):
    """End one invocation, and return its record if it was kept."""
    invocation, outcome = ended("hello", status, **facts)
    invocation.log = log
    before = bench.stats.functions["hello"].numbers.stop - 1
    bench.stats.ended(invocation, outcome, None)
    return bench.stats.recent.of("hello", after=before)


def shown(bench):
    """What is shown of all that is kept."""
    recent = bench.stats.recent
    return [recent.shown(one, with_log=True) for one in recent.of("hello")]


def test_failures_are_always_kept_and_so_many_successes_from_one_read_to_the_next(bench, ended):
    """What an engine spends on them does not grow with its load; a reader is told of the others."""
    kept = [one for _ in range(KEPT + 1) for one in keep(bench, ended)]

    assert KEPT == len(kept)
    assert 1 == len(keep(bench, ended, Status.ERROR))
    bench.later.pop()()
    assert KEPT_PER_S == sum(len(keep(bench, ended)) for _ in range(KEPT_PER_S + 5))
    assert 1 == len(bench.later)
    bench.stats.keep_successes("hello")
    bench.later.pop()()
    assert KEPT == sum(len(keep(bench, ended)) for _ in range(KEPT + 5))


def left_out(bench, **wanted):
    return bench.stats.recent.left_out("hello", bench.stats.functions["hello"].numbers, **wanted)


def test_each_reader_is_told_how_many_are_left_out_since_its_last_read(bench, ended):
    """By any bound, whoever else reads; what never ran is not counted."""
    for _ in range(KEPT + 7):
        keep(bench, ended)
    start = KEPT + 7
    for _ in range(KEPT_FAILURES + KEPT + 3):
        keep(bench, ended, Status.ERROR)
    bench.refuse("function_limit")
    bench.refuse("", Status.CANCELLED)

    assert KEPT_FAILURES + KEPT == len(bench.stats.recent.of("hello", after=start))
    assert 3 == left_out(bench, after=start)
    assert start + 3 == left_out(bench)
    end = start + KEPT_FAILURES + KEPT + 3
    assert 0 == left_out(bench, after=end)
    later = [one for status in (Status.INIT_ERROR, Status.ERROR) for one in keep(bench, ended, status)]
    assert [end + 1, end + 2] == [one.number for one in later]


def test_what_ended_before_the_time_that_is_asked_for_is_not_left_out(new_bench, ended):
    """It counts from the last that ended before."""
    clock = MovedClock()
    bench = new_bench(clock=clock)
    bench.register("hello")
    for _ in range(KEPT + 30):
        keep(bench, ended)
    bench.stats.keep_successes("hello")
    keep(bench, ended)
    clock.now_s = 60.0
    for _ in range(3):
        keep(bench, ended, Status.ERROR)

    assert (3, 0) == (len(bench.stats.recent.of("hello", since_s=30)), left_out(bench, since_s=30))


def test_a_function_made_anew_goes_on_counting(bench, ended):
    """A reader that knew the old one sees all of the new one."""
    [old] = keep(bench, ended, Status.ERROR)
    bench.stats.unregister("hello")
    bench.register("hello")
    [new] = keep(bench, ended, Status.CRASH)

    assert [new] == bench.stats.recent.of("hello", after=old.number)
    assert (0, 0) == (left_out(bench, after=old.number), left_out(bench))


def test_successes_do_not_push_the_last_failures_out(bench, ended):
    """Both are bounded."""
    for _ in range(KEPT_FAILURES + 5):
        keep(bench, ended, Status.ERROR)
    for number in range(KEPT + 5):
        keep(bench, ended)
        if number == KEPT - 1:
            bench.stats.keep_successes("hello")
    kept = [one.outcome.status for one in bench.stats.recent.of("hello")]

    assert [Status.ERROR] * KEPT_FAILURES + [Status.SUCCESS] * KEPT == kept


def test_all_functions_together_stay_bounded_and_the_newest_stays(bench, ended):
    """However much handlers write."""
    log = ["x" * LOG_KEPT_CHARACTERS]
    for number in range(KEPT_CHARACTERS // LOG_KEPT_CHARACTERS // KEPT * 2):
        bench.register(f"f{number}")
        for _ in range(KEPT):
            invocation, outcome = ended(f"f{number}")
            invocation.log = log
            bench.stats.ended(invocation, outcome, None)
    last = bench.stats.recent.of(f"f{number}")[-1]
    total = sum(one.characters for name in bench.stats.functions for one in bench.stats.recent.of(name))

    assert KEPT == last.number
    assert total == bench.stats.recent.characters <= KEPT_CHARACTERS


def test_the_log_reads_as_on_aws_and_a_cut_is_told(bench, ended):
    """START, the lines, END, REPORT; with the error object beside it."""
    error = b'{"errorMessage": "no", "errorType": "KeyError"}'
    log = ["[ERROR] KeyError: ", "'no'"]
    keep(bench, ended, Status.ERROR, log, body=error, duration_s=0.25)
    keep(bench, ended, Status.TIMEOUT, ["y" * LOG_KEPT_CHARACTERS * 2])
    first, second = shown(bench)

    assert ["START", "[ERROR]", "END", "REPORT"] == [line.split(" ")[0] for line in first["log"].splitlines()]
    assert error.decode() == first["error"]
    assert ("error", "KeyError", 0.25, 250) == (
        first["status"],
        first["error_type"],
        first["duration_s"],
        first["billed_ms"],
    )
    assert "earlier output of this invocation was not kept" in second["log"]
    assert "Task timed out" in second["log"]


def test_they_are_found_by_number_request_and_age(bench, ended):
    """And a function that is gone has none."""
    recent = bench.stats.recent
    keep(bench, ended, Status.ERROR)
    [later] = keep(bench, ended, Status.CRASH)

    assert Status.CRASH is later.outcome.status
    assert "log" not in recent.shown(later, with_log=False)
    assert 2 == len(recent.of("hello", request_id=later.outcome.request_id))
    assert [] == recent.of("hello", request_id="another")
    assert (2, 0) == (len(recent.of("hello", since_s=0)), len(recent.of("hello", since_s=-1)))
    bench.stats.unregister("hello")
    assert ([], 0) == (recent.of("hello"), recent.characters)
