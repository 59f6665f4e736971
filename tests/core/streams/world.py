"""A stream, a mapping and what happens to them, all at random, with books of what has to hold."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from random import Random
from typing import Any
from zlib import crc32

from engine.core.streams.commands import BatchResult, ResultKind, StreamBatch
from engine.core.streams.records import (
    ReadFailure,
    ShardCheckpoint,
    StreamRecord,
    checkpoint_document,
    checkpoint_of,
)
from engine.core.streams.settings import StreamSettings
from tests.core.streams.scripted import BAD, START_S, THROTTLED, ScriptedDriver, ScriptedStream

PUTS_FOR_S = 40.0


@dataclass(frozen=True)
class Plan:
    """What may happen, as shares and counts."""

    seed: int
    keys: int = 6
    shards: int = 1
    puts: int = 80
    reshardings: int = 0
    failing: float = 0.0
    throttling: float = 0.0
    partial: float = 0.0
    poison: float = 0.0
    filtered: float = 0.0
    failing_reads: float = 0.0
    pauses: int = 0
    crashes: int = 0
    changes: int = 0
    names_children: bool = True
    knows_delay: bool = True


class World:
    """One run.

    Attributes:
        put: All records, in order, with the shard that took each.
        ends: How each record ended, in order: done, discarded or filtered.
        first: When each was delivered first: the number of the delivery.
    """

    def __init__(self, plan: Plan, **settings: Any) -> None:
        self.plan, self.random = plan, Random(plan.seed)
        self.stream = ScriptedStream(plan.shards, names_children=plan.names_children)
        self.stream.knows_delay = plan.knows_delay
        self.settings = StreamSettings(
            record_filter=self._filter if plan.filtered else None, on_failure=True, **settings
        )
        self.put: list[tuple[StreamRecord, str]] = []
        self.ends: defaultdict[int, list[str]] = defaultdict(list)
        self.first: dict[int, int] = {}
        self.problems: list[str] = []
        self.windows: dict[str, tuple[int, int, list[int]]] = {}
        self.finals: set[tuple[str, int, int]] = set()
        self.crash_checkpoints: list[dict[str, ShardCheckpoint]] = []
        self.driver: ScriptedDriver
        self.drivers: list[ScriptedDriver] = []
        self._deliveries = 0
        self._may_repeat: set[int] = set()
        self._start(START_S, ())

    def run(self) -> None:
        """From the first put until everything is done with."""
        plan, random = self.plan, self.random
        steps = [(random.uniform(0, PUTS_FOR_S), "put") for _ in range(plan.puts)]
        events = {
            "reshard": plan.reshardings,
            "pause": plan.pauses,
            "crash": plan.crashes,
            "change": plan.changes,
        }
        for what, count in events.items():
            steps += [(random.uniform(0, PUTS_FOR_S * 1.2), what) for _ in range(count)]
        began_s = self.driver.now_s
        for at_s, what in sorted(steps):
            self.driver.run(max(0.0, began_s + at_s - self.driver.now_s))
            getattr(self, f"_{what}")()
        for _ in range(40):
            self.driver.run(40)
            poller = self.driver.poller
            if (
                all(self.ends[record.sequence] for record, _ in self.put)
                and not poller.in_flight
                and not self._open_windows()
            ):
                break
        self._check_end()

    # ---------------------------------------------------------------- what happens

    def _put(self) -> None:
        key = f"key-{self.random.randrange(self.plan.keys)}"
        record = self.stream.put(key, self.driver.now_s, size_bytes=self.random.choice((100, 100, 2_500_000)))
        self.put.append(
            (
                record,
                next(shard.shard_id for shard in self.stream.shards.values() if record in shard.records[-1:]),
            )
        )

    def _reshard(self) -> None:
        shards = self.stream.open_shards
        at = self.random.randrange(len(shards))
        if at + 1 < len(shards) and self.random.random() < 0.5:
            self.stream.merge(shards[at].shard_id, shards[at + 1].shard_id)
        else:
            self.stream.split(shards[at].shard_id)

    def _pause(self) -> None:
        self.driver.pause()
        self.driver.run(self.random.uniform(0, 5))
        self.driver.open()

    def _change(self) -> None:
        """Other settings: batches that were tried go on, nothing is repeated."""
        factor = self.settings.parallelization_factor
        if not self.settings.tumbling_window_s:
            factor = self.random.randint(1, 10)
        self.driver = self.driver.changed(parallelization_factor=factor)
        self.settings = self.driver.settings
        self.drivers.append(self.driver)
        self.driver.open()

    def _crash(self) -> None:
        """The engine ends: only its checkpoints are left, as JSON."""
        self.driver.is_crashed = True
        checkpoints = [
            checkpoint_of(json.loads(json.dumps(checkpoint_document(each))))
            for each in self.driver.poller.checkpoints()
        ]
        if checkpoints != self.driver.poller.checkpoints():
            self.problems.append("a checkpoint is another one as JSON")
        known = {each.shard_id: each for each in checkpoints}
        self._may_repeat = {
            record.sequence
            for record, shard_id in self.put
            if self.ends[record.sequence] and not self._is_behind(known.get(shard_id), record)
        }
        self._start(self.driver.now_s, checkpoints)

    def _is_behind(self, checkpoint: ShardCheckpoint | None, record: StreamRecord) -> bool:
        if checkpoint is None or checkpoint.finished:
            return checkpoint is not None
        place = crc32(record.key.encode())
        partitions = (checkpoint.subshards, *checkpoint.others)
        return any(record.sequence <= each[place % len(each)] for each in partitions)

    def _start(self, now_s: float, checkpoints: Any) -> None:
        self.driver = driver = ScriptedDriver(
            self.stream,
            self.settings,
            self._handle,
            service_s=lambda _: self.random.choice((0.0, 0.1, 0.7, 2.0)),
            read_s=lambda: self.random.choice((0.0, 0.05)),
            checkpoints=checkpoints,
            now_s=now_s,
        )
        driver.after_each = self._check_step
        self.drivers.append(driver)
        length_s = self.settings.tumbling_window_s
        self.windows = {
            each.shard_id: (
                each.window[0],
                each.window[0] + length_s,
                json.loads(each.window[1]).get("seen", []),
            )
            for each in checkpoints
            if each.window is not None
        }
        driver.open()

    def _filter(self, record: StreamRecord) -> bool:
        passes = Random(record.sequence).random() >= self.plan.filtered
        if not passes and "filtered" not in self.ends[record.sequence]:
            self.ends[record.sequence].append("filtered")
        return passes

    # ---------------------------------------------------------------- the function

    def _handle(self, batch: StreamBatch) -> BatchResult:
        self._deliveries += 1
        self._check_delivery(batch)
        plan, draw = self.plan, self.random.random()
        if self.random.random() < plan.failing_reads and not self.stream.failures:
            self.stream.failures.append(self.random.choice((ReadFailure.EXPIRED, ReadFailure.ERROR)))
        poisoned = any(Random(-record.sequence).random() < plan.poison for record in batch.records)
        if draw < plan.throttling:
            return THROTTLED
        if draw < plan.throttling + plan.failing or poisoned:
            return BAD
        if batch.records and draw < plan.throttling + plan.failing + plan.partial:
            return self._report(batch, self.random.randrange(len(batch.records)))
        return self._report(batch, len(batch.records))

    def _report(self, batch: StreamBatch, done: int) -> BatchResult:
        """The first `done` records are done with, and the state of the window knows them."""
        answer: dict[str, Any] = {}
        if done < len(batch.records):
            answer["batchItemFailures"] = [
                {"itemIdentifier": record.sequence_number}
                for record in batch.records[done:]
                if record is batch.records[done] or self.random.random() < 0.5
            ]
            self.random.shuffle(answer["batchItemFailures"])
            if not self.settings.report_batch_item_failures:
                done = len(batch.records)
        for record in batch.records[:done]:
            self.ends[record.sequence].append("done")
        if batch.window is not None:
            seen = json.loads(batch.window.state).get("seen", [])
            if done or not batch.records:
                seen += [record.sequence for record in batch.records[:done]]
                start_s, end_s, _ = self.windows[batch.shard_id]
                self.windows[batch.shard_id] = start_s, end_s, seen
            if batch.window.is_final:
                del self.windows[batch.shard_id]
            answer["state"] = {"seen": seen}
        return BatchResult(ResultKind.SUCCEEDED, json.dumps(answer).encode())

    # ---------------------------------------------------------------- what has to hold

    def _check_delivery(self, batch: StreamBatch) -> None:
        plan_retries = self.settings.maximum_retry_attempts
        if 0 <= plan_retries < batch.attempt - 1:
            self.problems.append(f"{batch}: an attempt too many")
        if len(batch.records) > self.settings.batch_size:
            self.problems.append(f"{batch}: too many records")
        if len(batch.records) > 1 and sum(each.size_bytes for each in batch.records) > 6_291_456:
            self.problems.append(f"{batch}: too many bytes")
        for record in batch.records:
            ended = self.ends[record.sequence]
            if ended and record.sequence not in self._may_repeat:
                self.problems.append(f"{record.sequence} comes again after {ended}")
            self.first.setdefault(record.sequence, self._deliveries)
        self._check_parents(batch)
        if batch.window is not None:
            self._check_window(batch)

    def _check_parents(self, batch: StreamBatch) -> None:
        older = set(self.stream.shards[batch.shard_id].parents)
        while older:
            shard = self.stream.shards[older.pop()]
            older |= set(shard.parents)
            if any(not self.ends[record.sequence] for record in shard.records):
                self.problems.append(f"{batch}: before {shard.shard_id} was done with")

    def _check_window(self, batch: StreamBatch) -> None:
        window = batch.window
        assert window is not None
        known = self.windows.setdefault(batch.shard_id, (window.start_s, window.end_s, []))
        if known[:2] != (window.start_s, window.end_s) and self._is_given_up(batch.shard_id, known[:2]):
            known = self.windows[batch.shard_id] = (window.start_s, window.end_s, [])
        if window.is_final:
            self.finals.add((batch.shard_id, window.start_s, window.end_s))
        if known[:2] != (window.start_s, window.end_s):
            self.problems.append(f"{batch}: window {window} while {known} is open")
        if json.loads(window.state).get("seen", []) != known[2]:
            self.problems.append(f"{batch}: state {window.state} is not {known[2]}")
        if any(each.arrived_s >= window.end_s or each.arrived_s < window.start_s for each in batch.records):
            self.problems.append(f"{batch}: not in {window}")

    def _is_given_up(self, shard_id: str, window: tuple[int, int]) -> bool:
        """Whether the end of the window was tried, or is too old by now."""
        is_old = self.settings.maximum_record_age_s > 0 and self.driver.now_s >= window[1] + 60
        return is_old or (shard_id, *window) in self.finals

    def _open_windows(self) -> list[str]:
        return [each for each, known in self.windows.items() if not self._is_given_up(each, known[:2])]

    def _check_step(self) -> None:
        driver = self.driver
        poller = driver.poller
        counts, report = poller.counts, poller.report(driver.now_s)
        known = counts.filtered + counts.invoked + counts.dropped_unseen + counts.given_back + report.waiting
        if counts.polled != known:
            self.problems.append(f"{counts.polled} were polled, {known} are known")
        for discarded in driver.discarded:
            for record in discarded.records:
                self.ends[record.sequence].append("discarded")
        driver.discarded.clear()

    def _check_end(self) -> None:
        by_key: defaultdict[str, list[int]] = defaultdict(list)
        for record, _ in self.put:
            ended = self.ends[record.sequence]
            if not ended:
                self.problems.append(f"{record.sequence} is not done with")
            elif len(ended) > 1 and not self.plan.crashes:
                self.problems.append(f"{record.sequence} ended as {ended}")
            if record.sequence in self.first:
                by_key[record.key].append(self.first[record.sequence])
        for key, firsts in by_key.items():
            if firsts != sorted(firsts):
                self.problems.append(f"{key} came in another order")
        for driver in self.drivers:
            if any(most > driver.settings.subshards for most in driver.most_in_flight.values()):
                self.problems.append("too many batches of a shard at a time")
        if self.driver.poller.in_flight or self.driver.poller.report(self.driver.now_s).waiting:
            self.problems.append("something is still open")
        if self._open_windows():
            self.problems.append(f"windows of {self._open_windows()} were not closed")
