"""A function's environment variables are its own, wherever its code runs, on every executor."""

import asyncio
import os
import subprocess
import sys

import pytest

from engine import Function

LOOKS = """
import _thread, concurrent.futures, multiprocessing, os, subprocess, sys, tempfile, threading

def look():
    seen = {os.environ["TABLE"], os.getenv("TABLE"), os.environb[b"TABLE"].decode(), {**os.environ}["TABLE"]}
    return [*seen, os.environ["AWS_LAMBDA_FUNCTION_NAME"], os.environ.get("WRITTEN")]

IMPORTED = look()
pool = concurrent.futures.ThreadPoolExecutor(1)

def in_thread(start):
    seen, over = [], threading.Event()
    start(lambda *_: (seen.append(look()), over.set()))
    over.wait()
    return seen[0]

def put(queue):
    queue.put(look())

def in_process(method):
    context = multiprocessing.get_context(method)
    queue = context.SimpleQueue()
    process = context.Process(target=put, args=(queue,))
    process.start()
    seen = queue.get()
    process.join()
    return seen

def forked_and_executed():
    reader, writer = os.pipe()
    if not (pid := os.fork()):
        os.dup2(writer, 1)
        os.execvp("sh", ["sh", "-c", SHELL])
    os.close(writer)
    os.waitpid(pid, 0)
    with open(reader) as pipe:
        return pipe.read().split()

SHELL = "echo $TABLE $AWS_LAMBDA_FUNCTION_NAME $WRITTEN"

def read(opened):
    with opened as file:
        return file.read().split()

def everywhere():
    os.environ["WRITTEN"] = "by-" + os.environ["TABLE"]
    _, file = tempfile.mkstemp(dir=os.environ["LAMBDA_TASK_ROOT"])  # of this invocation: two run at a time
    os.system(f"({SHELL}) > {file}")
    return {
        "import": IMPORTED + [os.environ["WRITTEN"]],
        "handler": look(),
        "thread": in_thread(lambda run: threading.Thread(target=run).start()),
        "low-level thread": in_thread(lambda run: _thread.start_new_thread(run, ())),
        "timer": in_thread(lambda run: threading.Timer(0, run).start()),
        "pool": pool.submit(look).result(),
        "multiprocessing": in_process("fork"),
        "subprocess": subprocess.check_output(SHELL, shell=True, text=True).split(),
        "popen": read(os.popen(SHELL)),
        "system": read(open(file)),
        "fork, exec": forked_and_executed(),
    }
"""

PLAIN = """
def handler(event, context):
    return everywhere()
"""

ASYNC = """
import asyncio

async def of_child():
    child = await asyncio.create_subprocess_shell(SHELL, stdout=subprocess.PIPE)
    return (await child.communicate())[0].decode().split()

async def handler(event, context):
    found = everywhere()
    loop = asyncio.get_running_loop()
    found["task"] = await loop.create_task(asyncio.sleep(0, look()))
    return found

async def with_child(event, context):
    loop = asyncio.get_running_loop()
    return {
        "child of the loop": await of_child(),
        "to_thread": (await asyncio.to_thread(look))[:2],
        "default executor": (await loop.run_in_executor(None, look))[:2],
    }
"""

IMPORT_SEES = "IMPORTED = [*look()[:2]]"


def functions(folder, executor, handler="app.handler"):
    """Two of them, whose variables differ."""
    return [
        Function(
            name,
            handler=handler,
            code=str(folder),
            executor=executor,
            timeout_s=30,
            environment={"TABLE": f"table-of-{name}"},
        )
        for name in ("one", "two")
    ]


def write(folder, handler):
    (folder / "app.py").write_text(LOOKS.replace("IMPORTED = look()", IMPORT_SEES) + handler)


