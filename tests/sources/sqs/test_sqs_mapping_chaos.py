"""Nothing is lost: many messages through a mapping whose function fails in every way it can, at random.

`ENGINE_SCALE_MESSAGES=1000000 pytest ...` takes a million.
"""

import os
import random
from collections import Counter, defaultdict

import anyio
import orjson
import pytest

from engine.core.invocation import Result
from engine.core.outcome import Status
from engine.testing import Act

TIMEOUT_S = 3.0
MAX_RECEIVES = 4
LATE = 60.0
MANY = int(os.environ.get("ENGINE_SCALE_MESSAGES", "50000"))


class Unreliable:
    """What a function does, and what it has seen. It works through a batch in order.

    A group that failed is left alone until the batch's end, as Powertools does with FIFO batches.
    """

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.done = set()
        self.attempts = Counter()
        self.sent = defaultdict(list)  # by group, in order
        self.place = {}
        self.settled = Counter()  # by group: that many messages from the first on are done or given up
        self.overtaken = []

    def send(self, group, message_id):
        self.place[message_id] = group, len(self.sent[group])
        self.sent[group].append(message_id)

    def __call__(self, run):
        fate = self.random.random()
        ids = [record["messageId"] for record in run.records]
        self.attempts.update(ids)
        if fate < 0.08:
            return Act(takes_s=LATE)
        if fate < 0.16:
            return Act(takes_s=0.2, result=Result(self.random.choice([Status.ERROR, Status.CRASH]), b"{}"))
        failed, broken = [], set()
        for one in ids:
            group = self.place[one][0]
            if group in broken or self.random.random() < 0.1:
                failed.append(one)
                broken.add(group)
            else:
                self.work(one)
        if fate < 0.2:  # the work was done, but the answer is nonsense: all of it comes again
            return Act(takes_s=0.1, result=Result(Status.SUCCESS, b'{"batchItemFailures":[{"id":1}]}'))
        answer = {"batchItemFailures": [{"itemIdentifier": one} for one in failed]}
        takes_s = self.random.random() * TIMEOUT_S * 0.9
        return Act(takes_s=takes_s, result=Result(Status.SUCCESS, orjson.dumps(answer)))

    def work(self, message_id):
        """Remember it, and whether it overtook an earlier one of its group."""
        self.done.add(message_id)
        group, place = self.place[message_id]
        sent, settled = self.sent[group], self.settled[group]
        while settled < len(sent) and (sent[settled] in self.done or self.given_up(sent[settled])):
            settled += 1
        self.settled[group] = settled
        if place > settled:
            self.overtaken.append(message_id)

    def given_up(self, message_id):
        """The next receive buries it."""
        return self.attempts[message_id] >= MAX_RECEIVES


async def play(make_site, queue, count, seed, *, groups=0, **more):
    """Send `count` messages over a while, and wait until there are none left."""
    function = Unreliable(seed)
    dead = "dlq.fifo" if queue.endswith(".fifo") else "dlq"
    site = make_site(
        {"queue": queue, "report_batch_item_failures": True, **more.pop("event", {})},
        act=function,
        queues={
            queue: {
                "visibility_timeout_s": 5,
                "redrive": {"dead_letter_queue": dead, "max_receive_count": MAX_RECEIVES},
            }
        },
        function={"timeout_s": TIMEOUT_S, **more},
    )
    async with site:
        for number in range(count):
            grouped = {}
            if groups:
                grouped["group"] = f"g{function.random.randrange(groups)}"
            [message_id] = site.send(f"{number}", name=queue, **grouped)
            function.send(grouped.get("group", message_id), message_id)
            if number % 1_000 == 999:
                await anyio.sleep(function.random.random() * 20)
        while sum(site.left(queue)):
            await anyio.sleep(10)
        buried = {one.id for one in site.queue(dead).receive(count, site.clock.now(), 0)}
        return function, buried, site.entry.counts


def every(function):
    return function.place.keys()


@pytest.mark.parametrize(
    ("count", "seed"), [(20_000, 1), (20_000, 2), pytest.param(MANY, 3, marks=pytest.mark.slow)]
)
async def test_every_message_is_acknowledged_or_buried(make_site, count, seed):
    """A function that fails, times out, crashes, and reports some or nonsense."""
    function, buried, counts = await play(make_site, "q", count, seed)

    assert every(function) == function.done | buried
    assert count == counts.deleted + len(buried)
    assert all(MAX_RECEIVES == function.attempts[one] for one in buried)
    assert counts.polled == counts.delivered == sum(function.attempts.values())
    assert 0 < len(buried) < count * 0.02


async def test_throttled_batches_lose_nothing_either(make_site):
    """A function with little concurrency: batches are put off, and some come back unseen."""
    function, buried, counts = await play(
        make_site, "q", 3_000, 4, reserved_concurrency=2, event={"batch_size": 3}
    )

    assert every(function) == function.done | buried
    assert 3_000 == counts.deleted + len(buried)
    assert counts.throttled > 0
    assert counts.returned > 0


@pytest.mark.parametrize(("groups", "seed"), [(1, 5), (50, 6), (3_000, 7)])
async def test_no_group_of_a_fifo_queue_is_ever_overtaken(make_site, groups, seed):
    """Each message runs only when all earlier ones of its group have succeeded or were given up."""
    count = 400 if groups == 1 else 10_000
    function, buried, counts = await play(make_site, "q.fifo", count, seed, groups=groups)

    assert [] == function.overtaken
    assert every(function) == function.done | buried
    assert count == counts.deleted + len(buried)
