"""`cpu = "lambda"`: environments on process have the share of a CPU that Lambda gives their memory."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from engine import Engine, Function
from engine.core.cpu_law import PERIOD_S, quota_s
from engine.executors.process.parent.cgroups import ControlGroups
from engine.executors.process.parent.cpu_limiter import DutyCycleLimiter, GroupLimiter, make_cpu_limiter

pytestmark = pytest.mark.real_time

SOURCE = """
import os, time

def limits():
    found = {}
    for line in open("/proc/self/cgroup"):
        _, controllers, path = line.strip().split(":", 2)
        for root in (f"/sys/fs/cgroup/{controllers}", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"):
            for name in ("cpu.max", "cpu.cfs_quota_us"):
                if os.path.exists(f"{root}{path}/{name}"):
                    found[name] = open(f"{root}{path}/{name}").read().split()[0]
    return found

AT_INIT = limits()

def handler(event, context):
    begin_s, used_s = time.monotonic(), time.process_time()
    while time.process_time() - used_s < event.get("cpu_s", 0):
        pass
    wall_s = time.monotonic() - begin_s
    return {"init": AT_INIT, "now": limits(), "cpus": os.cpu_count(), "wall_s": wall_s, "pid": os.getpid()}
"""


@pytest.fixture
def code(tmp_path):
    (tmp_path / "app.py").write_text(SOURCE)
    return str(tmp_path)


@pytest.fixture
def mechanism():
    """How this machine limits CPU."""
    limiter = make_cpu_limiter(None)
    limiter.close()
    return limiter.mechanism


async def test_an_environment_has_a_whole_vcpu_to_initialise_and_its_share_from_then_on(code, mechanism):
    functions = [
        Function(f"f{memory_mb}", handler="app.handler", code=code, executor="process", memory_mb=memory_mb)
        for memory_mb in (128, 1024)
    ]
    async with Engine(functions, cpu="lambda") as engine:
        answers = [(await engine.invoke(function.name, {})).payload for function in functions]

    if mechanism in ("cpu.max", "cpu.cfs_quota_us"):
        assert ["20000", "20000"] == [answer["init"][mechanism] for answer in answers]
        assert ["1447", "11577"] == [answer["now"][mechanism] for answer in answers]
    assert [2, 2] == [answer["cpus"] for answer in answers]


async def test_a_function_may_have_another_law_than_the_engine(code, mechanism):
    """Beside one that has Lambda's."""
    functions = [
        Function("ours", handler="app.handler", code=code, executor="process", cpu="host"),
        Function("theirs", handler="app.handler", code=code, executor="process", cpu="lambda", memory_mb=256),
    ]
    async with Engine(functions) as engine:
        ours, theirs = [(await engine.invoke(function.name, {})).payload for function in functions]

    assert os.cpu_count() == ours["cpus"]
    assert 2 == theirs["cpus"]
    if mechanism in ("cpu.max", "cpu.cfs_quota_us"):
        assert {"2894"} == {theirs["now"][mechanism]}
        assert "2894" not in ours["now"].values()


async def test_computing_takes_no_less_than_the_law_says(code):
    """100 ms of CPU at 128 MB: 1.36 s on a machine with nothing else to do, and more on a busy one."""
    function = Function("f", handler="app.handler", code=code, executor="process", timeout_s=50)
    async with Engine([function], cpu="lambda") as engine:
        answer = (await engine.invoke("f", {"cpu_s": 0.1})).payload

    assert 1.25 < answer["wall_s"]


async def test_no_control_group_is_left_behind(code):
    before = set(Path("/sys/fs/cgroup").glob("**/invocation-engine-*"))
    function = Function("f", handler="app.handler", code=code, executor="process")
    async with Engine([function], cpu="lambda") as engine:
        await engine.invoke("f", {})

    assert before >= set(Path("/sys/fs/cgroup").glob("**/invocation-engine-*"))


class Compute:
    """A process that computes, seen as an environment in which something runs."""

    def __enter__(self):
        self.process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        self.pid = self.process.pid
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def cpu_s(self):
        return time.clock_gettime(~self.pid << 3 | 2)

    def is_stopped(self):
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def test_without_control_groups_a_process_is_stopped_when_its_quota_is_used_up(tmp_path):
    """Measured against its CPU clock; when it is let go it has what the machine gives."""
    limiter = DutyCycleLimiter()
    quota = quota_s(256)
    with Compute() as computing:
        limiter.tell("+", computing.pid, quota)
        while not computing.is_stopped():  # the process that limits it has begun to
            time.sleep(0.001)
        time.sleep(0.1)
        began_s, since_s = computing.cpu_s(), time.monotonic()
        time.sleep(1.0)
        while not computing.is_stopped():
            time.sleep(0.001)
        while computing.is_stopped():  # until what it used too much, the limiter being late, is made up for
            used_s = computing.cpu_s() - began_s
        took_s = time.monotonic() - since_s
        limiter.close()
        released_s = computing.cpu_s()
        while computing.cpu_s() < released_s + 0.2:
            time.sleep(0.01)

    assert used_s <= quota * (took_s / PERIOD_S + 3)
    assert "duty cycle" == limiter.mechanism


def test_the_duty_cycle_is_taken_where_no_control_group_can_be_made(tmp_path):
    own = tmp_path / "own"
    own.write_text("3:cpu,cpuacct:/x\n0::/x/y\n")

    assert ControlGroups.for_cpu(None, tmp_path / "nowhere", own) is None


def test_a_tree_of_the_first_cgroups_is_made_and_removed():
    """Where this machine has one of either kind."""
    groups = ControlGroups.for_cpu(None)
    if groups is None:
        pytest.skip("no control group that limits CPU can be made")
    limiter = GroupLimiter(groups, owned=True)
    with Compute() as computing:
        folder = groups.folder / str(computing.pid)
        folder.mkdir()
        for file, text in limiter.groups()[str(groups.folder)].items():
            (folder / file).write_text(text)
        (folder / "cgroup.procs").write_text(str(computing.pid))
        groups.limit_cpu(computing.pid, 128)
        time.sleep(0.1)  # what is left of the period's first quota
        began_s, since_s = computing.cpu_s(), time.monotonic()
        time.sleep(1.0)
        used_s, took_s = computing.cpu_s() - began_s, time.monotonic() - since_s
        throttled_s = groups.throttled_s(computing.pid)
    folder.rmdir()
    limiter.close()

    assert used_s <= quota_s(128) * (took_s / PERIOD_S + 3)
    assert throttled_s > 0
    assert not groups.folder.exists()


async def test_what_the_machine_gave_of_the_law_is_counted(code):
    """Never more than was promised; how much less depends on what else runs here."""
    function = Function("f", handler="app.handler", code=code, executor="process", timeout_s=50)
    async with Engine([function], cpu="lambda") as engine:
        await asyncio.gather(*(engine.invoke("f", {"cpu_s": 0.05}) for _ in range(4)))
        stats = engine.stats.functions["f"]
        while not stats.cpu_promised_s:
            await asyncio.sleep(0.05)

    assert 0 < stats.cpu_got_s <= stats.cpu_promised_s


def test_a_process_is_not_left_stopped_if_what_limits_it_is_killed():
    """It is continued with the next word about it, whoever killed what would have done so."""
    limiter = DutyCycleLimiter()
    with Compute() as computing:
        limiter.tell("+", computing.pid, quota_s(128) / 20)  # so little that it is stopped nearly always
        children = Path(f"/proc/self/task/{threading.get_native_id()}/children")
        while not computing.is_stopped():
            time.sleep(0.001)
        others = {int(pid) for pid in children.read_text().split()} - {computing.pid}
        for pid in others:
            if b"duty_cycle" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
                os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        os.kill(computing.pid, signal.SIGSTOP)
        limiter.tell("-", computing.pid)
        began_s = computing.cpu_s()
        while computing.cpu_s() < began_s + 0.05:
            time.sleep(0.01)
        stopped = computing.is_stopped()
        limiter.close()

    assert not stopped
