"""Archives are unpacked safely or not at all."""

import io
import stat
import struct
import zipfile
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.packages.archive import EMPTY, NOT_A_ZIP, UNZIPPED_LIMIT_BYTES, ArchiveError, unpack


def archive(*entries, compression=zipfile.ZIP_DEFLATED):
    """A zip of (name or ZipInfo, content)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as made:
        for name, content in entries:
            made.writestr(name, content)
    return buffer.getvalue()


def entry(name, mode=stat.S_IFREG | 0o644):
    """An entry with a Unix mode."""
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    info.create_system = 3
    return info


def refusal(data, folder):
    with pytest.raises(ArchiveError) as caught:
        unpack(data, folder)
    return caught.value.reason


def tree(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_files_and_folders_come_out_as_they_went_in(tmp_path):
    data = archive(("app.py", "a"), ("pkg/", ""), ("pkg/mod.py", "b"), ("./deep//er/x", "c"), ("win\\y", "d"))
    unpack(data, tmp_path / "out")

    assert {"app.py": "a", "pkg/mod.py": "b", "deep/er/x": "c", "win/y": "d"} == tree(tmp_path / "out")


def test_modes_are_plain_or_executable(tmp_path):
    """Set-user-id and rights of others never come through."""
    data = archive((entry("bootstrap", stat.S_IFREG | 0o6777), "x"), (entry("app.py"), "y"))
    unpack(data, tmp_path / "out")
    modes = [stat.S_IMODE((tmp_path / "out" / name).stat().st_mode) for name in ("bootstrap", "app.py")]

    assert [0o700, 0o600] == modes


@pytest.mark.parametrize("data", [b"", b"no zip", b"PK\x03\x04" + b"x" * 100, b"PK\x05\x06", b"x" * 70_000])
def test_what_is_no_zip_is_refused_in_awss_words(tmp_path, data):
    assert NOT_A_ZIP == refusal(data, tmp_path / "out")


EVIL = {
    "above": ([("../out.txt", "x")], "leads outside"),
    "above, inside": ([("a/../../out.txt", "x")], "leads outside"),
    "above, Windows": ([("a\\..\\..\\out.txt", "x")], "leads outside"),
    "absolute": ([("/etc/passwd", "x")], "absolute path"),
    "drive": ([("C:\\x", "x")], "absolute path"),
    "share": ([("\\\\host\\x", "x")], "absolute path"),
    "link": ([(entry("link", stat.S_IFLNK | 0o777), "/etc/passwd")], "is a link"),
    "device": ([(entry("dev", stat.S_IFCHR | 0o666), "")], "no plain file"),
    "pipe": ([(entry("pipe", stat.S_IFIFO | 0o666), "")], "no plain file"),
    "socket": ([(entry("sock", stat.S_IFSOCK | 0o666), "")], "no plain file"),
    "twice by detour": ([("a.py", "1"), ("./a.py", "2")], "twice"),
    "file and folder": ([("a", "1"), ("a/b", "2")], "a file and a folder"),
    "control character": ([("a\nb", "1")], "control character"),
    "long name": ([("n" * 300, "1")], "too long"),
    "long path": ([("/".join(["n" * 200] * 10), "1")], "too long"),
}


@pytest.mark.parametrize("kind", EVIL)
def test_an_evil_archive_is_refused_and_says_why(tmp_path, kind):
    """Nothing is written before everything was looked at."""
    entries, why = EVIL[kind]
    reason = refusal(archive(*entries), tmp_path / "out")

    assert reason.startswith(NOT_A_ZIP)
    assert why in reason
    assert [] == [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_one_name_twice_is_refused(tmp_path):
    assert "twice" in refusal(archive(("a.py", "1"), ("a.py", "2")), tmp_path / "out")


def test_a_name_with_a_nul_is_refused(tmp_path):
    """zipfile cuts such names off; the archive's own spelling counts."""
    data = archive(("axb.py", "1")).replace(b"axb.py", b"a\0b.py")

    assert "control character" in refusal(data, tmp_path / "out")


def test_an_encrypted_entry_is_refused(tmp_path):
    data = bytearray(archive(("a.py", "1")))
    at = data.index(b"PK\x01\x02")
    data[at + 8] |= 1

    assert "encrypted" in refusal(bytes(data), tmp_path / "out")


def declared(data, size):
    """The archive, its only entry declared to be `size` bytes large once unpacked."""
    changed = bytearray(data)
    struct.pack_into("<L", changed, changed.index(b"PK\x01\x02") + 24, size)
    return bytes(changed)


def test_too_much_declared_is_refused(tmp_path):
    data = declared(archive(("a", "x")), UNZIPPED_LIMIT_BYTES)

    assert "Unzipped size must be smaller than 262144000 bytes" == refusal(data, tmp_path / "out")


def test_what_packs_well_is_taken_as_on_aws(tmp_path):
    """Below the limit in bytes: AWS takes a thousand times the archive's size."""
    unpack(archive(("zeros", b"\0" * 30_000_000)), tmp_path / "out")

    assert 30_000_000 == (tmp_path / "out" / "zeros").stat().st_size


def test_more_than_was_declared_never_comes_out(tmp_path):
    """A directory that understates its entries gains nothing."""
    data = declared(archive(("a", b"x" * 1_000_000)), 10)
    refusal(data, tmp_path / "out")

    assert all(path.stat().st_size <= 10 for path in (tmp_path / "out").rglob("*"))


def test_too_many_files_are_refused(tmp_path):
    data = archive(*((f"{number:x}", "") for number in range(50_001)), compression=zipfile.ZIP_STORED)

    assert "more than 50000 files" in refusal(data, tmp_path / "out")


def test_a_directory_that_would_fill_the_memory_is_not_read(tmp_path):
    """Its size is a number that anybody can write."""
    data = bytearray(archive(("a", "x")))
    struct.pack_into("<L", data, len(data) - 22 + 12, 0x7FFFFFFF)

    assert "directory is too large" in refusal(bytes(data), tmp_path / "out")


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_archive_is_unpacked_or_refused(tmp_path_factory, data):
    """Whatever bytes change: no other error, and nothing outside the folder."""
    whole = bytearray(archive(("app.py", "x" * 50), ("pkg/mod.py", "y" * 50)))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    place = tmp_path_factory.mktemp("damaged")
    with suppress(ArchiveError):
        unpack(bytes(whole[:cut] if data.draw(st.booleans()) else whole), place / "out")

    assert {"out"} >= {path.name for path in place.iterdir()}


def test_an_archive_without_files_is_refused(tmp_path):
    """Though it has a folder."""
    for number, data in enumerate((archive(), archive(("folder/", "")))):
        assert EMPTY == refusal(data, tmp_path / str(number))