@pytest.mark.needs("code")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
async def test_each_function_sees_its_own_variables_wherever_its_code_runs(play, tmp_path):
    """At import, in the handler, in threads however started, in tasks, and in child processes."""
    write(tmp_path, ASYNC if play.name == "loop" else PLAIN)
    async with play.engine(*functions(tmp_path, play.name)) as engine:
        outcomes = {
            name: await asyncio.gather(*(engine.invoke(name, {}) for _ in range(2)))
            for name in ("one", "two")
        }

    for name, both in outcomes.items():
        for outcome in both:
            assert outcome.ok, outcome.error
            for place, seen in outcome.payload.items():
                assert (place, [f"table-of-{name}", name, f"by-table-of-{name}"]) == (place, seen)


@pytest.mark.needs("code")
async def test_a_handler_sees_lambdas_variables_and_no_credentials_of_the_users(play, tmp_path, monkeypatch):
    """Whoever runs the engine has a profile, keys and a region of his own."""
    mine = {
        "AWS_PROFILE": "mine",
        "AWS_ACCESS_KEY_ID": "MINE",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://me",
    }
    for name, value in mine.items():
        monkeypatch.setenv(name, value)
    names = ("_HANDLER", "LAMBDA_TASK_ROOT", "AWS_REGION", "AWS_LAMBDA_LOG_STREAM_NAME", *mine)
    body = (
        f"return {{name: os.environ.get(name) for name in {names}}} | {{'stream': context.log_stream_name}}"
    )
    prefix = "async " if play.name == "loop" else ""
    (tmp_path / "app.py").write_text(f"import os\n{prefix}def handler(event, context):\n    {body}\n")
    [function, _] = functions(tmp_path, play.name)
    async with play.engine(function, region="eu-west-1") as engine:
        seen = (await engine.invoke("one", {})).payload

    assert seen.pop("stream") == seen.pop("AWS_LAMBDA_LOG_STREAM_NAME")
    if play.name == "cluster":  # the node's copy of the code
        assert seen.pop("LAMBDA_TASK_ROOT").startswith(str(tmp_path / "nodes"))
    else:
        assert str(tmp_path) == seen.pop("LAMBDA_TASK_ROOT")
    assert {
        "_HANDLER": "app.handler",
        "AWS_REGION": "eu-west-1",
        "AWS_PROFILE": None,
        "AWS_ACCESS_KEY_ID": "ASIAXXXXXXXXXXXXXXXX",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": None,
    } == seen


@pytest.mark.needs("code")
async def test_outside_of_functions_the_variables_are_what_they_were(play, tmp_path):
    """While an engine is open, and after it; `os.environ` is the same object of the same class."""
    write(tmp_path, ASYNC if play.name == "loop" else PLAIN)
    before, environ, kind = dict(os.environ), os.environ, type(os.environ)
    async with play.engine(*functions(tmp_path, play.name)) as engine, play.engine() as second:
        await engine.invoke("one", {})
        await second.invoke("f", {})
        during = dict(os.environ)
        os.environ["OF_A_TEST"] = "1"
        in_c = subprocess.run("echo $OF_A_TEST", shell=True, capture_output=True).stdout
        del os.environ["OF_A_TEST"]

    assert before == during == dict(os.environ)
    assert b"1\n" == in_c
    assert (environ, kind) == (os.environ, type(os.environ))


@pytest.mark.real_time
def test_what_the_loop_itself_starts_has_the_functions_variables(tmp_path):
    """uvloop starts processes in C; asyncio does not."""
    from engine import Engine
    from engine.runtime.platform import new_event_loop

    write(tmp_path, ASYNC)

    async def seen():
        async with Engine(functions(tmp_path, "loop", "app.with_child")) as engine:
            return [(await engine.invoke(name, {})).payload for name in ("one", "two")]

    for factory in (new_event_loop, asyncio.SelectorEventLoop):
        with asyncio.Runner(loop_factory=factory) as runner:
            for name, found in zip(("one", "two"), runner.run(seen()), strict=True):
                assert {(f"table-of-{name}", name)} == {tuple(seen) for seen in found.values()}
    assert not [name for name in sys.modules if name.startswith("app#")]
