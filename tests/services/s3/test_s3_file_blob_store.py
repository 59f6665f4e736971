"""A store in a folder: what was acknowledged is there after a restart, and no file is left over."""

import asyncio
import os
import shutil
import sqlite3
import uuid
from contextlib import closing
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.runtime.platform import offload_to_thread
from engine.services.s3.blob_store import BlobStore, Content
from engine.services.s3.checksums import Checksum, md5_hex
from engine.services.s3.cors import CorsRule
from engine.services.s3.file_blob_store import FileBlobStore
from engine.services.s3.model import CompletedPart, ObjectMetadata, Versioning
from engine.services.s3.notification_rules import (
    NotificationConfiguration,
    NotificationRule,
    NotificationTarget,
)
from engine.services.s3.store import Store

pytestmark = pytest.mark.real_time

RULE = NotificationRule(
    id="r",
    target=NotificationTarget("lambda", "arn"),
    events=("s3:ObjectCreated:*",),
    prefix="a",
    form="eventbridge",
)


def new_id():
    return uuid.uuid4().hex


def open_store(folder, offload=offload_to_thread):
    blob_store = FileBlobStore(folder, offload)
    store = Store(blob_store, new_id, lambda: 1584083200.5)
    store.restore(*blob_store.load())
    return store


def shown(store):
    """All that a store holds, bytes included, as JSON values."""

    def contents(kept):
        return {**kept.document(), "bytes": kept.content.read().hex()}

    everything = {
        name: {
            **bucket.document(),
            "keys": {key: [contents(one) for one in versions] for key, versions in bucket.keys.items()},
            "uploads": {
                upload_id: {
                    **upload.document(),
                    "parts": {str(number): contents(part) for number, part in upload.parts.items()},
                }
                for upload_id, upload in bucket.uploads.items()
            },
        }
        for name, bucket in store.buckets.items()
    }
    return orjson.loads(orjson.dumps(everything, default=list))


def as_if_killed(folder):
    """A copy of what a process that was killed now would leave."""
    return Path(shutil.copytree(folder, folder.with_name(f"{folder.name}-killed")))


def files(folder):
    return {path.name for path in folder.glob("blobs/??/*")}


def named(store):
    """The files that something in the store lies in."""
    kept = [one for bucket in store.buckets.values() for versions in bucket.keys.values() for one in versions]
    kept += [
        part
        for bucket in store.buckets.values()
        for upload in bucket.uploads.values()
        for part in upload.parts.values()
    ]
    return {file.name for one in kept for file in one.content.files()}


class Script:
    """Steps that change a store, each chosen by numbers."""

    def __init__(self, store):
        self.store = store
        self.bucket = store.create("b-1", "us-east-1")
        self.steps = (
            self.share,
            self.put,
            self.delete,
            self.version,
            self.part,
            self.complete,
            self.abort,
            self.tag,
        )

    def share(self, number, _):
        rule = {"id": f"r{number}", "origins": ["http://a.test"], "methods": ["GET"], "max_age_s": number}
        self.store.set_cors(self.bucket, (CorsRule.of(rule),) if number % 2 else ())

    def put(self, number, data):
        blob = self.store.blob_store.keep(data)
        object_metadata = ObjectMetadata(
            headers={"content-type": "x"}, metadata={"n": str(number)}, tags={"t": "v"}
        )
        checksum = Checksum("CRC32", "AAAAAA==") if number % 2 else None
        self.store.put(
            self.bucket, f"k{number % 3}", Content.of(blob), md5_hex((data,)), object_metadata, checksum
        )

    def delete(self, number, _):
        versions = self.bucket.keys.get(f"k{number % 3}", [])
        version_id = versions[number % len(versions)].version_id if versions and number > 4 else None
        self.store.delete(self.bucket, f"k{number % 3}", version_id)

    def version(self, number, _):
        self.store.set_versioning(self.bucket, Versioning.ENABLED if number % 2 else Versioning.SUSPENDED)

    def part(self, number, data):
        upload = next(iter(self.bucket.uploads.values()), None)
        if upload is None or number > 7:
            upload = self.store.create_upload(
                self.bucket, f"k{number % 3}", ObjectMetadata(), "CRC32", "COMPOSITE"
            )
        blob = self.store.blob_store.keep(data)
        self.store.put_part(upload, number, Content.of(blob), md5_hex((data,)), Checksum("CRC32", "AAAAAA=="))

    def complete(self, number, _):
        upload = next(iter(self.bucket.uploads.values()), None)
        if upload is None or not upload.parts:
            return
        parts = [upload.parts[key] for key in sorted(upload.parts)][: number or None]
        content = Content.joined([part.content for part in parts])
        completed = tuple(CompletedPart(part.number, part.content.size, "AAAAAA==") for part in parts)
        self.store.put(self.bucket, upload.key, content, "e-1", upload.object_metadata, None, completed)
        self.store.end_upload(self.bucket, upload)

    def abort(self, _, __):
        upload = next(iter(self.bucket.uploads.values()), None)
        if upload is not None:
            self.store.end_upload(self.bucket, upload)

    def tag(self, number, _):
        self.store.set_bucket_tags(self.bucket, {"n": str(number)})
        self.store.set_notifications(
            self.bucket, NotificationConfiguration(rules=(RULE,), eventbridge=bool(number % 2))
        )


