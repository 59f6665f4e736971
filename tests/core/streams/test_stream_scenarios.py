"""The 41 scenarios that were recorded on AWS, as far as the kernel decides them.

Source: answers of AWS recorded 2025-11-25, K1 to K26 of Kinesis and D1 to D15 of DynamoDB Streams. States of
the mapping (D14) and refusals of the API (D15) are decided by others; here stands what they rest on.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.core.event_patterns.filter_criteria import FilterError, compile_filter, filter_criteria
from engine.core.streams.commands import DiscardCondition, ResultKind, StreamBatch
from engine.core.streams.destination_record import bucket_key, bucket_record, destination_document
from engine.core.streams.records import PositionType, StreamRecord
from engine.core.streams.settings import DYNAMODB_POLL_INTERVAL_S, StreamSettings
from tests.core.streams.scripted import (
    BAD,
    GOOD,
    START_S,
    Handler,
    ScriptedDriver,
    ScriptedStream,
    answer,
)

LATEST, TRIM_HORIZON = PositionType.LATEST, PositionType.TRIM_HORIZON
SHARD = "shardId-000000000000"
ITEM_ID = {"id": {"S": "id_value"}}
BAD_ITEMS = [
    '{"batchItemFailures":[{"itemIdentifier":123}]}',
    '{"batchItemFailures":[{"itemIdentifier":""}]}',
    '{"batchItemFailures":[{"itemIdentifier":null}]}',
    '{"batchItemFailures":[{"foo":123}]}',
    '{"batchItemFailures":[{"foo":null}]}',
]
GOOD_ANSWERS = ['""', "[]", "null", "{}", '{"batchItemFailures":[]}', '{"batchItemFailures":null}']


def driver(
    handler: Handler = lambda _: GOOD, *, stream: ScriptedStream | None = None, **settings: Any
) -> ScriptedDriver:
    """A mapping on one shard, which has been opened, and has listed and read for the first time."""
    made = ScriptedDriver(stream or ScriptedStream(), StreamSettings(**settings), handler)
    made.open()
    made.run(0)
    return made


def dynamodb_driver(handler: Handler = lambda _: GOOD, **settings: Any) -> ScriptedDriver:
    """The same, as for a stream of DynamoDB."""
    stream = ScriptedStream(names_children=False)
    stream.knows_delay = False
    return driver(
        handler, stream=stream, poll_interval_s=DYNAMODB_POLL_INTERVAL_S, read_limit=1_000, **settings
    )


def put(made: ScriptedDriver, *payloads: Any, key: str = "test_1", at_s: float | None = None) -> None:
    """Put records with these payloads, all with one key."""
    for payload in payloads:
        made.stream.put(key, made.now_s if at_s is None else at_s, payload)


def reports(*failing: str) -> Handler:
    """A function that reports the records with these payloads."""

    def handle(batch: StreamBatch) -> Any:
        items = [
            {"itemIdentifier": record.sequence_number}
            for record in batch.records
            if record.payload in failing
        ]
        return answer(json.dumps({"batchItemFailures": items}))

    return handle


def counted(made: ScriptedDriver) -> tuple[int, list[tuple[str, int, bool, int]]]:
    """Invocations, and of each discarded batch condition, count, whether it was an error, and size."""
    return len(made.deliveries), [
        (each.condition.value, each.invoke_count, each.failed_by_error, len(each.records))
        for each in made.discarded
    ]


def shown(made: ScriptedDriver, kind: Any) -> dict[str, Any]:
    """The one record that the destination got."""
    (discarded,) = made.discarded
    return destination_document(
        discarded,
        kind,
        stream_arn="arn:aws:kinesis:us-east-1:000000000000:stream/s",
        function_arn="arn:aws:lambda:us-east-1:000000000000:function:f",
        request_id="none",
    )


def test_k1_records_come_in_the_order_of_the_puts() -> None:
    made = driver(starting_position=LATEST)
    for number in range(10):
        put(made, number, key=f"test_{number}")
    made.run(5)

    assert list(range(10)) == [payload for each in made.deliveries for payload in each.payloads]


def test_k2_two_puts_of_ten_are_two_batches_of_ten() -> None:
    made = driver(starting_position=LATEST, batch_size=10)
    put(made, *range(10), key="test_0")
    put(made, *range(10, 20), key="test_1")
    made.run(5)

    assert [list(range(10)), list(range(10, 20))] == [each.payloads for each in made.deliveries]


def test_k3_what_was_there_before_comes_first() -> None:
    stream = ScriptedStream()
    for number in range(20):
        stream.put(f"test_{number // 10}", START_S - 5, number)
    made = driver(stream=stream, starting_position=TRIM_HORIZON, batch_size=10)
    put(made, *range(20, 30), key="test_3")
    made.run(5)

    assert [list(range(first, first + 10)) for first in (0, 10, 20)] == [
        each.payloads for each in made.deliveries
    ]


def test_k4_a_disabled_mapping_does_not_invoke() -> None:
    made = driver(starting_position=LATEST, batch_size=10)
    put(made, *range(10))
    made.run(5)
    made.pause()
    put(made, *range(10, 20))
    made.run(60)

    assert 1 == len(made.deliveries)


def test_k4_it_goes_on_where_it_was_when_it_is_enabled_again() -> None:
    made = driver(starting_position=LATEST, batch_size=10)
    put(made, *range(10))
    made.run(5)
    made.pause()
    put(made, *range(10, 20))
    made.run(60)
    made.open()
    made.run(5)

    assert [list(range(10)), list(range(10, 20))] == [each.payloads for each in made.deliveries]


def test_k5_two_functions_both_get_the_record() -> None:
    stream = ScriptedStream()
    both = [driver(stream=stream), driver(stream=stream)]
    put(both[0], "hello")
    for made in both:
        made.run(5)

    assert both[0].deliveries[0].records == both[1].deliveries[0].records


def test_k6_k7_after_a_retry_the_record_goes_to_the_destination() -> None:
    """A topic gets the same record as `Message`."""
    made = driver(lambda _: BAD, batch_size=1, batching_window_s=1, maximum_retry_attempts=1, on_failure=True)
    put(made, "hello")
    made.run(60)
    document = shown(made, "kinesis")
    info = document["KinesisBatchInfo"]

    assert (2, [("RetryAttemptsExhausted", 2, True, 1)]) == counted(made)
    assert {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"} == document[
        "responseContext"
    ]
    assert info["startSequenceNumber"] == info["endSequenceNumber"]
    assert info["approximateArrivalOfFirstRecord"].endswith("00.000Z")


def test_k8_a_bucket_gets_it_with_the_event() -> None:
    made = driver(lambda _: BAD, batch_size=1, batching_window_s=1, maximum_retry_attempts=1, on_failure=True)
    put(made, {"input": "hello", "value": "world", "raise_error": 1}, key="custom")
    made.run(60)
    document = shown(made, "kinesis")
    record = json.loads(bucket_record(document, '{"Records":[1]}'))

    assert 2 == record["requestContext"]["approximateInvokeCount"]
    assert '{"Records":[1]}' == record["payload"]
    assert f"aws/lambda/m/{SHARD}/2025/12/31/2025-12-31T23.58.01-o" == bucket_key(
        document, "kinesis", mapping_id="m", object_id="o"
    )


def test_k9_each_function_gets_what_its_filter_lets_through() -> None:
    stream = ScriptedStream()
    seen = {}
    for name in ("function_1", "function_2"):
        criteria = filter_criteria([{"data": {"event_type": [name]}}], "data")
        made = driver(
            stream=stream,
            batch_size=1,
            batching_window_s=1,
            maximum_retry_attempts=1,
            record_filter=lambda record, criteria=criteria: criteria.passes(json.dumps(record.payload), dict),
        )
        if not seen:
            put(made, {"event_type": "function_1"}, {"event_type": "function_2"})
        made.run(5)
        seen[name] = [each.payloads for each in made.deliveries]

    assert {name: [[{"event_type": name}]] for name in seen} == seen


def test_k10_what_comes_before_a_reported_record_is_done_with_and_the_count_begins_again() -> None:
    made = driver(
        reports("fails"),
        report_batch_item_failures=True,
        batch_size=3,
        batching_window_s=1,
        maximum_retry_attempts=3,
        on_failure=True,
    )
    put(made, 0, 1, 2, 3, 4, "fails")
    made.run(60)
    document = shown(made, "kinesis")

    assert [[0, 1, 2], [3, 4, "fails"], *[["fails"]] * 4] == [each.payloads for each in made.deliveries]
    assert (6, [("RetryAttemptsExhausted", 4, False, 1)]) == counted(made)
    assert document["responseContext"]["functionError"] is None


@pytest.mark.parametrize("text", GOOD_ANSWERS)
def test_k11_to_k16_answers_that_report_nothing_are_successes(text: str) -> None:
    made = driver(
        lambda _: answer(text),
        report_batch_item_failures=True,
        batch_size=1,
        batching_window_s=1,
        maximum_retry_attempts=2,
    )
    put(made, "hello")
    made.run(60)

    assert (1, []) == counted(made)


@pytest.mark.parametrize("text", BAD_ITEMS)
def test_k17_to_k21_what_names_no_record_fails_the_whole_batch(text: str) -> None:
    made = driver(
        lambda _: answer(text),
        report_batch_item_failures=True,
        batch_size=1,
        batching_window_s=1,
        maximum_retry_attempts=2,
        on_failure=True,
    )
    put(made, "hello")
    made.run(60)

    assert (3, [("RetryAttemptsExhausted", 3, False, 1)]) == counted(made)


def test_k22_an_exception_is_unhandled_whatever_the_response_type() -> None:
    made = driver(
        lambda _: BAD,
        report_batch_item_failures=True,
        batch_size=1,
        batching_window_s=1,
        maximum_retry_attempts=2,
        on_failure=True,
    )
    put(made, "hello")
    made.run(60)

    assert (3, [("RetryAttemptsExhausted", 3, True, 1)]) == counted(made)


def test_k23_within_its_minute_a_record_is_tried_eight_times() -> None:
    made = driver(lambda _: BAD, batch_size=1, batching_window_s=1, maximum_record_age_s=60, on_failure=True)
    put(made, "hello")
    made.run(59)
    before = list(made.discarded)
    made.run(2)

    assert [] == before
    assert (8, [("RecordAgeExceeded", 8, False, 1)]) == counted(made)
    assert "responseContext" not in shown(made, "kinesis")


def test_k24_a_record_that_is_too_old_at_first_is_counted_once_and_never_seen() -> None:
    stream = ScriptedStream()
    stream.put("test_1", START_S - 60)
    made = driver(
        lambda _: BAD,
        stream=stream,
        batch_size=1,
        maximum_retry_attempts=0,
        maximum_record_age_s=60,
        on_failure=True,
    )
    made.run(5)

    assert (0, [("RecordAgeExceeded", 1, False, 1)]) == counted(made)


def test_k25_an_old_record_is_cut_out_of_its_batch() -> None:
    stream = ScriptedStream()
    stream.put("test_1", START_S - 60, "old")
    fresh = [f"stream-data-{number}" for number in range(1, 6)]
    for payload in fresh:
        stream.put("test_1", START_S, payload)
    made = driver(
        stream=stream,
        batch_size=10,
        batching_window_s=1,
        maximum_retry_attempts=0,
        maximum_record_age_s=60,
        on_failure=True,
    )
    made.run(5)

    assert (1, [("RecordAgeExceeded", 1, False, 1)]) == counted(made)
    assert [fresh] == [each.payloads for each in made.deliveries]


@pytest.mark.parametrize("reporting", [False, True])
def test_k26_an_empty_answer_is_a_success(*, reporting: bool) -> None:
    made = driver(
        lambda _: answer(""),
        batch_size=1,
        maximum_retry_attempts=2,
        report_batch_item_failures=reporting,
    )
    put(made, "hello")
    made.run(60)

    assert 1 == made.poller.counts.succeeded


def test_d1_one_item_is_one_batch() -> None:
    made = dynamodb_driver(batch_size=1, batching_window_s=1, maximum_retry_attempts=1)
    put(made, "item")
    made.run(60)

    assert [["item"]] == [each.payloads for each in made.deliveries]


@pytest.mark.parametrize(
    ("pattern", "passes"),
    [
        ({"eventName": ["INSERT"]}, [True, False]),  # D2, where the second put is a MODIFY
        ({"eventName": ["INSERT", "MODIFY"]}, [True, True]),  # D3
        ({"dynamodb": {"NewImage": {"presentKey": {"S": ["presentValue"]}}}}, [True, False]),  # D4
        ({"dynamodb": {"NewImage": {"presentKey": {"S": [{"exists": True}]}}}}, [True, False]),
        ({"dynamodb": {"NewImage": {"presentKey": [{"exists": False}]}}}, [True, True]),  # D5
        (
            {"dynamodb": {"NewImage": {"n": {"N": [{"numeric": [">", 100]}, {"anything-but": "101"}]}}}},
            [True, False],
        ),
        ({"dynamodb": {"NewImage": {"prefix": {"S": [{"prefix": "us-1"}]}}}}, [True, False]),  # D7
        ({"dynamodb": {"ApproximateCreationDateTime": [{"numeric": [">", 0]}]}}, [True, True]),  # D8
    ],
)
def test_d2_to_d8_filters_see_the_whole_record(pattern: dict[str, Any], passes: list[bool]) -> None:
    first = {"presentKey": {"S": "presentValue"}, "n": {"N": "42"}, "prefix": {"S": "us-1-other-suffix"}}
    second = {"n": {"N": "101"}, "prefix": {"S": "other-suffix"}}
    documents = [
        {
            "eventName": name,
            "dynamodb": {"ApproximateCreationDateTime": 1_764_088_062, "NewImage": ITEM_ID | image},
        }
        for name, image in (("INSERT", first), ("MODIFY", second))
    ]
    criteria = filter_criteria([pattern], None)
    made = dynamodb_driver(record_filter=lambda record: criteria.matches(record.payload))
    put(made, *documents)
    made.run(5)
    wanted = [document for document, passed in zip(documents, passes, strict=True) if passed]

    assert wanted == [payload for each in made.deliveries for payload in each.payloads]
    assert len(documents) - len(wanted) == made.poller.counts.filtered


def test_d9_the_destination_gets_times_without_fractions() -> None:
    made = dynamodb_driver(lambda _: BAD, batch_size=1, maximum_retry_attempts=1, on_failure=True)
    put(made, "item")
    made.run(60)
    info = shown(made, "dynamodb")["DDBStreamBatchInfo"]

    assert (2, [("RetryAttemptsExhausted", 2, True, 1)]) == counted(made)
    assert "2025-12-31T23:58:00Z" == info["approximateArrivalOfFirstRecord"]


def test_d10_as_k10() -> None:
    made = dynamodb_driver(
        reports("fails"),
        report_batch_item_failures=True,
        batch_size=3,
        batching_window_s=1,
        maximum_retry_attempts=3,
        on_failure=True,
    )
    for number, payload in enumerate((0, 1, 2, 3, 4, "fails")):
        put(made, payload, key=f"testId{number}")
    made.run(60)

    assert [[0, 1, 2], [3, 4, "fails"], *[["fails"]] * 4] == [each.payloads for each in made.deliveries]
    assert (6, [("RetryAttemptsExhausted", 4, False, 1)]) == counted(made)


@pytest.mark.parametrize("text", BAD_ITEMS)
def test_d11_what_names_no_record_fails_the_whole_batch(text: str) -> None:
    made = dynamodb_driver(
        lambda _: answer(text),
        report_batch_item_failures=True,
        batch_size=3,
        batching_window_s=1,
        maximum_retry_attempts=3,
        on_failure=True,
    )
    put(made, "item")
    made.run(60)

    assert (4, [("RetryAttemptsExhausted", 4, False, 1)]) == counted(made)


def test_d12_an_exception_is_unhandled() -> None:
    made = dynamodb_driver(
        lambda _: BAD,
        report_batch_item_failures=True,
        batch_size=3,
        batching_window_s=1,
        maximum_retry_attempts=3,
        on_failure=True,
    )
    put(made, "item")
    made.run(60)

    assert (4, [("RetryAttemptsExhausted", 4, True, 1)]) == counted(made)


@pytest.mark.parametrize("text", GOOD_ANSWERS[1:])
def test_d13_answers_that_report_nothing_are_successes(text: str) -> None:
    made = dynamodb_driver(
        lambda _: answer(text), report_batch_item_failures=True, batch_size=1, maximum_retry_attempts=2
    )
    put(made, "item")
    made.run(60)

    assert (1, []) == counted(made)


def test_d14_what_runs_when_the_mapping_is_disabled_may_end() -> None:
    made = ScriptedDriver(ScriptedStream(), StreamSettings(), service_s=lambda _: 3)
    put(made, "item")
    made.open()
    made.run(1)
    made.pause()
    made.run(5)

    assert (1, 0) == (made.poller.counts.succeeded, made.poller.in_flight)


@pytest.mark.parametrize("text", ["single-string", '[{"eventName": ["INSERT"=123}]'])
def test_d15_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(FilterError):
        compile_filter(text, None)


def test_the_parts_of_a_recorded_record_stand_in_the_recorded_order() -> None:
    """Byte for byte but for what the recording replaced."""
    made = driver(lambda _: BAD, batch_size=1, maximum_retry_attempts=1, on_failure=True)
    put(made, "hello")
    made.run(60)
    document = shown(made, "kinesis")

    assert ["requestContext", "responseContext", "version", "timestamp", "KinesisBatchInfo"] == list(document)
    assert ["requestId", "functionArn", "condition", "approximateInvokeCount"] == list(
        document["requestContext"]
    )
    assert [
        "shardId",
        "startSequenceNumber",
        "endSequenceNumber",
        "approximateArrivalOfFirstRecord",
        "approximateArrivalOfLastRecord",
        "batchSize",
        "streamArn",
    ] == list(document["KinesisBatchInfo"])
    assert DiscardCondition.RETRY_ATTEMPTS_EXHAUSTED == document["requestContext"]["condition"]


def test_sequence_numbers_are_compared_as_integers() -> None:
    """Ids 9 and 10: the lower one is where it goes on."""
    batch = [StreamRecord(number, str(number), "k", START_S, 100, number) for number in (8, 9, 10)]
    made = driver(
        lambda each: (
            answer('{"batchItemFailures":[{"itemIdentifier":"10"},{"itemIdentifier":"9"}]}')
            if len(each.records) == 3
            else GOOD
        ),
        report_batch_item_failures=True,
    )
    made.stream.shards[SHARD].records.extend(batch)
    made.run(60)

    assert [[8, 9, 10], [9, 10]] == [each.payloads for each in made.deliveries]
    assert ResultKind.SUCCEEDED == GOOD.kind
