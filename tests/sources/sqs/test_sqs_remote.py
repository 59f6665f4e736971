"""A mapping from a queue elsewhere: in virtual time against a queue behind a pretended network."""

import os
import subprocess
import sys
from base64 import b64decode
from contextlib import asynccontextmanager

import anyio
import pytest
from pydantic import ValidationError

from engine.core.invocation import Result
from engine.core.outcome import Status
from engine.ports import Binding
from engine.services.sqs.message import Attribute
from engine.services.sqs.serialization import SystemAttributes, message_json
from engine.sources.sqs.remote_port import RemoteError
from engine.sources.sqs.remote_source import RemoteSqsSource
from engine.sources.sqs.settings import RemoteEvent
from engine.testing import Act

LATENCY_S = 0.01


class FarQueue:
    """Implements `RemoteQueue` on one of the engine's own queues; it may be out of reach, or garbled."""

    def __init__(self, queue, clock, handles, system):
        self.queue, self.clock, self.handles, self.system = queue, clock, handles, system
        self.arn, self.visibility_s = queue.arn, queue.policy.visibility_s
        self.broken = self.garbled = False
        self.calls = []

    async def _call(self, name):
        self.calls.append(name)
        await anyio.sleep(LATENCY_S)
        if self.broken:
            raise RemoteError("no route to host")

    async def receive(self, most, wait_s, visibility_s, /):
        await self._call("receive")
        assert 1 <= most <= 10
        assert 0 <= wait_s <= 20
        until_s = self.clock.now() + wait_s
        while not (found := self.queue.receive(most, self.clock.now(), visibility_s)):
            if self.clock.now() >= until_s:
                return []
            await anyio.sleep(0.1)
        return [self._shown(one) for one in found]

    def _shown(self, message):
        """As a client library gives it: bytes are bytes."""
        if self.garbled:
            return {"no": "message"}
        handle = self.handles.encode(message.receipt)
        shown = message_json(message, handle, self.system, ["All"], ["All"])
        for attribute in shown.get("MessageAttributes", {}).values():
            if "BinaryValue" in attribute:
                attribute["BinaryValue"] = b64decode(attribute["BinaryValue"])
        return shown

    async def delete(self, handles, /):
        if handles:
            await self._call("delete")
            self.queue.delete_all([self.handles.decode(one) for one in handles], self.clock.now())

    async def hide(self, handles, visibility_s, /):
        await self._call("hide")
        for one in handles:
            self.queue.change_visibility(self.handles.decode(one), visibility_s, self.clock.now())


@pytest.fixture
def far(make_site):
    """Opens a site whose function `work` is fed from a queue elsewhere: a pair of both."""

    @asynccontextmanager
    async def opened(act=lambda _: Act(), queues=None, function=None, found=lambda: True, **event):
        name = event.setdefault("queue", "q")
        site = make_site({"enabled": False}, act=act, queues=queues or {name: {}}, function=function)
        async with site:
            queue = site.queue(name)
            system: SystemAttributes = site.service.system_attributes
            near = FarQueue(queue, site.clock, site.service.handles(queue), system)

            @asynccontextmanager
            async def open_queue(_settings, _region, _connections):
                if not found():
                    raise RemoteError("no such queue")
                yield near

            binding = Binding(function=site.functions[0], settings=RemoteEvent(**event))
            near.source = RemoteSqsSource([binding], site.host, open_queue)
            near.stopping = anyio.Event()
            async with anyio.create_task_group() as group:
                await group.start(near.source.serve, site.engine.sink, near.stopping)
                yield site, near
                near.stopping.set()

    return opened


async def test_messages_elsewhere_become_batches_and_are_deleted_there(far):
    """Ten at a time, and waiting receives in between."""
    async with far() as (site, near):
        site.send(*[f"{n}" for n in range(23)])
        await anyio.sleep(1)
        [(feed, numbers)] = near.source.statistics()

        assert [f"{n}" for n in range(23)] == sorted(site.bodies, key=int)
        assert ((0, 0), 10) == (site.left(), max(map(len, site.batches)))
        assert ("q:work", 23, 0) == (feed.name, feed.counts.deleted, numbers.running)
        await anyio.sleep(60)
        assert near.calls.count("receive") < 40


