"""The demo's arithmetic: percentiles, the sums of the document, and which promises held."""

import dataclasses
import json
from decimal import Decimal

import pytest

from engine.cli.demo.checks import REASON, promises
from engine.cli.demo.drive import (
    FROM_ZERO,
    MIXED_TRAFFIC,
    OVER_THE_LIMIT,
    QUEUE_AND_BUCKET,
    THROTTLED,
    Recording,
    RequestSeries,
    sent_series,
)
from engine.cli.demo.load import OK, RequestTally, kind_of
from engine.cli.demo.queue_and_bucket import QueueAndBucketCounts
from engine.cli.demo.sizes import DemoSizes
from engine.cli.demo.summary import DemoRun, curve, document, percentile
from engine.protocols.http.client import Response
from engine.report.figures import plain
from engine.telemetry.status_sample import StatusSample, sample_of

PLAN = DemoSizes(config="engine.toml", burst=1000, over=1500, prices="prices of us-east-1 as of 2026-09-19")
FED = QueueAndBucketCounts(messages=10_000, left=0, dead=0, objects=100, noticed=100, took_s=2.5)
FAILED = [(b"X-Amz-Function-Error", b"Unhandled")]


def answered(count, response, took_s=0.01, tally=None):
    """A tally of `count` equal answers, a millisecond apart."""
    tally = tally or RequestTally()
    for number in range(count):
        tally.add(number / 1000, number / 1000 + took_s, response)
    return tally


def refusal(reason=REASON):
    body = json.dumps({"Reason": reason, "Type": "User", "message": "Rate Exceeded."}).encode()
    return Response(429, [(b"x-amzn-errortype", b"TooManyRequestsException")], body)


def good_recording():
    """What a run sees that keeps every promise."""
    served = Response(200, [], b"{}")
    over = answered(500, refusal(), tally=answered(1000, served, took_s=1.02))
    tallies = [
        (answered(1000, served, took_s=1.05), {OK}, 1.0),
        (over, {OK, THROTTLED}, 1.0),
        (answered(3, served), {OK}, 0.0),
        (answered(3, served), {OK}, 0.0),
        (answered(2, Response(200, FAILED, b'{"errorType": "OrderRejected"}')), {"200 OrderRejected"}, 0.0),
        (answered(1000, served), {OK}, 0.0),
    ]
    return Recording(
        [
            RequestSeries(
                name=f"series {phase}",
                phase=phase,
                form="burst" if sleep_s else "loop",
                tally=tally,
                expected=frozenset(expected),
                sleep_s=sleep_s,
            )
            for phase, (tally, expected, sleep_s) in enumerate(tallies)
        ],
        fed=FED,
        is_back_at_zero=True,
    )


def samples(peak=1000):
    """From zero to a peak and back."""
    return [
        StatusSample(at_s, in_flight=level, environments=level, invocations=0, throttles=0, cost_usd=0.0)
        for at_s, level in ((0.1, 0), (0.5, peak), (1.0, 0))
    ]


def status_of(**functions):
    """A /status.json with two functions' worth of counters."""
    return {"in_flight": 7, "functions": functions}


def function(success=0, error=0, throttled=0, cold=0, request="0", duration="0", init="0", busy=0):
    total = sum(map(Decimal, (request, duration, init)))
    return {
        "environments": {"starting": 0, "idle": 1, "busy": busy},
        "invocations": {"success": success, "error": error},
        "throttles": {"account_limit": throttled} if throttled else {},
        "cold_starts": cold,
        "duration_s": {"mean": 0.25},
        "init_s": {"mean": None},
        "billed_ms": 12,
        "cost_usd": {"request": request, "duration": duration, "init": init, "total": f"{total:f}"},
    }


def broken(kept):
    return [one.promise for one in kept if not one.held]


# --- percentiles


def test_a_percentile_is_the_nearest_rank():
    """Never between two values, never above the largest."""
    ordered = [float(value) for value in range(1, 1001)]

    assert [500.0, 900.0, 990.0, 999.0] == [percentile(ordered, percent) for percent in (50, 90, 99, 99.9)]
    assert [3.0] * 3 == [percentile([3.0], percent) for percent in (0, 50, 100)]


