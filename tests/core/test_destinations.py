"""Records for destinations and dead-letter queues are AWS's."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.destinations import CompletedEvent, expanded, problem, target_of
from engine.core.event import Event
from engine.core.function import Account
from engine.core.outcome import Outcome, Status
from engine.core.rate import Rate
from engine.core.retry import Condition

RATE = Rate(request_usd=Decimal(0), millisecond_usd=Decimal(0))
ARN = "arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST"


def ending(condition, runs, status=None, body=b"null", payload=b'{"n": 1}'):
    """An event `id-1` that was done with at the first second of 2026."""
    last = None if status is None else Outcome(status, body, "id-1", RATE)
    return CompletedEvent(
        event=Event("f", payload, "id-1", 0.0),
        condition=condition,
        runs=runs,
        last=last,
        function_arn=ARN,
        timestamp="2026-01-01T00:00:01.000Z",
        record_id="uuid",
    )


def test_a_record_of_failure_has_aws_members_in_aws_order():
    """As recorded."""
    body = b'{"errorMessage": "no", "errorType": "KeyError", "requestId": "id-1", "stackTrace": []}'

    record = ending(Condition.RETRIES_EXHAUSTED, 3, Status.ERROR, body).record()

    expected = {
        "version": "1.0",
        "timestamp": "2026-01-01T00:00:01.000Z",
        "requestContext": {
            "requestId": "id-1",
            "functionArn": ARN,
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 3,
        },
        "requestPayload": {"n": 1},
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "responsePayload": json.loads(body),
    }
    assert json.dumps(expected) == json.dumps(json.loads(record))


def test_a_record_of_success_has_the_result_and_no_error():
    """The answer as the caller would have had it."""
    record = json.loads(ending(Condition.SUCCESS, 1, Status.SUCCESS, b'{"ok": true}').record())

    assert {"statusCode": 200, "executedVersion": "$LATEST"} == record["responseContext"]
    assert {"ok": True} == record["responsePayload"]


def test_what_never_ran_has_no_response():
    """Reserved concurrency 0."""
    record = json.loads(ending(Condition.ZERO_RESERVED_CONCURRENCY, 0).record())

    assert ["version", "timestamp", "requestContext", "requestPayload"] == list(record)


@pytest.mark.parametrize(
    ("body", "expected"),
    [(b"\xff\xfe", "��"), (b"NaN", "NaN"), (b"1" * 30, int("1" * 30)), (b"\xef\xbb\xbf[1]", [1]), (b"", "")],
)
def test_a_result_that_is_no_json_is_a_string_in_the_record(body, expected):
    """The record is JSON whatever the function returned."""
    record = json.loads(ending(Condition.SUCCESS, 1, Status.SUCCESS, body).record())

    assert expected == record["responsePayload"]


@given(st.binary(max_size=30), st.binary(max_size=30))
def test_a_record_is_json_whatever_it_holds(payload, body):
    """Bytes that are no text, too."""
    record = json.loads(ending(Condition.SUCCESS, 1, Status.SUCCESS, body, payload).record())

    assert "Success" == record["requestContext"]["condition"]


def test_eventbridge_gets_the_record_in_an_envelope():
    """Source, detail type, resources and detail."""
    arn = "arn:aws:events:us-east-1:000000000000:event-bus/default"
    one = ending(Condition.EVENT_AGE_EXCEEDED, 0)

    entry = json.loads(one.record_for(target_of(arn), arn).body)

    detail = json.loads(one.record())
    assert {
        "source": "lambda",
        "detail-type": "Lambda Function Invocation Result - Failure",
        "resources": [arn, ARN],
        "detail": detail,
    } == entry


def test_a_bucket_gets_an_object_named_by_function_and_time():
    """One object a record."""
    arn = "arn:aws:s3:::lost"

    record = ending(Condition.RETRIES_EXHAUSTED, 3, Status.CRASH).record_for(target_of(arn), arn)

    assert "aws/lambda/async/f/2026/01/01/2026-01-01T00.00.01-uuid" == record.key


def test_a_dead_letter_is_the_event_itself():
    """What went wrong stands in the attributes; the message is cut at a kilobyte."""
    body = json.dumps({"errorMessage": "é" * 600}).encode()

    record = ending(Condition.RETRIES_EXHAUSTED, 3, Status.ERROR, body).dead_letter()

    assert b'{"n": 1}' == record.body
    assert {
        "RequestID": ("String", "id-1"),
        "ErrorCode": ("Number", "200"),
        "ErrorMessage": ("String", "é" * 512),
    } == record.attributes


def test_a_dead_letter_that_never_ran_says_so():
    """The status of a throttle."""
    record = ending(Condition.EVENT_AGE_EXCEEDED, 0).dead_letter()

    assert ("Number", "429") == record.attributes["ErrorCode"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("orders", "arn:aws:sqs:eu-west-1:000000000000:orders"),
        ("sqs:orders", "arn:aws:sqs:eu-west-1:000000000000:orders"),
        ("lambda:audit", "arn:aws:lambda:eu-west-1:000000000000:function:audit"),
        ("lambda:audit:prod", "arn:aws:lambda:eu-west-1:000000000000:function:audit:prod"),
        ("s3:lost", "arn:aws:s3:::lost"),
        ("events:default", "arn:aws:events:eu-west-1:000000000000:event-bus/default"),
        ("arn:aws:sns:us-east-1:123456789012:t", "arn:aws:sns:us-east-1:123456789012:t"),
    ],
)
def test_names_are_short_for_arns(text, expected):
    """Of the engine's own account."""
    assert expected == expanded(text, Account(region="eu-west-1"))
    assert target_of(expected) is not None


@pytest.mark.parametrize(
    ("role", "text", "expected"),
    [
        ("on_success", "lambda:g", None),
        ("on_failure", "s3:lost", None),
        ("dead_letter_queue", "dead", None),
        ("on_success", "s3:lost", "'s3' cannot be used here (can: sqs, sns, lambda, events)"),
        ("dead_letter_queue", "lambda:g", "'lambda' cannot be used here (can: sqs, sns)"),
        ("on_failure", "orders.fifo", "a FIFO queue or topic cannot be used here (AWS)"),
        ("on_failure", "no such thing", "'no such thing' is neither an ARN nor a name"),
        (
            "on_failure",
            "arn:aws:lambda:us-east-1:000000000000:layer:x",
            "'arn:aws:lambda:us-east-1:000000000000:layer:x' names no function",
        ),
    ],
)
def test_what_cannot_be_a_destination_is_refused(role, text, expected):
    """In one sentence."""
    assert expected == problem(role, expanded(text, Account()))
