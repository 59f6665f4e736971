"""A mapping in virtual time: batches and windows, what outcomes do to messages, throttles, FIFO, stop."""

import anyio
import orjson
import pytest
from pydantic import ValidationError

from engine.core.event import Event
from engine.core.invocation import Result
from engine.core.outcome import Status
from engine.core.payload_limits import MAX_EVENT_BYTES
from engine.core.recursion import RecursionGuard
from engine.errors import ConfigError
from engine.ports import Host
from engine.services.sqs.message import Attribute
from engine.services.sqs.queue import ReceiptStatus
from engine.sources.sqs.settings import SqsEvent
from engine.sources.sqs.source import SqsSource
from engine.testing import Act

REDRIVE = {"dead_letter_queue": "dlq", "max_receive_count": 2}
QUICK = {"q": {"visibility_timeout_s": 10}}


def letters(count):
    return [chr(ord("a") + number) for number in range(count)]


# ---------------------------------------------------------------- batches


async def test_messages_that_are_there_come_in_batches_at_once(make_site):
    """Ten at a time by default; what is left makes a smaller one."""
    async with make_site() as site:
        site.send(*letters(23))
        await anyio.sleep(0.01)

        assert [10, 10, 3] == [len(batch) for batch in site.batches]
        assert letters(23) == site.bodies
        assert (0, 0) == site.left()
        assert {"polled": 23, "delivered": 23, "deleted": 23, "failed": 0, "filtered": 0, "dropped": 0} == (
            site.entry.counts.by_result()
        )


async def test_what_is_sent_in_one_turn_of_the_loop_shares_a_batch(make_site):
    """A mapping that waits is woken by the first, and looks when the turn is over."""
    async with make_site() as site:
        site.send("a")
        site.send("b")
        await anyio.sleep(0.01)

        assert [["a", "b"]] == site.batches


async def test_a_window_gathers_until_the_batch_is_full(make_site):
    """Then it does not wait for the window to end."""
    async with make_site({"batch_size": 4, "maximum_batching_window_s": 5}) as site:
        for letter in letters(4):
            site.send(letter)
            await anyio.sleep(1)

        assert [letters(4)] == site.batches
        assert [3.0] == site.times


async def test_a_window_ends_after_its_time_counted_from_the_first_message(make_site):
    """However few there are by then; the next one begins with the next message."""
    async with make_site({"maximum_batching_window_s": 5}) as site:
        await anyio.sleep(2)
        site.send("a")
        await anyio.sleep(3)
        site.send("b")
        await anyio.sleep(10)
        site.send("c")
        await anyio.sleep(6)

        assert [["a", "b"], ["c"]] == site.batches
        assert [7.0, 20.0] == site.times


async def test_a_batch_of_ten_thousand_is_gathered_within_its_window(make_site):
    """More than one receive gives."""
    async with make_site({"batch_size": 10_000, "maximum_batching_window_s": 1}) as site:
        site.send(*["x"] * 12_000)
        await anyio.sleep(2)

        assert [10_000, 2_000] == [len(batch) for batch in site.batches]


async def test_a_batch_is_no_larger_than_a_payload_may_be(make_site):
    """What does not fit follows when the first part has ended, without being received again."""
    large = "x" * 1_000_000
    async with make_site(act=lambda _: Act(takes_s=2)) as site:
        site.send(*[large] * 8)
        await anyio.sleep(10)

        assert [6, 2] == [len(batch) for batch in site.batches]
        assert [0.0, 2.0] == site.times
        assert all(len(orjson.dumps({"Records": run.records})) <= MAX_EVENT_BYTES for run in site.runs)
        assert {"1"} == {record["attributes"]["ApproximateReceiveCount"] for record in site.runs[1].records}
        assert (0, 0) == site.left()


async def test_messages_of_a_loop_are_deleted_and_others_are_not(make_site):
    """The function was invoked 16 times in the chain of one; the batch goes by what came the longest way."""
    async with make_site({"batch_size": 2, "maximum_batching_window_s": 1}) as site:
        function = site.functions[0].name
        guard = RecursionGuard()
        traces = ["Root=1-5e6a88ee-aaaabbbbccccddddeeeeffff"]
        for _ in range(16):
            traces.append(guard.enter(function, traces[-1]))
        for trace in (traces[14], None, traces[15], None):
            site.send("x", trace=trace)
        await anyio.sleep(5)

        assert [["x", "x"]] == site.batches
        assert (0, 0) == site.left()


