"""Reading, lineage, retries, windows and back-pressure of a mapping on a stream, rule by rule."""

from __future__ import annotations

import json
from itertools import chain, pairwise
from typing import Any

import pytest

from engine.core.streams.commands import (
    BatchResult,
    InvokeBatch,
    ListShards,
    ReadShard,
    SendToDestination,
    StreamBatch,
    StreamNoticeKind,
)
from engine.core.streams.destination_record import iso_time
from engine.core.streams.lineage import Lineage
from engine.core.streams.poller import StreamPoller
from engine.core.streams.records import (
    LATEST,
    TRIM_HORIZON,
    PositionType,
    ReadFailure,
    ShardCheckpoint,
    ShardInfo,
    StreamPage,
    StreamPosition,
    StreamRecord,
    checkpoint_document,
    checkpoint_of,
)
from engine.core.streams.settings import MAX_STATE_BYTES, StreamSettings
from engine.core.streams.shard import ShardState
from tests.core.streams.scripted import (
    BAD,
    GOOD,
    START_S,
    THROTTLED,
    Handler,
    ScriptedDriver,
    ScriptedStream,
    answer,
)

SHARD = "shardId-000000000000"


def opened(
    stream: ScriptedStream | None = None, handler: Handler = lambda _: GOOD, **settings: Any
) -> ScriptedDriver:
    """A mapping that has listed the shards and read for the first time."""
    made = ScriptedDriver(stream or ScriptedStream(), StreamSettings(**settings), handler)
    made.open()
    made.run(0)
    return made


def put(made: ScriptedDriver, *payloads: Any, key: str = "k") -> None:
    for payload in payloads:
        made.stream.put(key, made.now_s, payload)


def payloads(made: ScriptedDriver) -> list[list[Any]]:
    """Of each delivery."""
    return [each.payloads for each in made.deliveries]


def failing_on(*poison: Any) -> Handler:
    return lambda batch: BAD if any(each.payload in poison for each in batch.records) else GOOD


# ---------------------------------------------------------------- reading


def test_an_idle_shard_is_read_once_in_the_interval_and_one_with_more_at_once() -> None:
    made = opened(poll_interval_s=1, read_limit=2)
    made.run(10)
    idle = len(made.stream.reads)
    put(made, *range(6))
    made.run(1)

    assert 11 == idle
    assert idle + 3 == len(made.stream.reads)


def test_while_enough_waits_a_shard_is_not_read() -> None:
    stream = ScriptedStream()
    for number in range(100):
        stream.put("k", START_S, number)
    made = ScriptedDriver(
        stream,
        StreamSettings(batch_size=5, read_limit=10, buffer_records=10),
        service_s=lambda _: 100,
    )
    made.open()
    made.run(50)

    assert 20 == made.poller.counts.polled
    assert 15 == made.poller.report(made.now_s).waiting - 5


def test_latest_is_the_time_of_the_first_read_also_after_a_long_pause() -> None:
    """The iterator has expired by then, and nothing was read of which to remember a number."""
    made = opened(starting_position=PositionType.LATEST)
    made.run(5)
    made.pause()
    made.run(60)
    put(made, "meanwhile")
    made.stream.failures.append(ReadFailure.EXPIRED)
    made.open()
    made.run(5)

    assert [["meanwhile"]] == payloads(made)


def test_latest_is_the_time_of_the_first_read_also_if_that_failed() -> None:
    stream = ScriptedStream()
    stream.put("k", START_S - 1, "before")
    stream.failures = [ReadFailure.ERROR] * 3
    made = opened(stream, starting_position=PositionType.LATEST)
    put(made, "after")
    made.run(10)

    assert [["after"]] == payloads(made)


def test_at_timestamp_skips_what_is_older() -> None:
    stream = ScriptedStream()
    for at_s in (-20, -10, -5):
        stream.put("k", START_S + at_s, at_s)
    made = opened(stream, starting_position=PositionType.AT_TIMESTAMP, timestamp_s=START_S - 10)

    assert [[-10, -5]] == payloads(made)


def test_latest_skips_closed_shards() -> None:
    stream = ScriptedStream()
    stream.put("k", START_S, "old")
    stream.split(SHARD)
    made = opened(stream, starting_position=PositionType.LATEST)
    put(made, "new")
    made.run(5)

    assert [["new"]] == payloads(made)


