"""Asynchronous invocation in virtual time: attempts, ages, destinations, and nothing lost."""

import asyncio
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.core.destinations import DeliveryError, expanded
from engine.core.engine_events import DeliveryFailed, EventDropped, EventsAbandoned
from engine.core.error_bodies import InitFailure
from engine.core.event import MISSING, Event
from engine.core.function import Account
from engine.core.invocation import Result
from engine.core.outcome import Status
from engine.core.retry import AsyncCounts, AsyncInvokeConfig, async_backoff_s
from engine.errors import FunctionNotFound, NotAccepting
from engine.runtime.async_queue import AsyncParts, AsyncQueue
from engine.testing import Act, VirtualTimeLoop

ACCOUNT = Account()
ERROR = Result(Status.ERROR, b'{"errorMessage": "no", "errorType": "KeyError"}')
HOUR_S = 3600


class Queue:
    """An `AsyncQueue` before a runtime, with senders that remember."""

    def __init__(self, runtime, account=ACCOUNT):
        self.runtime = runtime
        self.clock, self.loop = runtime.clock, runtime.loop
        self.began_s = self.clock.now()
        self.configs = {}
        self.counts = {}
        self.ages = []
        self.notices = []
        self.delivered = []
        self.full = False
        self.outcomes = []
        self.queue = AsyncQueue(
            runtime.dispatcher,
            AsyncParts(
                loop=self.loop,
                clock=self.clock,
                account=account,
                config_of=lambda event: self.configs.get(event.function, AsyncInvokeConfig()),
                counts=self.counts.__getitem__,
                senders=dict.fromkeys(("sqs", "s3", "events"), self.carry),
                new_request_id=lambda: "new-id",
                notify=self.notices.append,
            ),
        )

    def carry(self, arn, record):
        if self.full:
            raise DeliveryError(arn, "it is full")
        self.delivered.append((arn.rpartition(":")[2], record))

    def add(self, name="f", act=lambda _: Act(), terms=None, **keys):
        """A function; `attempts` is when each of its attempts began, and of which event."""
        attempts = []

        def acted(invocation):
            attempts.append((round(self.clock.now() - self.began_s, 3), invocation.event.request_id))
            return act(invocation)

        self.runtime.add(name, act=acted, init=lambda _: 0.0, **keys)
        self.counts[name] = AsyncCounts(self.ages.append)
        if terms is not None:
            destinations = {
                key: expanded(value, ACCOUNT)
                for key, value in terms.items()
                if key in ("on_success", "on_failure", "dead_letter_queue")
            }
            self.configs[name] = AsyncInvokeConfig(**{**terms, **destinations})
        return attempts

    def send(self, name="f", **keys):
        event = self.runtime.event(name, **keys)
        self.queue.submit(event, self.outcomes.append)
        return event

    def records(self, name):
        return [json.loads(record.body) for to, record in self.delivered if to == name]


@pytest.fixture
async def queue(runtime):
    """Before an account of 1,000 units."""
    return Queue(runtime)


@pytest.fixture
async def narrow(runtime_class):
    """Before an account of one unit."""
    return Queue(runtime_class(1))


def failing(times):
    """Fails as often, then succeeds."""
    seen = []

    def act(_):
        seen.append(1)
        return Act(result=ERROR) if len(seen) <= times else Act()

    return act


# ---------------------------------------------------------------- function errors


async def test_an_event_that_succeeds_is_run_once(queue):
    """And counted, and answered."""
    attempts = queue.add()
    queue.runtime.open()

    event = queue.send()
    await asyncio.sleep(1)

    assert [(0, event.request_id)] == attempts
    assert [Status.SUCCESS] == [outcome.status for outcome in queue.outcomes]
    assert (1, 1, 0) == (queue.counts["f"].accepted, queue.counts["f"].delivered, queue.counts["f"].retried)
    assert (0, 0, []) == (queue.queue.unfinished, queue.runtime.levels().in_flight, queue.notices)