async def test_the_record_is_the_one_aws_makes(make_site):
    """Keys, their order, and the strings they hold."""
    attributes = {
        "WeeksOn": Attribute("Number", "6"),
        "Author": Attribute("String", "John Grisham"),
        "Title": Attribute("String", "The Whistler"),
    }
    async with make_site() as site:
        [message_id] = site.send("Test message.", attributes=attributes)
        await anyio.sleep(0.01)

        [record] = site.runs[0].records
        assert record.pop("receiptHandle")
        empty = {"stringListValues": [], "binaryListValues": []}
        assert {
            "messageId": message_id,
            "body": "Test message.",
            "attributes": {
                "ApproximateReceiveCount": "1",
                "SentTimestamp": "1767225600000",
                "SenderId": "000000000000",
                "ApproximateFirstReceiveTimestamp": "1767225600000",
            },
            "messageAttributes": {
                "WeeksOn": {"stringValue": "6", **empty, "dataType": "Number"},
                "Author": {"stringValue": "John Grisham", **empty, "dataType": "String"},
                "Title": {"stringValue": "The Whistler", **empty, "dataType": "String"},
            },
            "md5OfMessageAttributes": "d25a6aea97eb8f585bfa92d314504a92",
            "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:q",
            "awsRegion": "us-east-1",
        } == record


async def test_rare_attributes_of_a_record_stand_where_aws_puts_them(make_site):
    """Of a FIFO queue, of a trace, of a dead letter, and bytes."""
    site = make_site(
        {"queue": "dlq.fifo"},
        queues={"q.fifo": {"redrive": {"dead_letter_queue": "dlq.fifo", "max_receive_count": 1}}},
    )
    async with site:
        attributes = {"Photo": Attribute("Binary.png", b"\x00\x01")}
        site.send("a", name="q.fifo", group="g", trace="Root=1", attributes=attributes)
        site.queue("q.fifo").receive(1, site.clock.now(), 0)
        site.queue("q.fifo").receive(1, site.clock.now(), 0)
        await anyio.sleep(1)

        [record] = site.runs[0].records
        assert [
            "ApproximateReceiveCount",
            "SentTimestamp",
            "SequenceNumber",
            "MessageGroupId",
            "SenderId",
            "MessageDeduplicationId",
            "ApproximateFirstReceiveTimestamp",
            "AWSTraceHeader",
            "DeadLetterQueueSourceArn",
        ] == list(record["attributes"])
        assert "arn:aws:sqs:us-east-1:000000000000:q.fifo" == record["attributes"]["DeadLetterQueueSourceArn"]
        assert {
            "binaryValue": "AAE=",
            "stringListValues": [],
            "binaryListValues": [],
            "dataType": "Binary.png",
        } == record["messageAttributes"]["Photo"]


@pytest.mark.parametrize(("window_s", "expected"), [(0, "absent"), (1, None)])
async def test_the_digest_of_no_attributes_is_absent_or_with_a_window_null(make_site, window_s, expected):
    """As recorded."""
    async with make_site({"maximum_batching_window_s": window_s}) as site:
        site.send("a")
        await anyio.sleep(2)

        assert expected == site.runs[0].records[0].get("md5OfMessageAttributes", "absent")


# ---------------------------------------------------------------- outcomes

DELETED, BACK = (0, 0), (0, 3)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"null", DELETED),
        (b"{}", DELETED),
        (b"", DELETED),
        (b'""', DELETED),
        (b'{"batchItemFailures":[]}', DELETED),
        (b'{"batchItemFailures":null}', DELETED),
        (b'{"batchItemFailures":[{"itemIdentifier":""}]}', BACK),
        (b'{"batchItemFailures":[{"itemIdentifier":null}]}', BACK),
        (b'{"batchItemFailures":[{"itemIdentifier":"nobody"}]}', BACK),
        (b'{"batchItemFailures":[{"foo":"ID"}]}', BACK),
        (b'{"batchItemFailures":["ID"]}', BACK),
        (b'{"batchItemFailures":{"itemIdentifier":"ID"}}', BACK),
        (b'{"batchItemFailures":[{"itemIdentifier":"ID"},{"itemIdentifier":"nobody"}]}', BACK),
        (b'{"batchItemFailures":[{"itemIdentifier":"ID"}]}', (0, 1)),
        (b'{"batchItemFailures":[{"itemIdentifier":"ID"},{"itemIdentifier":"ID"}]}', (0, 1)),
        (b'{"statusCode":200}', DELETED),
        (b'{"batchItemFailures', BACK),
        (b'"a text"', BACK),
        (b"[1]", BACK),
        (b"0", BACK),
    ],
)
async def test_what_a_reporting_function_answers_decides_message_by_message(make_site, answer, expected):
    """The failure table of partial batch responses."""
    site = make_site(
        {"report_batch_item_failures": True},
        act=lambda run: Result(Status.SUCCESS, answer.replace(b"ID", run.records[1]["messageId"].encode())),
    )
    async with site:
        site.send("a", "b", "c")
        await anyio.sleep(1)

        assert expected == site.left()
        assert [letters(3)] == site.batches


