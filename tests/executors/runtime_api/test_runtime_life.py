"""Processes come with their environments and go with them, whatever ends either; nothing is left behind."""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from engine import ConfigError, Engine, Function, Status
from engine.core.event import Event
from engine.executors.runtime_api.process_reaper import ProcessReaper
from engine.executors.runtime_api.worker_processes import WorkerProcesses
from engine.runtime.platform import Platform

pytestmark = pytest.mark.real_time

APP = """
import os, subprocess, sys, time, urllib.error, urllib.request

def handler(event, context):
    match event.get("do"):
        case "pid": return os.getpid()
        case "nap":
            time.sleep(event["s"])
            return os.getpid()
        case "meet":
            open(f"{event['folder']}/{os.getpid()}", "w").close()
            while len(os.listdir(event["folder"])) < event["count"]: time.sleep(0.02)
            return os.getpid()
        case "family":
            child = subprocess.Popen(["sleep", "60"])
            print("pids", os.getpid(), child.pid, file=sys.stderr)
            if event.get("hang"):
                while True: time.sleep(1)
            return [os.getpid(), child.pid]
        case "flood":
            for number in range(event["lines"]): print("x" * 1000)
            print("the end")
            return "flooded"
        case "eat":
            held = bytearray(event["mb"] * 1024 * 1024)
            for at in range(0, len(held), 4096): held[at] = 1
            if "code" in event: os._exit(event["code"])
            return len(held)
        case "environ": return dict(os.environ)
        case "as a page":
            url = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation/next"
            try:
                urllib.request.urlopen(urllib.request.Request(url, headers=event["headers"]), timeout=5)
            except urllib.error.HTTPError as error:
                return error.code
        case "descriptors":
            links = (f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd"))
            return {link[14:]: os.readlink(link) for link in links if os.path.islink(link)}
    return event.get("value")
"""


