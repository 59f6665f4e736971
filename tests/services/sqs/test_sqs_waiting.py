"""Long polls and move tasks, on virtual time: what waits is answered at the right moment, once."""

from __future__ import annotations

import asyncio
import json

import pytest


@pytest.fixture
async def site(make_site):
    site = make_site()
    site.create("q")
    yield site
    site.service.stop()


class Polls:
    """Receives that wait, and what each was answered."""

    def __init__(self, site, make_client, make_answer) -> None:
        self.site, self.make_client, self.make_answer = site, make_client, make_answer

    def start(self, wait_s: int | None = 20, name: str = "q", **params: object):
        more = {} if wait_s is None else {"WaitTimeSeconds": wait_s}
        return self.site.start_json("ReceiveMessage", {"QueueUrl": self.site.url(name), **more, **params})

    def bodies(self, client) -> list[str] | None:
        """What was answered; None for nothing yet."""
        if not client.answers:
            return None
        [answer] = client.answers
        document = self.make_answer(*answer).document
        return [one["Body"] for one in document.get("Messages", [])]


@pytest.fixture
def polls(site, make_client, make_answer) -> Polls:
    return Polls(site, make_client, make_answer)


async def test_a_long_poll_ends_with_the_first_message(site, polls):
    """It does not wait for more."""
    poll = polls.start(MaxNumberOfMessages=10)
    await asyncio.sleep(3)

    assert polls.bodies(poll) is None

    site.q("SendMessage", MessageBody="x")

    assert ["x"] == polls.bodies(poll)


async def test_a_batch_wakes_a_poll_with_all_it_brought(site, polls):
    """Not with its first entry."""
    poll = polls.start(MaxNumberOfMessages=10)
    site.q("SendMessageBatch", Entries=[{"Id": str(n), "MessageBody": str(n)} for n in range(3)])

    assert ["0", "1", "2"] == polls.bodies(poll)


@pytest.mark.parametrize("wait_s", [7, None], ids=["asked", "of the queue"])
async def test_a_long_poll_ends_empty_when_time_is_up(site, polls, wait_s):
    """After its own time, or the queue's."""
    site.q("SetQueueAttributes", Attributes={"ReceiveMessageWaitTimeSeconds": "7"})
    began_s, poll = site.clock.now(), polls.start(wait_s)
    while polls.bodies(poll) is None:
        await asyncio.sleep(0.25)

    assert [] == polls.bodies(poll)
    assert 7 == pytest.approx(site.clock.now() - began_s, abs=0.25)
    assert not site.service.queue("q").waiting


async def test_a_wait_of_zero_does_not_wait(site, polls):
    """Whatever the queue says."""
    site.q("SetQueueAttributes", Attributes={"ReceiveMessageWaitTimeSeconds": "7"})

    assert [] == polls.bodies(polls.start(0))


async def test_polls_are_served_in_order_one_message_each(site, polls):
    """One message wakes one of them."""
    first, second, third = polls.start(), polls.start(), polls.start()
    site.q("SendMessage", MessageBody="a")

    assert (["a"], None, None) == tuple(map(polls.bodies, (first, second, third)))

    site.q("SendMessage", MessageBody="b")

    assert (["b"], None) == tuple(map(polls.bodies, (second, third)))


async def test_who_waits_longer_is_served_first(site, polls):
    """A new poll does not overtake."""
    old = polls.start(20)
    site.service.queue("q").send(site.clock.now(), "id", "x")  # nobody was told yet
    new = polls.start(20)

    assert (["x"], None) == (polls.bodies(old), polls.bodies(new))


async def test_a_client_that_has_gone_takes_no_message(site, polls, make_client):
    """The next in line gets it, or it stays."""
    gone = polls.start()
    gone.gone = True
    here = polls.start()
    site.q("SendMessage", MessageBody="x")

    assert ([], ["x"]) == (polls.bodies(gone), polls.bodies(here))

    gone = polls.start()
    gone.gone = True
    site.q("SendMessage", MessageBody="y")

    assert (1, 1, 0) == site.counts()
    assert not site.service.queue("q").waiting