async def test_the_record_is_that_of_a_queue_of_ones_own(far, make_site):
    """Whatever way it came."""
    attributes = {"a": Attribute("String", "x"), "b": Attribute("Binary", b"\x00")}
    async with far(queue="q.fifo") as (site, _):
        site.send("body", name="q.fifo", group="g", trace="Root=1", attributes=attributes)
        await anyio.sleep(1)
        [remote] = site.runs[0].records
    async with make_site({"queue": "q.fifo"}, queues={"q.fifo": {}}) as site:
        site.send("body", name="q.fifo", group="g", trace="Root=1", attributes=attributes)
        await anyio.sleep(1)
        [own] = site.runs[0].records

    for record in (remote, own):
        for name in ("messageId", "receiptHandle"):
            assert record.pop(name)
        for name in ("SentTimestamp", "ApproximateFirstReceiveTimestamp"):
            assert record["attributes"].pop(name)
    assert own == remote


async def test_a_handler_may_do_with_its_event_what_it_likes(far):
    """What is deleted is what was received."""
    async with far(act=lambda run: run.records.clear(), report_batch_item_failures=True) as (site, _):
        site.send("a", "b")
        await anyio.sleep(1)

        assert (0, 0) == site.left()


async def test_partial_answers_delete_the_others_elsewhere_too(far):
    """What failed comes again after its timeout."""
    site_of = far(
        act=lambda run: {
            "batchItemFailures": [
                {"itemIdentifier": one["messageId"]}
                for one in run.records
                if one["body"] == "bad" and one["attributes"]["ApproximateReceiveCount"] == "1"
            ]
        },
        queues={"q": {"visibility_timeout_s": 10}},
        report_batch_item_failures=True,
    )
    async with site_of as (site, _):
        site.send("good", "bad")
        await anyio.sleep(5)
        assert (0, 1) == site.left()
        await anyio.sleep(10)

        assert ((0, 0), [["good", "bad"], ["bad"]]) == (site.left(), site.batches)


async def test_windows_and_filters_are_as_near(far):
    """Several receives make one batch; what does not pass is deleted."""
    async with far(
        batch_size=12,
        maximum_batching_window_s=5,
        maximum_concurrency=2,
        filters=['{"body": [{"prefix": "x"}], "awsRegion": ["us-east-1"]}'],
    ) as (site, _):
        site.send(*["x"] * 9, "y")
        await anyio.sleep(2)
        site.send(*["x"] * 2)
        await anyio.sleep(20)

        assert (0, 0) == site.left()
        assert 11 == len(site.bodies)
        assert all(5 <= run.at_s <= 12 for run in site.runs)


async def test_a_window_may_end_between_whole_seconds(far):
    """A receive waits for whole ones: the rest is waited for without."""
    async with far(maximum_batching_window_s=2.5, maximum_concurrency=2) as (site, _):
        site.send("a")
        await anyio.sleep(10)

        assert [["a"]] == site.batches
        assert [2.5] == pytest.approx(site.times, abs=0.1)


async def test_a_failing_batch_is_left_to_its_timeout(far):
    """And goes to the dead-letter queue there in the end."""
    redrive = {"dead_letter_queue": "dlq", "max_receive_count": 2}
    async with far(
        act=lambda _: Result(Status.ERROR, b"{}"),
        queues={"q": {"visibility_timeout_s": 5, "redrive": redrive}},
    ) as (site, _):
        site.send("a")
        await anyio.sleep(40)

        assert ((0, 0), (1, 0), 2) == (site.left(), site.left("dlq"), len(site.runs))


async def test_a_queue_out_of_reach_is_tried_again_and_said_once(far):
    """Then everything goes on."""
    async with far() as (site, near):
        near.broken = True
        await anyio.sleep(100)
        near.broken = False
        site.send("a")
        await anyio.sleep(60)

        assert [["a"]] == site.batches
        assert ["no route to host; it is tried again", "answers again"] == [
            line.removeprefix(f"{near.arn}: ") for line in site.said
        ]


async def test_a_bug_in_a_poller_is_logged_and_ends_neither_it_nor_the_engine(far, caplog):
    """What it had received comes again."""
    async with far(queues={"q": {"visibility_timeout_s": 5}}) as (site, near):
        near.garbled = True
        site.send("a")
        await anyio.sleep(1)
        near.garbled = False
        await anyio.sleep(60)

        assert ([["a"]], (0, 0)) == (site.batches, site.left())
        assert {"KeyError"} == {record.exc_info[0].__name__ for record in caplog.records}


