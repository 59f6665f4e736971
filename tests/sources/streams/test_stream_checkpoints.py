"""A restarted engine goes on from the checkpoints that were kept: after its end, and after a kill.

A kill is a copy of the folder: what a later engine would find there.
"""

from __future__ import annotations

import shutil
from base64 import b64decode
from itertools import pairwise
from random import Random
from zlib import crc32

import anyio
import orjson
import pytest

from engine.core.streams.records import PositionType, StreamPosition
from engine.sources.streams.checkpoint_files import CheckpointFiles
from engine.sources.streams.scripted import ScriptedStream
from engine.sources.streams.starts import Starts
from engine.testing import Act

FACTOR = 3


def settings_of(site, **values):
    """Of the site's mapping, changed."""
    return site.mappings.settings_from(
        "kinesis", {"stream": "s", "starting_position": "TRIM_HORIZON", **values}, site.entry.settings
    )


def kept_in(folder):
    """The only file of the folder, as JSON."""
    [path] = folder.iterdir()
    return orjson.loads(path.read_bytes())


async def restarted(make_stream_site, folder, site, **event):
    """What an engine reads that finds the folder; and its lines."""
    async with make_stream_site(checkpoints=folder, reads=site.stream, **event) as again:
        await anyio.sleep(30)
    return again.data, again.said


async def test_a_restarted_engine_goes_on_where_the_last_one_ended(make_stream_site, tmp_path):
    """What runs at the end is done with, and does not come again."""
    async with make_stream_site(lambda _: Act(takes_s=2), checkpoints=tmp_path, batch_size=2) as site:
        site.put("a", "b", "c", "d", key="k")
        await anyio.sleep(1)
    site.put("e", key="k")

    assert ["a", "b"] == site.data
    assert (["c", "d", "e"], []) == await restarted(make_stream_site, tmp_path, site, batch_size=2)


async def test_without_a_folder_a_mapping_begins_again(make_stream_site):
    """At its starting position."""
    async with make_stream_site() as site:
        site.put("a")
        await anyio.sleep(2)

    assert (["a"], []) == await restarted(make_stream_site, None, site)


async def test_files_are_written_while_there_is_progress(make_stream_site, tmp_path):
    """Once when it has begun, at most once a second, and not while nothing happens."""
    async with make_stream_site(checkpoints=tmp_path, batch_size=1, poll_interval_s=0.05) as site:
        for number in range(100):
            site.put(f"{number}")
            await anyio.sleep(0.1)
        busy = len(site.offloaded_s)
        await anyio.sleep(120)
        gaps_s = [after - before for before, after in pairwise(site.offloaded_s[2:])]

        assert 100 == len(site.data)
        assert busy in range(10, 15)
        assert len(site.offloaded_s) <= busy + 1
        assert min(gaps_s) >= 0.999


async def test_latest_is_from_when_the_mapping_began(make_stream_site, tmp_path):
    """Also if nothing had come before the engine was killed."""
    async with make_stream_site(checkpoints=tmp_path / "now", starting_position="LATEST") as site:
        shutil.copytree(tmp_path / "now", tmp_path / "killed")
    site.put("while nobody read")

    for folder in ("now", "killed"):
        got = await restarted(make_stream_site, tmp_path / folder, site, starting_position="LATEST")
        assert (["while nobody read"], []) == got


async def test_a_stream_without_times_is_read_from_the_first_record_of_the_second():
    """As DynamoDB Streams: what is older is passed over."""
    stream = ScriptedStream(lambda: 1000.0)
    for at_s in (5, 10, 20, 30):
        stream.put("k", f"{at_s}".encode(), arrived_s=at_s)
    [shard_id] = stream.shards
    found = []
    for since_s in (1.5, 10.9, 10.0, 29.0, 31.0):
        position = StreamPosition(PositionType.AT_TIMESTAMP, timestamp_s=since_s)
        cursor = await Starts(stream, by_time=False).cursor(shard_id, position)
        page = await stream.read(shard_id, cursor, 10)
        found.append([int(record.arrived_s) for record in page.records])

    assert [[5, 10, 20, 30], [10, 20, 30], [10, 20, 30], [30], []] == found


async def test_a_disabled_mapping_is_saved(make_stream_site, tmp_path):
    """An engine that is killed while it is disabled goes on from there."""
    async with make_stream_site(checkpoints=tmp_path / "now") as site:
        site.put("a")
        await anyio.sleep(1.2)
        site.mappings.change(site.entry, "work", None, settings_of(site, enabled=False))
        await anyio.sleep(0.01)
        shutil.copytree(tmp_path / "now", tmp_path / "killed")
        site.put("b")

    assert (["b"], []) == await restarted(make_stream_site, tmp_path / "killed", site)


