"""A mapping of a stream when the function, the stream or a destination fails, and when it is changed."""

from __future__ import annotations

import anyio
import orjson
import pytest

from engine.core.destinations import DeliveryError
from engine.core.invocation import Result
from engine.core.outcome import Status
from engine.core.streams.records import ReadFailure
from engine.sources.streams.port import StreamThrottled
from engine.sources.streams.settings import KinesisEvent
from engine.testing import Act

STREAM = "arn:aws:kinesis:us-east-1:000000000000:stream/s"
QUEUE = "arn:aws:sqs:us-east-1:000000000000:given-up"


def settings_of(site, **values):
    return site.mappings.settings_from("kinesis", {"stream": STREAM, **values}, site.entry.settings)


async def test_what_was_tried_as_often_as_it_may_goes_to_the_destination(make_stream_site, failure):
    """Two invocations with one retry, then AWS's record, and the shard goes on."""
    async with make_stream_site(
        lambda run: failure if "bad" in run.data else None,
        batch_size=1,
        maximum_retry_attempts=1,
        on_failure="given-up",
    ) as site:
        [number] = site.put("bad", key="k")
        site.put("good", key="k")
        await anyio.sleep(5)
        [(arn, record)] = site.delivered
        document = orjson.loads(record.body)

        assert [["bad"], ["bad"], ["good"]] == site.batches
        assert (QUEUE, "RetryAttemptsExhausted", 2) == (
            arn,
            document["requestContext"]["condition"],
            document["requestContext"]["approximateInvokeCount"],
        )
        assert {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"} == (
            document["responseContext"]
        )
        info = document["KinesisBatchInfo"]
        assert (number, number, 1, STREAM) == (
            info["startSequenceNumber"],
            info["endSequenceNumber"],
            info["batchSize"],
            info["streamArn"],
        )
        assert (1, 0) == (site.entry.destination_deliveries, site.entry.destination_failures)


async def test_a_bucket_gets_the_event_too(make_stream_site, failure):
    """Under AWS's key."""
    async with make_stream_site(
        lambda _: failure, maximum_retry_attempts=0, on_failure="s3:given-up"
    ) as site:
        site.put("bad")
        await anyio.sleep(3)
        [(arn, record)] = site.delivered
        event = orjson.loads(orjson.loads(record.body)["payload"])

        assert "arn:aws:s3:::given-up" == arn
        assert site.runs[0].event == event
        assert record.key.startswith(
            f"aws/lambda/{site.entry.uuid}/shardId-000000000000/2026/01/01/2026-01-01T"
        )


async def test_a_destination_that_fails_blocks_nothing(make_stream_site, failure):
    """One line, a count, and the next batch."""
    async with make_stream_site(
        lambda run: failure if "bad" in run.data else None,
        batch_size=1,
        maximum_retry_attempts=0,
        on_failure="sns:topic",
    ) as site:
        site.put("bad", "good", key="k")
        await anyio.sleep(3)

        assert ["bad", "good"] == site.data
        assert (0, 1) == (site.entry.destination_deliveries, site.entry.destination_failures)
        assert 1 == len(site.said)
        assert (
            "could not be delivered: arn:aws:sns:us-east-1:000000000000:topic: the engine has no sns"
            in (site.said[0])
        )


async def test_a_report_goes_on_at_the_record_that_failed(make_stream_site):
    """Those before it are done with."""

    def act(run):
        bad = [record for record in run.records if record["kinesis"]["partitionKey"] == "bad"]
        return {"batchItemFailures": [{"itemIdentifier": one["kinesis"]["sequenceNumber"]} for one in bad]}

    async with make_stream_site(act, report_batch_item_failures=True, maximum_retry_attempts=1) as site:
        site.put("one", "two", "bad")
        await anyio.sleep(5)

        assert [["one", "two", "bad"], ["bad"], ["bad"]] == site.batches
        assert (2, 1, 3) == (
            site.entry.counts.succeeded,
            site.entry.counts.exhausted,
            site.entry.counts.polled,
        )


