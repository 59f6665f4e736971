"""Code on its way to nodes: what is packed, what stays behind, and that no archive leads out."""

import io
import os
import stat
import tarfile
import time
from pathlib import Path

import pytest

from engine.executors.cluster.code_archive import CodeError, pack, unpack
from engine.executors.cluster.code_cache import CodeCache


@pytest.fixture
def code(tmp_path):
    """A package: code with layers beside it."""
    task = tmp_path / "package" / "task"
    (task / "sub").mkdir(parents=True)
    (task / "app.py").write_text("x = 1\n")
    (task / "lib.so").write_bytes(bytes(range(256)))
    (task / "sub" / "tool").write_text("#!/bin/sh\n")
    (task / "sub" / "tool").chmod(0o755)
    (task / "sub" / "secret").write_text("s")
    (task / "sub" / "secret").chmod(0o400)
    (task / "ünïcode name.txt").write_text("n")
    os.mkdir(os.fsencode(task) + b"/odd\xff\nfolder")
    (task / "link").symlink_to("sub/tool")
    (task / "folder-link").symlink_to("sub")
    (task.parent / "opt" / "python").mkdir(parents=True)
    (task.parent / "opt" / "python" / "layer.py").write_text("y = 2\n")
    return task


def listed(folder):
    """Everything below: kind, permissions and content."""
    found = {}
    for root, folders, files in os.walk(os.fsencode(folder)):
        for name in (*folders, *files):
            path = os.path.join(root, name)
            status = os.lstat(path)
            is_plain = stat.S_ISREG(status.st_mode)
            what = Path(os.fsdecode(path)).read_bytes() if is_plain else None
            if stat.S_ISLNK(status.st_mode):
                what = os.readlink(path)
            kind = stat.S_IFMT(status.st_mode), stat.S_IMODE(status.st_mode) if is_plain else 0
            found[os.path.relpath(path, os.fsencode(folder))] = (*kind, what)
    return found


def shipped(code, folder):
    """What a node has of it."""
    archives = folder / "archives"
    archives.mkdir(exist_ok=True)
    packed = pack(str(code), archives)
    unpack(packed.path, folder / "there")
    return listed(folder / "there")


def test_code_and_layers_arrive_as_they_are(code, tmp_path):
    """Bytes, permissions, links and odd names."""
    assert listed(code.parent) == shipped(code, tmp_path)


def test_what_is_no_code_stays_behind(code, tmp_path):
    """Bytecode, version control, virtual environments, sockets and links to nowhere; not bytecode alone."""
    expected = listed(code.parent)
    for name in (".git", "__pycache__", ".venv", "node_modules"):
        (code / "sub" / name).mkdir()
        (code / "sub" / name / "file").write_text("x")
    (code / "myenv").mkdir()
    (code / "myenv" / "pyvenv.cfg").write_text("home = /\n")
    (code / "app.pyc").write_bytes(b"old")
    (code / "dangling").symlink_to("/nowhere")
    os.mkfifo(code / "fifo")
    (code / "only.pyc").write_bytes(b"sourceless")
    found = shipped(code, tmp_path)

    assert expected == {name: value for name, value in found.items() if name != b"task/only.pyc"}
    assert b"sourceless" == found[b"task/only.pyc"][2]


def test_a_link_that_leads_out_is_packed_as_what_it_leads_to(code, tmp_path):
    """It works on one machine, so it has to on another; a circle ends."""
    outside = tmp_path / "shared"
    outside.mkdir()
    (outside / "util.py").write_text("z = 3\n")
    (code / "shared").symlink_to(outside)
    (code / "absolute.py").symlink_to(outside / "util.py")
    (outside / "back").symlink_to(code)
    found = shipped(code, tmp_path)

    assert b"z = 3\n" == found[b"task/shared/util.py"][2] == found[b"task/absolute.py"][2]
    assert b"task/shared/back/shared" not in found


def test_the_same_files_have_the_same_digest_and_others_another(code, tmp_path):
    """Whenever and however they were written."""
    first = pack(str(code), tmp_path)
    (code / "__pycache__").mkdir()
    os.utime(code, (time.time() + 5, time.time() + 5))
    same = pack(str(code), tmp_path)
    (code / "app.py").write_text("x = 2\n")
    other = pack(str(code), tmp_path)

    assert first.digest == same.digest != other.digest