async def test_a_deleted_mapping_loses_its_file(make_stream_site, tmp_path):
    """At once; if the engine is killed before, with the next start."""
    async with make_stream_site(checkpoints=tmp_path, enabled=False) as site:
        entry = await site.mappings.open("work", None, settings_of(site, enabled=True))
        await anyio.sleep(3)
        names = [path.name for path in tmp_path.iterdir()]
        site.mappings.close(entry)
        await anyio.sleep(3)

        assert [f"{entry.uuid}.json"] == names
        assert [] == list(tmp_path.iterdir())


async def test_files_of_mappings_that_are_no_more_are_removed(make_stream_site, tmp_path):
    """Half written ones too. What else lies there stays."""
    gone = ("0f8fad5b-d9cb-469f-a165-70867728950e.json", f"{'a' * 32}.json", f"{'b' * 32}.json.new")
    for name in (*gone, "notes.json", "README"):
        (tmp_path / name).write_text("x")
    async with make_stream_site(checkpoints=tmp_path, enabled=False) as site:
        pass

    assert ["README", "notes.json"] == sorted(path.name for path in tmp_path.iterdir())
    assert [] == site.said


async def test_another_starting_position_is_another_mapping(make_stream_site, tmp_path):
    """Of those of the configuration: as CloudFormation replaces it."""
    async with make_stream_site(checkpoints=tmp_path) as site:
        site.put("a")
        await anyio.sleep(2)

    again = {"starting_position": "AT_TIMESTAMP", "starting_position_timestamp_s": 0}
    assert (["a"], []) == await restarted(make_stream_site, tmp_path, site, **again)
    assert 1 == len(list(tmp_path.iterdir()))


async def test_a_stream_that_was_made_anew_is_read_from_its_beginning(make_stream_site, tmp_path):
    """With one line; then its own checkpoints count."""
    async with make_stream_site(checkpoints=tmp_path, starting_position="LATEST") as site:
        site.put("old")
        await anyio.sleep(2)
    site.stream.renew(shards=2)
    site.put("new")
    data, said = await restarted(make_stream_site, tmp_path, site, starting_position="LATEST")
    line = "the stream was made anew since it was read: it is read from its beginning"

    assert (["new"], [f"functions.work: kinesis 's': {line}"]) == (data, said)
    assert ([], []) == await restarted(make_stream_site, tmp_path, site, starting_position="LATEST")


async def test_a_position_that_is_not_kept_any_more_is_the_oldest(make_stream_site, tmp_path):
    """The mapping goes on, and a line says so."""
    async with make_stream_site(lambda _: Act(takes_s=5), checkpoints=tmp_path, batch_size=1) as site:
        site.put("a", "b", key="k")
        await anyio.sleep(1)
    site.put("c", key="k")
    site.stream.trim("shardId-000000000000", 2)
    data, said = await restarted(make_stream_site, tmp_path, site)

    assert ["c"] == data
    assert [True] == ["trimmed" in line for line in said]


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b'{"format":2}', b"\xff" * 99])
async def test_a_damaged_file_is_one_line(make_stream_site, tmp_path, text):
    """The mapping begins at its starting position, and is kept from then on."""
    async with make_stream_site(checkpoints=tmp_path) as site:
        site.put("a")
        await anyio.sleep(2)
    [path] = tmp_path.iterdir()
    path.write_bytes(text)
    data, said = await restarted(make_stream_site, tmp_path, site)
    [line] = said

    assert ["a"] == data
    assert line.startswith(f"functions.work: kinesis 's': {path}: is damaged: ")
    assert line.endswith("; it begins at its starting position")
    assert ([], []) == await restarted(make_stream_site, tmp_path, site)


async def test_a_folder_that_cannot_be_written_is_one_line(make_stream_site, tmp_path):
    """Records are delivered all the same."""
    folder = tmp_path / "checkpoints"
    folder.write_text("a file")
    async with make_stream_site(checkpoints=folder, starting_position="LATEST") as site:
        for number in range(5):
            site.put(f"{number}")
            await anyio.sleep(2)

        assert 5 == len(site.data)
        assert 2 == len(site.said)
        assert "cannot be read: Not a directory; it begins" in site.said[0]
        assert "cannot be written: Not a directory; it is tried again" in site.said[1]


