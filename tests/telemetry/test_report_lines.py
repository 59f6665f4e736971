"""START, END and REPORT, byte for byte as AWS prints them."""

from __future__ import annotations

import pytest

from engine.core.engine_events import Initialised
from engine.core.outcome import Status
from engine.telemetry.report_lines import (
    end_line,
    failure_lines,
    init_report_line,
    iso_utc,
    log_tail,
    report_line,
    start_line,
)

ID = "6f1b2d9e-0000-4000-8000-000000000000"
EXIT = b'{"errorType":"Runtime.ExitError","errorMessage":"RequestId: r Error: Runtime exited"}'


def report(ended, status=Status.SUCCESS, error_type=None, **facts) -> str:
    return report_line(ended(status=status, **facts)[1], 128, error_type)


def test_start_names_the_version(ended):
    """`$LATEST`, or the version number that was asked for; an alias is not a version."""
    invocation, _ = ended()
    lines = []
    for qualifier in (None, "7", "live"):
        invocation.event.qualifier = qualifier
        lines.append(start_line(invocation.event))

    assert lines == [f"START RequestId: {ID} Version: {version}\n" for version in ("$LATEST", "7", "$LATEST")]


def test_end_is_one_line():
    """Nothing but the id."""
    assert "END RequestId: x\n" == end_line("x")


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (
            {"duration_s": 0.00301, "init_s": 0.1101, "max_memory_mb": 36},
            (
                "Duration: 3.01 ms\tBilled Duration: 114 ms\tMemory Size: 128 MB\tMax Memory Used: 36 MB\t"
                "Init Duration: 110.10 ms\t\n"
            ),
        ),
        (
            {"duration_s": 0.0029, "max_memory_mb": 36},
            "Duration: 2.90 ms\tBilled Duration: 3 ms\tMemory Size: 128 MB\tMax Memory Used: 36 MB\t\n",
        ),
        (
            {"status": Status.TIMEOUT, "duration_s": 3.0, "init_s": 0.40204, "max_memory_mb": 73},
            (
                "Duration: 3000.00 ms\tBilled Duration: 3403 ms\tMemory Size: 128 MB\t"
                "Max Memory Used: 73 MB\tInit Duration: 402.04 ms\tStatus: timeout\n"
            ),
        ),
        (
            {"status": Status.CRASH, "duration_s": 0.001, "error_type": "Runtime.ExitError"},
            (
                "Duration: 1.00 ms\tBilled Duration: 1 ms\tMemory Size: 128 MB\t"
                "Status: error\tError Type: Runtime.ExitError\n"
            ),
        ),
        (
            {"status": Status.CRASH, "duration_s": 0.001, "body": EXIT},
            (
                "Duration: 1.00 ms\tBilled Duration: 1 ms\tMemory Size: 128 MB\t"
                "Status: error\tError Type: Runtime.ExitError\n"
            ),
        ),
        (
            {"status": Status.OOM, "duration_s": 0.001, "body": b"not json"},
            (
                "Duration: 1.00 ms\tBilled Duration: 1 ms\tMemory Size: 128 MB\t"
                "Status: error\tError Type: Runtime.Unknown\n"
            ),
        ),
        (
            {"status": Status.ERROR, "duration_s": 0.001, "body": b'{"errorType":"ValueError"}'},
            "Duration: 1.00 ms\tBilled Duration: 1 ms\tMemory Size: 128 MB\t\n",
        ),
        (
            {"status": Status.CANCELLED, "duration_s": 1.0, "body": b'{"errorType":"Sandbox.Failure"}'},
            (
                "Duration: 1000.00 ms\tBilled Duration: 0 ms\tMemory Size: 128 MB\t"
                "Status: failure\tError Type: Sandbox.Failure\n"
            ),
        ),
    ],
)
def test_report_is_aws_own(ended, facts, expected):
    """Tabs, decimals, and which fields are there and which are not."""
    assert f"REPORT RequestId: {ID}\t{expected}" == report(ended, **facts)


def test_what_the_platform_says_of_a_failure(ended):
    """A timeout has its sentence, a crash its two lines, a caught exception nothing."""
    wall_s = 1767225600.0
    outcomes = [
        ended(status=Status.TIMEOUT, duration_s=3.0)[1],
        ended(status=Status.CRASH, body=EXIT)[1],
        ended(status=Status.ERROR)[1],
    ]

    assert [
        f"2026-01-01T00:00:00.000Z {ID} Task timed out after 3.00 seconds\n\n",
        "RequestId: r Error: Runtime exited\nRuntime.ExitError\n",
        "",
    ] == [failure_lines(outcome, None, wall_s) for outcome in outcomes]


@pytest.mark.parametrize(
    ("error_type", "ending"),
    [
        ("Sandbox.Timedout", "Status: timeout\n"),
        ("Runtime.ImportModuleError", "Status: error\tError Type: Runtime.ImportModuleError\n"),
    ],
)
def test_a_failed_init_has_a_report_of_its_own(error_type, ending):
    """As AWS prints it once the init phase is over."""
    notice = Initialised(function="f", init_s=10.0001, error_type=error_type)

    assert f"INIT_REPORT Init Duration: 10000.10 ms\tPhase: init\t{ending}" == init_report_line(notice)


def test_the_tail_has_everything_in_order(ended):
    """Platform lines around the handler's own; an unfinished last line is finished."""
    invocation, outcome = ended(duration_s=0.0029)
    invocation.log = ["one\n", "two"]
    tail = log_tail(invocation, outcome, None, memory_mb=128, wall_s=0.0).decode()

    assert (
        f"START RequestId: {ID} Version: $LATEST\none\ntwo\nEND RequestId: {ID}\n"
        f"REPORT RequestId: {ID}\tDuration: 2.90 ms\tBilled Duration: 3 ms\tMemory Size: 128 MB\t\n"
    ) == tail


@pytest.mark.parametrize("padding", range(4))
def test_the_tail_is_at_most_4096_bytes_and_always_text(ended, padding):
    """It ends with REPORT, and no character is cut in two."""
    invocation, outcome = ended()
    invocation.log = ["x" * padding, "€" * 5000, "\ud800"]
    tail = log_tail(invocation, outcome, None, memory_mb=128, wall_s=0.0)

    assert 4093 <= len(tail) <= 4096
    assert tail.decode().endswith("Memory Size: 128 MB\t\n")


def test_times_are_utc_with_milliseconds():
    """AWS's notation."""
    assert "2026-01-01T00:00:00.123Z" == iso_utc(1767225600.1239)