steps = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 9), st.binary(max_size=5)), max_size=15)


@settings(max_examples=15, deadline=None)
@given(steps, st.booleans())
def test_what_was_settled_is_there_after_a_restart(tmp_path_factory, steps, closed):
    """Closed or not: a process that is killed after `flushed` loses nothing."""
    folder = tmp_path_factory.mktemp("s3")
    store = open_store(folder)
    script = Script(store)
    for step, number, data in steps:
        script.steps[step](number, data)
    asyncio.run(store.blob_store.flushed())
    expected, there = shown(store), files(folder)
    if not closed:
        folder = as_if_killed(folder)
    store.blob_store.close()
    again = open_store(folder)

    assert expected == shown(again)
    assert named(again) == there == files(folder)
    again.blob_store.close()


async def test_a_file_that_nobody_names_goes_at_the_next_start(tmp_path):
    store = open_store(tmp_path)
    store.blob_store.keep(b"written, but the process died before it was named")
    (tmp_path / "blobs" / "00" / f"{'0' * 32}.part").write_bytes(b"half")
    store.blob_store.close()
    assert 2 == len(files(tmp_path))
    open_store(tmp_path).blob_store.close()

    assert set() == files(tmp_path)


def test_no_file_that_is_no_blob_is_ever_removed(tmp_path):
    """Names and places of somebody else: other names, another folder's end, links, folders."""
    open_store(tmp_path).blob_store.close()
    blobs = tmp_path / "blobs"
    strangers = {
        blobs / "ab" / "holiday.jpg",
        blobs / "ab" / ("c" * 32),
        blobs / "ab" / ("A" * 30 + "ab"),
        blobs / "ab" / "half.part",
        blobs / ("d" * 32),
        tmp_path / "notes",
    }
    for path in strangers:
        path.write_bytes(b"mine")
    (blobs / "cd" / ("0" * 30 + "cd")).mkdir()
    (blobs / "ef" / ("0" * 30 + "ef")).symlink_to(tmp_path / "notes")
    before = everything(tmp_path)
    for _ in range(2):
        open_store(tmp_path).blob_store.close()

    assert before.keys() <= everything(tmp_path).keys()
    assert all(b"mine" == path.read_bytes() for path in strangers)


def everything(folder):
    """Names, modes and contents of all that is in a folder."""
    return {
        str(path.relative_to(folder)): (path.lstat().st_mode, path.read_bytes() if path.is_file() else None)
        for path in folder.rglob("*")
    }


def remove(*names):
    def change(folder):
        for name in names:
            (folder / name).unlink(missing_ok=True)

    return change


def cut(name, size):
    def change(folder):
        if (folder / name).exists():
            os.truncate(folder / name, size)

    return change


def write(name, data):
    return lambda folder: (folder / name).write_bytes(data)


def another_program(folder):
    remove("index.sqlite3", "index.sqlite3-wal")(folder)
    with closing(sqlite3.connect(folder / "index.sqlite3")) as base:
        base.execute("CREATE TABLE versions (x)")
        base.commit()


def another_store(folder):
    remove("index.sqlite3", "index.sqlite3-wal", "index.in-use")(folder)
    other = folder / "other"
    open_store(other).blob_store.close()
    (other / "index.sqlite3").rename(folder / "index.sqlite3")


def older_copy(folder):
    """The blobs went on without it."""
    remove("index.sqlite3-wal", "index.in-use")(folder)
    shutil.copy(folder.with_name("older") / "index.sqlite3", folder / "index.sqlite3")


def a_name_that_leads_outside(folder):
    with closing(sqlite3.connect(folder / "index.sqlite3")) as base:
        for key, document in base.execute("SELECT key, document FROM versions").fetchall():
            changed = orjson.loads(document)
            changed["content"][0][0] = "../../../precious"
            base.execute("UPDATE versions SET document = ? WHERE key = ?", (orjson.dumps(changed), key))
        base.commit()
    # As whoever merges the log must: else its absence is what is complained of.
    remove("index.in-use")(folder)