async def test_records_that_end_with_the_engine_have_no_checkpoints(make_stream_site, tmp_path):
    """As those of moto, the engine's partner: whose streams are new at each start."""
    stream = ScriptedStream(lambda: 1_767_225_600.0)
    stream.outlives_engine = False
    stream.put("k", b"a")
    async with make_stream_site(checkpoints=tmp_path, reads=stream) as site:
        await anyio.sleep(2)

    assert ["a"] == site.data
    assert [] == list(tmp_path.iterdir())
    assert (["a"], []) == await restarted(make_stream_site, tmp_path, site)


async def test_an_open_window_goes_on_with_its_state(make_stream_site, tmp_path):
    """It ends in the second engine, with what both put into it."""

    def act(run):
        return {"state": {"count": run.event["state"].get("count", 0) + len(run.records)}}

    async with make_stream_site(act, checkpoints=tmp_path, tumbling_window_s=60) as site:
        site.put("a", "b", key="k")
        await anyio.sleep(3)
    site.put("c", key="k")
    async with make_stream_site(act, checkpoints=tmp_path, reads=site.stream, tumbling_window_s=60) as again:
        await anyio.sleep(100)
    last = again.runs[-1].event

    assert ["c"] == again.data
    assert (True, {"count": 3}) == (last["isFinalInvokeForWindow"], last["state"])


# ---------------------------------------------------------------- kills at random


def repeatable(checkpoints, stream: ScriptedStream) -> set[str]:
    """Data of the records that no checkpoint says to be done with."""
    known = {one["shard_id"]: one for one in checkpoints}
    found = set()
    for shard_id, shard in stream.shards.items():
        one = known.get(shard_id)
        for record in shard.records:
            if one is None or is_above(one, record):
                found.add(b64decode(record["Data"]).decode())
    return found


def is_above(checkpoint, record) -> bool:
    """Whether the record is behind the shard's position and that of its sub-shard."""
    sequence, through = int(record["SequenceNumber"]), checkpoint.get("subshards", ["0"] * FACTOR)
    number = int(checkpoint["position"].get("sequence_number", "0"))
    first = number + (checkpoint["position"]["type"] == "AFTER_SEQUENCE_NUMBER")
    done = int(through[crc32(record["PartitionKey"].encode()) % FACTOR])
    return not checkpoint.get("finished") and sequence >= first and sequence > done


@pytest.mark.parametrize("seed", range(6))
async def test_after_a_kill_only_records_above_the_checkpoints_come_again(
    make_stream_site, failure, tmp_path, seed
):
    """And all of them, in order of their keys: nothing is skipped, whatever failed or was split before."""
    rng = Random(seed)
    event = {"batch_size": 4, "parallelization_factor": FACTOR, "poll_interval_s": 0.2}

    def act(_run):
        result = {"result": failure} if rng.random() < 0.2 else {}
        return Act(takes_s=rng.random(), **result)

    async with make_stream_site(act, shards=2, checkpoints=tmp_path / "now", **event) as site:
        put: dict[str, list[str]] = {f"key-{number}": [] for number in range(9)}
        killed_at = rng.randrange(5, 50)
        for step in range(60):
            for key in rng.sample(sorted(put), 3):
                put[key].append(f"{key}:{step}")
                site.stream.put(key, put[key][-1].encode())
            if step in (15, 30):
                open_shards = [one.shard_id for one in site.stream.shards.values() if not one.children]
                site.stream.split(rng.choice(open_shards))
            if step == killed_at:
                shutil.copytree(tmp_path / "now", tmp_path / "killed")
                before = list(site.data)
            await anyio.sleep(rng.random() * 0.4)
    document = kept_in(tmp_path / "killed")
    async with make_stream_site(checkpoints=tmp_path / "killed", reads=site.stream, **event) as again:
        await anyio.sleep(120)

    assert repeatable(document["shards"], site.stream) == set(again.data)
    assert {text for texts in put.values() for text in texts} == {*before, *again.data}
    assert {key: [text for text in texts if text in set(again.data)] for key, texts in put.items()} == {
        key: [text for text in again.data if text.startswith(f"{key}:")] for key in put
    }


def test_the_file_of_a_uuid_has_its_name(tmp_path):
    """Others have a hash of theirs."""
    files = CheckpointFiles(tmp_path)
    uuid = "0f8fad5b-d9cb-469f-a165-70867728950e"

    assert tmp_path / f"{uuid}.json" == files.path(uuid)
    assert 32 == len(files.path("../etc/passwd").stem)