def test_an_expired_iterator_is_replaced_and_nothing_is_lost() -> None:
    made = opened()
    put(made, 1)
    made.run(1)
    made.stream.failures.append(ReadFailure.EXPIRED)
    put(made, 2)
    made.run(3)

    assert [[1], [2]] == payloads(made)
    assert 1 == made.poller.counts.failed_reads


def test_trimmed_records_are_told_and_reading_goes_on_with_the_oldest() -> None:
    stream = ScriptedStream()
    for number in range(10):
        stream.put("k", START_S, number)
    stream.trim(SHARD, 5)
    known = ShardCheckpoint(SHARD, StreamPosition(PositionType.AFTER_SEQUENCE_NUMBER, "102"))
    made = ScriptedDriver(stream, StreamSettings(), checkpoints=[known])
    made.open()
    made.run(2)

    assert [[5, 6, 7, 8, 9]] == payloads(made)
    assert [StreamNoticeKind.TRIMMED] == [each.kind for each in made.notices]
    assert 1 == made.poller.counts.trimmed


def test_a_read_that_fails_is_tried_again_less_and_less_often() -> None:
    made = opened()
    made.stream.failures.extend([ReadFailure.ERROR] * 5)
    put(made, 1)
    made.run(20)

    assert [[1]] == payloads(made)
    assert 5 == made.poller.counts.failed_reads


def test_while_enough_bytes_wait_a_shard_is_not_read() -> None:
    stream = ScriptedStream()
    for number in range(100):
        stream.put("k", START_S, number, size_bytes=3_000_000)
    made = ScriptedDriver(
        stream, StreamSettings(read_limit=1, buffer_bytes=9_000_000), service_s=lambda _: 100
    )
    made.open()
    made.run(50)

    assert 4 == made.poller.counts.polled


def test_an_iterator_that_expires_at_once_is_not_asked_for_all_the_time() -> None:
    stream = ScriptedStream()
    stream.failures.extend([ReadFailure.EXPIRED] * 100)
    made = opened(stream)
    made.run(10)

    assert len(stream.reads) < 10


# ---------------------------------------------------------------- streams that vanish


def test_a_stream_that_is_gone_is_told_once_and_read_from_its_beginning_when_it_is_back() -> None:
    made = opened(list_interval_s=10)
    put(made, "before")
    made.run(2)
    made.stream.is_gone = True
    made.run(100)
    made.stream = ScriptedStream()
    put(made, "after")
    made.run(20)

    assert [StreamNoticeKind.STREAM_GONE, StreamNoticeKind.STREAM_BACK] == [
        each.kind for each in made.notices
    ]
    assert [["before"], ["after"]] == payloads(made)


def test_checkpoints_of_another_stream_are_forgotten_and_it_is_read_from_its_beginning() -> None:
    """Whatever the numbers of its records are, and also if the mapping began with the newest record."""
    number = StreamPosition(PositionType.AFTER_SEQUENCE_NUMBER, "9" * 56)
    settings = StreamSettings(starting_position=PositionType.LATEST)
    poller = StreamPoller(settings, [ShardCheckpoint("a", number, subshards=(10**56,))])
    poller.open(1.0)
    notice, *reads = poller.shards_listed(1.0, [ShardInfo("a"), ShardInfo("b")], is_other=True)
    record = StreamRecord(1, "1", "k", 1.0, 10, b"{}")
    commands = poller.read(1.0, reads[0], StreamPage([record], "cursor"))

    assert StreamNoticeKind.STREAM_BACK is notice.kind
    assert [("a", TRIM_HORIZON), ("b", TRIM_HORIZON)] == [(each.shard_id, each.position) for each in reads]
    assert [[record]] == [list(each.batch.records) for each in commands if isinstance(each, InvokeBatch)]


def test_what_was_read_of_a_stream_that_is_gone_is_still_delivered() -> None:
    made = opened(batching_window_s=20)
    put(made, 1)
    made.run(2)
    made.stream.is_gone = True
    made.run(60)

    assert [[1]] == payloads(made)


def test_a_shard_that_is_not_listed_any_more_frees_its_children() -> None:
    stream = ScriptedStream(names_children=False)
    children = stream.split(SHARD)
    stream.shards[children[0]].records.append(stream.put("k", START_S, "child"))
    made = ScriptedDriver(stream, StreamSettings(list_interval_s=1))
    stream.failures.extend([ReadFailure.ERROR] * 4)
    made.open()
    made.run(0)
    del stream.shards[SHARD]
    made.run(60)

    assert "child" in {payload for each in payloads(made) for payload in each}