@pytest.mark.parametrize("status", [Status.ERROR, Status.CRASH, Status.OOM])
async def test_a_function_error_is_retried_a_minute_and_two_minutes_later(queue, status):
    """With the same request id, and the same payload."""
    payloads = []

    def act(invocation):
        payloads.append((invocation.event.payload, invocation.event.document))
        invocation.event.document = MISSING
        return Act(result=Result(status, b"{}"))

    attempts = queue.add(act=act)
    queue.runtime.open()

    event = Event("f", None, "the-id", queue.clock.now(), "event", {"n": 1})
    queue.queue.submit(event, queue.outcomes.append)
    await asyncio.sleep(HOUR_S)

    assert [(0, "the-id"), (60, "the-id"), (180, "the-id")] == attempts
    assert [0, 60, 180] == queue.ages
    assert [b'{"n":1}'] * 3 == [payload for payload, _ in payloads]
    assert [status] == [outcome.status for outcome in queue.outcomes]
    assert [
        EventDropped(function="f", request_id="the-id", reason="RetriesExhausted", runs=3, handed_over=False)
    ] == (queue.notices)
    assert (2, 1) == (queue.counts["f"].retried, queue.counts["f"].exhausted)


async def test_a_timeout_is_a_function_error(queue):
    """It struck after three seconds, and a minute counts from then."""
    attempts = queue.add(act=lambda _: Act(takes_s=100))
    queue.runtime.open()

    queue.send()
    await asyncio.sleep(HOUR_S)

    assert [0, 63, 186] == [at_s for at_s, _ in attempts]


async def test_an_initialisation_that_fails_is_a_function_error(queue, runtime):
    """As on AWS."""
    queue.add()
    queue.runtime.open()
    queue.runtime.executors["f"].init = lambda _: InitFailure("Runtime.ImportModuleError", "no")

    queue.send()
    await asyncio.sleep(HOUR_S)

    assert (2, 1) == (queue.counts["f"].retried, queue.counts["f"].exhausted)


async def test_a_retry_that_succeeds_is_the_end(queue):
    """Nothing is dropped."""
    attempts = queue.add(act=failing(1), terms={"on_failure": "lost", "on_success": "done"})
    queue.runtime.open()

    queue.send()
    await asyncio.sleep(HOUR_S)

    assert [0, 60] == [at_s for at_s, _ in attempts]
    assert ([], 2) == (
        queue.records("lost"),
        queue.records("done")[0]["requestContext"]["approximateInvokeCount"],
    )
    assert [] == queue.notices


async def test_each_attempt_is_in_the_trace_as_it_came_and_records_in_that_of_the_last(queue):
    """A tracer puts the span of an attempt into the header of the event."""
    seen = []

    def act(invocation):
        seen.append(invocation.event.trace_id)
        invocation.event.trace_id = f"span {len(seen)}"
        return Act(result=ERROR)

    queue.add(act=act, terms={"on_failure": "lost", "dead_letter_queue": "dead"})
    queue.runtime.open()

    queue.send(trace_id="as it came")
    await asyncio.sleep(HOUR_S)

    assert ["as it came"] * 3 == seen
    assert ["span 3"] * 2 == [record.trace for _, record in queue.delivered]


async def test_the_wait_of_a_retry_begins_anew(queue):
    """What it waited between attempts is not time in the function's queue."""
    queue.add(act=failing(1))
    queue.runtime.open()

    queue.send()
    await asyncio.sleep(HOUR_S)

    assert [0, 0] == [outcome.queue_wait_s for outcome in queue.runtime.observer.outcomes]


@pytest.mark.parametrize(
    ("terms", "attempts_s", "condition", "count"),
    [
        ({"maximum_retry_attempts": 0}, [0], "RetriesExhausted", 1),
        ({"maximum_retry_attempts": 1}, [0, 60], "RetriesExhausted", 2),
        ({}, [0, 60, 180], "RetriesExhausted", 3),
        ({"maximum_event_age_s": 60}, [0, 60], "EventAgeExceeded", 2),
        ({"maximum_event_age_s": 179}, [0, 60], "EventAgeExceeded", 2),
    ],
)
async def test_the_failure_destination_gets_awss_record(queue, terms, attempts_s, condition, count):
    """As soon as it is known that no retry follows."""
    attempts = queue.add(act=lambda _: Act(result=ERROR), terms={**terms, "on_failure": "lost"})
    queue.runtime.open()

    queue.send()
    await asyncio.sleep(attempts_s[-1] + 1)

    assert attempts_s == [at_s for at_s, _ in attempts]
    [record] = queue.records("lost")
    assert (condition, count) == tuple(record["requestContext"].values())[2:]
    assert {"errorMessage": "no", "errorType": "KeyError"} == record["responsePayload"]
    assert (1, 0) == (queue.counts["f"].destinations, queue.counts["f"].destinations_failed)
    assert queue.notices[0].handed_over