async def test_a_handler_may_do_with_its_event_what_it_likes(make_site):
    """What is deleted is what was received."""
    async with make_site({"report_batch_item_failures": True}, act=lambda run: run.records.clear()) as site:
        site.send("a", "b")
        await anyio.sleep(1)

        assert ((0, 0), 2) == (site.left(), site.entry.counts.deleted)


async def test_without_reporting_a_success_deletes_all_whatever_was_returned(make_site):
    """Even a list of failures."""
    site = make_site(act=lambda run: {"batchItemFailures": [{"itemIdentifier": run.records[0]["messageId"]}]})
    async with site:
        site.send("a", "b")
        await anyio.sleep(1)

        assert (0, 0) == site.left()


@pytest.mark.parametrize("status", [Status.ERROR, Status.CRASH, Status.OOM])
@pytest.mark.parametrize("reporting", [False, True])
async def test_a_failed_invocation_deletes_nothing_and_visibility_is_left_as_it_is(
    make_site, status, reporting
):
    """The messages come again when their timeout is over, in a batch that is received anew."""
    site = make_site(
        {"report_batch_item_failures": reporting}, act=lambda _: Result(status, b"{}"), queues=QUICK
    )
    async with site:
        site.send("a", "b")
        await anyio.sleep(11)

        assert [["a", "b"], ["a", "b"]] == site.batches
        assert [0.0, 10.0] == site.times
        assert "2" == site.runs[1].records[0]["attributes"]["ApproximateReceiveCount"]
        assert 4 == site.entry.counts.failed


async def test_a_timeout_is_a_failure(make_site):
    """The function's deadline, not the queue's."""
    async with make_site(act=lambda _: Act(takes_s=60), queues=QUICK) as site:
        site.send("a")
        await anyio.sleep(5)

        assert (0, 1) == site.left()
        assert 1 == site.entry.counts.failed


async def test_bytes_are_no_report(make_site):
    """A function that reports must return JSON."""
    site = make_site(
        {"report_batch_item_failures": True}, act=lambda _: Result(Status.SUCCESS, b"{}", raw=True)
    )
    async with site:
        site.send("a")
        await anyio.sleep(1)

        assert (0, 1) == site.left()


async def test_what_fails_too_often_goes_to_the_dead_letter_queue(make_site):
    """The queue's redrive policy, not the function's own queue."""
    site = make_site(
        act=lambda _: Result(Status.ERROR, b"{}"),
        queues={"q": {"visibility_timeout_s": 5, "redrive": REDRIVE}},
    )
    async with site:
        site.send("a")
        await anyio.sleep(30)

        assert [0.0, 5.0] == site.times
        assert ((0, 0), (1, 0)) == (site.left(), site.left("dlq"))


async def test_messages_are_hidden_for_as_long_as_a_batch_may_be_in_work(make_site):
    """Window, timeout and half a minute, where that is more than the queue's own timeout."""
    site = make_site(
        {"maximum_batching_window_s": 5},
        act=lambda _: Result(Status.ERROR, b"{}"),
        queues={"q": {"visibility_timeout_s": 6}},
        function={"timeout_s": 20},
    )
    async with site:
        site.send("a")
        await anyio.sleep(70)

        assert [5.0, 60.0] == site.times
        [line] = site.said
        assert "less than the timeout of function 'work' (20 s): its mapping hides them for 55 s" in line


# ---------------------------------------------------------------- filters