# ---------------------------------------------------------------- pauses


def test_batches_that_fail_one_after_the_other_while_it_is_disabled_all_come_again() -> None:
    """The second failure does not move the position behind the first."""
    stream = ScriptedStream()
    made = ScriptedDriver(
        stream,
        StreamSettings(parallelization_factor=10),
        lambda batch: GOOD if made.now_s > START_S + 10 else BAD,
        service_s=lambda batch: 2 + batch.subshard / 4,
    )
    for number in range(30):
        stream.put(f"key-{number}", START_S, number)
    made.open()
    made.run(1)
    made.pause()
    made.run(20)
    made.open()
    made.run(20)

    assert 30 == made.poller.counts.succeeded
    assert set(range(30)) == {payload for each in payloads(made) for payload in each}


def test_what_runs_over_a_pause_is_not_read_a_second_time() -> None:
    made = ScriptedDriver(ScriptedStream(), StreamSettings(batch_size=1), service_s=lambda _: 10)
    put(made, 1, 2, 3)
    made.open()
    made.run(1)
    made.pause()
    made.run(1)
    made.open()
    made.run(60)

    assert [[1], [2], [3]] == payloads(made)


@pytest.mark.parametrize(("before", "after"), [(1, 4), (4, 3), (4, 1), (2, 10)])
def test_what_runs_while_the_factor_changes_comes_once(before: int, after: int) -> None:
    """Also if it changes once more before that is behind, and the engine is restarted then."""
    stream = ScriptedStream()
    for number in range(40):
        stream.put(f"key-{number}", START_S, number)
    settings = StreamSettings(batch_size=5, parallelization_factor=before)
    made = ScriptedDriver(stream, settings, service_s=lambda _: 1)
    made.open()
    made.run(0.5)
    for factor in (after, before, after):
        made = made.changed(parallelization_factor=factor)
        made.open()
        made.run(0.5)
    made.pause()
    made.run(1)
    known = [checkpoint_of(checkpoint_document(each)) for each in made.poller.checkpoints()]
    again = ScriptedDriver(stream, settings, checkpoints=known)
    again.open()
    again.run(60)

    assert list(range(40)) == sorted(chain.from_iterable(payloads(made) + payloads(again)))


@pytest.mark.parametrize("changes", [{}, {"parallelization_factor": 3}, {"batch_size": 50}])
def test_attempts_and_waits_outlive_a_change(changes: dict[str, Any]) -> None:
    """Of a batch that fails each time; what came with it, and after it, is not given up for it."""
    stream = ScriptedStream()
    made = opened(stream, failing_on(1), maximum_retry_attempts=2, batch_size=2, on_failure=True)
    put(made, 1, 2, 3, 4)
    made.run(1)
    for _ in range(8):
        made = made.changed(**changes)
        made.run(0.1)
        made.open()
    made.run(2)

    assert [[1, 2], [1, 2], [1, 2]] == payloads(made)[:3]
    assert [3, 4] == sorted(chain.from_iterable(payloads(made)[3:]))
    assert [1, 2, 3] == [each.attempt for each in made.deliveries[:3]]
    assert [3] == [each.invoke_count for each in made.discarded]


def test_a_wait_is_not_cut_short_by_a_change() -> None:
    made = opened(handler=lambda _: BAD)
    put(made, 1)
    made.run(60)
    before = len(made.deliveries)
    waits_s = made.deliveries[-1].at_s - made.deliveries[-2].at_s
    later = made.changed(ends_s=0)
    later.open()
    later.run(0.5)
    soon = len(later.deliveries)
    later.run(waits_s * 2)

    assert 16 == waits_s
    assert (before, before + 1) == (soon, len(later.deliveries))


def test_halves_stay_halves_over_a_change() -> None:
    made = opened(handler=failing_on(1), bisect=True, maximum_retry_attempts=1)
    put(made, 1, 2, 3, 4)
    made.run(1)
    made = made.changed()
    made.open()
    made.run(60)
    again = made.changed()
    again.open()
    again.run(10)

    assert [1, 2, 3, 4] == payloads(made)[0]
    assert 1 == sum([1, 2, 3, 4] == each for each in payloads(again))
    assert 1 == again.poller.counts.exhausted


