"""`serve --reload` on a real file system: whatever becomes of the folders, new code is noticed."""

import asyncio
import os
import resource
import shutil

import anyio
import pytest

from engine.app.reloading import Reloader
from engine.errors import ConfigError
from engine.runtime.platform import offload_to_thread

pytestmark = pytest.mark.real_time


class Watching:
    """A reloader at work, and what it did."""

    def __init__(self, reloader_of) -> None:
        self.renewed = asyncio.Semaphore(0)
        self.said: list[str] = []
        self.fails = False
        self.reloader = reloader_of(self.renew, self.said.append)

    async def renew(self) -> None:
        self.renewed.release()
        if self.fails:
            raise ConfigError(("no good",))

    async def renewal(self) -> None:
        """Wait for one, and for those that come of the same change."""
        async with asyncio.timeout(60):
            await self.renewed.acquire()

    async def none(self) -> None:
        await asyncio.sleep(1.5)
        assert self.renewed.locked()


@pytest.fixture
async def watch(tmp_path):
    """`await watch(*roots, patterns=...)`: begins, with the code folder `tmp_path/code` unless told."""
    closing = anyio.Event()
    tasks = []

    async def watch(*roots, patterns=(), **keys) -> Watching:
        def reloader_of(renew, say):
            places = [str(root) for root in roots or (tmp_path / "code",)]
            return Reloader(places, patterns, renew=renew, say=say, offload=offload_to_thread, **keys)

        watching = Watching(reloader_of)
        tasks.append(asyncio.create_task(watching.reloader.run(closing)))
        await asyncio.sleep(0.2)
        return watching

    yield watch
    closing.set()
    await asyncio.gather(*tasks)


@pytest.fixture
def code(tmp_path):
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "app.py").write_text("1")
    return folder


async def test_a_file_that_is_written_and_one_that_is_no_code(code, watch):
    watching = await watch()
    (code / "notes.txt").write_text("2")
    await watching.none()
    (code / "app.py").write_text("22")
    await watching.renewal()


async def test_data_files_by_a_setting(code, watch):
    (code / "templates").mkdir()
    watching = await watch(patterns=("*.json", "templates/*"))
    for name in ("config.json", "templates/page.html"):
        (code / name).write_text("{}")
        await watching.renewal()


async def test_a_folder_that_is_deleted_and_made_again_and_then_changed(code, watch):
    watching = await watch()
    shutil.rmtree(code)
    async with asyncio.timeout(60):
        while not watching.said:
            await asyncio.sleep(0.05)
    assert [f"--reload: {code} is gone; environments keep what they have until it is there again"] == (
        watching.said
    )
    code.mkdir()
    (code / "app.py").write_text("22")
    await watching.renewal()
    (code / "app.py").write_text("333")
    await watching.renewal()


async def test_a_folder_that_is_swapped_by_a_rename(code, tmp_path, watch):
    watching = await watch()
    for number in ("22", "333"):
        (tmp_path / "new").mkdir()
        (tmp_path / "new" / "app.py").write_text(number)
        code.rename(tmp_path / f"old{number}")
        (tmp_path / "new").rename(code)
        await watching.renewal()
    (code / "app.py").write_text("4444")
    await watching.renewal()


async def test_a_folder_that_is_a_link_pointed_elsewhere(code, tmp_path, watch):
    link, other = tmp_path / "current", tmp_path / "other"
    link.symlink_to(code)
    other.mkdir()
    (other / "app.py").write_text("22")
    watching = await watch(link)
    (tmp_path / "next").symlink_to(other)
    os.replace(tmp_path / "next", link)
    await watching.renewal()
    (other / "app.py").write_text("333")
    await watching.renewal()


async def test_what_links_in_the_folder_lead_to(code, tmp_path, watch):
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "lib.py").write_text("1")
    (tmp_path / "one.py").write_text("1")
    (code / "shared").symlink_to(shared)
    (code / "one.py").symlink_to(tmp_path / "one.py")
    watching = await watch()
    for path in (shared / "lib.py", tmp_path / "one.py"):
        path.write_text("22")
        await watching.renewal()


async def test_an_archive(tmp_path, watch):
    archive = tmp_path / "code.zip"
    archive.write_bytes(b"1")
    watching = await watch(archive)
    (tmp_path / "next").write_bytes(b"22")
    os.replace(tmp_path / "next", archive)
    await watching.renewal()


async def test_what_cannot_be_run_is_said_and_watched_on(code, watch):
    watching = await watch()
    watching.fails = True
    for number in ("22", "333"):
        (code / "app.py").write_text(number)
        await watching.renewal()
    await asyncio.sleep(0)
    assert ["not reloaded: no good"] * 2 == watching.said


@pytest.mark.parametrize(
    "error", [OSError("OS file watch limit reached. about ['/x']"), RuntimeError("lost")]
)
async def test_a_machine_that_can_watch_no_more_is_said_once_and_looked_at(code, watch, error):
    async def full(_places, _closing):
        raise error
        yield

    watching = await watch(watched=full)
    for number in ("22", "333"):
        (code / "app.py").write_text(number)
        await watching.renewal()
    (line,) = watching.said
    assert "cannot watch (" in line
    assert "about" not in line


async def test_code_that_cannot_be_seen_for_lack_of_descriptors_has_not_gone(code, watch):
    """It is renewed once, as soon as it can be read again."""
    watching = await watch()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        os.utime(code / "app.py", (1, 1))
        await watching.none()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    await watching.renewal()

    assert [] == watching.said