async def test_what_no_filter_matches_is_deleted_and_nobody_runs_for_it(make_site):
    """A pattern for JSON drops plain text too."""
    site = make_site({"filters": [{"body": {"kind": ["order"]}}, '{"body": {"n": [{"numeric": [">", 5]}]}}']})
    async with site:
        site.send('{"kind":"order"}', '{"kind":"other"}', "plain", '{"n":6}', '{"n":5}')
        await anyio.sleep(0.01)

        assert [['{"kind":"order"}', '{"n":6}']] == site.batches
        assert (0, 0) == site.left()
        assert (5, 3, 2) == (
            site.entry.counts.polled,
            site.entry.counts.filtered,
            site.entry.counts.delivered,
        )


async def test_a_queue_of_which_nothing_passes_is_emptied(make_site):
    """Without an invocation."""
    async with make_site({"filters": ['{"body": ["wanted"]}']}) as site:
        site.send(*["x"] * 500)
        await anyio.sleep(1)

        assert ((0, 0), []) == (site.left(), site.runs)


# ---------------------------------------------------------------- concurrency and throttles


async def test_no_more_batches_run_than_maximum_concurrency_and_no_more_is_received(make_site):
    """The messages it has no room for stay visible, for others, and uncounted."""
    site = make_site({"batch_size": 1, "maximum_concurrency": 2}, act=lambda _: Act(takes_s=1))
    async with site:
        site.send(*letters(5))
        await anyio.sleep(0.5)

        assert (3, 2) == site.left()
        await anyio.sleep(3)
        assert [0.0, 0.0, 1.0, 1.0, 2.0] == site.times


async def test_a_throttled_batch_is_tried_again_with_the_same_receipts(make_site):
    """Not received again: its receive count stays at one."""
    site = make_site(
        {"batch_size": 1}, act=lambda _: Act(takes_s=2), function={"reserved_concurrency": 1, "timeout_s": 5}
    )
    async with site:
        site.send("a", "b", "c")
        await anyio.sleep(12)

        assert letters(3) == site.bodies
        counts = {run.records[0]["attributes"]["ApproximateReceiveCount"] for run in site.runs}
        assert {"1"} == counts
        assert site.entry.counts.throttled > 0
        assert ((0, 0), 0) == (site.left(), site.entry.counts.returned)


async def test_a_batch_that_is_throttled_until_its_timeout_goes_back(make_site):
    """From there the queue goes on: counts rise, and redrive strikes."""
    site = make_site(
        queues={"q": {"visibility_timeout_s": 20, "redrive": REDRIVE}}, function={"reserved_concurrency": 0}
    )
    async with site:
        site.send("a")
        await anyio.sleep(45)

        assert ((0, 0), (1, 0)) == (site.left(), site.left("dlq"))
        assert ([], 2) == (site.runs, site.entry.counts.returned)
        assert site.entry.counts.throttled >= 8


async def test_several_mappings_of_a_queue_share_its_messages(make_site):
    """Each message goes to one of them."""
    async with make_site({"batch_size": 1}, {"batch_size": 1}, act=lambda _: Act(takes_s=1)) as site:
        site.send(*letters(26))
        await anyio.sleep(10)

        assert letters(26) == sorted(site.bodies)
        assert all(entry.counts.delivered for entry in site.source)


# ---------------------------------------------------------------- FIFO


async def test_a_group_is_in_one_batch_at_a_time_and_groups_run_beside_each_other(make_site):
    """Concurrency is the number of groups with messages."""
    site = make_site(
        {"queue": "q.fifo", "batch_size": 2}, act=lambda _: Act(takes_s=1), queues={"q.fifo": {}}
    )
    async with site:
        for group in ("x", "y"):
            site.send(*[f"{group}{n}" for n in range(4)], name="q.fifo", group=group)
        await anyio.sleep(5)

        assert [0.0, 0.0, 1.0, 1.0] == site.times
        assert [["x0", "x1"], ["y0", "y1"]] == sorted(site.batches[:2])
        assert [["x2", "x3"], ["y2", "y3"]] == sorted(site.batches[2:])


