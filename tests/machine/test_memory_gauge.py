"""What is left of memory, by whatever bound is the tightest."""

import os

import pytest

from engine.machine.memory import Memory, MemoryGauge, resident_kb, share_of

MB = 1024 * 1024


@pytest.fixture
def machine(tmp_path):
    """`machine(total, available, own)`: a /proc with so many KB and that text as its `self/cgroup`."""

    def machine(total_kb: int, available_kb: int, own: str):
        proc = tmp_path / "proc"
        (proc / "self").mkdir(parents=True)
        (proc / "meminfo").write_text(
            f"MemTotal: {total_kb} kB\nMemFree: 1 kB\nMemAvailable: {available_kb} kB\n"
        )
        (proc / "self" / "cgroup").write_text(own)
        return MemoryGauge(tmp_path / "cgroup", proc)

    return machine


def group(folder, limit_file: str, limit: str, used_file: str, used: int, stat: str = "") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / limit_file).write_text(f"{limit}\n")
    (folder / used_file).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(stat)


def v2(folder, limit: str, used: int, stat: str = "") -> None:
    group(folder, "memory.max", limit, "memory.current", used, stat)


def v1(folder, limit: str, used: int, stat: str = "") -> None:
    group(folder, "memory.limit_in_bytes", limit, "memory.usage_in_bytes", used, stat)


def test_without_control_groups_it_is_what_the_kernel_calls_available(machine):
    """The whole machine's."""
    assert Memory(600, 1000) == machine(1000, 600, "").read()


def test_of_nested_groups_the_tightest_counts_whichever_level_it_is_on(machine, tmp_path):
    """Version 2: the parent allows less than the group itself."""
    root = tmp_path / "cgroup"
    v2(root / "a" / "b", str(900 * MB), 100 * MB)
    v2(root / "a", str(400 * MB), 150 * MB)

    assert Memory(250 * 1024, 400 * 1024) == machine(4 << 20, 3 << 20, "0::/a/b\n").read()


def test_groups_of_version_1_count_too_and_no_limit_is_none(machine, tmp_path):
    """Version 1 writes "no limit" as a huge number."""
    memory = tmp_path / "cgroup" / "memory"
    v1(memory / "docker" / "x", str(300 * MB), 100 * MB)
    v1(memory, "9223372036854771712", 999 * MB)

    assert Memory(200 * 1024, 300 * 1024) == machine(4 << 20, 3 << 20, "4:memory:/docker/x\n1:cpu:/\n").read()


def test_a_container_sees_its_own_group_at_the_root(machine, tmp_path):
    """The path in /proc is that of the host, and is not there."""
    v2(tmp_path / "cgroup", str(300 * MB), 100 * MB)

    assert Memory(200 * 1024, 300 * 1024) == machine(4 << 20, 3 << 20, "0::/kubepods/pod1\n").read()


def test_file_pages_of_a_group_can_be_taken_back_and_are_not_counted_as_used(machine, tmp_path):
    """The kernel drops them before it kills."""
    v2(
        tmp_path / "cgroup" / "a",
        str(300 * MB),
        280 * MB,
        f"inactive_file {100 * MB}\nactive_file {50 * MB}\n",
    )

    assert 170 * 1024 == machine(4 << 20, 3 << 20, "0::/a\n").read().available_kb


def test_without_meminfo_nothing_is_known(tmp_path):
    """Another system than Linux."""
    assert None is MemoryGauge(tmp_path, tmp_path).read()


def test_a_process_is_measured_and_one_that_is_gone_has_nothing():
    """This one, and one that cannot be."""
    share = share_of(os.getpid())

    assert 0 < share.own_kb <= share.proportional_kb <= resident_kb(os.getpid())
    assert (None, None) == (share_of(2**22 + 1), resident_kb(2**22 + 1))
