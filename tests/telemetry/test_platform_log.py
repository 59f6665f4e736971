"""The platform's log: order, batching, both styles."""

from __future__ import annotations

import pytest

from engine.core.engine_events import Initialised, LoopBlocked, LoopReleased, ThreadAbandoned
from engine.core.outcome import Status, streamed

ID = "6f1b2d9e-0000-4000-8000-000000000000"
TIME = "2026-01-01T00:00:00.123Z"


def test_lines_come_in_the_order_of_things_and_in_one_write(text, ended):
    """START, the handler's own lines, END, REPORT; a thousand lines are one write."""
    invocation, outcome = ended(duration_s=0.0029)
    text.log.began(invocation)
    text.log.line(invocation, "working\n")
    text.log.line(invocation, "unfinished")
    text.log.ended(invocation, outcome, None)

    assert ([], 1) == (text.written, len(text.due))
    assert (
        f"START RequestId: {ID} Version: $LATEST\nworking\nunfinished\nEND RequestId: {ID}\n"
        f"REPORT RequestId: {ID}\tDuration: 2.90 ms\tBilled Duration: 3 ms\tMemory Size: 128 MB\t\n"
    ) == text.turn()
    assert 1 == len(text.written)


def test_a_line_after_a_flush_asks_for_another(text, ended):
    """Nothing stays behind."""
    invocation, _ = ended()
    text.log.line(invocation, "one\n")
    text.turn()
    text.log.line(invocation, "two\n")

    assert "one\ntwo\n" == text.turn()
    text.log.flush()
    assert ["one\n", "two\n"] == text.written


def test_a_throttle_leaves_no_line(text, ended):
    """What never ran has no log, as on AWS."""
    invocation, outcome = ended(status=Status.THROTTLED)
    text.log.refused(invocation.event, outcome, "function_limit")

    assert "" == text.turn()


def test_a_timeout_says_so_before_end(text, ended):
    """The sentence that log searches look for."""
    invocation, outcome = ended(status=Status.TIMEOUT, duration_s=3.0)
    text.log.ended(invocation, outcome, None)

    assert text.turn().startswith(f"{TIME} {ID} Task timed out after 3.00 seconds\n\nEND ")


def test_notices_are_clear_lines(text):
    """Who, for how long, and where."""
    for notice in (
        Initialised(function="hello", init_s=0.1),
        Initialised(
            function="hello", init_s=0.1, error_type="Runtime.ImportModuleError", error_message="no x"
        ),
        LoopBlocked(function="hello", request_id="r", blocked_s=0.25, stack="app.py:3 in f\ntime.sleep"),
        LoopReleased(function="hello", request_id="r", blocked_s=2.0),
        ThreadAbandoned(function="hello", request_id="r"),
    ):
        text.log.noticed(notice)

    assert (
        "[engine] hello: Runtime.ImportModuleError: no x\n"
        "INIT_REPORT Init Duration: 100.00 ms\tPhase: init\t"
        "Status: error\tError Type: Runtime.ImportModuleError\n"
        "[engine] hello: r has held the event loop for 0.250 s, and nothing else runs meanwhile. "
        "It is here:\n"
        "    app.py:3 in f\n    time.sleep\n"
        "[engine] hello: r let go of the event loop after 2.000 s\n"
        "[engine] hello: r ignored its deadline; its thread could not be stopped and lives on\n"
    ) == text.turn()