# ---------------------------------------------------------------- throttles


async def test_a_throttle_backs_off_from_a_second_and_uses_up_no_attempt(narrow):
    """1, 2, 4, ... seconds, until there is concurrency."""
    narrow.add("other", act=lambda _: Act(takes_s=100), timeout_s=900)
    attempts = narrow.add(act=lambda _: Act(result=ERROR), terms={"on_failure": "lost"})
    narrow.runtime.open()

    held = narrow.runtime.send("other")
    narrow.send()
    await asyncio.sleep(99)
    refused = len(narrow.runtime.observer.refusals)
    await asyncio.sleep(HOUR_S)

    assert 7 == refused  # at 0, 1, 3, 7, 15, 31, 63
    assert [127, 187, 307] == [at_s for at_s, _ in attempts]
    assert held.done()
    assert 3 == narrow.records("lost")[0]["requestContext"]["approximateInvokeCount"]


async def test_a_throttled_event_expires_at_its_maximum_age(narrow):
    """Five minutes apart in the end, for six hours; the record has no response."""
    narrow.add("other", act=lambda _: Act(takes_s=20 * HOUR_S), timeout_s=24 * HOUR_S)
    attempts = narrow.add(terms={"on_failure": "lost", "dead_letter_queue": "dead"})
    narrow.runtime.open()

    narrow.runtime.send("other")
    narrow.send()
    await asyncio.sleep(21_600 - 301)
    before = narrow.records("lost")
    await asyncio.sleep(301)

    assert [] == attempts
    assert [] == before
    [record] = narrow.records("lost")
    assert ("EventAgeExceeded", 0) == tuple(record["requestContext"].values())[2:]
    assert "responsePayload" not in record
    assert [("dead", ("Number", "429"))] == [
        (to, record.attributes["ErrorCode"]) for to, record in narrow.delivered if record.attributes
    ]
    assert [Status.THROTTLED] == [outcome.status for outcome in narrow.outcomes]
    assert (1, 1, 0) == (
        narrow.counts["f"].expired,
        narrow.counts["f"].dead_letters,
        narrow.counts["f"].waiting,
    )


async def test_reserved_concurrency_zero_drops_at_once(queue):
    """No attempt, and a record that says so."""
    attempts = queue.add(reserved_concurrency=0, terms={"disabled": True, "on_failure": "lost"})
    queue.runtime.open()

    queue.send()

    assert [] == attempts
    [record] = queue.records("lost")
    assert ("ZeroReservedConcurrency", 0) == tuple(record["requestContext"].values())[2:]
    assert "responseContext" not in record
    assert (1, 0) == (queue.counts["f"].refused, queue.queue.unfinished)


async def test_a_burst_above_the_limit_is_worked_off_at_the_functions_own_speed(runtime_class):
    """As runs end those that wait go on: 10,000 seconds of work on 100 units take 100 seconds."""
    queue = Queue(runtime_class(100))
    attempts = queue.add(act=lambda _: Act(takes_s=1.0))
    queue.runtime.open()

    events = [queue.send() for _ in range(10_000)]
    waiting = queue.queue.waiting
    await asyncio.sleep(105)

    assert 9_900 == waiting
    assert 10_000 == queue.counts["f"].delivered
    assert [event.request_id for event in events] == [request_id for _, request_id in attempts]
    assert 200 > len(queue.runtime.observer.refusals)
    assert (0, 0) == (queue.queue.unfinished, queue.counts["f"].waiting)


