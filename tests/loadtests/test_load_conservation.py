"""Conservation: what was sent is what was found."""

import json
from types import SimpleNamespace

import pytest

pytest.importorskip("hdrh", reason="hdrhistogram is not installed")

from engine.load.planning.plan import LoadStage, Plan, Stream
from engine.load.results.conservation import ComparedCount, compared, engine_counts
from engine.load.running.deliveries import Channel, RecordDeliveries
from loadtests.functions import Poisoned, delivering, holding, stormy

METRICS = """\
# TYPE engine_invocations_total counter
engine_invocations_total{function="echo",trigger="invoke",outcome="success"} 10
engine_invocations_total{function="echo",trigger="invoke",outcome="error"} 1
engine_invocations_total{function="echo",trigger="invoke",outcome="timeout"} 2
engine_invocations_total{function="echo",trigger="http",outcome="success"} 7
engine_invocations_total{function="other",trigger="http",outcome="success"} 99
# TYPE engine_throttles_total counter
engine_throttles_total{function="echo",reason="account_limit"} 4
engine_throttles_total{function="echo",reason="function_limit"} 1
"""

PLAN = Plan(
    run_id="x",
    scenario="x",
    urls={},
    streams={
        "one": Stream(send="invoke", function="echo"),
        "two": Stream(send="invoke", function="echo"),
        "web": Stream(send="http", function="echo"),
        "queued": Stream(send="sqs", function="taker", queue="q"),
    },
    stages=(LoadStage(name="s", seconds=1),),
    result="r",
)


def seen(success=0, failure=0, throttled=0, records=0):
    """What callers saw of a stream."""
    return {
        "due": success + failure + throttled,
        "success": success,
        "failure": failure,
        "throttled": throttled,
        "records": records,
        "dropped": 0,
        "no_answer": 0,
    }


def client(queued=100):
    """Findings that agree with METRICS."""
    return {
        "streams": {
            "one": seen(6, 3, 1),
            "two": seen(4, 0, 2),
            "web": seen(7, 0, 2),
            "queued": seen(10, records=queued),
        },
        "unanswered": 0,
    }


def took(delivered):
    """What the function took of the queue."""
    return {"queued": RecordDeliveries(delivered=delivered)}


def test_sums_agree_when_nothing_was_lost():
    """Successes and failures by function and trigger, throttles by function, records one by one."""
    counts = compared(PLAN, client(), engine_counts(METRICS), took(97), {"queued": 3}, {})

    assert [
        ("offered requests", 35, 35),
        ("echo by invoke, success", 10, 10),
        ("echo by invoke, failure", 3, 3),
        ("echo by http, success", 7, 7),
        ("echo by http, failure", 0, 0),
        ("echo, throttled", 5, 5),
        ("queued, records", 100, 100),
    ] == [(one.what, one.sent, one.found) for one in counts]
    assert all(one.agrees for one in counts)


def test_a_record_that_nobody_has_is_a_difference():
    """Neither taken nor a dead letter."""
    counts = compared(PLAN, client(), engine_counts(METRICS), took(97), {"queued": 2}, {})

    assert [
        ComparedCount(what="queued, records", sent=100, found=99, where="97 delivered + 2 dead letters")
    ] == [one for one in counts if not one.agrees]


def test_an_answer_nobody_got_is_a_difference():
    """The engine counted one more than the callers have."""
    metrics = METRICS.replace('trigger="http",outcome="success"} 7', 'trigger="http",outcome="success"} 8')
    counts = compared(PLAN, client(), engine_counts(metrics), took(97), {"queued": 3}, {})

    assert [("echo by http, success", 7, 8)] == [
        (one.what, one.sent, one.found) for one in counts if not one.agrees
    ]


def test_every_offered_request_has_one_end():
    """Answered, refused, failed or open; one that was never sent has failed."""
    found = client()
    found["streams"]["one"] |= {"due": 14, "dropped": 1}
    lost = compared(PLAN, found, None, {"queued": RecordDeliveries(delivered=100)}, {}, {})
    found["unanswered"] = 3
    whole = compared(PLAN, found, None, {"queued": RecordDeliveries(delivered=100)}, {}, {})

    assert [("offered requests", 39, 36)] == [
        (one.what, one.sent, one.found) for one in lost if not one.agrees
    ]
    assert (True, "27 answered + 5 refused + 4 failed + 3 open") == (whole[0].agrees, whole[0].where)


