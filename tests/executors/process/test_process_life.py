"""How an environment that is a process comes up, and how it is told to go."""

import asyncio

import pytest

from engine import Engine, Function, Status

pytestmark = pytest.mark.real_time

FLAKY = """
import os
MARK = os.path.join(os.environ.get("TMPDIR", "/tmp"), "failed before")
if not os.path.exists(MARK):
    open(MARK, "w").close()
    {fail}
def handler(event, context): return "second attempt"
"""


@pytest.mark.parametrize("fail", ["raise OSError('no table')", "os._exit(3)", "raise SystemExit"])
async def test_an_init_that_fails_is_repeated_inside_its_first_invocation(make, fail):
    """In the same `/tmp`; it has no duration of its own then, and its first failure is in the log."""
    lines = []
    async with make(FLAKY.format(fail=fail), settings={"write_log": lines.append}) as engine:
        outcome = await engine.invoke("f", {})

    assert (Status.SUCCESS, "second attempt") == (outcome.status, outcome.payload)
    assert (None, True) == (outcome.init_s, outcome.cold_start)
    assert 1 == "".join(lines).count("INIT_REPORT")


async def test_a_repeated_init_has_the_functions_timeout(make):
    """Not the ten seconds of the first one."""
    source = FLAKY.format(fail="raise OSError") + "\nimport time; time.sleep(30)\n"
    async with make(source, timeout_s=0.5) as engine:
        outcome = await engine.invoke("f", {})

    assert Status.TIMEOUT == outcome.status
    assert outcome.error["errorMessage"].endswith("Task timed out after 0.50 seconds")


async def test_one_that_takes_too_long_to_initialise_is_repeated_too(make):
    """The driver stops it at its limit, which is ten seconds by default."""
    source = """
import os, time
MARK = os.path.join(os.path.dirname(__file__), "began before")
if not os.path.exists(MARK):
    open(MARK, "w").close()
    time.sleep(60)
def handler(event, context): return "second attempt"
"""
    async with make(source, init_limit_s=2.5) as engine:
        outcome = await engine.invoke("f", {})

    assert "second attempt" == outcome.payload


FAREWELL = """
import os, signal, sys
def leave(number, frame):
    print("left at", number)
    {then}
signal.signal(signal.SIGTERM, leave)
def handler(event, context):
    if event.get("do") == "exit": os._exit(1)
    return os.getpid()
"""


@pytest.mark.parametrize("snapstart", [False, True])
@pytest.mark.parametrize("then", ["sys.exit(0)", "os._exit(0)", "pass", "raise OSError"])
async def test_an_idle_environment_is_asked_to_go(make, then, snapstart, alive):
    """By SIGTERM, and in the log is what it says; the engine is over only when it is gone."""
    lines = []
    source, settings = FAREWELL.format(then=then), {"write_log": lines.append}
    async with make(source, settings=settings, snapstart=snapstart) as engine:
        pid = (await engine.invoke("f", {})).payload

    assert "left at 15\n" in "".join(lines)
    assert not alive(pid)


async def test_one_that_expires_is_asked_too_and_one_that_will_not_go_is_killed(make, alive):
    """Half a second later."""
    lines = []
    source, settings = FAREWELL.format(then="pass"), {"write_log": lines.append}
    async with make(source, settings=settings, keep_alive_s=0) as engine:
        pid = (await engine.invoke("f", {})).payload
        async with asyncio.timeout(60):
            while alive(pid):
                await asyncio.sleep(0.01)

    assert "left at 15\n" in "".join(lines)


async def test_what_a_machine_allows_is_said_once(tmp_path):
    """However many functions there are."""
    lines = []
    (tmp_path / "app.py").write_text("def handler(event, context): pass\n")
    functions = [
        Function(name, handler="app.handler", code=str(tmp_path), executor="process") for name in "fgh"
    ]
    async with Engine(functions, write_log=lines.append) as engine:
        await asyncio.gather(*(engine.invoke(name) for name in "fgh"))

    assert 1 == sum("[engine] processes:" in line for line in lines)


async def test_functions_of_one_zygote_do_not_see_each_others_variables(tmp_path, monkeypatch):
    """Nor what the host had, not even in /proc."""
    monkeypatch.setenv("SECRET_OF_THE_HOST", "x")
    (tmp_path / "app.py").write_text("""
import os
def handler(event, context):
    if event: return open("/proc/self/environ").read()
    return {name: value for name, value in os.environ.items() if name.startswith("OWN")}
""")
    functions = [
        Function(
            name,
            handler="app.handler",
            code=str(tmp_path),
            executor="process",
            keep_alive_s=0,
            environment={f"OWN_{name}": name},
        )
        for name in "fg"
    ]
    async with Engine(functions) as engine:
        seen = [(await engine.invoke(name)).payload for name in "fgfg"]
        initial = (await engine.invoke("f", {"initial": True})).payload

    assert [{"OWN_f": "f"}, {"OWN_g": "g"}] * 2 == seen
    assert "SECRET_OF_THE_HOST" not in initial


async def test_what_a_snapshots_init_put_into_the_variables_stays_there(make):
    """Restored environments have the variables of the snapshot."""
    source = (
        "import os\nos.environ['MADE'] = 'x'\ndef handler(event, context): return os.environ.get('MADE')\n"
    )
    async with make(source, snapstart=True) as engine:
        outcome = await engine.invoke("f", {})

    assert "x" == outcome.payload


IGNORES_SIGTERM = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
def handler(event, context): pass
"""


async def test_the_loop_turns_while_environments_end(make):
    """One that ignores SIGTERM is waited for, and whoever shares the engine's loop goes on meanwhile."""
    turns = 0

    async def turn():
        nonlocal turns
        while True:
            await asyncio.sleep(0.005)
            turns += 1

    async with make(IGNORES_SIGTERM) as engine:
        assert (await engine.invoke("f", {})).ok
        other = asyncio.create_task(turn())
        await engine.drain()
        before = turns
    other.cancel()

    assert turns - before > 10