def test_the_end_of_a_window_is_tried_no_oftener_over_a_change() -> None:
    def handler(batch: StreamBatch) -> BatchResult:
        return BAD if not batch.records else answer('{"state": {}}')

    made = opened(handler=handler, tumbling_window_s=10, maximum_retry_attempts=2)
    put(made, 1)
    for _ in range(10):
        made.run(1)
        made = made.changed()
        made.open()

    assert 3 == sum(not each.records for each in made.deliveries)


def test_a_listing_that_was_dropped_at_a_pause_is_made_again() -> None:
    poller = StreamPoller(StreamSettings())
    poller.open(START_S)
    poller.pause(START_S + 1)

    assert [ListShards(START_S + 2)] == poller.open(START_S + 2)


# ---------------------------------------------------------------- lineage


def test_a_named_child_waits_until_its_parents_are_known() -> None:
    """Of a merge with a new shard one read names the child, before a listing has that parent."""
    lineage = Lineage(StreamSettings())
    lineage.listed([ShardInfo("a"), ShardInfo("b")])
    child = ShardInfo("child", ("a", "new"))
    are_known = lineage.children([child])
    lineage.shards["a"].state = ShardState.FINISHED
    before = [shard.shard_id for shard in lineage.readable()]
    lineage.listed([ShardInfo("a"), ShardInfo("b"), ShardInfo("new", ("b",)), child])
    between = [shard.shard_id for shard in lineage.readable()]
    lineage.shards["new"].state = ShardState.FINISHED

    assert not are_known
    assert [["b"], ["b"], ["b", "child"]] == [
        before,
        between,
        [shard.shard_id for shard in lineage.readable()],
    ]


def test_a_parent_that_is_not_listed_has_expired() -> None:
    lineage = Lineage(StreamSettings())
    lineage.listed([ShardInfo("child", ("long gone",))])

    assert ["child"] == [shard.shard_id for shard in lineage.readable()]


def test_children_wait_for_the_last_batch_of_their_parent() -> None:
    stream = ScriptedStream()
    made = ScriptedDriver(stream, StreamSettings(), service_s=lambda _: 7)
    put(made, "parent")
    made.open()
    made.run(1)
    stream.split(SHARD)
    put(made, "child")
    made.run(60)

    assert [["parent"], ["child"]] == payloads(made)
    assert made.deliveries[1].at_s >= made.deliveries[0].at_s + 7


def test_a_child_of_a_merge_waits_for_both_parents() -> None:
    stream = ScriptedStream(2)
    held = ScriptedDriver(stream, StreamSettings(maximum_retry_attempts=3), failing_on("poison"))
    for number in range(20):
        stream.put(f"key-{number}", START_S, "poison" if number == 0 else "good")
    held.open()
    held.run(0)
    stream.merge(*stream.shards)
    put(held, "child")
    held.run(60)
    parents = [each for each in held.deliveries if each.payloads != ["child"]]

    assert ["child"] == held.deliveries[-1].payloads
    assert max(each.at_s for each in parents) <= held.deliveries[-1].at_s


def test_children_are_read_from_their_beginning_whatever_the_mapping_says() -> None:
    stream = ScriptedStream(names_children=False)
    made = opened(stream, starting_position=PositionType.LATEST, list_interval_s=300)
    stream.split(SHARD)
    put(made, "between the split and its discovery")
    made.run(5)

    assert [["between the split and its discovery"]] == payloads(made)


def test_closed_shards_that_grow_are_read_on_and_their_children_too() -> None:
    """As moto has it: the parent goes on taking records, its children stay empty."""
    stream = ScriptedStream(is_like_moto=True)
    made = opened(stream, closed_shards_grow=True, list_interval_s=2)
    put(made, 1)
    made.run(3)
    stream.split(SHARD)
    made.run(10)
    put(made, 2)
    made.run(10)
    read = {request.shard_id for request in stream.reads}

    assert [[1], [2]] == payloads(made)
    assert set(stream.shards) == read


def test_a_source_that_never_ends_a_closed_shard_is_believed_by_its_listing() -> None:
    stream = ScriptedStream(is_like_moto=True)
    made = opened(stream, list_interval_s=2)
    put(made, 1)
    made.run(3)
    stream.split(SHARD)
    made.run(10)

    assert 1 == made.poller.report(made.now_s).finished_shards
    assert 2 == made.poller.report(made.now_s).shards