async def test_what_cannot_be_deleted_comes_again(far):
    """A message runs at least once."""
    async with far(queues={"q": {"visibility_timeout_s": 5}}, act=lambda _: Act(takes_s=1)) as (site, near):
        site.send("a")
        await anyio.sleep(0.5)
        near.broken = True
        await anyio.sleep(1)
        near.broken = False
        await anyio.sleep(60)

        assert ([["a"], ["a"]], (0, 0)) == (site.batches, site.left())
        assert "messages could not be deleted, and come again: no route to host" in site.said[0]


async def test_a_queue_that_is_not_found_is_looked_for_again(far):
    """The engine runs meanwhile."""
    tries = iter([False, False, True])
    async with far(found=lambda: next(tries, True)) as (site, _):
        site.send("a")
        await anyio.sleep(10)

        assert [["a"]] == site.batches
        [line] = site.said
        assert "functions.work: queue q: no such queue; it is tried again" == line


async def test_throttled_batches_are_tried_again_and_their_timeout_is_prolonged(far):
    """As long as their first timeout lasts."""
    async with far(
        act=lambda _: Act(takes_s=2), function={"reserved_concurrency": 1, "timeout_s": 5}, batch_size=1
    ) as (site, near):
        site.send("a", "b", "c")
        await anyio.sleep(30)

        assert (["a", "b", "c"], (0, 0)) == (sorted(site.bodies), site.left())
        [(feed, _)] = near.source.statistics()
        assert feed.counts.throttled > 0


async def test_stopping_ends_waiting_receives_lets_batches_end_and_gives_back_the_rest(far):
    """Within moments, not after the twenty seconds of a receive."""
    async with far(act=lambda _: Act(takes_s=2), queues={"q": {}}, batch_size=1, maximum_concurrency=2) as (
        site,
        near,
    ):
        site.send("a", "b", "c")
        await anyio.sleep(1)
        near.stopping.set()
        await anyio.sleep(4)

        assert (["a", "b"], (1, 0)) == (sorted(site.bodies), site.left())


async def test_a_group_of_a_fifo_queue_elsewhere_stays_in_order(far):
    """The queue does not give out what stands behind something in flight."""
    failed = []

    def act(run):
        if "2" in run.bodies and not failed:
            failed.append(run)
            return Result(Status.ERROR, b"{}")
        return Act(takes_s=0.5)

    async with far(act=act, queue="q.fifo", batch_size=1, queues={"q.fifo": {"visibility_timeout_s": 5}}) as (
        site,
        _,
    ):
        site.send(*[f"{n}" for n in range(5)], name="q.fifo", group="g")
        await anyio.sleep(40)

        assert ["0", "1", "2", "2", "3", "4"] == site.bodies


async def test_concurrency_grows_by_the_ramp(far):
    """Five pollers, then five more each second while receives are full."""
    async with far(act=lambda _: Act(takes_s=1), batch_size=1) as (site, near):
        site.send(*["x"] * 400)
        wanted = []
        for _ in range(6):
            await anyio.sleep(1)
            [(_, numbers)] = near.source.statistics()
            wanted.append(numbers.wanted)

        assert [10, 15, 20, 25, 30, 35] == pytest.approx(wanted, abs=2)


@pytest.mark.parametrize(
    "table",
    [
        {"queue": "a b"},
        {"queue": "https://sqs.eu-west-1.amazonaws.com/123456789012/a b"},
        {"queue": "q", "endpoint_url": "localhost:4566"},
        {"queue": "https://x/1/q.fifo", "maximum_batching_window_s": 1},
        {"queue": "q", "type": "sqs"},
    ],
)
def test_settings_that_cannot_be_are_refused(table):
    """As of mappings nearby."""
    with pytest.raises(ValidationError):
        RemoteEvent(**table)