async def test_a_poll_sees_delays_and_timeouts_end(site, polls):
    """At their time, without another call."""
    began_s = site.clock.now()
    site.q("SendMessage", MessageBody="later", DelaySeconds=5)
    poll = polls.start(VisibilityTimeout=3)
    await asyncio.sleep(4.9)

    assert polls.bodies(poll) is None

    await asyncio.sleep(0.2)

    assert ["later"] == polls.bodies(poll)

    again = polls.start()
    while polls.bodies(again) is None:
        await asyncio.sleep(0.05)

    assert ["later"] == polls.bodies(again)
    assert 8 == pytest.approx(site.clock.now() - began_s, abs=0.1)


async def test_giving_back_and_unlocking_wake_polls(site, polls):
    """Visibility 0, and the delete that frees a group."""
    site.create("f.fifo", ContentBasedDeduplication="true")
    for body in ("a", "b"):
        site.q("SendMessage", "f.fifo", MessageBody=body, MessageGroupId="g")
    handle = site.q("ReceiveMessage", "f.fifo").document["Messages"][0]["ReceiptHandle"]
    poll = polls.start(name="f.fifo")
    site.q("ChangeMessageVisibility", "f.fifo", ReceiptHandle=handle, VisibilityTimeout=0)

    assert ["a"] == polls.bodies(poll)

    handle = site.service.handles(site.service.queue("f.fifo")).encode(2)
    poll = polls.start(name="f.fifo")
    site.q("DeleteMessage", "f.fifo", ReceiptHandle=handle)

    assert ["b"] == polls.bodies(poll)


async def test_a_poll_that_finds_only_dead_letters_waits_on(site, polls):
    """It is answered by the next message, or when its time is up."""
    site.create("dead")
    policy = json.dumps({"deadLetterTargetArn": site.arn("dead"), "maxReceiveCount": 1})
    site.q("SetQueueAttributes", Attributes={"RedrivePolicy": policy})
    site.q("SendMessage", MessageBody="poison")
    site.q("ReceiveMessage", VisibilityTimeout=2)
    poll, dead = polls.start(), polls.start(name="dead")
    await asyncio.sleep(3)

    assert (None, ["poison"]) == (polls.bodies(poll), polls.bodies(dead))

    site.q("SendMessage", MessageBody="x")

    assert ["x"] == polls.bodies(poll)


async def test_polls_end_with_their_queue_and_with_the_service(site, polls):
    """Empty, at once."""
    site.create("other")
    first, second = polls.start(), polls.start(name="other")
    site.q("DeleteQueue")

    assert ([], None) == (polls.bodies(first), polls.bodies(second))

    site.service.stop()

    assert [] == polls.bodies(second)


async def test_a_thousand_polls_cost_nothing_while_they_wait(site, polls):
    """Each message wakes one; all others end at their time."""
    every = [polls.start() for _ in range(1_000)]
    for n in range(10):
        site.q("SendMessage", MessageBody=str(n))
    await asyncio.sleep(21)
    answered = [polls.bodies(poll) for poll in every]

    assert [[str(n)] for n in range(10)] + [[]] * 990 == answered


# --- move tasks


@pytest.fixture
def dead(site):
    """A dead-letter queue of two sources, and how to put messages into it."""
    site.create("dead")
    policy = json.dumps({"deadLetterTargetArn": site.arn("dead"), "maxReceiveCount": 1})
    for name in ("q", "p"):
        site.create(name)
        site.q("SetQueueAttributes", name, Attributes={"RedrivePolicy": policy})

    def bury(name: str, count: int) -> None:
        for n in range(count):
            site.q("SendMessage", name, MessageBody=f"{name}{n}")
        for _ in range(count + 1):
            site.bodies(name=name, VisibilityTimeout=0)

    return bury


def listed(site, most: int = 10) -> list[dict]:
    answer = site.json("ListMessageMoveTasks", SourceArn=site.arn("dead"), MaxResults=most)
    return answer.document["Results"]


async def test_messages_go_back_where_they_came_from(site, dead):
    """As new messages."""
    dead("q", 3)
    dead("p", 2)
    handle = site.json("StartMessageMoveTask", SourceArn=site.arn("dead")).document["TaskHandle"]
    [running] = listed(site)
    await asyncio.sleep(1)
    [done] = listed(site)

    assert ("RUNNING", handle, 5) == (
        running["Status"],
        running["TaskHandle"],
        running["ApproximateNumberOfMessagesToMove"],
    )
    assert {
        "Status": "COMPLETED",
        "SourceArn": site.arn("dead"),
        "ApproximateNumberOfMessagesMoved": 5,
        "ApproximateNumberOfMessagesToMove": 5,
        "StartedTimestamp": 1_767_225_600_000,
    } == done
    assert [(3, 0, 0), (2, 0, 0), (0, 0, 0)] == [site.counts(name) for name in ("q", "p", "dead")]

    [message] = site.q("ReceiveMessage", AttributeNames=["All"]).document["Messages"]

    assert "1" == message["Attributes"]["ApproximateReceiveCount"]
    assert "DeadLetterQueueSourceArn" not in message["Attributes"]