# ---------------------------------------------------------------- batches


def test_a_window_gathers_and_a_full_batch_does_not_wait_for_it() -> None:
    made = opened(batch_size=3, batching_window_s=10)
    put(made, 1, 2)
    made.run(5)
    put(made, 3, 4)
    made.run(4)
    early = payloads(made)
    made.run(20)

    assert [[1, 2, 3]] == early
    assert [[1, 2, 3], [4]] == payloads(made)


def test_the_end_of_a_shard_ends_the_window_in_which_records_gather() -> None:
    stream = ScriptedStream()
    made = opened(stream, batching_window_s=300)
    put(made, 1)
    made.run(2)
    stream.split(SHARD)
    made.run(2)

    assert [[1]] == payloads(made)


def test_six_megabytes_end_a_batch() -> None:
    made = opened(batching_window_s=300)
    for number in range(5):
        made.stream.put("k", made.now_s, number, size_bytes=2_500_000)
    made.run(2)

    assert [[0, 1], [2, 3]] == payloads(made)


def test_a_record_above_six_megabytes_is_a_batch_of_its_own() -> None:
    made = opened()
    for number in range(2):
        made.stream.put("k", made.now_s, number, size_bytes=9_000_000)
    made.run(2)

    assert [[0], [1]] == payloads(made)


def test_as_many_batches_of_a_shard_run_as_the_factor_says_and_one_of_a_key() -> None:
    stream = ScriptedStream()
    for number in range(200):
        stream.put(f"key-{number % 20}", START_S, number)
    made = ScriptedDriver(
        stream, StreamSettings(parallelization_factor=4, batch_size=10), service_s=lambda _: 1
    )
    made.open()
    made.run(60)
    by_key = [
        [each.payload for delivery in made.deliveries for each in delivery.records if each.key == key]
        for key in ("key-3", "key-7")
    ]

    assert {SHARD: 4} == made.most_in_flight
    assert [sorted(each) for each in by_key] == by_key


def test_a_poison_record_blocks_its_sub_shard_alone() -> None:
    stream = ScriptedStream()
    for number in range(100):
        stream.put(f"key-{number % 20}", START_S, number)
    made = opened(stream, failing_on(0), parallelization_factor=10, batch_size=1)
    made.run(30)
    report = made.poller.report(made.now_s)

    assert 1 == report.blocked
    assert made.poller.counts.succeeded >= 80


def test_filtered_records_cause_no_invocation_and_are_checkpointed() -> None:
    made = opened(record_filter=lambda record: False)
    put(made, 1, 2)
    made.run(3)
    (checkpoint,) = made.poller.checkpoints()

    assert [] == made.deliveries
    assert (PositionType.AFTER_SEQUENCE_NUMBER, "102", None) == checkpoint.position


# ---------------------------------------------------------------- failures


def test_waits_between_attempts_double_from_a_quarter_of_a_second() -> None:
    made = opened(handler=lambda _: BAD, maximum_retry_attempts=5)
    put(made, 1)
    made.run(60)
    at_s = [each.at_s for each in made.deliveries]

    assert [0.25, 0.5, 1, 2, 4] == [later - sooner for sooner, later in pairwise(at_s)]


def test_throttles_are_no_attempts() -> None:
    results = iter([THROTTLED, THROTTLED, BAD, THROTTLED, GOOD])
    made = opened(handler=lambda _: next(results), maximum_retry_attempts=1)
    put(made, 1)
    made.run(60)

    assert [1, 1, 1, 2, 2] == [each.attempt for each in made.deliveries]
    assert (3, 1) == (made.poller.counts.throttles, made.poller.counts.succeeded)


def test_after_partial_progress_attempts_are_counted_anew() -> None:
    """One exception, then a report of the second record: that one is still tried twice."""

    def handle(batch: StreamBatch) -> BatchResult:
        last = batch.records[-1].sequence_number
        return (
            BAD if batch.attempt == 1 else answer(f'{{"batchItemFailures":[{{"itemIdentifier":"{last}"}}]}}')
        )

    made = opened(handler=handle, report_batch_item_failures=True, maximum_retry_attempts=1)
    put(made, 1, 2)
    made.run(60)

    assert [[1, 2], [1, 2], [2], [2]] == payloads(made)
    assert (1, 1) == (made.poller.counts.succeeded, made.poller.counts.exhausted)