@pytest.fixture
def code(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def function(code, **keys):
    keys = {"timeout_s": 20, "handler": "app.handler", **keys}
    return Function("f", code=str(code), executor="runtime", **keys)


def alive(pid):
    """Whether the process runs, or is still to be reaped."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def zombie_or_gone(pid):
    """The same for one that is not ours to reap."""
    try:
        return b") Z " in Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return True


def children():
    """Processes of this one that run, or are still to be reaped."""
    lists = (path.read_text().split() for path in Path("/proc/self/task").glob("*/children"))
    return {int(pid) for pids in lists for pid in pids}


async def until(holds, *arguments):
    async with asyncio.timeout(60):
        while not holds(*arguments):
            await asyncio.sleep(0.005)


def descriptors():
    """Sockets, pipes and processes that are held open; a loop may open other things, once."""
    targets = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the folder itself
            targets.add(os.readlink(f"/proc/self/fd/{name}") + f" {name}")
    return {target for target in targets if target.startswith(("socket:", "pipe:", "anon_inode:[pidfd]"))}


def levels(engine):
    return engine.sink.drivers["f"].statistics()


async def test_twenty_at_once_then_none(code, tmp_path_factory):
    """They are scaled by the fleet like any other, and go when they have been idle."""
    meeting = {"do": "meet", "folder": str(tmp_path_factory.mktemp("meeting")), "count": 20}
    async with Engine([function(code, keep_alive_s=0.2)]) as engine:
        before = descriptors()
        waits = [engine.invoke("f", meeting) for _ in range(20)]
        outcomes = await asyncio.gather(*waits)
        pids = {outcome.payload for outcome in outcomes}
        await until(lambda: levels(engine).idle == 0)
        await until(lambda: not any(map(alive, pids)))
        await until(lambda: len(descriptors() - before) == 1)  # the guardian's pipe

    assert 20 == len(pids)


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.test"}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "evil.test"}]
)
async def test_no_page_in_a_browser_takes_an_invocation(code, headers):
    """Its port can be found by trying."""
    async with Engine([function(code)]) as engine:
        outcome = await engine.invoke("f", {"do": "as a page", "headers": headers})

    assert 403 == outcome.payload


async def test_an_engine_that_closes_leaves_nothing(code):
    """Not a process, a descriptor, a zombie or a listener."""
    before = descriptors()
    async with Engine([function(code)]) as engine:
        outcomes = await asyncio.gather(*(engine.invoke("f", {"do": "nap", "s": 0.3}) for _ in range(5)))
    left = [pid for pid in {outcome.payload for outcome in outcomes} if alive(pid)]
    await until(lambda: descriptors() <= before)

    assert [] == left


async def test_an_engine_that_closes_while_processes_start_leaves_nothing(code):
    """They may exist already, or not yet."""
    before = descriptors()
    async with Engine([function(code)], grace_s=0) as engine:
        waits = [asyncio.ensure_future(engine.invoke("f", {})) for _ in range(5)]
        await asyncio.sleep(0)
    outcomes = await asyncio.gather(*waits)
    await until(lambda: descriptors() <= before)

    assert {Status.CANCELLED} == {outcome.status for outcome in outcomes}


async def test_the_deadline_ends_what_a_handler_started_too(code):
    """The whole group is killed; what was written before is in the log."""
    async with Engine([function(code, timeout_s=1)]) as engine:
        await engine.invoke("f", {})
        event = Event("f", b'{"do": "family", "hang": true}', "id-1", 0.0, wants_log=True)
        outcome = await engine.sink.invoke(event)
        [line] = [line for line in outcome.log_tail.decode().splitlines() if line.startswith("pids ")]
        _, parent, child = line.split()
        await until(lambda: zombie_or_gone(int(parent)) and zombie_or_gone(int(child)))

    assert Status.TIMEOUT == outcome.status


async def test_nothing_survives_an_engine_that_is_killed(code):
    """SIGKILL leaves it no time to tidy up; the guardian does."""
    source = (
        "import asyncio, sys\n"
        "from engine import Engine, Function\n"
        "async def main():\n"
        "    f = Function('f', handler='app.handler', code=sys.argv[1], executor='runtime', timeout_s=60)\n"
        "    async with Engine([f]) as engine:\n"
        "        print('family', *(await engine.invoke('f', {'do': 'family'})).payload, flush=True)\n"
        "        await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    engine = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", source, str(code)), stdout=asyncio.subprocess.PIPE
    )
    while not (line := await engine.stdout.readline()).startswith(b"family"):
        pass  # what the handler wrote
    parent, child = map(int, line.split()[1:])
    engine.send_signal(signal.SIGKILL)
    await engine.communicate()

    await until(lambda: zombie_or_gone(parent) and zombie_or_gone(child))


async def test_a_flood_of_output_neither_blocks_nor_mixes(code):
    """10 MB are read while others are served; the log's tail is its end."""
    async with Engine([function(code)], write_log=lambda _text: None) as engine:
        event = Event("f", b'{"do": "flood", "lines": 10000}', "id-1", 0.0, wants_log=True)
        flood = asyncio.ensure_future(engine.sink.invoke(event))
        other = await engine.invoke("f", {"value": 1})
        flooded = await flood

    assert (1, "flooded") == (other.payload, flooded.payload)
    assert "the end" in flooded.log_tail.decode().splitlines()


async def test_peak_memory_is_measured(code):
    """As the environment's so far, as on Lambda."""
    async with Engine([function(code)]) as engine:
        small = await engine.invoke("f", {})
        large = await engine.invoke("f", {"do": "eat", "mb": 100})
        after = await engine.invoke("f", {})

    assert small.max_memory_mb < 100 <= large.max_memory_mb < 200
    assert large.max_memory_mb == after.max_memory_mb


CRASHES = """
import asyncio, sys
from engine import Engine, Function

async def main():
    function = Function("f", handler="app.handler", code=sys.argv[1], executor="runtime", timeout_s=20)
    async with Engine([function]) as engine:
        outcome = await engine.invoke("f", {"do": "eat", "mb": 300, "code": 1})
        print(outcome.status.value, outcome.max_memory_mb)

asyncio.run(main())
"""


async def test_peak_memory_of_a_crash_is_measured(code):
    """If it is above the engine's own, which in a process of its own is small."""
    engine = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CRASHES, str(code)), stdout=asyncio.subprocess.PIPE
    )
    told, _ = await engine.communicate()
    status, max_memory_mb = told.split()

    assert b"crash" == status
    assert 300 <= int(max_memory_mb) < 400