def test_code_above_lambdas_limit_is_refused_in_plain_words(code, tmp_path):
    """250 MB, unpacked; a file with holes is as large as it says."""
    with open(code / "model.bin", "wb") as file:
        file.truncate(262_144_001)

    with pytest.raises(CodeError, match=r"holds more than 250 MB.*name a smaller folder as its code"):
        pack(str(code), tmp_path)
    assert [] == [name for name in os.listdir(tmp_path) if name.startswith(".packing")]


def member(name, kind=tarfile.REGTYPE, link="", data=b""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(data)
    return info, data


EVIL = {
    "a path above": [member("task/../../evil")],
    "an absolute path": [member("/tmp/evil")],
    "another folder": [member("evil/file")],
    "an absolute link": [member("task/link", tarfile.SYMTYPE, "/etc")],
    "a link that leads out": [member("task/link", tarfile.SYMTYPE, "../../..")],
    "a file through a link": [
        member("task/link", tarfile.SYMTYPE, "."),
        member("task/link/../../../evil"),
    ],
    "a link through another one": [
        member("task/a/b/c", tarfile.DIRTYPE),
        member("task/a/b/c/up", tarfile.SYMTYPE, "../../.."),
        member("task/out", tarfile.SYMTYPE, "a/b/c/up/../.."),
        member("task/out/evil", tarfile.SYMTYPE, "file"),
    ],
    "a link that leads out once another one is there": [
        member("task/a/b/c", tarfile.DIRTYPE),
        member("task/out", tarfile.SYMTYPE, "a/b/c/up/../.."),
        member("task/a/b/c/up", tarfile.SYMTYPE, "../../.."),
    ],
    "a hard link": [member("task/link", tarfile.LNKTYPE, "/etc/passwd")],
    "a device": [member("task/device", tarfile.CHRTYPE)],
    "the same file twice": [member("task/file", data=b"1"), member("task/file", data=b"2")],
    "no archive": None,
}


@pytest.mark.parametrize("members", EVIL.values(), ids=EVIL)
def test_an_archive_that_leads_out_is_refused(tmp_path, members):
    """Whoever made it."""
    path = tmp_path / "archive"
    if members is None:
        path.write_bytes(b"no archive" * 100)
    else:
        with tarfile.open(path, "w") as archive:
            for info, data in members:
                archive.addfile(info, io.BytesIO(data))
    before = set(os.listdir(tmp_path))

    with pytest.raises((CodeError, OSError)):
        unpack(path, tmp_path / "deep" if members is None else tmp_path / "there")
    assert not (tmp_path / "evil").exists()
    assert not os.path.exists("/tmp/evil")
    assert set(os.listdir(tmp_path)) - before <= {"there", "deep"}


def put(cache, source, folder):
    """Have a cache receive code with that source; returns its digest."""
    code = folder / f"code-{len(source)}"
    code.mkdir(exist_ok=True)
    (code / "app.py").write_text(source)
    packed = pack(str(code), folder)
    archive = cache.new_archive()
    archive.add(packed.path.read_bytes())
    cache.install(archive, packed.digest)
    return packed.digest


def test_a_cache_is_private_and_keeps_what_is_used_and_no_more_than_it_may(tmp_path):
    """What was used longest ago goes first."""
    cache = CodeCache(tmp_path / "cache", 250_000)
    first = put(cache, "#" * 100_000, tmp_path)
    used = cache.use(first)
    second = put(cache, "#" * 100_001, tmp_path)
    os.utime(cache.folder / second.hex(), (1, 1))
    third = put(cache, "#" * 100_002, tmp_path)
    other = CodeCache(cache.folder, 1)
    fourth = put(other, "#" * 10, tmp_path)
    kept = set(other.known())
    cache.release(first)
    put(other, "#" * 11, tmp_path)

    assert 0o700 == stat.S_IMODE(os.stat(cache.folder).st_mode)
    assert used == cache.folder / first.hex()
    assert {first, fourth} == kept
    assert second not in kept
    assert third not in kept
    assert first not in other.known()


def test_a_cache_takes_nothing_that_is_not_what_its_digest_says(tmp_path):
    """And leaves nothing of it."""
    cache = CodeCache(tmp_path / "cache", 1 << 20)
    archive = cache.new_archive()
    archive.add(b"something")

    with pytest.raises(CodeError, match="not what its digest says"):
        cache.install(archive, b"d" * 32)
    assert [] == os.listdir(cache.folder)


def test_a_cache_of_somebody_else_is_refused(tmp_path, monkeypatch):
    """He could change what is run."""
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setattr(os, "getuid", lambda: os.stat(folder).st_uid + 1)

    with pytest.raises(PermissionError, match="belongs to another user"):
        CodeCache(folder, 1)
