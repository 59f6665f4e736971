"""Drives the engine through the phases of the demo, from the client's side, and records what it saw."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import field
from typing import Final, Literal

from engine.cli.demo.load import (
    OK,
    Address,
    HttpCall,
    RequestTally,
    burst,
    connect,
    invocation,
    keep_asking,
)
from engine.cli.demo.mixed_traffic import TrafficClass, traffic_classes
from engine.cli.demo.phases import DemoPhase, PhaseProgress
from engine.cli.demo.queue_and_bucket import (
    DEAD_LETTERS,
    QUEUE,
    QueueAndBucketCounts,
    emptied,
    left_in,
    message_calls,
    object_calls,
    send_all,
)
from engine.cli.demo.sampling import StatusSampler
from engine.cli.demo.sizes import DemoSizes
from engine.core.late_dataclass import dataclass
from engine.ports import Clock
from engine.protocols.http.client import HttpConnection
from engine.telemetry.status_sample import StatusSample

FROM_ZERO, OVER_THE_LIMIT, HTTP_EVENTS, INVOKE_API, MIXED_TRAFFIC, QUEUE_AND_BUCKET, TO_ZERO = range(7)

THROTTLED: Final = "429 TooManyRequestsException"

_LONGEST_SLEEP_S: Final = 3.0
_SETTLE_S: Final = 10.0
_BREATH_S: Final = 0.4
_FEEDERS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSeries:
    """Requests of one kind, and their answers.

    Attributes:
        name: Which function, and how it was reached.
        phase: Index of the phase.
        form: All at once, or one after another from several clients.
        tally: The answers.
        expected: The kinds of answers that are right.
        sleep_s: How long the handler slept on purpose.
    """

    name: str
    phase: int
    form: Literal["burst", "loop"]
    tally: RequestTally
    expected: frozenset[str]
    sleep_s: float = 0.0


@dataclass(slots=True)
class Recording:
    """What the client saw: series of answers, in order."""

    series: list[RequestSeries] = field(default_factory=list)
    fed: QueueAndBucketCounts | None = None
    is_back_at_zero: bool = False

    def of(self, phase: int) -> list[RequestSeries]:
        """The series of one phase."""
        return [one for one in self.series if one.phase == phase]


class Drive:
    """One run. `run` takes about 25 s."""

    def __init__(
        self,
        plan: DemoSizes,
        addresses: dict[str, Address],
        sampler: StatusSampler,
        board: PhaseProgress,
        clock: Clock,
    ) -> None:
        self._plan = plan
        self._addresses = addresses
        self._sampler = sampler
        self._board = board
        self._clock = clock
        self._sleep_s = plan.sleep_s
        self.recording = Recording()

    async def run(self) -> None:
        """All phases.

        Raises:
            HttpClientError: The engine ended a connection, or refused one.
        """
        await self._sampler.until(lambda _: True, _SETTLE_S)  # the first sample shows the engine at zero
        with ExitStack() as stack:
            await self._from_zero(stack)
        for phase, name, listener, call in (
            (HTTP_EVENTS, "hello, HTTP event", "http", HttpCall("GET", "/hello/Ada")),
            (INVOKE_API, "echo, Invoke API", "aws", invocation("echo", {"order": "A-1", "items": [1, 2, 3]})),
        ):
            with self._board.during(phase) as shown:
                await self._throughput(phase, shown, name, listener, call)
        with self._board.during(MIXED_TRAFFIC) as shown:
            await self._mixed_traffic(shown)
        with self._board.during(QUEUE_AND_BUCKET) as shown:
            await self._queue_and_bucket(shown)
        with self._board.during(TO_ZERO) as shown:
            await self._back_to_zero(shown)

    async def _from_zero(self, stack: ExitStack) -> None:
        """Both bursts: the second comes while the environments of the first are warm."""
        plan = self._plan
        with self._board.during(FROM_ZERO) as phase:
            began_s = self._clock.now()
            callers = await connect(stack, self._addresses["http"], plan.burst)
            sdks = await connect(stack, self._addresses["aws"], plan.over)
            # All must have arrived before the first is done, on a slow machine too.
            connected_s = self._clock.now() - began_s
            self._sleep_s = round(min(_LONGEST_SLEEP_S, max(plan.sleep_s, 2 * connected_s)), 2)
            call = HttpCall("GET", f"/sleep?seconds={self._sleep_s:g}")
            tally = await self._burst(
                FROM_ZERO, f"sleeper, HTTP event, {plan.burst:,} at once", callers, call, frozenset({OK})
            )
            peak = max(one.in_flight for one in self._sampler.samples)
            refused = sum(count for kind, count in tally.answers.items() if kind.startswith("429"))
            phase.achieved = f"{peak:,} at a time, {refused:,} refused, {tally.took_s:.2f} s"
        with self._board.during(OVER_THE_LIMIT) as phase:
            call = invocation("sleeper", {"seconds": self._sleep_s})
            tally = await self._burst(
                OVER_THE_LIMIT,
                f"sleeper, Invoke API, {plan.over:,} at once",
                sdks,
                call,
                frozenset({OK, THROTTLED}),
            )
            answers = tally.answers
            phase.achieved = f"{answers.get(OK, 0):,} served, {answers.get(THROTTLED, 0):,} refused with 429"

    async def _burst(
        self,
        phase: int,
        name: str,
        connections: Sequence[HttpConnection],
        call: HttpCall,
        expected: frozenset[str],
    ) -> RequestTally:
        tally = await burst(connections, call, self._clock)
        self.recording.series.append(
            RequestSeries(
                name=name, phase=phase, form="burst", tally=tally, expected=expected, sleep_s=self._sleep_s
            )
        )
        await self._sampler.until(lambda sample: sample.in_flight == 0, _SETTLE_S)
        await asyncio.sleep(_BREATH_S)  # so that the charts show the phases apart
        return tally

    async def _throughput(
        self, index: int, phase: DemoPhase, name: str, listener: str, call: HttpCall
    ) -> None:
        plan = self._plan
        with ExitStack() as stack:
            clients = await connect(stack, self._addresses[listener], plan.connections)
            tally = RequestTally()
            until_s = self._clock.now() + plan.throughput_s
            async with asyncio.TaskGroup() as group:
                for client in clients:
                    group.create_task(keep_asking(client, (call,), tally, self._clock, until_s=until_s))
        self.recording.series.append(
            RequestSeries(name=name, phase=index, form="loop", tally=tally, expected=frozenset({OK}))
        )
        phase.achieved = f"{tally.per_s:,.0f} per s"

    async def _mixed_traffic(self, phase: DemoPhase) -> None:
        until_s = self._clock.now() + self._plan.mixed_s
        before = len(self.recording.series)
        with ExitStack() as stack:
            async with asyncio.TaskGroup() as group:
                for traffic_class in traffic_classes(thumbnails=self._plan.thumbnails):
                    await self._send(traffic_class, stack, group, until_s)
        tallies = [one.tally for one in self.recording.series[before:]]
        kinds = {kind for tally in tallies for kind in tally.answers if kind not in (OK, "201")}
        count = sum(tally.count for tally in tallies)
        phase.achieved = f"{count:,} requests, {len(kinds)} kinds of failure"

    async def _send(
        self, traffic_class: TrafficClass, stack: ExitStack, group: asyncio.TaskGroup, until_s: float
    ) -> None:
        clients = await connect(stack, self._addresses[traffic_class.listener], traffic_class.clients)
        tally = RequestTally()
        for client in clients:
            group.create_task(
                keep_asking(
                    client,
                    traffic_class.calls,
                    tally,
                    self._clock,
                    until_s=until_s,
                    pause_s=traffic_class.pause_s,
                )
            )
        self.recording.series.append(
            RequestSeries(
                name=traffic_class.name,
                phase=MIXED_TRAFFIC,
                form="loop",
                tally=tally,
                expected=traffic_class.expected,
            )
        )

    async def _queue_and_bucket(self, phase: DemoPhase) -> None:
        plan = self._plan
        before = self._sampler.succeeded("thumbnails")
        with ExitStack() as stack:
            clients = await connect(stack, self._addresses["aws"], _FEEDERS)
            sent = await send_all(clients, message_calls(plan.messages), self._clock)
            left = await emptied(clients[0], QUEUE, _SETTLE_S, self._clock)
            took_s = self._clock.now() - (sent.began_s or 0.0)
            dead = await left_in(clients[0], DEAD_LETTERS)
            put = await send_all(clients, object_calls(plan.objects), self._clock)
        wanted = before + plan.objects
        await self._sampler.until(lambda _: self._sampler.succeeded("thumbnails") >= wanted, _SETTLE_S)
        self.recording.series += sent_series(plan, sent, put)
        noticed = self._sampler.succeeded("thumbnails") - before
        self.recording.fed = QueueAndBucketCounts(plan.messages, left, dead, plan.objects, noticed, took_s)
        per_s = plan.messages / took_s
        phase.achieved = f"{per_s:,.0f} messages per s handled, {noticed:,} objects noticed"

    async def _back_to_zero(self, phase: DemoPhase) -> None:
        began_s = self._clock.now()

        def is_zero(sample: StatusSample) -> bool:
            return sample.environments == 0 and sample.in_flight == 0

        limit_s = self._plan.keep_alive_s + _SETTLE_S
        self.recording.is_back_at_zero = await self._sampler.until(is_zero, limit_s)
        took_s = self._clock.now() - began_s
        if self.recording.is_back_at_zero:
            phase.achieved = f"0 environments after {took_s:.1f} s"
        else:
            phase.achieved = f"{self._board.history[-1].environments:,} environments still there"


def sent_series(plan: DemoSizes, messages: RequestTally, objects: RequestTally) -> list[RequestSeries]:
    """The requests that fill the queue and the bucket; none for a kind of which the plan has none."""
    kinds = [
        ("messages, SendMessageBatch of 10", plan.messages, messages),
        ("objects, PutObject", plan.objects, objects),
    ]
    return [
        RequestSeries(name=name, phase=QUEUE_AND_BUCKET, form="loop", tally=tally, expected=frozenset({OK}))
        for name, count, tally in kinds
        if count
    ]
