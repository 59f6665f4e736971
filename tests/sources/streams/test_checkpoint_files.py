"""Files of checkpoints: what is written is read again, and whatever else a file holds is one error."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.streams.poller import StreamPoller
from engine.core.streams.records import (
    TRIM_HORIZON,
    PositionType,
    ShardCheckpoint,
    ShardInfo,
    StreamPosition,
)
from engine.core.streams.settings import StreamSettings
from engine.sources.streams.checkpoint_files import (
    MAX_FILE_BYTES,
    CheckpointFiles,
    CheckpointsUnusable,
    StreamCheckpoints,
)

UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
NUMBERS = st.integers(0, 10**56)
POSITIONS = st.one_of(
    st.just(TRIM_HORIZON),
    NUMBERS.map(lambda number: StreamPosition(PositionType.AT_SEQUENCE_NUMBER, str(number))),
    NUMBERS.map(lambda number: StreamPosition(PositionType.AFTER_SEQUENCE_NUMBER, str(number))),
    st.floats(0, 10**10).map(lambda at_s: StreamPosition(PositionType.AT_TIMESTAMP, timestamp_s=at_s)),
)
CHECKPOINTS = st.builds(
    ShardCheckpoint,
    st.text(st.characters(codec="utf-8"), min_size=1),
    POSITIONS,
    st.booleans(),
    st.lists(NUMBERS, max_size=10).map(tuple),
    st.none() | st.tuples(st.integers(0, 2**40), st.text(st.characters(codec="utf-8"))),
    st.lists(st.lists(NUMBERS, min_size=1, max_size=10).map(tuple), max_size=3).map(tuple),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**60) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """One folder for all examples."""
    return CheckpointFiles(tmp_path_factory.mktemp("state") / "checkpoints")


@settings(max_examples=30)
@given(st.builds(StreamCheckpoints, st.text(st.characters(codec="utf-8")), st.lists(CHECKPOINTS).map(tuple)))
def test_what_is_saved_is_loaded(files, kept):
    """By UUID, and by any other name."""
    files.save(UUID, kept)

    assert kept == files.load(UUID)
    assert files.load("another") is None


def whole(shard):
    """A file with one such shard."""
    return {"format": 1, "mapping": UUID, "stream": "1", "shards": [shard]}


@given(
    st.one_of(
        st.binary(),
        JSON.map(whole),
        st.fixed_dictionaries(
            {"shard_id": JSON, "position": JSON},
            optional={"finished": JSON, "subshards": JSON, "window": JSON, "others": JSON},
        ).map(whole),
        st.builds(
            lambda type_, more: whole({"shard_id": "a", "position": {"type": type_, **more}}),
            st.sampled_from([*PositionType, "X"]),
            st.dictionaries(st.sampled_from(["sequence_number", "timestamp_s", "x"]), JSON),
        ),
    )
)
def test_whatever_a_file_holds_is_used_or_one_error(files, content):
    """What is used, the kernel can begin with."""
    files.path(UUID).parent.mkdir(exist_ok=True)
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    files.path(UUID).write_bytes(text)
    try:
        kept = files.load(UUID)
    except CheckpointsUnusable as error:
        said = str(error)
    else:
        said = None
        poller = StreamPoller(StreamSettings(tumbling_window_s=60), kept.shards)
        poller.open(0.0)
        poller.shards_listed(0.0, [ShardInfo("a")])

    assert said is None or said.startswith(f"{files.path(UUID)}: is damaged: ")
    assert said is None or "\n" not in said


def test_a_file_that_is_too_large_is_neither_written_nor_read(files):
    """64 MiB: the states of as many windows."""
    half = "x" * (MAX_FILE_BYTES // 2)
    shards = tuple(ShardCheckpoint(name, TRIM_HORIZON, window=(0, half)) for name in "ab")
    with pytest.raises(CheckpointsUnusable, match="would be larger than 67108864 bytes"):
        files.save("large", StreamCheckpoints("1", shards))
    files.save("large", StreamCheckpoints("1", ()))
    with files.path("large").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)

    with pytest.raises(CheckpointsUnusable, match="is damaged: is larger than 67108864 bytes"):
        files.load("large")


def test_a_link_is_not_followed(files, tmp_path):
    """It leads to what is not the engine's."""
    files.save("linked", StreamCheckpoints("1", ()))
    files.path("linked").unlink()
    files.path("linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").write_text("{}")

    with pytest.raises(CheckpointsUnusable, match="cannot be read"):
        files.load("linked")