async def test_messages_move_at_the_rate_asked_for(site, dead):
    """And a cancelled task stops where it is."""
    dead("q", 30)
    site.create("target")
    params = {"SourceArn": site.arn("dead"), "DestinationArn": site.arn("target")}
    handle = site.json("StartMessageMoveTask", MaxNumberOfMessagesPerSecond=2, **params).document[
        "TaskHandle"
    ]
    second = site.json("StartMessageMoveTask", **params)

    assert second.message.startswith("There is already a task running.")

    await asyncio.sleep(5.1)

    assert (11, 0, 0) == site.counts("target")
    assert {"ApproximateNumberOfMessagesMoved": 11} == site.json(
        "CancelMessageMoveTask", TaskHandle=handle
    ).document

    await asyncio.sleep(60)

    assert (11, 0, 0) == site.counts("target")
    assert ["CANCELLED"] == [task["Status"] for task in listed(site)]
    assert 404 == site.json("CancelMessageMoveTask", TaskHandle=handle).status


async def test_a_task_without_a_target_fails_and_loses_nothing(site, dead):
    """The queue was deleted, or the message was never anywhere else."""
    dead("p", 2)
    site.q("DeleteQueue", "p")
    site.json("StartMessageMoveTask", SourceArn=site.arn("dead"))
    await asyncio.sleep(1)

    assert (2, 0, 0) == site.counts("dead")
    assert ("FAILED", "AWS.SimpleQueueService.NonExistentQueue") == (
        listed(site)[0]["Status"],
        listed(site)[0]["FailureReason"],
    )

    site.q("PurgeQueue", "dead")
    site.q("SendMessage", "dead", MessageBody="native")
    site.json("StartMessageMoveTask", SourceArn=site.arn("dead"))
    await asyncio.sleep(1)

    assert ["FAILED", "FAILED"] == [task["Status"] for task in listed(site)]
    assert "CouldNotDetermineMessageSource" == listed(site, 1)[0]["FailureReason"]
    assert (1, 0, 0) == site.counts("dead")


async def test_many_messages_move_in_slices(site, dead):
    """Nothing else has to wait for all of them; polls on the target are woken."""
    dead("q", 1)
    queue = site.service.queue("dead")
    [message] = queue.take_visible(1, site.clock.now())
    for _ in range(2_000):
        queue.accept_moved(site.clock.now(), message, origin=site.arn("q"))
    site.json("StartMessageMoveTask", SourceArn=site.arn("dead"))
    await asyncio.sleep(1)

    assert (2_000, 0, 0) == site.counts("q")
    assert "COMPLETED" == listed(site)[0]["Status"]


async def test_a_fifo_move_keeps_groups_and_is_not_deduplicated(site):
    """Within five minutes of the first send."""
    site.create("dead.fifo")
    policy = json.dumps({"deadLetterTargetArn": site.arn("dead.fifo"), "maxReceiveCount": 1})
    site.create("f.fifo", RedrivePolicy=policy)
    site.q("SendMessage", "f.fifo", MessageBody="x", MessageGroupId="g", MessageDeduplicationId="d")
    for _ in range(2):
        site.bodies(name="f.fifo", VisibilityTimeout=0)
    [buried] = site.q("ReceiveMessage", "dead.fifo", VisibilityTimeout=0, AttributeNames=["All"]).document[
        "Messages"
    ]

    assert (buried["MessageId"], "g", "2", site.arn("f.fifo")) == tuple(
        buried["Attributes"][name]
        for name in (
            "MessageDeduplicationId",
            "MessageGroupId",
            "ApproximateReceiveCount",
            "DeadLetterQueueSourceArn",
        )
    )

    site.json("StartMessageMoveTask", SourceArn=site.arn("dead.fifo"))
    await asyncio.sleep(1)

    assert ["x"] == site.bodies(name="f.fifo")