BROKEN = {
    "missing": remove("index.sqlite3"),
    "all of it missing": remove("index.sqlite3", "index.sqlite3-wal", "index.session", "index.in-use"),
    "session missing": remove("index.session"),
    "session damaged": write("index.session", b"1 x"),
    "empty": write("index.sqlite3", b""),
    "garbage": write("index.sqlite3", b"this is no database, and never was one" * 99),
    **{f"cut to {size}": cut("index.sqlite3", size) for size in (1, 60, 100, 2000, 4096, 8192)},
    "another program's": another_program,
    "another store's": another_store,
    "older": older_copy,
    "names that lead outside": a_name_that_leads_outside,
}
BROKEN_IF_KILLED = {
    "log missing": remove("index.sqlite3-wal"),
    "log empty": cut("index.sqlite3-wal", 0),
}
CASES = [(False, name) for name in BROKEN] + [(True, name) for name in BROKEN | BROKEN_IF_KILLED]


@pytest.mark.parametrize(("killed", "name"), CASES)
def test_an_index_that_is_not_the_one_of_the_blobs_is_an_error_that_changes_nothing(tmp_path, killed, name):
    folder = tmp_path / "objects"
    open_store(folder).blob_store.close()
    shutil.copytree(folder, tmp_path / "older")
    store = open_store(folder)
    script = Script(store)
    for number in range(40):
        script.put(number, b"%d" % number)
        script.version(1, b"")
    asyncio.run(store.blob_store.flushed())
    left = as_if_killed(folder)
    store.blob_store.close()
    folder = left if killed else folder
    (BROKEN | BROKEN_IF_KILLED)[name](folder)
    before = everything(folder)
    with pytest.raises(OSError, match=r"index\.s") as refused:
        open_store(folder)

    assert "\n" not in str(refused.value)
    assert before == everything(folder)


def earlier(folder):
    """Have the folder be as engines left it that gave no numbers to their indexes."""
    remove("index.session", "index.in-use")(folder)
    with closing(sqlite3.connect(folder / "index.sqlite3")) as base:
        base.execute("PRAGMA application_id=0")
        base.execute("PRAGMA user_version=0")


def test_a_folder_of_an_earlier_engine_is_taken_over(tmp_path):
    store = open_store(tmp_path)
    Script(store).put(0, b"kept")
    store.blob_store.keep(b"nobody names it")
    expected = shown(store)
    store.blob_store.close()
    earlier(tmp_path)
    for _ in range(2):
        again = open_store(tmp_path)

        assert expected == shown(again)
        assert named(again) == files(tmp_path)
        again.blob_store.close()


def test_an_index_of_an_earlier_engine_that_names_no_blob_of_these_is_an_error(tmp_path):
    store = open_store(tmp_path / "one")
    Script(store).put(0, b"kept")
    store.blob_store.close()
    earlier(tmp_path / "one")
    open_store(tmp_path / "two").blob_store.close()
    earlier(tmp_path / "two")
    shutil.copy(tmp_path / "two" / "index.sqlite3", tmp_path / "one" / "index.sqlite3")
    with pytest.raises(OSError, match="names none of the objects beside it"):
        open_store(tmp_path / "one")

    assert 1 == len(files(tmp_path / "one"))


def test_parts_that_an_earlier_engine_kept_by_their_sizes_are_numbered(tmp_path):
    folder = tmp_path / "objects"
    store = open_store(folder)
    bucket = store.create("b-1", "us-east-1")
    parts = (CompletedPart(2, 5), CompletedPart(7, 1))
    store.put(bucket, "k", Content.of(store.blob_store.keep(b"abcdef")), "e-2", ObjectMetadata(), None, parts)
    store.blob_store.close()
    with closing(sqlite3.connect(folder / "index.sqlite3")) as base, base:
        [(text,)] = base.execute("SELECT document FROM versions")
        document = orjson.loads(text)
        document["part_sizes"] = [size for _, size, _ in document.pop("parts")]
        base.execute("UPDATE versions SET document = ?", (orjson.dumps(document),))

    kept = open_store(folder).buckets["b-1"].latest("k")
    assert (CompletedPart(1, 5), CompletedPart(2, 1)) == kept.parts


@pytest.mark.parametrize("name", ["blobs", "blobs/ab"])
def test_a_folder_that_is_a_link_is_an_error(tmp_path, name):
    """What it leads to is not the store's."""
    precious = tmp_path / "precious"
    (precious / "ab").mkdir(parents=True)
    (precious / "ab" / ("0" * 30 + "ab")).write_bytes(b"mine")
    place = tmp_path / "objects" / name
    place.parent.mkdir(parents=True)
    place.symlink_to(precious if name == "blobs" else precious / "ab")
    with pytest.raises(OSError, match="objects"):
        open_store(tmp_path / "objects")

    assert b"mine" == (precious / "ab" / ("0" * 30 + "ab")).read_bytes()