def test_bisect_finds_the_poison_record_and_gives_up_nothing_else() -> None:
    made = opened(handler=failing_on(4), bisect=True, maximum_retry_attempts=1, on_failure=True, batch_size=7)
    put(made, *range(7))
    made.run(60)

    assert [[0, 1, 2, 3, 4, 5, 6], [0, 1, 2, 3], [4, 5, 6], [4, 5], [4], [4], [5], [6]] == payloads(made)
    assert [(1, 2)] == [(len(each.records), each.invoke_count) for each in made.discarded]
    assert (3, 6) == (made.poller.counts.bisects, made.poller.counts.succeeded)


def test_a_usable_report_is_cut_at_its_record_and_not_split() -> None:
    def handle(batch: StreamBatch) -> BatchResult:
        items = [{"itemIdentifier": each.sequence_number} for each in batch.records if each.payload == 2]
        return answer(json.dumps({"batchItemFailures": items}))

    made = opened(handler=handle, bisect=True, report_batch_item_failures=True, maximum_retry_attempts=1)
    put(made, *range(6))
    made.run(60)

    assert [[0, 1, 2, 3, 4, 5], [2, 3, 4, 5], [2, 3, 4, 5]] == payloads(made)
    assert 0 == made.poller.counts.bisects


def test_without_a_destination_discards_are_only_counted() -> None:
    made = opened(handler=lambda _: BAD, maximum_retry_attempts=0)
    put(made, 1)
    made.run(5)

    assert ([], 1) == (made.discarded, made.poller.counts.discards)


def test_what_the_stream_keeps_no_longer_is_given_up() -> None:
    made = opened(handler=lambda _: BAD, retention_s=3_600, on_failure=True)
    put(made, 1)
    made.run(3_601)

    assert ["RecordAgeExceeded"] == [each.condition.value for each in made.discarded]


def test_how_long_the_stream_keeps_records_is_what_the_last_listing_said() -> None:
    poller = StreamPoller(StreamSettings(retention_s=86_400, on_failure=True))
    poller.open(0.0)
    [request, *_] = poller.shards_listed(0.0, [ShardInfo("s")], retention_s=3_600)
    assert isinstance(request, ReadShard)
    page = StreamPage([StreamRecord(1, "1", "k", 3.0, 1, b"{}")], "next", (), 0.0)
    commands = poller.read(3_602.0, request, page)
    [batch] = [each.batch for each in commands if isinstance(each, InvokeBatch)]
    commands = poller.ended(3_603.0, batch, BAD)
    discarded = [each.discarded for each in commands if isinstance(each, SendToDestination)]

    assert ["RecordAgeExceeded"] == [each.condition.value for each in discarded]


# ---------------------------------------------------------------- tumbling windows


def counting(batch: StreamBatch) -> BatchResult:
    """Adds up the records of the window."""
    assert batch.window is not None
    total = json.loads(batch.window.state).get("n", 0) + len(batch.records)
    return answer(json.dumps({"state": {"n": total}}))


def windows(made: ScriptedDriver) -> list[tuple[int, str, bool]]:
    """Of each delivery: seconds from the beginning to the start of its window, state, whether it is final."""
    return [
        (int(each.window.start_s - START_S), each.window.state, each.window.is_final)
        for each in made.deliveries
        if each.window is not None
    ]


def test_a_window_has_its_state_and_a_final_invocation() -> None:
    made = opened(handler=counting, tumbling_window_s=30)
    put(made, 1, 2)
    made.run(10)
    put(made, 3)
    made.run(25)
    put(made, 4)
    made.run(60)

    assert [
        (0, "{}", False),
        (0, '{"n":2}', False),
        (0, '{"n":3}', True),
        (30, "{}", False),
        (30, '{"n":1}', True),
    ] == windows(made)