async def test_a_process_that_dies_idle_costs_no_invocation(code):
    """The next one finds a new environment."""
    async with Engine([function(code)]) as engine:
        pid = (await engine.invoke("f", {"do": "pid"})).payload
        os.kill(pid, signal.SIGKILL)
        await until(lambda: levels(engine).idle == 0)
        then = await engine.invoke("f", {"value": 1})

    assert (1, True) == (then.payload, then.cold_start)
    assert not alive(pid)


LEAVER = """#!/bin/sh
base="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime"
head=$(curl -sS -D - -o /dev/null "$base/invocation/next" | tr -d '\\r')
id=$(echo "$head" | sed -n 's/^Lambda-Runtime-Aws-Request-Id: //p')
curl -sS -o /dev/null "$base/invocation/$id/response" -d 1
while [ ! -e leave ]; do sleep 0.01; done
"""


async def test_an_invocation_that_never_reached_its_process_is_run_by_another(code):
    """The environment is initialised again, within the time of that invocation, as after a reset."""
    (code / "bootstrap").write_text(LEAVER)
    (code / "bootstrap").chmod(0o755)
    async with Engine([function(code)]) as engine:
        first = await engine.invoke("f", {})
        waiting = asyncio.ensure_future(engine.invoke("f", {}))
        await asyncio.sleep(0)
        (code / "leave").touch()
        second = await waiting

    assert [(1, True), (1, False)] == [(each.payload, each.cold_start) for each in (first, second)]


async def test_a_second_initialisation_that_fails_costs_the_invocation(code):
    """It is told as what it is."""
    (code / "bootstrap").write_text(LEAVER.replace("#!/bin/sh", "#!/bin/sh\n[ -e leave ] && exit 9"))
    (code / "bootstrap").chmod(0o755)
    async with Engine([function(code)]) as engine:
        await engine.invoke("f", {})
        waiting = asyncio.ensure_future(engine.invoke("f", {}))
        await asyncio.sleep(0)
        (code / "leave").touch()
        second = await waiting

    assert (Status.INIT_ERROR, "Runtime.ExitError") == (second.status, second.error["errorType"])
    assert second.error["errorMessage"].endswith("Runtime exited with error: exit status 9")


@pytest.mark.parametrize(
    ("bootstrap", "error_type", "text"),
    [
        (("./goes",), "Runtime.InvalidEntrypoint", "Couldn't find valid bootstrap(s): [./goes]"),
        (("./locked",), "Runtime.InvalidEntrypoint", "Couldn't find valid bootstrap(s): [./locked]"),
        (("./text",), "Runtime.InvalidEntrypoint", "Couldn't find valid bootstrap(s): [./text]"),
        (("sh", "-c", "exit 7"), "Runtime.ExitError", "Runtime exited with error: exit status 7"),
        (("sh", "-c", "kill -9 $$"), "Runtime.ExitError", "Runtime exited with error: signal: killed"),
        (("true",), "Runtime.ExitError", "Runtime exited without providing a reason"),
    ],
    ids=["goes", "is locked", "no program", "exits", "killed", "ends"],
)
async def test_a_bootstrap_that_does_not_come_up_fails_the_init(code, bootstrap, error_type, text):
    """In AWS's words, and once for each attempt."""
    for name in ("goes", "locked", "text"):
        (code / name).write_text("this is no program\n")
        (code / name).chmod(0o755)
    async with Engine([function(code, bootstrap=bootstrap)]) as engine:
        (code / "goes").unlink()
        (code / "locked").chmod(0o644)
        outcome = await engine.invoke("f", {})
        after = levels(engine)

    assert (Status.INIT_ERROR, error_type) == (outcome.status, outcome.error["errorType"])
    assert outcome.error["errorMessage"].endswith(text)
    assert (0, 0, 0) == (after.starting, after.idle, after.in_flight)


