"""How many cores may be used: affinity, and the quotas of the control groups one is in."""

import os

import pytest

from engine.machine.cores import usable_cores

HERE = len(os.sched_getaffinity(0))


@pytest.fixture
def machine(tmp_path):
    """`machine(memberships, files)`: what /proc and the control groups' file system say."""

    def machine(memberships: str, files: dict[str, str]) -> int:
        (tmp_path / "proc/self").mkdir(parents=True)
        (tmp_path / "proc/self/cgroup").write_text(memberships)
        (tmp_path / "cgroup").mkdir()
        for name, text in files.items():
            path = tmp_path / "cgroup" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return usable_cores(tmp_path / "proc", tmp_path / "cgroup")

    return machine


@pytest.mark.parametrize(
    ("memberships", "files", "cores"),
    [
        ("", {}, HERE),
        ("0::/\n", {"cpu.max": "max 100000\n"}, HERE),
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": f"{HERE * 1000}00000 100000\n"}, HERE),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "100000 100000\n"}, 1),
        ("0::/not/mounted/here\n", {"cpu.max": "100000 100000\n"}, 1),
        ("4:cpu,cpuacct:/a\n", {"cpu,cpuacct/a/cpu.cfs_quota_us": "-1"}, HERE),
        (
            "4:cpu,cpuacct:/a\n",
            {"cpu,cpuacct/a/cpu.cfs_quota_us": "20000", "cpu,cpuacct/a/cpu.cfs_period_us": "100000"},
            1,
        ),
        ("3:memory:/a\n", {}, HERE),
        ("0::/\n", {"cpu.max": "nonsense\n"}, HERE),
    ],
)
def test_the_smallest_limit_counts(machine, memberships, files, cores):
    assert cores == machine(memberships, files)
