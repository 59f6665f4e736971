"""The journal of durable executions: what was said to be kept is found again, whatever happens in between."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.ports import T
from engine.runtime.durable.journal import FileJournal, JournalDamaged, JournalRecord

KEEP, FORGET, REOPEN = "keep", "forget", "reopen"


async def inline(work: Callable[[], T], /) -> T:
    await asyncio.sleep(0)
    return work()


class Kept:
    """A journal that is opened again and again; `acknowledged` has what it said to be on disk."""

    def __init__(self, folder: Path, segment_bytes: int = 1 << 20) -> None:
        self.folder, self.segment_bytes = folder, segment_bytes
        self.lines: list[str] = []
        self.acknowledged: list[tuple[str, bytes]] = []
        self.failures: list[OSError] = []

    def open(self) -> list[JournalRecord]:
        loop = asyncio.get_running_loop()
        self.journal = FileJournal(self.folder, loop, inline, self.lines.append, self.segment_bytes)
        return list(self.journal.recover())

    def append(self, execution: str, fact: bytes) -> None:
        def done(error: OSError | None) -> None:
            if error is None:
                self.acknowledged.append((execution, fact))
            else:
                self.failures.append(error)

        self.journal.append(execution, fact)
        self.journal.when_kept(done)


def facts(records: list[JournalRecord]) -> list[tuple[str, bytes]]:
    return [(record.execution, record.fact) for record in records]


steps = st.lists(
    st.one_of(
        st.tuples(st.just(KEEP), st.integers(0, 5), st.binary(max_size=40)),
        st.tuples(st.just(FORGET), st.integers(0, 5), st.just(b"")),
        st.tuples(st.just(REOPEN), st.just(0), st.just(b"")),
    ),
    max_size=60,
)


@given(steps=steps, segment_bytes=st.integers(50, 2000))
def test_what_is_not_gone_is_found_again_in_order_over_any_files_and_merges(
    steps: list[tuple[str, int, bytes]], segment_bytes: int
) -> None:
    async def play(folder: str) -> None:
        kept = Kept(Path(folder) / "durable", segment_bytes)
        assert [] == kept.open()
        expected: list[tuple[str, bytes]] = []
        generation = [0] * 6
        for what, number, data in steps:
            execution = f"{number}/{generation[number]}"
            if what == KEEP:
                fact = b'"%s"' % data.hex().encode()
                kept.append(execution, fact)
                expected.append((execution, fact))
            elif what == FORGET:
                kept.journal.forget(execution)
                generation[number] += 1
                expected = [entry for entry in expected if entry[0] != execution]
            else:
                await kept.journal.close()
                assert facts(kept.open()) == expected
        await kept.journal.close()
        assert facts(kept.open()) == expected
        await kept.journal.close()

    with TemporaryDirectory() as folder:
        asyncio.run(play(folder))


@given(cut=st.integers(0, 400), garbage=st.binary(max_size=30))
def test_a_file_cut_off_anywhere_gives_the_whole_records_before_the_cut_and_takes_new_ones(
    cut: int, garbage: bytes
) -> None:
    async def play(folder: str) -> None:
        kept = Kept(Path(folder) / "durable")
        kept.open()
        written = [("a", b"%d" % number) for number in range(10)]
        for execution, fact in written:
            kept.append(execution, fact)
        await kept.journal.close()
        (file,) = kept.folder.iterdir()
        data = file.read_bytes()[:cut]
        file.write_bytes(data + garbage.replace(b"\n", b"-"))
        whole = data.count(b"\n")
        assert facts(kept.open()) == written[:whole]
        kept.append("b", b"1")
        await kept.journal.close()
        assert facts(kept.open()) == [*written[:whole], ("b", b"1")]
        await kept.journal.close()

    with TemporaryDirectory() as folder:
        asyncio.run(play(folder))


async def test_a_damaged_record_before_whole_ones_is_told_with_its_place(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "durable")
    kept.open()
    for number in range(3):
        kept.append("a", b"%d" % number)
    await kept.journal.close()
    (file,) = kept.folder.iterdir()
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(lines[0] + lines[1].replace(b"1\n", b"7\n") + lines[2])
    with pytest.raises(JournalDamaged, match=f"byte {len(lines[0])} is damaged"):
        kept.open()


async def test_files_that_lie_beside_their_merger_after_a_crash_count_once(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "durable", segment_bytes=60)
    kept.open()
    for number in range(12):
        kept.append(f"old/{number % 2}", b"%d" % number)
        await asyncio.sleep(0.001)
    before = {path: path.read_bytes() for path in kept.folder.iterdir()}
    kept.journal.forget("old/0")
    kept.append("new", b"1")
    await kept.journal.close()
    assert len(before) > 2
    assert before.keys() - set(kept.folder.iterdir())
    for path, data in before.items():
        path.write_bytes(data)
    assert facts(kept.open()) == [("old/1", b"%d" % number) for number in range(1, 12, 2)] + [("new", b"1")]
    await kept.journal.close()


async def test_merging_drops_what_is_gone_from_the_disk(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "durable", segment_bytes=2_000)
    kept.open()
    for number in range(100):
        kept.append(f"gone/{number}", b'"' + b"x" * 100 + b'"')
        kept.journal.forget(f"gone/{number}")
        await asyncio.sleep(0.0005)
    await kept.journal.close()
    assert sum(path.stat().st_size for path in kept.folder.iterdir()) < 10_000
    assert [] == kept.open()
    await kept.journal.close()


@pytest.mark.real_time
async def test_a_disk_that_refuses_acknowledges_nothing_and_loses_nothing(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "durable")
    kept.open()
    kept.append("a", b"1")
    await asyncio.sleep(0.05)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, hard))
    try:
        kept.append("a", b"2")
        await asyncio.sleep(0.05)
        assert [("a", b"1")] == kept.acknowledged
        assert 1 == len(kept.failures)
        assert 1 == len(kept.lines)
        assert "nothing is acknowledged" in kept.lines[0]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    kept.append("a", b"3")
    await kept.journal.close()
    assert ("a", b"3") == kept.acknowledged[-1]
    assert [("a", b"1"), ("a", b"2"), ("a", b"3")] == facts(kept.open())
    assert kept.lines[-1].endswith("takes records again")
    await kept.journal.close()


async def test_files_that_are_not_the_journals_are_left_alone(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    strange = [tmp_path / name for name in ("notes.journal", "1-2.journal.bak", "00000001-x.journal")]
    for path in strange:
        path.write_bytes(b"mine")
    kept.open()
    kept.append("e", b"{}")
    await kept.journal.close()

    assert [("e", b"{}")] == facts(kept.open())
    await kept.journal.close()
    assert {b"mine"} == {path.read_bytes() for path in strange}