async def test_a_new_event_is_tried_within_a_second_however_long_others_have_been_refused(narrow):
    """Its own back-off has only begun."""
    narrow.add("other", act=lambda _: Act(takes_s=3 * HOUR_S), timeout_s=5 * HOUR_S)
    attempts = narrow.add()
    narrow.runtime.open()
    narrow.runtime.send("other")
    narrow.send()
    await asyncio.sleep(3 * HOUR_S + 1)

    narrow.send()
    await asyncio.sleep(2)

    assert [True, True] == [at_s <= 3 * HOUR_S + 3 for at_s, _ in attempts]


async def test_events_wait_in_the_order_of_their_age(narrow):
    """A retry that finds others waiting takes its place by its own age."""
    attempts = narrow.add(act=failing(1))
    narrow.add("other", act=lambda _: Act(takes_s=30), timeout_s=900)
    narrow.runtime.open()

    first = narrow.send()
    await asyncio.sleep(50)
    narrow.runtime.send("other")
    second, third = narrow.send(), narrow.send()
    await asyncio.sleep(100)

    order = [event.request_id for event in (first, first, second, third)]
    assert order == [request_id for _, request_id in attempts]


# ---------------------------------------------------------------- destinations


async def test_a_function_as_destination_is_invoked_with_the_record(queue):
    """As an event of its own."""
    payloads = []

    def act(invocation):
        payloads.append((invocation.event.request_id, json.loads(invocation.event.payload)))
        return Act()

    queue.add(terms={"on_success": "lambda:audit"})
    queue.add("audit", act=act)
    queue.runtime.open()

    event = queue.send()
    await asyncio.sleep(1)

    [(request_id, record)] = payloads
    assert "new-id" == request_id
    assert ("Success", event.request_id) == (
        record["requestContext"]["condition"],
        record["requestContext"]["requestId"],
    )


@pytest.mark.parametrize(
    ("arn", "reason"),
    [
        ("lambda:gone", "function 'gone' is not configured"),
        ("sns:topic", "the engine has no sns"),
        ("arn:aws:lambda:eu-west-1:000000000000:function:f", "is of another region or account"),
        ("lost", "it is full"),
        ("nonsense with spaces", "is no ARN"),
    ],
)
async def test_a_destination_that_takes_nothing_is_told_and_counted(queue, arn, reason):
    """Everything else goes on."""
    queue.full = True
    queue.add(terms={"on_success": arn, "dead_letter_queue": "dead"})
    queue.runtime.open()

    event = queue.send()
    await asyncio.sleep(1)

    expected = DeliveryFailed(
        function="f", request_id=event.request_id, destination=expanded(arn, ACCOUNT), reason=reason
    )
    assert [expected] == queue.notices
    assert (0, 1) == (queue.counts["f"].destinations, queue.counts["f"].destinations_failed)
    assert 0 == queue.queue.unfinished


async def test_a_dead_letter_queue_gets_the_event_and_a_destination_its_record(queue):
    """Both, if both are there; a queue that is full takes nothing from the other."""
    queue.add(
        act=lambda _: Act(result=ERROR),
        terms={"on_failure": "s3:lost", "dead_letter_queue": "dead", "maximum_retry_attempts": 0},
    )
    queue.runtime.open()

    queue.send()
    await asyncio.sleep(1)

    assert [("lost", True, None), ("dead", False, ("String", "no"))] == [
        (to, record.key is not None, record.attributes.get("ErrorMessage")) for to, record in queue.delivered
    ]
    assert (1, 1) == (queue.counts["f"].destinations, queue.counts["f"].dead_letters)


async def test_the_function_arn_of_a_record_is_qualified(queue):
    """As the caller addressed it, or `$LATEST`."""
    queue.add(terms={"on_success": "done"})
    queue.runtime.open()
    queue.runtime.dispatcher.route("f", {"live": [("$LATEST", 1.0)]})

    queue.send()
    queue.send(qualifier="live")
    await asyncio.sleep(1)

    assert ["$LATEST", "live"] == [
        record["requestContext"]["functionArn"].rpartition(":")[2] for record in queue.records("done")
    ]


# ---------------------------------------------------------------- refusals, removal, end


