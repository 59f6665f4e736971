"""The Locust users: one that sends when a request is due, and one that waits for its answer first."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count
from typing import Any, ClassVar, Final

import gevent
from gevent.pool import Pool
from locust import FastHttpUser, task
from locust.exception import StopUser

from engine.load.generator.recorder import FAILURE, SUCCESS, THROTTLED, Recorder, RequestOutcome
from engine.load.generator.senders import Sender, shown
from engine.load.planning.arrivals import planned_arrivals, share_of
from engine.load.planning.plan import Plan

_LOOK_UP_S: Final = 0.25
"""How often a user that waits looks whether the run was ended."""

_RUSH: Final = 16
"""Requests after which a user that is late lets others run."""


_MAX_READ: Final = 4096


class PlannedUser(FastHttpUser):
    """Sends the requests of one stream, and records them.

    Attributes:
        plan, recorder, sender, stream: Of which run; set by `user_classes`.
    """

    abstract = True
    host = "http://127.0.0.1"
    plan: ClassVar[Plan]
    recorder: ClassVar[Recorder]
    sender: ClassVar[Sender]
    stream: ClassVar[str]

    def until(self, due_s: float) -> bool:
        """Wait for a moment of the monotonic clock; False if the run ended before."""
        while self.recorder.ended_s is None and (wait_s := due_s - time.monotonic()) > 0:
            gevent.sleep(min(wait_s, _LOOK_UP_S))
        return self.recorder.ended_s is None

    def send(self, stage: int, number: int, intended_s: float, *, burst: bool = False) -> None:
        """Send one request and record it. The response time counts from `intended_s`."""
        recorder, request = self.recorder, self.sender.request(number, intended_s)
        begun_s = time.monotonic()
        lag_s = begun_s - intended_s
        recorder.sent(stage, begun_s - recorder.begin_s, lag_s, burst=burst)
        answer = RequestOutcome(FAILURE, "never sent", is_answer=False)
        try:
            with self.client.request(
                request.method,
                request.url,
                name=self.stream,
                data=request.body,  # type: ignore[arg-type]  # bytes are taken as well
                headers=request.headers,
                catch_response=True,
            ) as reply:
                answer = self._judged(reply)
                if answer.outcome == THROTTLED:
                    reply.request_meta["name"] = f"{self.stream}, throttled"
                if answer.outcome != FAILURE or request.fails:
                    reply.success()
                else:
                    reply.failure(answer.error)
                reply.request_meta["response_time"] = (time.monotonic() - intended_s) * 1000
        finally:
            recorder.answer(stage, self.stream, intended_s, time.monotonic(), answer)
        if request.fails and answer.outcome == SUCCESS:
            recorder.surprise(f"{self.stream}: a request succeeded that was expected to fail")
        elif answer.outcome == FAILURE and not request.fails:
            recorder.surprise(f"{self.stream}: {answer.error}")
            text = f"{answer.error}: {answer.text}" if answer.text else answer.error
            recorder.failed(self.stream, time.monotonic(), text)

    def _judged(self, reply: Any) -> RequestOutcome:
        if reply.status_code == 0:
            kind = type(reply.error).__name__
            text = shown(str(reply.error))
            return RequestOutcome(FAILURE, f"no answer: {kind}", is_answer=False, text=text)
        cut = reply.request_meta["exception"]  # of a streamed answer that failed in the middle
        if cut is not None:
            return RequestOutcome(FAILURE, "incomplete answer", text=shown(str(cut)))
        try:
            answer = self.sender.answer(reply)
        except (ValueError, KeyError, TypeError) as error:
            answer = RequestOutcome(FAILURE, f"unreadable answer: {type(error).__name__}")
        if answer.outcome == FAILURE:
            return answer._replace(text=shown(reply.content[:_MAX_READ].decode(errors="replace")))
        return answer


class OpenUser(PlannedUser):
    """Open model: requests are sent when they are due, whatever became of those before.

    There is one such user for each process, with a greenlet for each request. A server that stalls so does
    not slow the load down, and what waited for it is counted from the moment at which it was due. Arrivals
    that find too many unanswered requests are dropped, and counted; those of a burst wait for their turn.
    What was due before the end of the run is sent, also by a process that the machine let wait at the end.

    Attributes:
        part: Which of `plan.workers` equal parts of the arrivals this one sends.
    """

    abstract = True
    part: ClassVar[int]

    @task
    def walk(self) -> None:
        """The whole plan, then the end."""
        recorder, pool = self.recorder, Pool(self.plan.most_in_flight)
        recorder.walking += 1
        every = planned_arrivals(self.plan, self.stream)
        for turn, arrival in enumerate(share_of(every, self.part, self.plan.workers), 1):
            due_s = recorder.begin_s + arrival.at_s
            if not self.until(due_s) and arrival.at_s >= (recorder.ended_s or 0.0):
                break
            if turn % _RUSH == 0:
                gevent.sleep(0)
            recorder.due(self.stream, arrival.at_s)
            if arrival.burst or pool.free_count() > 0:
                pool.spawn(self.send, arrival.stage, arrival.number, due_s, burst=arrival.burst)
            else:
                recorder.drop(self.stream, arrival.at_s)
        pool.join()
        recorder.walking -= 1
        raise StopUser


class ClosedUser(PlannedUser):
    """Closed model: a request is sent when the one before was answered, or later, at the pace of its stream.

    A server that stalls slows such users down: each has one slow request, and those that it would have
    sent meanwhile are never missed.

    Attributes:
        place: Of this user among those of the stream: it rests in stages with no more users than that.
        numbers: Of its requests.
    """

    abstract = True
    place: ClassVar[int]
    numbers: ClassVar[Iterator[int]]

    @task
    def walk(self) -> None:
        """Every stage in which this user has a place, then the end."""
        recorder = self.recorder
        for index, (stage, begin_s) in enumerate(zip(self.plan.stages, self.plan.begins(), strict=True)):
            if self.place >= stage.users.get(self.stream, 0):
                continue
            due_s = recorder.begin_s + begin_s
            end_s = due_s + stage.seconds
            pace_per_s = self.plan.streams[self.stream].pace_per_s
            recorder.users += 1
            while due_s < end_s and self.until(due_s):
                now_s = time.monotonic()
                recorder.due(self.stream, now_s - recorder.begin_s)
                self.send(index, next(self.numbers), now_s)
                due_s = max(time.monotonic(), now_s + 1 / pace_per_s if pace_per_s else now_s)
            recorder.users -= 1
        raise StopUser


def user_classes(plan: Plan, recorder: Recorder) -> dict[str, type[PlannedUser]]:
    """The users of a plan, by name: a class for each one.

    Locust spreads users over its processes as it likes. A class of its own tells each user which part of the
    work is its own, wherever that is done.
    """
    classes: dict[str, type[PlannedUser]] = {}

    def add(name: str, kind: type[PlannedUser], attributes: dict[str, Any]) -> None:
        classes[name] = type(name, (kind,), {**attributes, "abstract": False, "fixed_count": 1})

    for index, (name, stream) in enumerate(plan.streams.items()):
        sender = Sender(name, stream, plan.urls, plan.seed, time.time() - time.monotonic())
        common = {"plan": plan, "recorder": recorder, "stream": name, "sender": sender}
        shaped = name in plan.profiles or name in plan.moments
        if shaped or any(name in stage.per_s or name in stage.at_once for stage in plan.stages):
            for part in range(plan.workers):
                open_user = {**common, "part": part, "concurrency": plan.most_in_flight}
                add(f"Open{index}Part{part}", OpenUser, open_user)
        users = max(stage.users.get(name, 0) for stage in plan.stages)
        for place in range(users):
            add(
                f"Closed{index}User{place}",
                ClosedUser,
                {**common, "place": place, "numbers": count(place, users)},
            )
    return classes
