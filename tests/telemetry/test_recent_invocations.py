"""The last invocations of a function: which are kept, for how long, and what is shown of them."""

from __future__ import annotations

import orjson

from engine.core.outcome import Status
from engine.telemetry.recent_invocations import (
    KEPT,
    KEPT_CHARACTERS,
    KEPT_FAILURES,
    LOG_KEPT_CHARACTERS,
)


def keep(bench, ended, status=Status.SUCCESS, log=None, **facts):
    """End one invocation, and return its record if it was kept."""
    invocation, outcome = ended("hello", status, **facts)
    invocation.log = log
    before = bench.stats.recent.document("another")["next"]
    bench.stats.ended(invocation, outcome, None)
    return [one for one in bench.stats.recent.of("hello") if one.number > before]


def test_failures_are_always_kept_and_so_many_successes_from_one_read_to_the_next(bench, ended):
    """What an engine spends on them does not grow with its load; a reader is told of the others."""
    kept = [one for _ in range(KEPT + 1) for one in keep(bench, ended)]

    assert KEPT == len(kept)
    assert 1 == len(keep(bench, ended, Status.ERROR))
    assert bench.stats.recent_document("hello")["successes_left_out"]
    assert not bench.stats.recent_document("hello")["successes_left_out"]
    assert 1 == len(keep(bench, ended))


def test_successes_do_not_push_the_last_failures_out(bench, ended):
    """Both are bounded."""
    for _ in range(KEPT_FAILURES + 5):
        keep(bench, ended, Status.ERROR)
    for number in range(KEPT + 5):
        keep(bench, ended)
        if number == KEPT - 1:
            bench.stats.recent_document("hello")
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
    last = bench.stats.recent.document(f"f{number}")
    total = sum(one.characters for name in bench.stats.functions for one in bench.stats.recent.of(name))

    assert last["next"] == last["invocations"][-1]["number"]
    assert total == bench.stats.recent.characters <= KEPT_CHARACTERS


def test_the_log_reads_as_on_aws_and_a_cut_is_told(bench, ended):
    """START, the lines, END, REPORT; with the error object beside it."""
    error = b'{"errorMessage": "no", "errorType": "KeyError"}'
    log = ["[ERROR] KeyError: ", "'no'"]
    keep(bench, ended, Status.ERROR, log, body=error, duration_s=0.25)
    keep(bench, ended, Status.TIMEOUT, ["y" * LOG_KEPT_CHARACTERS * 2])
    first, second = bench.stats.recent.document("hello")["invocations"]

    assert ["START", "[ERROR]", "END", "REPORT"] == [line.split(" ")[0] for line in first["log"].splitlines()]
    assert error.decode() == first["error"]
    assert ("error", "KeyError", 0.25, 250) == (
        first["status"],
        orjson.loads(first["error"])["errorType"],
        first["duration_s"],
        first["billed_ms"],
    )
    assert "earlier output of this invocation was not kept" in second["log"]
    assert "Task timed out" in second["log"]


def test_a_document_is_asked_for_from_where_the_last_one_ended(bench, ended):
    """By its number, by request, by age; and a function that is gone has nothing."""
    recent = bench.stats.recent
    keep(bench, ended, Status.ERROR)
    start = recent.document("hello")["next"]
    keep(bench, ended, Status.CRASH)
    later = recent.document("hello", after=start, with_log=False)["invocations"]

    assert ["crash"] == [one["status"] for one in later]
    assert "log" not in later[0]
    assert 2 == len(recent.document("hello", request_id=later[0]["request_id"])["invocations"])
    assert [] == recent.document("hello", request_id="another")["invocations"]
    assert 2 == len(recent.document("hello", since_s=1)["invocations"])
    bench.stats.unregister("hello")
    assert ([], 0) == (recent.document("hello")["invocations"], recent.characters)