async def test_after_a_failure_a_group_goes_on_with_the_messages_that_failed(make_site, failure):
    """Newer ones wait until these are visible again, and come after them."""
    outcomes = iter([failure])
    site = make_site(
        {"queue": "q.fifo", "batch_size": 2},
        act=lambda _: next(outcomes, None),
        queues={"q.fifo": {"visibility_timeout_s": 10}},
    )
    async with site:
        site.send("a", "b", "c", name="q.fifo", group="g")
        await anyio.sleep(15)

        assert [["a", "b"], ["a", "b"], ["c"]] == site.batches
        assert [0.0, 10.0, 10.0] == site.times


@pytest.mark.parametrize(("keep", "expected"), [(False, [["b"]]), (True, [["b", "c"]])])
async def test_aws_deletes_what_was_not_reported_and_an_option_keeps_the_order(make_site, keep, expected):
    """`keep_group_order` takes the later ones of the group with it; those of other groups are deleted."""
    site = make_site(
        {"queue": "q.fifo", "report_batch_item_failures": True, "keep_group_order": keep},
        act=lambda run: {
            "batchItemFailures": [
                {"itemIdentifier": one["messageId"]} for one in run.records if one["body"] == "b"
            ][: len(site.runs) == 1]
        },
        queues={"q.fifo": {"visibility_timeout_s": 10}},
    )
    async with site:
        site.send("a", "b", "c", name="q.fifo", group="g")
        site.send("z", name="q.fifo", group="h")
        await anyio.sleep(15)

        assert [["a", "b", "c", "z"], *expected] == site.batches
        assert (0, 0) == site.left("q.fifo")


async def test_the_rest_of_a_large_fifo_batch_does_not_overtake_what_failed(make_site, failure):
    """It goes back, and comes again behind it."""
    outcomes = iter([failure])
    site = make_site(
        {"queue": "q.fifo"},
        act=lambda _: next(outcomes, None),
        queues={"q.fifo": {"visibility_timeout_s": 10}},
    )
    async with site:
        site.send(*[f"{n}" + "x" * 1_000_000 for n in range(8)], name="q.fifo", group="g")
        await anyio.sleep(30)

        seen = ["".join(body[0] for body in batch) for batch in site.batches]
        assert "012345" == seen[0]
        assert "01234567" == "".join(seen[1:])


# ---------------------------------------------------------------- coming and going


async def test_stopping_lets_batches_end_and_gives_everything_else_back(make_site):
    """Messages that only waited for a window are visible at once."""
    events = ({"batch_size": 1, "maximum_concurrency": 2}, {"queue": "w", "maximum_batching_window_s": 60})
    site = make_site(*events, act=lambda _: Act(takes_s=2), queues={"q": {}, "w": {}})
    async with site:
        site.send(*letters(5))
        site.send("gathered", name="w")
        await anyio.sleep(1)
        site.stopping.set()
        await anyio.sleep(0.01)
        assert (1, 0) == site.left("w")
        await anyio.sleep(5)

        assert ((3, 0), [["a"], ["b"]]) == (site.left(), site.batches)


async def test_a_queue_that_is_missing_is_made_and_one_that_comes_back_is_polled(make_site):
    """Deleted and created again under the same name."""
    async with make_site({"queue": "new"}) as site:
        site.send("a", name="new")
        await anyio.sleep(1)
        site.service.queues.delete("new")
        await anyio.sleep(1)
        site.service.queues.create("new", {}, {}, site.clock.now())
        site.send("b", name="new")
        await anyio.sleep(1)

        assert [["a"], ["b"]] == site.batches


async def test_a_batch_of_a_deleted_queue_is_not_that_of_its_successor(make_site):
    """What waited for its window is sent at once; messages of the new queue have a window of their own."""
    async with make_site({"maximum_batching_window_s": 60}) as site:
        site.send("a")
        await anyio.sleep(1)
        site.service.queues.delete("q")
        site.service.queues.create("q", {}, {}, site.clock.now())
        site.send("b", "c")
        await anyio.sleep(62)

        assert ([["a"], ["b", "c"]], [1.0, 61.0]) == (site.batches, site.times)
        assert (0, 0) == site.left()


async def test_mappings_come_change_and_go_while_the_source_serves(make_site):
    """Opened, given another function, switched off and on, closed."""
    async with make_site({"enabled": False}) as site:
        site.send("a")
        await anyio.sleep(1)
        assert [] == site.batches

        entry, on = site.entry, SqsEvent(queue="q")
        site.source.change(entry, "other", None, on, lambda: 3.0)
        await anyio.sleep(1)
        site.source.close(entry)
        site.send("b")
        await anyio.sleep(1)
        assert ([("other", ["a"])], (1, 0)) == ([(r.function, r.bodies) for r in site.runs], site.left())

        site.source.open("work", None, on, lambda: 3.0)
        await anyio.sleep(1)
        assert ("work", ["b"]) == (site.runs[-1].function, site.runs[-1].bodies)