async def test_a_bucket_goes_with_the_uploads_that_are_under_way(tmp_path):
    store = open_store(tmp_path)
    script = Script(store)
    script.part(1, b"part")
    store.remove(script.bucket)
    await store.blob_store.flushed()
    store.blob_store.close()
    again = open_store(tmp_path)

    assert ({}, set()) == (again.buckets, files(tmp_path))
    again.blob_store.close()


async def test_one_engine_at_a_time_uses_a_folder(tmp_path):
    store = open_store(tmp_path)
    with pytest.raises(OSError, match="locked"):
        open_store(tmp_path)
    store.blob_store.close()
    open_store(tmp_path).blob_store.close()


@pytest.mark.parametrize("break_it", ["file", "garbage"])
async def test_a_folder_that_cannot_be_used_is_an_error_of_the_system(tmp_path, break_it):
    folder = tmp_path / "s3"
    if break_it == "file":
        folder.write_bytes(b"")
    else:
        folder.mkdir()
        (folder / "index.sqlite3").write_bytes(b"this is no database, and never was one" * 99)
    with pytest.raises(OSError, match="s3"):
        open_store(folder)


async def test_a_version_that_is_read_stays_until_it_was_read(tmp_path):
    store = open_store(tmp_path)
    script = Script(store)
    script.put(0, b"old")
    old = script.bucket.latest("k0").content
    store.blob_store.retain(old)
    script.put(0, b"new")
    await store.blob_store.flushed()
    assert b"old" == old.read()
    store.blob_store.release(old)
    await store.blob_store.flushed()

    assert named(store) == files(tmp_path)
    store.blob_store.close()


async def test_what_could_not_be_committed_is_committed_with_the_next(tmp_path):
    failing = [True]

    async def offload(work):
        if failing.pop():
            raise OSError("no room")
        return work()

    store = open_store(tmp_path, offload)
    script = Script(store)
    script.put(0, b"1")
    with pytest.raises(OSError, match="no room"):
        await store.blob_store.flushed()
    failing.append(False)
    await store.blob_store.flushed()
    store.blob_store.close()

    with closing(sqlite3.connect(tmp_path / "index.sqlite3")) as index:
        assert (1,) == index.execute("SELECT count(*) FROM versions").fetchone()


async def test_many_changes_are_one_transaction(tmp_path):
    """Requests that wait at the same moment share it."""
    commits = []

    async def offload(work):
        commits.append(work)
        await asyncio.sleep(0)
        return work()

    store = open_store(tmp_path, offload)
    script = Script(store)

    async def put(number):
        script.put(number, b"x")
        await store.blob_store.flushed()

    await asyncio.gather(*(put(number) for number in range(50)))

    assert len(commits) <= 2
    store.blob_store.close()


@pytest.mark.parametrize("key", ["../../../tmp/up", "..", "/etc/passwd", "a/../../b", "CON", "x\x00y", "."])
async def test_no_key_becomes_a_path(serve, tmp_path, ask_endpoint, key):
    """Keys are whatever clients like: files are named by the store alone."""
    folder = tmp_path / "here"
    async with serve(lambda: FileBlobStore(folder, offload_to_thread)) as (shop, _):
        shop.store.create("b-1", "us-east-1")
        raw = "".join(f"%{byte:02X}" for byte in key.encode())
        put = await later(shop, ask_endpoint, "PUT", f"/b-1/{raw}", b"hello")
        got = await later(shop, ask_endpoint, "GET", f"/b-1/{raw}")

        assert (200, 200, b"hello") == (put.status, got.status, got.body)
        assert [folder] == list(tmp_path.iterdir())
        assert all(32 == len(name) for name in files(folder))


async def later(shop, ask_endpoint, *request):
    """The answer to a request that is answered from a task."""
    answers = ask_endpoint(shop.endpoint, *request, later=True)
    while not answers:
        await asyncio.sleep(0.001)
    return answers[0]


class FullDisk(BlobStore):
    """Has no room."""

    blocks = True

    def keep(self, _data, /):
        raise OSError(28, "No space left on device")

    def load(self):
        return [], 0


async def test_without_room_the_client_is_told_and_nothing_is_changed(serve, ask_endpoint):
    async with serve(FullDisk) as (shop, _):
        shop.store.create("b-1", "us-east-1")
        answer = await later(shop, ask_endpoint, "PUT", "/b-1/k", b"hello")

        assert (500, "InternalError", 0) == (answer.status, answer.code, len(shop.store.buckets["b-1"].keys))


def test_the_index_can_be_read_by_anybody(tmp_path):
    """It is plain SQLite with JSON in it."""
    store = open_store(tmp_path)
    Script(store).put(0, b"1")
    store.blob_store.close()
    with sqlite3.connect(tmp_path / "index.sqlite3") as base:
        [(document,)] = base.execute("SELECT document FROM versions WHERE key = 'k0'")
    base.close()

    assert "c4ca4238a0b923820dcc509a6f75849b" == orjson.loads(document)["etag"]