def test_a_process_that_is_being_started_when_the_loop_goes_is_not_left(code):
    """A thread starts it, which goes on when nobody waits for it any more."""
    opened, asked, went, done = (threading.Event() for _ in range(4))

    async def offload(work):
        def late():
            if not opened.is_set():
                return work()
            asked.set()
            went.wait(60)
            try:
                return work()
            finally:
                done.set()

        return await asyncio.to_thread(late)

    async def main():
        platform = Platform(offload=offload)
        slow = function(code, bootstrap=("sleep", "60"))
        async with Engine([slow], platform=platform, grace_s=0.2) as engine:
            opened.set()
            invoking = asyncio.ensure_future(engine.invoke("f", {}))
            await asyncio.to_thread(asked.wait)
            invoking.cancel()
        asyncio.get_running_loop().call_soon(went.set)

    before = children()
    asyncio.run(main())

    assert done.wait(60)
    assert set() == children() - before


@pytest.mark.parametrize("program", ["no-such-program", "./no-such-program", "./app.py"])
def test_a_bootstrap_that_is_no_program_at_the_start_is_an_error_of_the_configuration(code, program):
    """Missing, or not executable: it is said before anything runs, with its key."""
    with pytest.raises(ConfigError, match=rf"functions\.f\.bootstrap: no program '{re.escape(program)}'"):
        Engine([function(code, bootstrap=(program,))])


async def test_the_process_has_lambdas_variables_and_none_of_the_hosts(code, monkeypatch):
    """And no descriptor but its own three."""
    monkeypatch.setenv("SECRET_OF_THE_HOST", "x")
    async with Engine([function(code, environment={"TABLE": "orders"})], region="eu-west-1") as engine:
        event = Event("f", b'{"do": "environ"}', "id-1", 0.0, trace_id="Root=1-2-3;Parent=4;Sampled=0")
        traced = (await engine.sink.invoke(event)).payload
        plain = (await engine.invoke("f", {"do": "environ"})).payload
        own = (await engine.invoke("f", {"do": "descriptors"})).payload
        descriptors_of_the_engine = {target.split()[0] for target in descriptors()}
        pipe_to_the_engine = own["1"]

    assert "Root=1-2-3;Parent=4;Sampled=0" == traced["_X_AMZN_TRACE_ID"]
    assert "_X_AMZN_TRACE_ID" not in plain
    assert "SECRET_OF_THE_HOST" not in plain
    assert ("orders", "eu-west-1", "app.handler", str(code)) == tuple(
        plain[name] for name in ("TABLE", "AWS_REGION", "_HANDLER", "LAMBDA_TASK_ROOT")
    )
    assert ["/dev/null", pipe_to_the_engine, pipe_to_the_engine] == [own[name] for name in ("0", "1", "2")]
    assert {pipe_to_the_engine} == descriptors_of_the_engine & set(own.values())


HOOKED = """
from snapshot_restore_py import register_after_restore, register_before_snapshot
calls = []
register_before_snapshot(lambda: calls.append("before"))
register_after_restore(lambda: calls.append("after"))

def handler(event, context):
    return calls
"""


async def test_with_snapstart_awss_client_runs_the_hooks(code):
    """It asks to be restored before its first poll, and is so at once."""
    (code / "hooked.py").write_text(HOOKED)
    async with Engine([function(code, handler="hooked.handler", snapstart=True)]) as engine:
        outcome = await engine.invoke("f", {})

    assert ["before", "after"] == outcome.payload


@pytest.mark.parametrize(
    ("hook", "error_type"),
    [
        ("register_before_snapshot", "Runtime.BeforeSnapshotError"),
        ("register_after_restore", "Runtime.AfterRestoreError"),
    ],
)
async def test_with_snapstart_a_hook_that_fails_fails_the_init(code, hook, error_type):
    """With AWS's type for it in the log, and what was raised in the payload."""
    (code / "hooked.py").write_text(HOOKED + f"{hook}(lambda: 1 / 0)\n")
    lines = []
    of = function(code, handler="hooked.handler", snapstart=True)
    async with Engine([of], write_log=lambda text: lines.extend(text.splitlines())) as engine:
        outcome = await engine.invoke("f", {})

    assert Status.INIT_ERROR == outcome.status
    assert "division by zero" == outcome.error["errorMessage"]
    assert [error_type] == [line.split(": ")[1] for line in lines if line.startswith("[engine] f: ")]