async def test_a_function_that_is_gone_loses_no_message(make_site):
    """They are tried as long as their timeout, and go back."""
    async with make_site(queues=QUICK) as site:
        site.engine.deployments.remove("work")
        await anyio.sleep(1)
        site.send("a")
        await anyio.sleep(9)
        assert (0, 1) == site.left()
        site.source.close(site.entry)
        await anyio.sleep(10)

        assert ((1, 0), []) == (site.left(), site.runs)


async def test_the_numbers_of_a_mapping_are_told(make_site):
    """For metrics, at each scrape."""
    site = make_site({"batch_size": 1, "maximum_concurrency": 2}, act=lambda _: Act(takes_s=10))
    async with site:
        site.send(*letters(5))
        await anyio.sleep(2)
        [(entry, numbers)] = site.source.statistics()

        assert "q:work" == entry.name
        assert (2, 2, 3, 2.0) == (
            numbers.running,
            numbers.wanted,
            numbers.backlog,
            round(numbers.oldest_age_s, 3),
        )


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({"batch_size": 11}, "needs maximum_batching_window_s of 1 or more"),
        ({"batch_size": 0}, "greater than or equal to 1"),
        ({"batch_size": 10_001}, "less than or equal to 10000"),
        ({"maximum_batching_window_s": 301}, "less than or equal to 300"),
        ({"queue": "q.fifo", "batch_size": 11}, "AWS maximum for a FIFO queue"),
        ({"queue": "q.fifo", "maximum_batching_window_s": 1}, "has no maximum_batching_window_s"),
        ({"keep_group_order": True}, "for FIFO queues"),
        ({"maximum_concurrency": 1}, "greater than or equal to 2"),
        ({"maximum_concurrency": 1_001}, "less than or equal to 1000"),
        ({"maximum_concurrency": 5, "provisioned_pollers": {}}, "exclude each other"),
        ({"provisioned_pollers": {"minimum": 5, "maximum": 4}}, "is above maximum"),
        ({"provisioned_pollers": {}, "scaling": "deadline"}, "exclude each other"),
        ({"scaling": "sqx"}, "did you mean 'sqs'"),
        ({"scaling": {"policy": "deadline", "what": 1}}, "unexpected keyword argument 'what'"),
        ({"scaling": {"policy": "deadline", "deadline_s": "1"}}, "are numbers of 0 or more"),
        ({"scaling": {"deadline_s": 1}}, "the table needs a key policy"),
        ({"queue": "a b"}, "the name of a queue"),
        ({"filters": ["{}"]}, "not empty"),
        ({"filters": ['{"body": {"a": "text"}}']}, "must be an object or an array"),
        ({"filters": ['{"body": ["x"]}'] * 11}, "at most 10"),
        ({"what": 1}, "Extra inputs"),
    ],
)
def test_settings_that_cannot_be_are_refused_with_a_reason(table, reason):
    """Bounds are AWS's."""
    with pytest.raises(ValidationError) as caught:
        SqsEvent(**{"queue": "q", **table})

    assert reason in str(caught.value)


def test_a_mapping_needs_queues():
    """An engine without them says so."""
    host = Host(account=None, clock=None, new_request_id=str, listen={})
    with pytest.raises(ConfigError, match="need the queues"):
        SqsSource.build([], host)


# ---------------------------------------------------------------- in between


async def test_a_batch_that_waits_for_concurrency_goes_back_at_a_stop(make_site):
    """At once, not when its timeout is over."""
    async with make_site(function={"reserved_concurrency": 0}) as site:
        site.send("a")
        await anyio.sleep(1)
        assert (0, 1) == site.left()
        site.stopping.set()
        await anyio.sleep(0.01)

        assert ((1, 0), 1) == (site.left(), site.entry.counts.returned)


async def test_an_engine_that_takes_nothing_is_not_asked_again(make_site):
    """What was received is visible again, and the mapping leaves the rest alone."""
    async with make_site() as site:
        await site.engine.drain()
        site.send(*letters(25))
        await anyio.sleep(5)

        assert ((25, 0), [], 10) == (site.left(), site.runs, site.entry.counts.polled)