@pytest.mark.parametrize("limits", [{"maximum_retry_attempts": 1}, {"maximum_record_age_s": 60}])
def test_a_window_whose_end_is_given_up_is_told_and_counted(limits: dict[str, Any]) -> None:
    """Tried too often, or too old: there are no records that a destination could have."""

    def handler(batch: StreamBatch) -> BatchResult:
        return answer('{"state": {}}') if batch.records else BAD

    made = opened(handler=handler, tumbling_window_s=10, on_failure=True, **limits)
    put(made, 1)
    made.run(120)
    [notice] = made.notices

    assert (1, 1) == (made.poller.counts.windows, made.poller.counts.lost_windows)
    assert StreamNoticeKind.WINDOW_LOST is notice.kind
    assert "the window from 2025-12-31T23:58:00Z was given up (" in notice.text
    assert [] == made.discarded


def test_a_record_that_comes_after_the_end_of_its_window_belongs_to_the_next() -> None:
    made = opened(handler=counting, tumbling_window_s=30)
    put(made, 1)
    made.run(32)
    made.stream.put("k", START_S + 29, "late")
    made.run(60)

    assert [(0, "{}", False), (0, '{"n":1}', True), (30, "{}", False), (30, '{"n":1}', True)] == windows(made)


def test_the_end_of_a_shard_ends_its_window_before_children_are_read() -> None:
    stream = ScriptedStream()
    made = opened(stream, counting, tumbling_window_s=900)
    put(made, 1)
    made.run(2)
    stream.split(SHARD)
    put(made, 2)
    made.run(5)

    assert [("{}", False), ('{"n":1}', True), ("{}", False)] == [each[1:] for each in windows(made)]


def test_a_state_that_is_too_large_ends_the_window_early() -> None:
    def handle(batch: StreamBatch) -> BatchResult:
        return answer(json.dumps({"state": {"x": "y" * (MAX_STATE_BYTES if batch.records else 1)}}))

    made = opened(handler=handle, tumbling_window_s=30, batch_size=1)
    put(made, 1, 2)
    made.run(1)
    shown = [each.window for each in made.deliveries if each.window is not None]

    assert [(False, False), (True, True)] * 2 == [(each.is_final, each.is_terminated_early) for each in shown]
    assert 2 == made.poller.counts.terminated_windows


def test_an_answer_without_state_is_a_failure() -> None:
    made = opened(tumbling_window_s=30, maximum_retry_attempts=1, on_failure=True)
    put(made, 1)
    made.run(5)

    assert [[1], [1]] == payloads(made)
    assert 1 == len(made.discarded)


# ---------------------------------------------------------------- checkpoints and times


@pytest.mark.parametrize(
    "checkpoint",
    [
        ShardCheckpoint("s", LATEST),
        ShardCheckpoint("s", StreamPosition(PositionType.AT_TIMESTAMP, timestamp_s=1.5), True),
        ShardCheckpoint(
            "s",
            StreamPosition(PositionType.AT_SEQUENCE_NUMBER, "9" * 56),
            False,
            (10**55, 3),
            (60, '{"a":1}'),
            ((1, 10**55), (5,)),
        ),
    ],
)
def test_a_checkpoint_outlives_json(checkpoint: ShardCheckpoint) -> None:
    assert checkpoint == checkpoint_of(json.loads(json.dumps(checkpoint_document(checkpoint))))


def test_after_a_restart_with_another_factor_nothing_is_lost() -> None:
    stream = ScriptedStream()
    for number in range(40):
        stream.put(f"key-{number % 10}", START_S, number)
    first = opened(stream, failing_on(7), parallelization_factor=5, batch_size=3)
    first.run(2)
    second = ScriptedDriver(
        stream, StreamSettings(parallelization_factor=2), checkpoints=first.poller.checkpoints()
    )
    second.open()
    second.run(5)
    seen = {payload for made in (first, second) for each in payloads(made) for payload in each}

    assert set(range(40)) == seen
    assert 7 in second.deliveries[0].payloads


@pytest.mark.parametrize(
    ("at_s", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (951_782_399.999, "2000-02-28T23:59:59.999Z"),
        (951_782_400, "2000-02-29T00:00:00.000Z"),
        (1_607_497_475 // 120 * 120, "2020-12-09T07:04:00.000Z"),
        (1_545_084_650.987, "2018-12-17T22:10:50.987Z"),
        (4_107_542_400, "2100-03-01T00:00:00.000Z"),
    ],
)
def test_times_are_those_of_the_calendar(at_s: float, text: str) -> None:
    assert text == iso_time(at_s, milliseconds=True)
    assert text[:19] + "Z" == iso_time(at_s)
