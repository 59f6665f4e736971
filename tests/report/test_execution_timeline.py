"""The timeline of a durable execution, by events as the Lambda API answers them."""

import itertools
from datetime import UTC, datetime

import pytest

from engine.report.execution_page import execution_page
from engine.report.execution_timeline import duration, read_timeline, text_timeline

START_S = 1_764_547_200.0
DAY_S = 86_400


def history(*events):
    """Events of (type, seconds since the start, details, members of the operation)."""
    numbers = itertools.count(1)
    return [
        {
            "EventType": kind,
            "EventId": next(numbers),
            "EventTimestamp": START_S + at_s,
            f"{kind}Details": details,
            **members,
        }
        for kind, at_s, details, members in events
    ]


def operation(key, name=None, parent=None, sub_type=None):
    members = {"Id": key, "Name": name, "ParentId": parent, "SubType": sub_type}
    return {member: value for member, value in members.items() if value}


def invocation(from_s, to_s, **more):
    return {"StartTimestamp": START_S + from_s, "EndTimestamp": START_S + to_s, "RequestId": "r", **more}


def error(kind, message):
    return {"Error": {"Truncated": False, "Payload": {"ErrorType": kind, "ErrorMessage": message}}}


CHARGE, NIGHT, BOTH, ONE, ANSWER = (
    operation("1", "charge"),
    operation("2", "night"),
    operation("3", "both", sub_type="Parallel"),
    operation("4", "one", parent="3", sub_type="ParallelBranch"),
    operation("5", "answer", parent="4"),
)
FAILED = error("ConnectionError", "later\x1b[2J")
YEAR = history(
    ("ExecutionStarted", 0, {}, {"Id": "e", "Name": "order-7"}),
    ("StepStarted", 0.01, {}, CHARGE),
    (
        "StepFailed",
        0.02,
        FAILED | {"RetryDetails": {"CurrentAttempt": 1, "NextAttemptDelaySeconds": 2}},
        CHARGE,
    ),
    ("InvocationCompleted", 0.03, invocation(0, 0.03), {}),
    ("StepStarted", 2.03, {}, CHARGE),
    ("StepSucceeded", 2.04, {"Result": {}, "RetryDetails": {"CurrentAttempt": 2}}, CHARGE),
    ("WaitStarted", 2.04, {"Duration": 365 * DAY_S}, NIGHT),
    ("InvocationCompleted", 2.05, invocation(2.03, 2.05), {}),
    ("WaitSucceeded", 365 * DAY_S + 2.04, {"Duration": 365 * DAY_S}, NIGHT),
    ("ContextStarted", 365 * DAY_S + 2.05, {}, BOTH),
    ("ContextStarted", 365 * DAY_S + 2.05, {}, ONE),
    ("CallbackStarted", 365 * DAY_S + 2.05, {"CallbackId": "Y2I="}, ANSWER),
)


DRAWN = """\
order-7  RUNNING
2025-12-01 00:00:00 UTC, so far 365 d: 2 invocations, 5 operations

  +0 ms  invocations (2)        ██████     ████                   2.05 s  answered
 +10 ms  step charge              ××░░░░░░░██                     2.03 s  succeeded: attempt 2
+2.04 s  wait night                          ░░░░░░░░░░░░░░░░░     365 d  succeeded
 +365 d  parallel both                                         ─    0 ms  open
 +365 d    parallel branch one                                 ─    0 ms  open
 +365 d      callback answer                                   ░    0 ms  open: CallbackId Y2I=
"""


def test_rows_show_attempts_waits_and_what_is_open_below_its_context():
    assert DRAWN == text_timeline(read_timeline(YEAR), width=90)


def test_order_of_events_and_kind_of_times_do_not_matter():
    as_boto3 = [one | {"EventTimestamp": datetime.fromtimestamp(one["EventTimestamp"], UTC)} for one in YEAR]
    assert text_timeline(read_timeline(YEAR)) == text_timeline(read_timeline(as_boto3[::-1]))


def test_the_end_says_why_and_closes_what_was_open():
    at_s = 365 * DAY_S + 60
    ended = YEAR + [
        one | {"EventId": 13}
        for one in history(("ExecutionTimedOut", at_s, error("Timeout", "too\nlong"), {"Id": "e"}))
    ]
    timeline = read_timeline(ended, {"FunctionArn": "arn:aws:lambda:r:1:function:f:3", "Status": "TIMED_OUT"})
    assert ("f:3  order-7", "TIMED_OUT", True) == (timeline.title, timeline.status, timeline.is_over)
    assert "Timeout: too long" == timeline.note
    assert START_S + at_s == timeline.rows[-1].spans[-1].end_s


def test_a_pause_has_a_row_of_its_own_and_running_rows_go_on_until_now():
    paused = history(
        ("ExecutionStarted", 0, {}, {"Id": "e"}),
        ("ExecutionPaused", 1, {"Reason": {"Payload": "audit"}}, {"Id": "e"}),
    )
    timeline = read_timeline(paused, now_s=START_S + 9)
    assert "PAUSED" == timeline.status
    (row,) = timeline.rows[1:]
    assert ("paused", "audit", 8.0) == (row.label, row.note, row.spans[0].end_s - row.spans[0].start_s)


def test_names_and_errors_cannot_steer_a_terminal_or_a_page():
    nasty = history(
        ("ExecutionStarted", 0, {}, {"Id": "e", "Name": "<script>\x1b]0;x\x07"}),
        ("StepStarted", 1, {}, operation("1", "<b>\x1b[2J")),
        ("StepFailed", 1, error("<i>", "\x1b[2J</script>"), operation("1")),
    )
    text, html = text_timeline(read_timeline(nasty)), execution_page(nasty, {"DurableExecutionName": "</x>"})
    assert not {"\x1b", "\x07"} & set(text)
    assert all(one not in html.lower() for one in ("<b>\x1b", "<i>", "\x1b[2j</script>", "</x>"))
    assert "default-src 'none'" in html


def test_the_page_has_a_row_for_each_row_of_the_text_and_carries_the_events():
    html = execution_page(YEAR, {})
    assert 1 + len(read_timeline(YEAR).rows) == html.count("<tr>")
    assert '"EventType":"CallbackStarted"' in html


def test_no_events_are_refused():
    with pytest.raises(ValueError, match="ExecutionStarted"):
        read_timeline([])


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        *((0, "0 ms"), (0.9994, "999 ms"), (0.9996, "1.00 s"), (59.99, "59.99 s"), (59.996, "1 min")),
        *((3_599.7, "1 h"), (7_260, "2 h 1 min"), (DAY_S, "1 d"), (366 * DAY_S + 3_600, "366 d 1 h")),
    ],
)
def test_durations_have_two_units_at_most(seconds, expected):
    assert expected == duration(seconds)