@pytest.mark.parametrize(
    ("answers", "no_answer", "agrees"),
    [(7, 0, True), (6, 0, True), (9, 2, True), (9, 0, False)],
)
def test_the_users_function_may_be_called_by_others_too(answers, no_answer, agrees):
    """But every answer of a caller is one that the engine gave: 3 since the page before, and 4 refusals."""
    plan = PLAN.model_copy(update={"streams": {"web": Stream(send="http", function="echo", is_users=True)}})
    before = METRICS.replace('trigger="http",outcome="success"} 7', 'trigger="http",outcome="success"} 4')
    before = before.replace("function_limit", "other").replace('"account_limit"} 4', '"account_limit"} 0')
    found = {"streams": {"web": {**seen(answers), "no_answer": no_answer}}, "unanswered": 0}

    counts = compared(plan, found, engine_counts(METRICS, before), {}, {}, {})

    assert [True, agrees] == [one.agrees for one in counts]


@pytest.fixture
def channel(tmp_path, monkeypatch):
    """The result channel, and the variable that tells handlers where it is."""
    path = tmp_path / "deliveries.txt"
    monkeypatch.setenv("LOADTEST_DELIVERIES", str(path))
    with Channel(path, ["a", "b"]) as one:
        yield one


def record(number, *, poison=False, stream="a"):
    """A record as it is sent."""
    return {"id": f"{stream}/{number}", "sent_s": 1.5, "poison": poison}


def message(number, **more):
    """The same in a message of a queue."""
    return {"messageId": f"m{number}", "body": json.dumps(record(number, **more))}


def test_a_batch_reports_its_poisoned_messages_alone(channel):
    """The others are taken, and are not given again."""
    batch = {"Records": [message(0), message(1, poison=True), message(2, stream="b")]}

    answer = delivering(batch, None)
    streams = channel.read()

    assert {"batchItemFailures": [{"itemIdentifier": "m1"}]} == answer
    assert [(2, 1, 0), (1, 1, 0)] == [
        (streams[name].attempts, streams[name].delivered, streams[name].duplicates) for name in "ab"
    ]


def test_a_notification_is_told_by_the_key_of_its_object(channel):
    """As the sender made it, percent-encoded by S3."""
    event = {"Records": [{"s3": {"object": {"key": "a/good/2.250000/7"}}}]}
    bad = {"Records": [{"s3": {"object": {"key": "a%2Fpoison/2.250000/8"}}}]}

    delivering(event, None)
    with pytest.raises(Poisoned):
        delivering(bad, None)

    assert (2, 1) == (channel.read()["a"].attempts, channel.read()["a"].delivered)


def test_what_is_taken_twice_counts_once(channel):
    """At least once is allowed, and shown."""
    for _ in range(3):
        delivering(record(5), None)

    stream = channel.read()["a"]
    assert (3, 1, 2, 1) == (stream.attempts, stream.delivered, stream.duplicates, stream.times.count)


def test_the_channel_is_read_as_it_grows(channel):
    """What was read is not read again; half a line waits for its other half."""
    delivering(record(0), None)
    first = channel.read()["a"].delivered
    delivering(record(1), None)

    assert (1, 2) == (first, channel.read()["a"].delivered)


def test_holding_tells_where_and_when_it_began():
    """The environment has the name of its log stream."""
    answer = holding({"seconds": 0}, SimpleNamespace(log_stream_name="env-1"))

    assert "env-1" == answer["environment"]
    assert isinstance(answer["began_s"], float)


def test_stormy_fails_only_if_asked_to():
    """Dying and hanging are for real processes."""
    with pytest.raises(Poisoned):
        stormy({"how": "raise"}, None)

    assert {"ok": True} == stormy({"how": "well"}, None)
