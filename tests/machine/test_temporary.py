"""Leftovers of killed engines are removed, and nothing else is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.machine.folder_claim import claim
from engine.machine.temporary import TemporaryFolder, remove_leftovers

KIND = "tmp-0123abcd"


@pytest.fixture
def dead() -> int:
    """The number of a process that is not there any more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def full(folder: Path) -> Path:
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "file").write_text("x")
    return folder


def test_what_a_killed_engine_left_is_removed_with_all_that_is_in_it(tmp_path, dead):
    """Links in it are not followed."""
    outside = full(tmp_path / "outside")
    folder = full(tmp_path / f"invocation-engine-{dead}-{KIND}")
    (folder / "link").symlink_to(outside)

    assert [folder.name] == remove_leftovers(tmp_path)
    assert ["outside"] == os.listdir(tmp_path)
    assert (outside / "sub" / "file").exists()


@pytest.mark.parametrize(
    "name",
    [
        "invocation-engine-{alive}-tmp-0123abcd",
        "invocation-engine-{dead}-tmp-0123abcd.bak",
        "invocation-engine-{dead}",
        "invocation-engine-{dead}-tmp-0123ABCD",
        "my-invocation-engine-{dead}-tmp-0123abcd",
        "invocation-engine-0-tmp-0123abcd",
    ],
)
def test_a_living_engines_folder_and_other_names_stay(tmp_path, dead, name):
    """Only the very pattern counts."""
    folder = full(tmp_path / name.format(alive=os.getppid(), dead=dead))

    assert [] == remove_leftovers(tmp_path)
    assert (folder / "sub" / "file").exists()


def test_a_link_of_such_a_name_is_left_and_not_followed(tmp_path, dead):
    """Anybody may put one into /tmp."""
    outside = full(tmp_path / "outside")
    (tmp_path / f"invocation-engine-{dead}-{KIND}").symlink_to(outside)

    assert [] == remove_leftovers(tmp_path)
    assert (outside / "sub" / "file").exists()


def test_a_folder_that_is_in_use_stays_whatever_its_number_says(tmp_path, dead):
    """In another container with the same /tmp, that process is alive."""
    folder = full(tmp_path / f"invocation-engine-{dead}-{KIND}")
    descriptor = claim(folder)
    used = remove_leftovers(tmp_path)
    os.close(descriptor)

    assert ([], [folder.name]) == (used, remove_leftovers(tmp_path))


@pytest.mark.skipif(os.getuid() != 0, reason="needs another user")
def test_the_folder_of_another_user_stays(tmp_path, dead):
    """Even for root."""
    folder = full(tmp_path / f"invocation-engine-{dead}-{KIND}")
    os.chown(folder, 65534, 65534)

    assert [] == remove_leftovers(tmp_path)


def test_a_temporary_folder_is_this_users_alone_and_goes_with_its_owner():
    """Mode 0700."""
    folder = TemporaryFolder("code")
    full(folder.path / "a")
    mode = folder.path.stat().st_mode & 0o777
    folder.close()

    assert (0o700, False) == (mode, folder.path.exists())
