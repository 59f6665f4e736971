"""A live mapping under faults, resharding and changes drawn at random: order per key, and nothing lost."""

from __future__ import annotations

from random import Random

import anyio
import pytest

from engine.core.invocation import Result
from engine.core.outcome import Status
from engine.core.streams.records import ReadFailure
from engine.testing import Act

KEYS = [f"key-{number}" for number in range(15)]
FAULTS = (ReadFailure.ERROR, ReadFailure.ERROR, ReadFailure.EXPIRED)
STREAM = "arn:aws:kinesis:us-east-1:000000000000:stream/s"


def firsts(seen: list[str]) -> list[str]:
    """Each once, where it came first."""
    return list(dict.fromkeys(seen))


async def load(site, rng: Random, put: dict[str, list[str]], steps: int) -> None:
    """Put records of all keys, a few at a time."""
    for step in range(steps):
        for key in rng.sample(KEYS, 6):
            text = f"{key}:{step}"
            site.stream.put(key, text.encode())
            put[key].append(text)
        await anyio.sleep(rng.random() * 0.4)


async def reshard(site, rng: Random, times: int) -> None:
    """Split or merge open shards, and have calls fail."""
    for _ in range(times):
        await anyio.sleep(rng.random() * 3)
        shards = sorted(
            (one for one in site.stream.shards.values() if one.ending_sequence is None),
            key=lambda one: one.first_hash,
        )
        if len(shards) > 1 and rng.random() < 0.5:
            place = rng.randrange(len(shards) - 1)
            site.stream.merge(shards[place].shard_id, shards[place + 1].shard_id)
        else:
            site.stream.split(rng.choice(shards).shard_id)
        site.stream.fail(rng.choice(FAULTS), times=rng.randrange(4))


async def change(site, rng: Random, times: int) -> None:
    """Other settings, sometimes disabled for a while."""
    for _ in range(times):
        await anyio.sleep(rng.random() * 6)
        values = {
            "stream": STREAM,
            "starting_position": "TRIM_HORIZON",
            "batch_size": rng.choice((1, 3, 10)),
            "parallelization_factor": rng.choice((1, 2, 5)),
            "enabled": rng.random() < 0.7,
        }
        settings = site.mappings.settings_from("kinesis", values, site.entry.settings)
        site.mappings.change(site.entry, "work", None, settings)
    settings = site.mappings.settings_from("kinesis", {**values, "enabled": True}, site.entry.settings)
    site.mappings.change(site.entry, "work", None, settings)


@pytest.mark.parametrize("seed", range(8))
async def test_first_deliveries_of_a_key_are_in_order_and_nothing_is_lost(make_stream_site, failure, seed):
    """What runs may fail, and comes again then; what succeeded may only come again around a change."""
    rng = Random(seed)
    throttled = Result(Status.ERROR, b'{"errorType":"Again"}')

    def act(_run):
        result = rng.choice((failure, throttled)) if rng.random() < 0.15 else None
        return Act(takes_s=rng.random() * 0.3, **({"result": result} if result else {}))

    async with make_stream_site(
        act, shards=2, batch_size=4, parallelization_factor=3, poll_interval_s=0.2
    ) as site:
        put: dict[str, list[str]] = {key: [] for key in KEYS}
        async with anyio.create_task_group() as group:
            group.start_soon(load, site, rng, put, 60)
            group.start_soon(reshard, site, rng, 6)
            group.start_soon(change, site, rng, 4)
        await anyio.sleep(600)
        seen = firsts(site.data)
        counts = site.entry.counts
        report = site.entry.driver.poller.report(site.clock.wall())

    assert put == {key: [text for text in seen if text.startswith(f"{key}:")] for key in KEYS}
    assert sum(map(len, put.values())) == len(seen)
    assert (0, 0, 0) == (report.in_flight, report.waiting, counts.dropped)
    assert counts.succeeded >= len(seen)
