"""What `executor = "auto"` stands for."""

import json
import subprocess
import sys

import pytest

from engine import Engine, Function
from engine.app.executor_choice import Choice, choose
from engine.runtime.platform import Platform

HANDLERS = """
import functools

async def coroutine(event, context): return event
def plain(event, context): return event
async def streaming(event, context): yield event
def generator(event, context): yield event
other_name = coroutine
another_name = plain
wrapped = functools.partial(plain)

@functools.wraps(plain)
def decorated(event, context): return event

@functools.wraps(coroutine)
async def decorated_coroutine(event, context): return event

class Handler:
    def __call__(self, event, context): return event

instance = Handler()
"""
AUTO = {
    "coroutine": "loop",
    "other_name": "loop",
    "plain": "process",
    "streaming": "loop",
    "generator": "process",
    "another_name": "process",
    "wrapped": "process",
    "decorated": "process",
    "decorated_coroutine": "process",
    "instance": "process",
    "nowhere": "process",
}
SHARES = (
    "[engine] app: executor thread, since no process can be forked here (this Python has no pidfd_open); "
    "concurrent invocations share one interpreter and its modules"
)
NAMED = ("loop", "thread", "process", "runtime", "somewhere:Executor")


@pytest.fixture
def code(tmp_path):
    (tmp_path / "app.py").write_text(HANDLERS)
    return str(tmp_path)


def forks():
    return None


def cannot_fork():
    return "no pidfd_open"


@pytest.mark.parametrize("handler", AUTO)
def test_auto_is_loop_for_what_is_plainly_async_and_process_for_the_rest(code, handler):
    """By the source alone: the module is never imported."""
    function = Function("f", handler=f"app.{handler}", code=code)

    assert Choice(AUTO[handler]) == choose(function, Platform(), forks)
    assert "app" not in sys.modules


@pytest.mark.parametrize("handler", AUTO)
def test_auto_is_thread_where_no_process_can_be_forked(code, handler):
    """And the reason is kept; loop stays loop."""
    function = Function("f", handler=f"app.{handler}", code=code)
    expected = Choice("loop") if AUTO[handler] == "loop" else Choice("thread", "no pidfd_open")

    assert expected == choose(function, Platform(), cannot_fork)


@pytest.mark.parametrize("handler", AUTO)
def test_in_a_tests_own_interpreter_nothing_is_forked(code, handler):
    """On real time thread, on virtual time loop."""
    function = Function("f", handler=f"app.{handler}", code=code)
    real = Platform(has_processes=False)
    virtual = Platform(has_threads=False, has_processes=False)

    assert Choice("loop" if AUTO[handler] == "loop" else "thread") == choose(function, real, forks)
    assert Choice("loop") == choose(function, virtual, forks)


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("forking", [forks, cannot_fork])
def test_an_executor_that_is_named_is_taken(code, name, forking):
    """Whatever the handler and the machine."""
    for handler in AUTO:
        function = Function("f", handler=f"app.{handler}", code=code, executor=name)

        assert Choice(name) == choose(function, Platform(), forking)


def test_a_bootstrap_is_run_by_the_runtime_executor(code):
    """It is no Python to look at."""
    function = Function("f", handler="app.plain", code=code, bootstrap=("/bin/run",))

    assert Choice("runtime") == choose(function, Platform(), forks)


@pytest.mark.real_time
async def test_an_engine_from_python_follows_the_same_rule(code):
    """One `def`, one `async def`: each invocation of the first is in a process of its own."""
    functions = [Function(name, handler=f"app.{name}", code=code) for name in ("coroutine", "plain")]
    async with Engine(functions) as engine:
        chosen = dict(engine.chosen)
        payloads = [(await engine.invoke(name, 7)).payload for name in chosen]

    assert {"coroutine": "loop", "plain": "process"} == chosen
    assert [7, 7] == payloads


@pytest.mark.real_time
def test_where_no_process_can_be_forked_one_line_says_which_executor_and_why(code):
    """A Python that was built without `pidfd_open` serves all the same."""
    command = "import os; del os.pidfd_open; from engine.cli import main; main()"
    words = ["invoke", "app.plain", "--event", "-"]
    done = subprocess.run(
        [sys.executable, "-c", command, *words],
        cwd=code,
        input="[1]",
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    said = [line for line in done.stderr.splitlines() if "executor thread" in line]

    assert [1] == json.loads(done.stdout)
    assert [SHARES] == said


async def test_whoever_has_handlers_stream_is_told_once_that_aws_has_no_such_thing(code):
    written = []
    streams = {"code": code, "streaming": "generator"}
    functions = [
        *(Function(name, handler=f"app.{name}", **streams) for name in ("streaming", "generator")),
        Function("plain", handler="app.plain", code=code),
    ]
    async with Engine(functions, platform=Platform(watches_loop=False), write_log=written.append):
        pass
    [line] = [line for text in written for line in text.splitlines() if "streaming" in line]

    assert line.startswith(
        '[engine] streaming, generator: streaming = "generator" is this engine\'s own: AWS'
    )


async def test_whoever_names_loop_or_thread_is_told_its_limits_once(tmp_path):
    """One line for each of them, which names the functions; none for what `auto` chose."""
    (tmp_path / "app.py").write_text(HANDLERS)
    written = []
    functions = [
        Function("api", handler="app.coroutine", code=str(tmp_path)),
        Function("jobs", handler="app.coroutine", code=str(tmp_path), executor="loop"),
        *(
            Function(f"f{number}", handler="app.plain", code=str(tmp_path), executor="thread")
            for number in range(12)
        ),
    ]
    async with Engine(functions, platform=Platform(watches_loop=False), write_log=written.append):
        pass
    lines = [line for text in written for line in text.splitlines() if "interpreter" in line]

    assert 2 == len(lines)
    assert "jobs: executor loop, in the engine's own interpreter: one core for all" in lines[0]
    assert "f8, f9 and 2 more: executor thread, in the engine's own interpreter: not the main" in lines[1]
    assert all("working folder" in line and 'executor = "process"' in line for line in lines)