@pytest.mark.real_time
@pytest.mark.parametrize("command", ["check", "serve"])
def test_without_its_client_the_source_says_what_to_install(command, tmp_path):
    """One line with the key, from both commands; the engine itself does not need it."""
    (tmp_path / "app.py").write_text("def handler(event, context): ...\n")
    (tmp_path / "aiobotocore.py").write_text("raise ModuleNotFoundError('gone', name='aiobotocore')\n")
    (tmp_path / "engine.toml").write_text(
        '[functions.f]\nhandler = "app.handler"\n[[functions.f.events]]\ntype = "sqs_remote"\n'
        'queue = "https://sqs.eu-west-1.amazonaws.com/000000000000/jobs"\n'
    )
    done = subprocess.run(
        [sys.executable, "-m", "engine", command, "--config", str(tmp_path / "engine.toml")],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert 2 == done.returncode
    assert "functions.f.events[0].type" in done.stderr
    assert "need aiobotocore: pip install 'invocation-engine[sqs]'" in done.stderr
    assert "Traceback" not in done.stderr


# ---------------------------------------------------------------- in between


async def test_a_batch_that_waits_for_concurrency_goes_back(far):
    """At a stop at once, else when its timeout is over."""
    async with far(function={"reserved_concurrency": 0}, queues={"q": {"visibility_timeout_s": 10}}) as (
        site,
        near,
    ):
        site.send("a")
        await anyio.sleep(9)
        [(feed, _)] = near.source.statistics()
        assert ((0, 1), 1) == (site.left(), feed.counts.returned)
        await anyio.sleep(3)
        near.stopping.set()
        await anyio.sleep(0.1)

        assert ((1, 0), 2) == (site.left(), feed.counts.returned)


async def test_what_is_given_up_is_hidden_for_its_first_timeout_only(far):
    """Though it was made longer for an attempt that was throttled."""
    async with far(
        function={"reserved_concurrency": 0, "timeout_s": 5}, queues={"q": {"visibility_timeout_s": 10}}
    ) as (site, near):
        site.send("a")
        await anyio.sleep(9)
        assert "hide" in near.calls
        await anyio.sleep(3)

        [(feed, _)] = near.source.statistics()
        assert (2, 1) == (feed.counts.polled, feed.counts.returned)


async def test_an_engine_that_takes_nothing_is_not_asked_again(far):
    """What was received is visible again."""
    async with far() as (site, near):
        await site.engine.drain()
        site.send("a")
        await anyio.sleep(5)
        calls = len(near.calls)
        await anyio.sleep(60)

        assert ((1, 0), [], calls) == (site.left(), site.runs, len(near.calls))


async def test_a_function_that_is_gone_loses_no_message(far):
    """It is tried as long as the timeout lasts."""
    async with far(queues={"q": {"visibility_timeout_s": 10}}) as (site, near):
        site.engine.deployments.remove("work")
        await anyio.sleep(1)
        site.send("a")
        await anyio.sleep(9)
        near.stopping.set()
        await anyio.sleep(20)

        assert ((1, 0), []) == (site.left(), site.runs)


async def test_a_large_fifo_batch_stays_in_order(far):
    """In parts; what comes behind a part that failed goes back."""
    outcomes = iter([Result(Status.ERROR, b"{}")])
    async with far(
        act=lambda _: next(outcomes, None), queue="q.fifo", queues={"q.fifo": {"visibility_timeout_s": 10}}
    ) as (site, _):
        site.send(*[f"{n}" + "x" * 1_000_000 for n in range(8)], name="q.fifo", group="g")
        await anyio.sleep(60)

        seen = ["".join(body[0] for body in batch) for batch in site.batches]
        assert "012345" == seen[0]
        assert "01234567" == "".join(seen[1:])


async def test_the_order_of_a_group_is_kept_for_the_function(far):
    """`keep_group_order`, as near."""
    site_of = far(
        act=lambda run: {
            "batchItemFailures": [
                {"itemIdentifier": one["messageId"]} for one in run.records if one["body"] == "b"
            ][: run.records[0]["attributes"]["ApproximateReceiveCount"] == "1"]
        },
        queue="q.fifo",
        queues={"q.fifo": {"visibility_timeout_s": 10}},
        report_batch_item_failures=True,
        keep_group_order=True,
    )
    async with site_of as (site, _):
        site.send("a", "b", "c", name="q.fifo", group="g")
        await anyio.sleep(30)

        assert [["a", "b", "c"], ["b", "c"]] == site.batches


async def test_what_the_engine_cancels_comes_again(far):
    """After its timeout."""
    async with far(act=lambda _: Act(takes_s=100), function={"timeout_s": 200}) as (site, near):
        site.send("a")
        await anyio.sleep(1)
        await site.engine.drain()
        await anyio.sleep(0.1)
        [(feed, _)] = near.source.statistics()

        assert ((0, 1), 1) == (site.left(), feed.counts.returned)


async def test_a_timeout_that_cannot_be_changed_is_said(far):
    """The message comes again by itself."""
    async with far(maximum_batching_window_s=60, batch_size=10) as (site, near):
        site.send("a")
        await anyio.sleep(2)
        near.broken = True
        near.stopping.set()
        await anyio.sleep(2)

        assert (0, 1) == site.left()
        assert "the timeout of messages could not be changed: no route to host" in site.said[-1]
