"""A mapping of a stream, live: records become events, in order, whatever happens to shards."""

from __future__ import annotations

import anyio

from engine.core.streams.records import ReadFailure
from engine.testing import Act


async def test_records_become_batches_in_order(make_stream_site):
    """Read at once from the oldest on, a hundred at a time."""
    async with make_stream_site() as site:
        site.put(*[f"{n}" for n in range(250)], key="k")
        await anyio.sleep(3)

        assert [100, 100, 50] == [len(batch) for batch in site.batches]
        assert [f"{n}" for n in range(250)] == site.data
        assert "OK" == site.entry.last_result


async def test_the_event_is_awss(make_stream_site):
    """Members in their order; source: recorded events."""
    async with make_stream_site() as site:
        [number] = site.put("hello", key="test_0")
        await anyio.sleep(2)
        [record] = site.runs[0].records
        at_s = record["kinesis"].pop("approximateArrivalTimestamp")

        assert {
            "kinesis": {
                "kinesisSchemaVersion": "1.0",
                "partitionKey": "test_0",
                "sequenceNumber": number,
                "data": "aGVsbG8=",
            },
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": f"shardId-000000000000:{number}",
            "eventName": "aws:kinesis:record",
            "invokeIdentityArn": "arn:aws:iam::000000000000:role/r",
            "awsRegion": "us-east-1",
            "eventSourceARN": "arn:aws:kinesis:us-east-1:000000000000:stream/s",
        } == record
        assert abs(at_s - site.clock.wall()) < 3


async def test_an_idle_stream_is_read_once_a_second(make_stream_site):
    """AWS's rate; with more to read the next read follows at once."""
    async with make_stream_site() as site:
        await anyio.sleep(0.2)
        before = site.stream.reads
        await anyio.sleep(60)
        idle = site.stream.reads - before
        site.put(*[f"{n}" for n in range(12_000)])
        await anyio.sleep(1.5)

        assert 60 == idle
        assert 12_000 == len(site.data)


async def test_latest_begins_where_the_mapping_was_opened(make_stream_site):
    """And stays there while reads fail."""
    async with make_stream_site(starting_position="LATEST", enabled=False) as site:
        site.put("before")
        settings = site.mappings.settings_from(
            "kinesis", {"stream": site.stream.arn, "starting_position": "LATEST"}
        )
        await site.mappings.open("work", None, settings)
        site.stream.fail(ReadFailure.ERROR, "throttled", times=3)
        await anyio.sleep(0.8)
        site.put("after")
        await anyio.sleep(10)

        assert ["after"] == site.data


async def test_a_stream_that_comes_later_is_read_from_its_beginning(make_stream_site):
    """All that is in it came after the mapping."""
    async with make_stream_site(starting_position="LATEST") as site:
        site.stream.is_gone = True
        await anyio.sleep(30)
        site.put("first")
        site.stream.is_gone = False
        await anyio.sleep(2)

        assert ["first"] == site.data


async def test_a_split_and_a_merge_under_load_keep_each_keys_order(make_stream_site):
    """Children wait for their parents, also with several batches of a shard at a time."""

    def act(_run):
        return Act(takes_s=0.02)

    async with make_stream_site(
        act, shards=2, batch_size=5, parallelization_factor=4, poll_interval_s=0.1
    ) as site:
        stream, put = site.stream, {f"key-{k}": [] for k in range(20)}

        async def load():
            for n in range(60):
                for key in put:
                    stream.put(key, f"{key}:{n}".encode())
                    put[key].append(f"{key}:{n}")
                await anyio.sleep(0.05)

        async with anyio.create_task_group() as group:
            group.start_soon(load)
            await anyio.sleep(0.7)
            lower, upper = stream.split("shardId-000000000000")
            await anyio.sleep(0.7)
            stream.merge(upper, "shardId-000000000001")
            await anyio.sleep(0.7)
            stream.split(lower)
        await anyio.sleep(30)
        got = {key: [text for text in site.data if text.startswith(f"{key}:")] for key in put}

        assert put == got
        assert [] == site.said
        report = site.entry.driver.poller.report(site.clock.wall())
        assert (0, 0) == (report.in_flight, report.waiting)