async def test_a_batch_that_fails_is_split(make_stream_site, failure):
    """Until the poison is alone."""
    async with make_stream_site(
        lambda run: failure if "bad" in run.data else None,
        bisect_batch_on_function_error=True,
        maximum_retry_attempts=0,
    ) as site:
        site.put("a", "b", "bad", "d", key="k")
        await anyio.sleep(10)

        assert [["a", "b", "bad", "d"], ["a", "b"], ["bad", "d"], ["bad"], ["d"]] == site.batches
        assert (2, 3, 1) == (
            site.entry.counts.bisects,
            site.entry.counts.succeeded,
            site.entry.counts.exhausted,
        )


async def test_a_window_hands_on_its_state(make_stream_site):
    """The last invocation of a window has no records."""

    def act(run):
        return {"state": {"count": run.event["state"].get("count", 0) + len(run.records)}}

    async with make_stream_site(act, tumbling_window_s=10) as site:
        site.put("a")
        await anyio.sleep(3)
        site.put("b", "c")
        await anyio.sleep(20)
        [first, second, last] = [run.event for run in site.runs]

        assert [{}, {"count": 1}, {"count": 3}] == [first["state"], second["state"], last["state"]]
        assert {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T00:00:10Z"} == last["window"]
        assert (True, False, []) == (
            last["isFinalInvokeForWindow"],
            last["isWindowTerminatedEarly"],
            last["Records"],
        )
        assert [
            *("Records", "window", "state", "shardId"),
            *("eventSourceARN", "isFinalInvokeForWindow", "isWindowTerminatedEarly"),
        ] == list(first)


async def test_a_window_whose_end_is_given_up_is_said_once_a_minute(make_stream_site, failure):
    """All of them are counted."""

    def act(run):
        return {"state": {}} if run.records else failure

    async with make_stream_site(act, tumbling_window_s=1, maximum_retry_attempts=0) as site:
        for _ in range(10):
            site.put("a")
            await anyio.sleep(5)
        [line] = site.said

        assert 9 <= site.entry.counts.lost_windows
        assert line.startswith(
            "functions.work: kinesis 's': shardId-000000000000: the last invocation of the"
        )


async def test_throttles_are_no_attempts(make_stream_site):
    """A function without concurrency keeps its batch until it has some."""
    async with make_stream_site(
        function={"reserved_concurrency": 0}, maximum_retry_attempts=0, on_failure="q"
    ) as site:
        site.put("waits")
        await anyio.sleep(60)

        assert ([], [], "No records processed") == (site.runs, site.delivered, site.entry.last_result)
        assert site.entry.counts.throttles > 5
        assert 1 == site.entry.driver.poller.report(site.clock.wall()).blocked


async def test_a_record_that_fits_in_no_event_is_given_up_as_one_that_fails(make_stream_site):
    """The function never sees it; a line says so, and what is behind it is delivered."""
    async with make_stream_site(maximum_retry_attempts=1, on_failure="q") as site:
        site.put("x" * 5_000_000, key="k")
        site.put("fits", key="k")
        await anyio.sleep(5)
        [(_, record)] = site.delivered

        assert [["fits"]] == site.batches
        assert 2 == orjson.loads(record.body)["requestContext"]["approximateInvokeCount"]
        assert [True] == ["more than an event of 6 MB may have" in line for line in site.said]


async def test_a_function_that_is_not_there_is_said_once_and_its_records_wait(make_stream_site):
    async with make_stream_site() as site:
        entry = site.entry
        site.mappings.change(entry, "gone", None, entry.settings)
        site.put("x")
        await anyio.sleep(30)
        said = list(site.said)
        site.mappings.change(entry, "work", None, entry.settings)
        await anyio.sleep(5)

        assert [
            "functions.gone: kinesis 's': function 'gone' is not configured: its records wait for it"
        ] == said
        assert ["x"] == site.data


async def test_a_problem_is_shown_until_a_batch_succeeds(make_stream_site, failure):
    """AWS's words."""
    outcomes = [failure, None]
    async with make_stream_site(lambda _: outcomes.pop(0)) as site:
        site.put("x")
        await anyio.sleep(0.6)
        first = site.entry.last_result
        await anyio.sleep(1)

        assert ("PROBLEM: Function call failed", "OK") == (first, site.entry.last_result)


async def test_a_filter_passes_over_what_it_does_not_match(make_stream_site):
    """Patterns for data see it decoded; a mismatch of forms drops a record."""
    patterns = ({"data": {"kind": ["wanted"]}}, {"partitionKey": ["this"]})
    async with make_stream_site(filters=patterns) as site:
        site.put('{"kind": "wanted"}', '{"kind": "other"}', "plain", key="k")
        site.put("by its key", key="this")
        await anyio.sleep(2)

        assert ['{"kind": "wanted"}', "by its key"] == site.data
        assert (4, 2) == (site.entry.counts.polled, site.entry.counts.filtered)


async def test_trouble_is_said_once_and_so_is_its_end(make_stream_site):
    """Nothing is lost."""
    async with make_stream_site() as site:
        await anyio.sleep(2)
        site.stream.fail(ReadFailure.ERROR, "no route to host", times=6)
        site.put("x")
        await anyio.sleep(60)

        assert ["x"] == site.data
        assert [
            "functions.work: kinesis 's': no route to host; it is tried again",
            "functions.work: kinesis 's': the stream answers again",
        ] == site.said


async def test_trouble_that_comes_and_goes_is_said_once_a_minute(make_stream_site):
    """And throttles never: the server has answered enough for now, that is all."""
    async with make_stream_site() as site:
        for _ in range(20):
            site.stream.fail(ReadFailure.ERROR, "flaky")
            await anyio.sleep(2)
        flaky = len(site.said)
        site.stream.faults.extend(StreamThrottled(ReadFailure.ERROR, "Rate exceeded") for _ in range(9))
        await anyio.sleep(600)
        site.put("x")
        await anyio.sleep(2)

        assert (2, 2, ["x"]) == (flaky, len(site.said), site.data)


async def test_an_old_iterator_is_renewed_and_trimmed_records_are_skipped(make_stream_site):
    """It goes on with the oldest that is left, and says so."""
    async with make_stream_site(
        lambda run: Act(takes_s=400.0) if run.data == ["slow"] else None,
        batch_size=1,
        stream={"iterator_life_s": 0.5},
        function={"timeout_s": 900.0},
    ) as site:
        site.put("slow", key="k")
        await anyio.sleep(10)
        before = list(site.said)
        site.put(*[f"{n}" for n in range(5)], key="k")
        site.stream.trim("shardId-000000000000", 4)
        await anyio.sleep(500)

        assert [] == before
        assert ["slow", "3", "4"] == site.data
        assert [True] == ["trimmed" in line for line in site.said]


async def test_a_stream_made_anew_is_read_from_its_beginning(make_stream_site):
    """What was read of the other one does not matter."""
    async with make_stream_site(starting_position="LATEST") as site:
        await anyio.sleep(2)
        site.put("old")
        await anyio.sleep(2)
        site.stream.is_gone = True
        await anyio.sleep(30)
        site.stream.renew(shards=2)
        site.put("new-1", "new-2")
        site.stream.is_gone = False
        await anyio.sleep(5)

        assert ["old", "new-1", "new-2"] == [site.data[0], *sorted(site.data[1:])]
        assert 2 == len(site.said)
        assert "not there" in site.said[0]
        assert "there now" in site.said[1]


async def test_a_disabled_mapping_goes_on_where_it_was(make_stream_site):
    """What runs ends; nothing is skipped or repeated."""
    async with make_stream_site(lambda _: Act(takes_s=1.5), batch_size=1) as site:
        site.put("a", "b", "c", key="k")
        await anyio.sleep(2.5)
        site.mappings.change(site.entry, "work", None, settings_of(site, enabled=False, batch_size=1))
        await anyio.sleep(30)
        at_rest = list(site.data)
        result = site.entry.last_result
        site.mappings.change(site.entry, "work", None, settings_of(site, batch_size=2))
        site.put("d", key="k")
        await anyio.sleep(30)

        assert (["a", "b"], "OK") == (at_rest, result)
        assert [["a"], ["b"], ["c", "d"]] == site.batches
        assert (4, 4) == (site.entry.counts.succeeded, site.entry.counts.invoked)


async def test_a_mapping_that_is_closed_reads_no_more(make_stream_site):
    """And is not found any more."""
    async with make_stream_site() as site:
        await anyio.sleep(1)
        entry = site.entry
        site.mappings.close(entry)
        site.put("x")
        await anyio.sleep(10)

        assert ([], None, []) == (site.data, site.mappings.find(entry.uuid), list(site.mappings))


async def test_two_mappings_of_a_stream_get_every_record_each(make_stream_site):
    """With checkpoints of their own."""
    async with make_stream_site() as site:
        settings = settings_of(site, starting_position="TRIM_HORIZON")
        await site.mappings.open("work", None, settings)
        site.put("x", "y")
        await anyio.sleep(3)

        assert ["x", "x", "y", "y"] == sorted(site.data)


async def test_what_runs_when_the_engine_stops_ends(make_stream_site):
    """And nothing more is read."""
    async with make_stream_site(
        lambda _: Act(takes_s=5.0), batch_size=1, function={"timeout_s": 10.0}
    ) as site:
        site.put("a", "b", key="k")
        await anyio.sleep(2)
        site.stopping.set()
        await anyio.sleep(20)

        assert ["a"] == site.data
        assert 1 == site.entry.counts.succeeded


async def test_whether_a_stream_is_there_is_what_its_server_says(make_stream_site):
    """One that cannot be asked may be there."""
    async with make_stream_site() as site:
        there = await site.mappings.exists(site.entry.settings)
        site.stream.fail(ReadFailure.ERROR)
        unknown = await site.mappings.exists(site.entry.settings)
        site.stream.is_gone = True

        assert (True, True, False) == (there, unknown, await site.mappings.exists(site.entry.settings))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"maximum_record_age_s": 59}, "maximum_record_age_s: 59: is -1, or from 60 to 604800 (AWS)"),
        (
            {"tumbling_window_s": 60, "parallelization_factor": 2},
            "tumbling_window_s needs a parallelization_factor of 1 (AWS)",
        ),
        ({"starting_position": "AT_TIMESTAMP"}, "starting_position AT_TIMESTAMP and"),
        ({"on_failure": "lambda:f"}, "on_failure: 'lambda' cannot be used here (can: sqs, sns, s3)"),
        ({"on_failure": "q.fifo"}, "on_failure: a FIFO queue or topic cannot be used here (AWS)"),
        ({"endpoint_url": "localhost"}, "endpoint_url: 'localhost': is \"aws\", or a URL"),
        ({"stream": "a b"}, "stream: 'a b': is an ARN, or the name of a stream"),
    ],
)
async def test_settings_that_do_not_fit_are_refused_in_one_sentence(make_stream_site, values, reason):
    """By key."""
    async with make_stream_site() as site:
        with pytest.raises(ValueError) as caught:  # noqa: PT011  # all of its text is compared
            site.mappings.settings_from("kinesis", {"stream": "s", **values})

        assert str(caught.value).startswith(reason)


def test_a_sender_may_refuse():
    """What senders raise is what is said."""
    assert "arn: no" == str(DeliveryError("arn", "no"))
    assert Status.ERROR is Result(Status.ERROR, b"").status
    assert "s" == KinesisEvent(stream=STREAM).stream_name