async def test_a_shared_environment_runs_as_many_processes(code):
    """AWS's client starts a worker for each invocation it may take."""
    async with Engine([function(code, environment_concurrency=4)]) as engine:
        outcomes = await asyncio.gather(*(engine.invoke("f", {"do": "nap", "s": 1}) for _ in range(4)))
        environments = levels(engine).idle
    pids = {outcome.payload for outcome in outcomes}
    await until(lambda: all(map(zombie_or_gone, pids)))

    assert (4, 1) == (len(pids), environments)


async def test_it_is_served_to_aws_clients(code):
    """`engine serve` with boto3: result, log tail, and the failure of a function."""
    config = code / "engine.toml"
    config.write_text(
        '[engine]\nhttp = "127.0.0.1:0"\naws = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\n'
        '[functions.f]\nhandler = "app.handler"\nexecutor = "runtime"\ntimeout_s = 20\n'
    )
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "engine", "serve", "--config", str(config)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        ready = json.loads(await server.stdout.readline())
        answers = await asyncio.to_thread(_invoke, f"http://{ready['aws'].removeprefix('http://')}")
    finally:
        server.send_signal(signal.SIGTERM)
        await server.communicate()

    assert [(200, None, "7"), (200, "Unhandled", "Runtime.ExitError")] == answers
    assert 0 == server.returncode


def _invoke(url):
    client = boto3.client(
        "lambda",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
        config=Config(retries={"total_max_attempts": 1}),
    )
    good = client.invoke(FunctionName="f", Payload=b'{"value": 7}', LogType="Tail")
    bad = client.invoke(FunctionName="f", Payload=b'{"do": "eat", "mb": 1, "code": 1}')
    bodies = [good["Payload"].read().decode(), json.loads(bad["Payload"].read())["errorType"]]
    client.close()
    return [
        (answer["StatusCode"], answer.get("FunctionError"), body)
        for answer, body in zip((good, bad), bodies, strict=True)
    ]


@pytest.fixture
def parent():
    """A shell with a child that ends by itself, one that lasts, and a way to say when."""
    script = "(read line; exit 5) & sleep 60 & echo started; exec sleep 60"
    process = subprocess.Popen(
        ("sh", "-c", f"exec 3<&0; {script.replace('read line', 'read line <&3')}"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    process.stdout.readline()
    while Path(f"/proc/{process.pid}/comm").read_text() != "sleep\n":
        pass  # as long as it is a shell it may yet take note of what happens to its children
    yield process
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def test_a_worker_that_died_is_told_by_its_status(parent):
    """Its parent has not taken note of it yet."""
    workers = WorkerProcesses(parent.pid, lasting=False)
    before = workers.death()
    parent.stdin.write(b"go\n")
    parent.stdin.flush()
    while (status := workers.death()) is None:
        pass

    assert (None, 5) == (before, status)


@pytest.mark.parametrize(("lasting", "status"), [(True, 0), (False, None)])
def test_a_worker_that_vanished_has_died_if_it_was_to_last(lasting, status):
    """Its parent has taken its status; a helper may come and go."""
    command = ("sh", "-c", "sleep 60 & echo $!; wait; exec sleep 60")
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as parent:
        try:
            worker = int(parent.stdout.readline())
            workers = WorkerProcesses(parent.pid, lasting=lasting)
            workers.see()
            os.kill(worker, signal.SIGKILL)
            while Path(f"/proc/{worker}").exists():
                time.sleep(0.001)
            found = workers.death()
        finally:
            os.killpg(parent.pid, signal.SIGKILL)

    assert status == found


async def test_the_guardian_forgets_what_is_gone():
    """A number that was told and taken back is never killed; it may be another's by then."""
    reaper = ProcessReaper()
    kept, killed = (subprocess.Popen(("sleep", "60"), start_new_session=True) for _ in range(2))
    try:
        for group in (11, kept.pid, killed.pid, 12):
            reaper.watch(group)
        for group in (kept.pid, 11, 12, 13):
            reaper.forget(group)
        await reaper.close()
        status = killed.wait(60)
        lives = kept.poll() is None
    finally:
        for process in (kept, killed):
            process.kill()
            process.wait()

    assert (-signal.SIGKILL, True) == (status, lives)