async def test_what_the_engine_cancels_comes_again_after_its_timeout(make_site):
    """The handler may have got anywhere."""
    async with make_site(act=lambda _: Act(takes_s=2), queues=QUICK, grace_s=1.0) as site:
        site.send("a")
        await anyio.sleep(0.5)
        await site.engine.drain()
        assert ((0, 1), 1) == (site.left(), site.entry.counts.returned)
        await anyio.sleep(10)

        assert (1, 0) == site.left()


@pytest.mark.parametrize(("taken", "expected"), [(["a"], 1), (["a", "b"], 0)])
async def test_messages_that_are_gone_leave_a_batch_that_waits(make_site, taken, expected):
    """Its timeout must be made longer at 6.3 s: those that are not there any more are seen then.

    The others are given up then, and come again when their first timeout is over.
    """
    site = make_site(queues=QUICK, function={"reserved_concurrency": 0, "timeout_s": 5})
    async with site:
        site.send("a", "b")
        await anyio.sleep(1)
        receipts = {"a": 1, "b": 2}
        site.queue().delete_all([receipts[one] for one in taken], site.clock.now())
        await anyio.sleep(8.9)
        assert ((0, expected), expected) == (site.left(), site.entry.counts.returned)
        await anyio.sleep(0.2)
        assert 2 + expected == site.entry.counts.polled
        await anyio.sleep(19)

        assert ((0, expected), 3 * expected) == (site.left(), site.entry.counts.returned)
        [(_, numbers)] = site.source.statistics()
        assert 0 == numbers.running


@pytest.mark.parametrize("slots", [2, 3])
async def test_a_message_that_is_visible_again_leaves_the_batch_that_waits(make_site, slots):
    """It is in the next batch alone: with two slots nobody has received it yet, with three the mapping has.

    The batches wait for concurrency, which somebody else has, and make their timeout longer at 3.1 s.
    """
    site = make_site(
        {"batch_size": 2, "maximum_concurrency": slots},
        act=lambda run: Act(takes_s=0 if run.records else 3.05),
        queues=QUICK,
        function={"reserved_concurrency": 1, "timeout_s": 8},
    )
    async with site:
        other = Event("work", None, "other", site.clock.now(), "api", {"Records": []})
        site.engine.sink.submit(other, lambda _: None)
        site.send("a", "b", "c", "d")
        await anyio.sleep(3)
        queue, now_s = site.queue(), site.clock.now()
        assert ReceiptStatus.DONE == queue.change_visibility(1, 0, now_s)
        queue.wake_waiters(now_s)
        await anyio.sleep(30)

        assert [["b"], ["a"], ["c", "d"]] == site.batches[1:]
        assert ["1", "2", "1"] == [
            run.records[0]["attributes"]["ApproximateReceiveCount"] for run in site.runs[1:]
        ]
        assert ((0, 0), 4) == (site.left(), site.entry.counts.deleted)


async def test_the_rest_of_a_large_batch_is_left_out_if_it_is_gone(make_site):
    """The queue was purged while the first part ran; the slot is free."""
    async with make_site(act=lambda _: Act(takes_s=15), function={"timeout_s": 20}) as site:
        site.send(*["x" * 1_000_000] * 8)
        await anyio.sleep(1)
        site.queue().purge()
        await anyio.sleep(20)

        assert [6] == [len(batch) for batch in site.batches]
        [(_, numbers)] = site.source.statistics()
        assert 0 == numbers.running


async def test_the_rest_of_a_large_batch_goes_back_with_it(make_site):
    """When it was throttled for too long."""
    site = make_site(queues=QUICK, function={"reserved_concurrency": 0})
    async with site:
        site.send(*["x" * 1_000_000] * 8)
        await anyio.sleep(9)

        assert (8, 10) == (site.entry.counts.returned, site.entry.counts.polled)


async def test_the_rest_of_a_large_batch_goes_back_at_a_stop(make_site):
    """When the first part has ended."""
    async with make_site(act=lambda _: Act(takes_s=2)) as site:
        site.send(*["x" * 1_000_000] * 8)
        await anyio.sleep(1)
        site.stopping.set()
        await anyio.sleep(3)

        assert ((2, 0), [6]) == (site.left(), [len(batch) for batch in site.batches])