def test_a_percentile_curve_goes_as_far_as_there_is_data():
    """A thousand values have three nines."""
    points = curve([float(value) for value in range(1, 1001)])

    assert (0.0, 1.0) == points[0]
    assert (99.9, 999.0) == points[-1]
    assert sorted(points) == points


# --- answers


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (Response(200, [], b"[]"), "200"),
        (Response(201, [], b"[]"), "201"),
        (Response(200, FAILED, b'{"errorType": "Runtime.ExitError"}'), "200 Runtime.ExitError"),
        (Response(200, FAILED, b"no JSON"), "200 Unhandled"),
        (Response(200, FAILED, b"[1]"), "200 Unhandled"),
        (refusal(), "429 TooManyRequestsException"),
        (Response(404, [(b"X-Amzn-ErrorType", b"ResourceNotFoundException:http")], b""), None),
        (Response(500, [], b""), "500"),
    ],
)
def test_an_answer_is_named_by_status_and_error(response, kind):
    """A failed function is a 200 with an error, a refusal a 429 with its name."""
    assert (kind or "404 ResourceNotFoundException") == kind_of(response)


def test_a_tally_counts_kinds_reasons_and_its_rate():
    """The rate goes from the first request to the last answer."""
    tally = answered(3, refusal("A"), tally=answered(6, Response(200, [], b""), took_s=0.995))

    assert {"200": 6, THROTTLED: 3} == tally.answers
    assert {"A": 3} == dict(tally.reasons)
    assert 9.0 == pytest.approx(tally.per_s)


def test_an_empty_tally_has_no_rate():
    """Nothing was sent."""
    assert (0, 0.0, 0.0) == (RequestTally().count, RequestTally().per_s, RequestTally().took_s)


# --- promises


def test_all_promises_hold():
    """A run as it should be."""
    assert [] == broken(promises(PLAN, good_recording(), samples(), exit_code=0))


def test_a_peak_that_is_too_low_is_said():
    """999 is not a thousand."""
    (broke,) = [one for one in promises(PLAN, good_recording(), samples(999), 0) if not one.held]

    assert ("concurrency reaches 1,000", "at most 999 invocations at a time") == (broke.promise, broke.saw)


@pytest.mark.parametrize("count", [499, 501])
def test_refusals_must_be_exact(count):
    """Neither one too many nor one too few."""
    recording = good_recording()
    tally = answered(count, refusal(), tally=answered(1500 - count, Response(200, [], b"")))
    one = recording.series[OVER_THE_LIMIT]
    recording.series[OVER_THE_LIMIT] = RequestSeries(
        name=one.name, phase=OVER_THE_LIMIT, form="burst", tally=tally, expected=one.expected
    )

    (broke,) = broken(promises(PLAN, recording, samples(), 0))

    assert broke.startswith("1,500 at once: exactly 500")


def test_a_refusal_needs_the_right_reason():
    """500 refusals of another kind are not what was promised."""
    recording = good_recording()
    recording.series[OVER_THE_LIMIT].tally.reasons.clear()

    assert 1 == len(broken(promises(PLAN, recording, samples(), 0)))


def test_an_unexpected_answer_in_mixed_traffic_is_named():
    """Which series, how many, what."""
    recording = good_recording()
    recording.series[MIXED_TRAFFIC].tally.add(0.0, 0.1, Response(502, [], b""))

    (broke,) = [one for one in promises(PLAN, recording, samples(), 0) if not one.held]

    assert "series 4: 1 × 502" == broke.saw


@pytest.mark.parametrize(
    ("fed", "saw"),
    [
        (FED._replace(left=1), "of 10,000 messages 1 left and 0 dead letters; 100 objects, 100 invocations"),
        (FED._replace(dead=2), "of 10,000 messages 0 left and 2 dead letters; 100 objects, 100 invocations"),
        (
            FED._replace(noticed=99),
            "of 10,000 messages 0 left and 0 dead letters; 100 objects, 99 invocations",
        ),
        (
            FED._replace(noticed=101),
            "of 10,000 messages 0 left and 0 dead letters; 100 objects, 101 invocations",
        ),
        (None, "it was not tried"),
    ],
)
def test_a_message_or_an_object_that_is_lost_breaks_a_promise(fed, saw):
    """So does one that is handled twice."""
    recording = good_recording()
    recording.fed = fed

    (broke,) = [one for one in promises(PLAN, recording, samples(), 0) if not one.held]

    assert saw == broke.saw