async def test_what_cannot_be_taken_is_refused_to_the_caller(queue):
    """And counted nowhere."""
    queue.add()
    with pytest.raises(NotAccepting):
        queue.send()
    queue.runtime.open()
    with pytest.raises(FunctionNotFound):
        queue.send("nobody")

    assert (0, 0) == (queue.counts["f"].accepted, queue.queue.unfinished)


async def test_an_event_whose_function_was_removed_goes_to_the_failure_destination(queue):
    """It is found out at the next attempt."""
    queue.add(act=lambda _: Act(result=ERROR), terms={"on_failure": "lost"})
    queue.runtime.open()
    queue.send()
    await asyncio.sleep(30)

    driver = queue.runtime.dispatcher.drivers["f"]
    queue.runtime.dispatcher.remove(driver)
    queue.runtime.dispatcher.retire(driver, lambda: None)
    await asyncio.sleep(60)

    assert 1 == len(queue.records("lost"))
    assert ["function 'f' is not configured"] == [notice.reason for notice in queue.notices]
    assert (1, 0) == (queue.counts["f"].abandoned, queue.queue.unfinished)


async def test_what_waits_at_the_end_is_given_up_visibly(narrow):
    """Those for a retry and those for concurrency; what runs may end."""
    narrow.add(act=failing(1), terms={"on_failure": "lost"})
    narrow.add("g", act=lambda _: Act(takes_s=2.0))
    narrow.runtime.open()
    narrow.send()
    await asyncio.sleep(1)
    narrow.send("g")
    narrow.send("g")

    abandoned = narrow.queue.close()
    drained = await narrow.runtime.dispatcher.drain(10)

    assert (2, True) == (abandoned, drained)
    assert [
        EventsAbandoned(function="f", count=1, handed_over=1),
        EventsAbandoned(function="g", count=1, handed_over=0),
    ] == narrow.notices
    assert [Status.ERROR, Status.THROTTLED, Status.SUCCESS] == [outcome.status for outcome in narrow.outcomes]
    assert 1 == len(narrow.records("lost"))
    assert (0, 0, 0) == (narrow.queue.unfinished, narrow.queue.close(), narrow.runtime.timers())
    with pytest.raises(NotAccepting):
        narrow.send()


async def test_what_fails_while_the_engine_stops_is_given_up_at_once(queue):
    """And what it cancelled, too."""
    queue.add(act=lambda _: Act(takes_s=1.0, result=ERROR), terms={"on_failure": "lost"})
    queue.add("slow", act=lambda _: Act(takes_s=60), timeout_s=900)
    queue.runtime.open()
    queue.send()
    queue.send("slow")

    queue.queue.close()
    drained = await queue.runtime.dispatcher.drain(5)

    assert not drained
    assert {("f", "EngineStopped", True), ("slow", "EngineStopped", False)} == {
        (notice.function, notice.reason, notice.handed_over) for notice in queue.notices
    }
    assert {Status.ERROR, Status.CANCELLED} == {outcome.status for outcome in queue.outcomes}
    assert 0 == queue.queue.unfinished


@pytest.mark.parametrize(
    ("wait_s", "expected"), [(0.1, [0, 0.1, 0.3]), (0, [0, 0.001, 0.002]), (600, [0, 600, 1800])]
)
async def test_how_long_events_wait_for_another_attempt_can_be_set(runtime, wait_s, expected):
    queue = Queue(runtime, Account(retry_wait_s=wait_s))
    attempts = queue.add(act=failing(9))
    queue.runtime.open()
    queue.queue.submit(queue.runtime.event(), queue.outcomes.append)
    await asyncio.sleep(HOUR_S)

    assert expected == [at_s for at_s, _ in attempts]


@pytest.mark.parametrize(
    ("wait_s", "refusals", "expected"),
    [(60, 1, 1), (60, 3, 4), (60, 99, 300), (6, 1, 0.1), (6, 99, 30), (0, 1, 0.01), (0, 99, 0.01)],
)
def test_what_backs_off_waits_in_proportion(wait_s, refusals, expected):
    """And never less than 10 ms."""
    assert expected == pytest.approx(async_backoff_s(refusals, wait_s))