def test_json_events_of_a_cold_success(events, ended):
    """AWS's types and keys; ours under `engine`."""
    invocation, outcome = ended(
        body=b"[1]", duration_s=0.00301, init_s=0.1101, cold_start=True, max_memory_mb=36
    )
    invocation.event.trace_id = "Root=1-2-3"
    events.log.began(invocation)
    events.log.ended(invocation, outcome, None)

    assert [
        {
            "time": TIME,
            "type": "platform.start",
            "record": {
                "requestId": ID,
                "version": "$LATEST",
                "tracing": {"type": "X-Amzn-Trace-Id", "value": "Root=1-2-3"},
                "engine": {"function": "hello", "trigger": "invoke"},
            },
        },
        {
            "time": TIME,
            "type": "platform.runtimeDone",
            "record": {
                "requestId": ID,
                "status": "success",
                "metrics": {"durationMs": 3.01, "producedBytes": 3},
            },
        },
        {
            "time": TIME,
            "type": "platform.report",
            "record": {
                "requestId": ID,
                "metrics": {
                    "durationMs": 3.01,
                    "billedDurationMs": 114,
                    "memorySizeMB": 128,
                    "maxMemoryUsedMB": 36,
                    "initDurationMs": 110.1,
                },
                "status": "success",
                "engine": {
                    "function": "hello",
                    "outcome": "success",
                    "coldStart": True,
                    "queueWaitMs": 0.0,
                    "costDollars": float(outcome.cost_usd),
                },
            },
        },
    ] == events.events()


def test_a_streamed_response_has_its_bytes_and_its_spans(events, ended):
    """Though its outcome has no body: who wanted it has got it."""
    invocation, outcome = ended(duration_s=0.1)
    events.log.ended(invocation, streamed(outcome, "text/plain", 70_000, 0.025), None)
    done = events.events()[0]["record"]

    assert 70_000 == done["metrics"]["producedBytes"]
    assert [
        {"name": "responseLatency", "start": "2026-01-01T00:00:00.023Z", "durationMs": 25.0},
        {"name": "responseDuration", "start": "2026-01-01T00:00:00.048Z", "durationMs": 75.0},
    ] == done["spans"]


@pytest.mark.parametrize(
    ("status", "error_type", "expected"),
    [
        (Status.ERROR, None, ("error", None)),
        (Status.TIMEOUT, None, ("timeout", None)),
        (Status.CRASH, "Runtime.ExitError", ("error", "Runtime.ExitError")),
        (Status.INIT_ERROR, "Runtime.ImportModuleError", ("error", "Runtime.ImportModuleError")),
        (Status.CANCELLED, "Sandbox.Failure", ("failure", "Sandbox.Failure")),
    ],
)
def test_json_status_words(events, ended, status, error_type, expected):
    """The same word in both events of an end; memory that nobody could measure is left out."""
    invocation, outcome = ended(status=status)
    events.log.ended(invocation, outcome, error_type)
    records = [event["record"] for event in events.events()]

    assert [expected, expected] == [(record["status"], record.get("errorType")) for record in records]
    assert "maxMemoryUsedMB" not in records[1]["metrics"]


def test_json_notices(events):
    """One event each; a lone surrogate in a handler's words does not stop the log."""
    for notice in (
        Initialised(function="hello", init_s=0.1),
        Initialised(function="hello", init_s=10.0, error_type="Sandbox.Timedout", error_message="\ud800"),
        LoopBlocked(function="hello", request_id="r", blocked_s=0.25, stack="s"),
        LoopReleased(function="hello", request_id="r", blocked_s=2.0),
        ThreadAbandoned(function="hello", request_id="r"),
    ):
        events.log.noticed(notice)
    written = events.events()

    assert [
        ("platform.initStart", None),
        ("platform.initRuntimeDone", "success"),
        ("platform.initReport", "success"),
        ("platform.initStart", None),
        ("platform.initRuntimeDone", "timeout"),
        ("platform.initReport", "timeout"),
        ("engine.loopBlocked", None),
        ("engine.loopReleased", None),
        ("engine.threadAbandoned", None),
    ] == [(event["type"], event["record"].get("status")) for event in written]
    assert {"function": "hello", "errorMessage": "\ud800"} == written[5]["record"]["engine"]
    assert {"function": "hello", "requestId": "r", "blockedMs": 250.0, "stack": "s"} == written[6]["record"]
