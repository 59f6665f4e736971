"""A state folder: only a new one or the engine's own is used, and only what is the engine's is removed."""

import io
import json
import os
import shutil
import stat
import uuid
import zipfile

import pytest

from engine.packages.records import FunctionRecord, StoredState, Version
from engine.packages.state_folder import MARKER, StateError
from engine.packages.store import PackageStore

ONE, STRAY, FOREIGN = (f"00000000-0000-4000-8000-00000000000{number}" for number in range(3))
BLOB = "0" * 30 + "ab"


def archive():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        made.writestr("pkg/app.py", "x = 1")
        info = zipfile.ZipInfo("bin/tool")
        info.external_attr = 0o100777 << 16
        made.writestr(info, "")
    return buffer.getvalue()


def everything(folder):
    """Names, modes and contents of all that is in a folder; what links lead to is not looked at."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mode,
            path.read_bytes() if path.is_file() else None,
        )
        for path in folder.rglob("*")
    }


def used(root):
    """A folder in which an engine keeps one function."""
    with PackageStore(root) as shelf:
        state = shelf.load()
        shelf.begin(state)
        shelf.add_code(ONE, archive(), [])
        version = Version(
            settings={}, folder=ONE, size=1, sha256="x", modified_s=1.5, revision="r", state="Active"
        )
        state.functions["f"] = FunctionRecord(name="f", latest=version)
        shelf.save(state.model_dump_json().encode())
    return root


def earlier(root):
    """The same, as engines left it that knew no markers."""
    used(root)
    (root / MARKER).unlink()
    state = StoredState.model_validate(json.loads((root / "state.json").read_bytes()))
    state.state_folder = ""
    document = state.model_dump()
    del document["state_folder"]
    (root / "state.json").write_text(json.dumps(document))
    blobs = root / "objects" / "blobs"
    for number in range(256):
        (blobs / f"{number:02x}").mkdir(parents=True)
    (root / "objects" / "index.sqlite3").write_bytes(b"the store looks into it")
    (blobs / "ab" / BLOB).write_bytes(b"object")
    return root


def put(name, data=b"mine"):
    def change(root):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    return change


def remove(name):
    def change(root):
        path = root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return change


def link(name):
    """A link that leads to the same thing elsewhere."""

    def change(root):
        elsewhere = root.parent / "elsewhere"
        (root / name).rename(elsewhere)
        (root / name).symlink_to(elsewhere)

    return change


FOREIGN_FOLDERS = {
    "a file": put("notes.txt"),
    "a hidden file": put(".gitignore"),
    "packages of somebody": put("packages/lib/__init__.py"),
    "packages by our names": put(f"packages/{FOREIGN}/task/app.py"),
    "objects of somebody": put("objects/main.o"),
    "objects by our names": put(f"objects/blobs/ab/{BLOB}"),
    "an empty packages": lambda root: (root / "packages").mkdir(),
    "state of somebody": put("state.json", b"{}"),
    "a lock of somebody": put("lock/file"),
    "a file that is called lock": put("lock"),
    "an empty lock that others may read": put("lock", b""),
    "a marker that was not finished by somebody": put(f"{MARKER}.new", b"mine"),
    "a link": lambda root: (root / "lock").symlink_to("/etc/hostname"),
    "a marker of somebody": put(MARKER),
    "an empty marker": put(MARKER, b""),
    "a marker of a newer engine": put(MARKER, b'{"invocation_engine":"state folder","format":2,"id":"x"}'),
}


@pytest.mark.parametrize("name", FOREIGN_FOLDERS)
def test_a_folder_that_may_be_somebody_elses_is_refused_and_not_touched(tmp_path, name):
    root = tmp_path / "folder"
    root.mkdir(mode=0o755)
    FOREIGN_FOLDERS[name](root)
    before = everything(tmp_path)
    with pytest.raises(StateError, match=r"is neither empty nor a state folder|is no marker") as refused:
        PackageStore(root).__enter__()

    assert "\n" not in str(refused.value)
    assert before == everything(tmp_path)


NOT_EARLIER = {
    "one more file": put("README"),
    "one more folder": put("src/app.py"),
    "one more package": put("packages/lib/app.py"),
    "more in a package": put(f"packages/{ONE}/notes"),
    "a file for a package": put(f"packages/{FOREIGN}"),
    "one more object": put("objects/x"),
    "one more blob folder": put("objects/blobs/xy/z"),
    "a blob of another name": put("objects/blobs/ab/photo"),
    "a blob of another place": put(f"objects/blobs/00/{BLOB}"),
    "no records": remove("state.json"),
    "no index": remove("objects/index.sqlite3"),
    "an empty index": put("objects/index.sqlite3", b""),
    "no lock": remove("lock"),
    "no packages": remove("packages"),
    "linked packages": link("packages"),
    "a linked package": link(f"packages/{ONE}"),
    "linked objects": link("objects"),
    "linked blobs": link("objects/blobs/ab"),
    "linked records": link("state.json"),
}


@pytest.mark.parametrize("name", NOT_EARLIER)
def test_a_folder_without_a_marker_is_taken_over_only_if_all_in_it_is_an_engines(tmp_path, name):
    root = earlier(tmp_path / "folder")
    NOT_EARLIER[name](root)
    before = everything(tmp_path)
    with pytest.raises(StateError, match="is neither empty nor a state folder"):
        PackageStore(root).__enter__()

    assert before == everything(tmp_path)


def test_a_folder_of_an_earlier_engine_is_marked_once_all_of_it_was_read(tmp_path):
    """And nothing is removed before it was started so twice."""
    root = earlier(tmp_path / "folder")
    shutil.copytree(root / "packages" / ONE, root / "packages" / STRAY)
    before = everything(root)
    with PackageStore(root) as shelf:
        state = shelf.load()
        assert before == everything(root)
        shelf.begin(state)
    first = set(os.listdir(root / "packages"))
    with PackageStore(root) as shelf:
        again = shelf.load()
        shelf.begin(again)

    assert state == again
    assert {ONE, STRAY} == first
    assert {ONE} == set(os.listdir(root / "packages"))
    assert {MARKER, "lock", "packages", "objects", "state.json"} == set(os.listdir(root))


WRITTEN = b'{"invocation_engine":"state folder","format":1,"i'


@pytest.mark.parametrize(
    "left", [{}, {"lock": b""}, {"lock": b"", f"{MARKER}.new": b""}, {"lock": b"", f"{MARKER}.new": WRITTEN}]
)
def test_an_engine_that_was_killed_at_its_first_start_left_a_folder_that_is_still_new(tmp_path, left):
    for name, data in left.items():
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_bytes(data)
    with PackageStore(tmp_path) as shelf:
        shelf.begin(shelf.load())
    with PackageStore(tmp_path) as shelf:
        shelf.load()

    assert {MARKER, "lock", "packages", "state.json"} == set(os.listdir(tmp_path))


LOST = ["packages", "state.json", "objects", "objects/index.sqlite3"]


@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize("functions", [True, False])
def test_a_folder_from_which_a_part_was_taken_is_refused_and_not_touched(tmp_path, lost, functions):
    """It would start as a new one does, with nothing in it. Objects are known of from the first start on."""
    root = tmp_path / "folder"
    for _ in range(2 if functions else 1):
        with PackageStore(root) as shelf:
            state = shelf.load()
            put("objects/index.sqlite3")(root)
            shelf.begin(state)
    if functions:
        used(root)
    remove(lost)(root)
    before = everything(tmp_path)
    with pytest.raises(StateError, match="is missing, and was there before"):
        PackageStore(root).__enter__()

    assert before == everything(tmp_path)


def test_only_packages_are_removed_from_a_folder_that_is_the_engines(tmp_path):
    """Not even at their place: what somebody put there later stays."""
    root = used(tmp_path / "folder")
    shutil.copytree(root / "packages" / ONE, root / "packages" / STRAY)
    kept = {
        "packages/notes": put("packages/notes"),
        "packages/lib/app.py": put("packages/lib/app.py"),
        f"packages/{FOREIGN}/src/app.py": put(f"packages/{FOREIGN}/src/app.py"),
        "packages/.new-idea": put("packages/.new-idea"),
        "notes": put("notes"),
    }
    for change in kept.values():
        change(root)
    (root / "packages" / str(uuid.uuid4())).symlink_to(tmp_path)
    with PackageStore(root) as shelf:
        shelf.begin(shelf.load())
        for name in ("lib", "notes", FOREIGN, "..", ".", ""):
            shelf.remove(name)

    assert {"notes", "lib", FOREIGN, ".new-idea", ONE} < set(os.listdir(root / "packages"))
    assert STRAY not in os.listdir(root / "packages")
    assert [b"mine"] * len(kept) == [(root / name).read_bytes() for name in kept]


@pytest.mark.parametrize("name", ["packages", "lock", "state.json.new"])
def test_a_link_in_the_folder_is_not_followed(tmp_path, name):
    root = used(tmp_path / "folder")
    precious = tmp_path / "precious"
    if name == "packages":
        (root / name).rename(precious)
    else:
        precious.write_bytes(b"mine")
        (root / name).unlink(missing_ok=True)
    (root / name).symlink_to(precious)
    before = everything(tmp_path)
    shelf = PackageStore(root)
    with pytest.raises((StateError, OSError)), shelf:
        shelf.begin(shelf.load())

    assert before == everything(tmp_path)


@pytest.mark.parametrize("umask", [0, 0o022, 0o777])
def test_all_in_it_is_for_its_owner_alone_whatever_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        root = used(tmp_path / "deep" / "folder")
        with PackageStore(root) as shelf:
            shelf.add_layer(STRAY, archive())
            shelf.add_code(FOREIGN, archive(), [STRAY])
    finally:
        os.umask(before)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [tmp_path / "deep", root, *root.rglob("*")]}
    folders = {mode for path, mode in modes.items() if path.is_dir()}
    tools = {mode for path, mode in modes.items() if path.name == "tool"}
    files = {mode for path, mode in modes.items() if path.is_file() and path.name != "tool"}

    assert ({0o700}, {0o700}, {0o600}) == (folders, tools, files)


def test_a_folder_that_is_reached_by_a_link_is_the_one_it_leads_to(tmp_path):
    """Whoever names a link means that."""
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    used(tmp_path / "link")

    assert (tmp_path / "folder" / MARKER).is_file()
