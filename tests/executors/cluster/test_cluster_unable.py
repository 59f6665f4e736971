"""Nodes that cannot start what they are asked to: others do, and with no other callers are told soon."""

import asyncio
import errno

import pytest

from engine.executors.cluster import executor as cluster_executor
from engine.executors.cluster.code_cache import CodeCache, IncomingArchive

pytestmark = pytest.mark.real_time


def full(*_):
    """What a disk says that has no room."""
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture(params=["received", "unpacked"])
def full_disk(request, monkeypatch):
    """The disk of its `node` is full until `is_full` is cleared: while code comes, or when it is unpacked."""

    class Disk:
        is_full = True
        node = ""

        def breaks(self, path):
            return self.is_full and self.node in str(path)

    disk = Disk()
    add, install = IncomingArchive.add, CodeCache.install

    def adds(archive, piece):
        return full() if request.param == "received" and disk.breaks(archive.path) else add(archive, piece)

    def installs(cache, archive, digest):
        if request.param == "unpacked" and disk.breaks(cache.folder):
            archive.drop()
            full()
        install(cache, archive, digest)

    monkeypatch.setattr(IncomingArchive, "add", adds)
    monkeypatch.setattr(CodeCache, "install", installs)
    return disk


async def test_a_node_whose_disk_is_full_runs_nothing_and_costs_nothing(setting, full_disk, by_node):
    """What it cannot start, another one does; it is not lost for that."""
    full_disk.node = "node-0"
    async with setting.engine(count=2) as engine:
        await setting.watch.until(lambda watch: len(watch.joined) == 2)
        calls = [engine.invoke("f", {"s": 0.3, "value": number}) for number in range(6)]
        outcomes = await asyncio.gather(*calls)
        nodes = by_node(engine)

    assert list(range(6)) == [outcome.payload for outcome in outcomes]
    assert {"node-1": 6} == nodes
    assert [] == [lost for lost in setting.watch.lost if lost[1] != "left"]
    assert any("cannot run on node node-0: its code cannot be" in line for line in setting.lines)


async def test_with_no_other_node_callers_are_told_soon_and_it_is_tried_again(
    setting, full_disk, monkeypatch
):
    """Not after the limit of an init."""
    monkeypatch.setattr(cluster_executor, "_PATIENCE_S", 0.05)
    full_disk.node = "node-0"
    async with setting.engine(count=1) as engine:
        await setting.watch.until(lambda watch: watch.joined)
        failed = await engine.invoke("f", {})
        full_disk.is_full = False
        outcome = await engine.invoke("f", {"value": 1})

    assert "Sandbox.Failure" == failed.error["errorType"]
    assert "No space left on device" in failed.error["errorMessage"]
    assert 1 == outcome.payload


async def test_what_no_node_can_start_goes_to_the_next_one_that_joins(setting, full_disk):
    """One that was away for a moment, say: its callers wait for it."""
    full_disk.node = "node-0"
    async with setting.engine(count=1) as engine:
        await setting.watch.until(lambda watch: watch.joined)
        waiting = asyncio.ensure_future(engine.invoke("f", {"value": 1}))
        async with asyncio.timeout(10):
            while not any("cannot run on node node-0" in line for line in setting.lines):
                await asyncio.sleep(0.01)
        setting.agents.add("node-1")
        outcome = await waiting

    assert 1 == outcome.payload


def test_a_cache_that_somebody_removed_is_made_anew(tmp_path):
    """By whoever cleans up a home folder."""
    cache = CodeCache(tmp_path / "cache", 1 << 20)
    (tmp_path / "cache").rmdir()

    assert [] == cache.known()
    cache.new_archive().drop()
    assert 0o700 == (tmp_path / "cache").stat().st_mode & 0o777