async def test_an_event_that_is_one_call_too_many_goes_to_its_failure_destination(queue):
    """It is not run; and one that is not, is."""
    attempts = queue.add(terms={"on_failure": "lost"})
    queue.runtime.open()
    lineage = "Root=1-5e6a88ee-aaaabbbbccccddddeeeeffff;Lineage=1:{}:{}"
    for calls in (15, 16):
        trace = lineage.format("76d32be0", calls)
        event = Event("f", b"{}", f"id-{calls}", queue.clock.now(), "event", trace_id=trace)
        queue.queue.submit(event, queue.outcomes.append)
        await asyncio.sleep(HOUR_S)

    assert [(0, "id-15")] == attempts
    assert ["RecursiveInvocation"] == [
        record["requestContext"]["condition"] for record in queue.records("lost")
    ]
    assert (2, 1, 1) == (queue.counts["f"].accepted, queue.counts["f"].recursive, queue.counts["f"].dropped)
    assert 2 == len(queue.outcomes)


async def test_invoke_waits_until_the_event_is_done_with(queue):
    """Retries and all."""
    queue.add(act=failing(2))
    queue.runtime.open()

    outcome = await queue.queue.invoke(queue.runtime.event())

    assert Status.SUCCESS == outcome.status
    assert 180 == round(queue.clock.now() - queue.began_s)


async def test_the_oldest_event_tells_its_age(queue):
    """Read when somebody looks."""
    queue.add(act=lambda _: Act(result=ERROR))
    queue.runtime.open()
    queue.send()
    await asyncio.sleep(42)

    age_s = queue.counts["f"].oldest_age_s()
    waiting = queue.counts["f"].waiting
    await asyncio.sleep(HOUR_S)

    assert (42, 1) == (age_s, waiting)
    assert (0, 0) == (queue.counts["f"].oldest_age_s(), queue.counts["f"].waiting)


@given(
    st.lists(
        st.tuples(st.floats(0, 200), st.floats(0, 5), st.sampled_from(["ok", "error", "crash", "slow"])),
        min_size=1,
        max_size=40,
    ),
    st.integers(1, 5),
    st.floats(60, 400),
    st.integers(0, 2),
    st.floats(1, 2000),
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_event_that_was_taken_is_done_with_exactly_once(
    runtime_class, script, units, age_s, retries, stop_s
):
    """Delivered, dropped or abandoned, whatever fails and whenever the engine stops."""

    async def play():
        queue = Queue(runtime_class(units))
        kinds = {}

        def act(invocation):
            takes_s, kind = kinds[invocation.event.request_id]
            status = {"ok": Status.SUCCESS, "slow": Status.SUCCESS, "error": Status.ERROR}.get(
                kind, Status.CRASH
            )
            return Act(takes_s=takes_s + 10 * (kind == "slow"), result=Result(status, b"{}"))

        queue.add(
            act=act,
            terms={
                "maximum_event_age_s": age_s,
                "maximum_retry_attempts": retries,
                "on_failure": "lost",
                "on_success": "done",
            },
        )
        queue.runtime.open()
        taken = []
        for after_s, takes_s, kind in script:
            await asyncio.sleep(after_s)
            if queue.clock.now() - queue.began_s > stop_s:
                break
            event = queue.runtime.event()
            kinds[event.request_id] = takes_s, kind
            taken.append(event.request_id)
            queue.queue.submit(event, queue.outcomes.append)
        await asyncio.sleep(max(0.0, stop_s - (queue.clock.now() - queue.began_s)))
        queue.queue.close()
        await queue.runtime.dispatcher.drain(20)
        counts = queue.counts["f"]

        assert sorted(taken) == sorted(outcome.request_id for outcome in queue.outcomes)
        assert sorted(taken) == sorted(
            record["requestContext"]["requestId"] for to in ("lost", "done") for record in queue.records(to)
        )
        assert len(taken) == counts.accepted == counts.delivered + counts.dropped
        assert (0, 0, 0) == (queue.queue.unfinished, counts.waiting, queue.runtime.timers())

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(play())