def test_a_bucket_that_is_sent_nothing_breaks_no_promise():
    """Without Pillow there is no handler for objects, and the demo sends none."""
    plan = dataclasses.replace(PLAN, thumbnails=False, objects=0)
    recording = good_recording()
    sent = answered(1000, Response(200, [], b"{}"))
    recording.series[QUEUE_AND_BUCKET:] = sent_series(plan, sent, RequestTally())
    recording.fed = FED._replace(objects=0, noticed=0)

    assert [] == broken(promises(plan, recording, samples(), 0))


def test_a_run_that_saw_nothing_keeps_no_promise_about_answers():
    """What was not tried did not hold; nor did what got no answer."""
    nothing = promises(PLAN, Recording(), samples(0), exit_code=1)

    assert ["it starts from zero environments"] == [one.promise for one in nothing if one.held]


def test_a_throttle_from_zero_breaks_the_first_burst():
    """None may be refused."""
    recording = good_recording()
    recording.series[FROM_ZERO].tally.add(0.0, 0.1, Response(429, [], b"{}"))

    (broke,) = broken(promises(PLAN, recording, samples(), 0))

    assert "1,000 at once from zero: none is refused" == broke


# --- the document


def test_a_sample_sums_all_functions():
    """Environments of every state, invocations of every outcome."""
    status = status_of(
        a=function(success=3, error=1, throttled=2, request="0.1", busy=4), b=function(success=5, init="0.02")
    )

    assert (2.5, 7, 6, 9, 2, pytest.approx(0.12)) == sample_of(status, 2.5)


def test_the_document_adds_up():
    """Costs are summed exactly, failures by kind, and the price per million follows."""
    status = status_of(
        a=function(success=3, error=1, cold=2, request="0.0000008", duration="0.1", throttled=4),
        b=function(success=6, cold=1, request="0.0000012", init="0.2"),
    )
    phases = PLAN.phases()
    for index, phase in enumerate(phases):
        phase.began_s, phase.ended_s = float(index), index + 1.0

    result = document(
        DemoRun(
            plan=PLAN,
            phases=phases,
            recording=good_recording(),
            samples=samples(),
            status=status,
            exit_code=0,
            machine={"engine": "0"},
        )
    )

    assert result["ok"]
    assert (10, 3, 1000, 1000, 0) == tuple(
        result[key]
        for key in (
            "invocations",
            "cold_starts",
            "peak_concurrency",
            "peak_environments",
            "environments_at_the_end",
        )
    )
    assert {"account_limit": 4} == result["throttles"]
    assert {"by_status": {"error": 1}, "by_error": {"OrderRejected": 2}} == result["failures"]
    assert {
        "prices": "prices of us-east-1 as of 2026-09-19",
        "components_usd": {"request": "0.000002", "duration": "0.1", "init": "0.2"},
        "total_usd": "0.300002",
        "per_million_invocations_usd": "30000.2",
    } == result["cost"]
    assert float(len(phases)) == result["elapsed_s"]
    assert [0.1, 0.5, 1.0] == result["samples"]["at_s"]
    assert result == json.loads(json.dumps(result))


def test_a_burst_is_shown_with_and_without_its_sleep():
    """The handler slept a second: what is above is overhead."""
    phases = PLAN.phases()
    run = DemoRun(
        plan=PLAN,
        phases=phases,
        recording=good_recording(),
        samples=samples(),
        status=status_of(a=function()),
        exit_code=0,
        machine={},
    )

    series = document(run)["series"][FROM_ZERO]

    assert 1050.0 == pytest.approx(series["latency_ms"]["200"]["p99"])
    assert 50.0 == pytest.approx(series["overhead_ms"]["p99"])
    assert 1000.0 == series["sleep_ms"]


@pytest.mark.parametrize(
    ("usd", "text"), [("0E-10", "0"), ("1.500", "1.5"), ("100", "100"), ("1E-7", "0.0000001")]
)
def test_money_is_plain_text(usd, text):
    """No exponent, no trailing zeros."""
    assert text == plain(Decimal(usd))
