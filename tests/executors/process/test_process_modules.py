"""On the process executor the handler's modules are its own: nothing of the engine's stands before them."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from engine.core.event import Event
from engine.executors.process.child.compiled_module import CompiledModule

pytestmark = pytest.mark.real_time

OURS = (
    "engine",
    "handlers",
    "click",
    "yaml",
    "orjson",
    "simplejson",
    "anyio",
    "pydantic",
    "typing_extensions",
)
STANDARD = ("select", "queue", "signal", "platform", "uuid", "copy", "socket", "inspect", "datetime")


def write(folder, files):
    for name, text in files.items():
        file = folder / "code" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


async def answer(engine, event=None):
    async with engine:
        outcome = await engine.invoke("f", event)
    assert "success" == outcome.status.value, outcome.error
    return outcome.payload


FORMS = {
    "a module": lambda name: {f"{name}.py": "MINE = True\n"},
    "a package": lambda name: {f"{name}/__init__.py": "MINE = True\n"},
    "a plain folder": lambda name: {f"{name}/own_part.py": "MINE = True\n"},
}


@pytest.mark.parametrize("form", FORMS)
async def test_a_module_of_the_folder_goes_before_the_engines_and_the_standard_librarys(make, tmp_path, form):
    """Each kind of module, imported with the handler and later; but not where AWS's client was earlier."""
    names = [*OURS, *(STANDARD if form != "a plain folder" else ())]
    plain = form == "a plain folder"
    for name in names:
        write(tmp_path, FORMS[form](name))
    whole = ".own_part" if plain else ""
    source = f"""
import importlib
EARLY = {{name: importlib.import_module(name + "{whole}").MINE for name in {names[::2]}}}
def handler(event, context):
    late = {{name: importlib.import_module(name + "{whole}").MINE for name in {names[1::2]}}}
    return {{**EARLY, **late}}
"""
    assert dict.fromkeys(names, True) == await answer(make(source))


LOADED = """
import sys, warnings
def handler(event, context):
    module = sys.modules[__name__]
    kind = type(module.__loader__).__name__
    names = [module.__name__, module.__file__, module.__spec__.origin, module.__cached__]
    return [VALUE, kind, sorted(vars(module.__loader__)), names, module.__spec__.loader is module.__loader__]
"""


async def test_every_environment_has_the_module_that_is_there_then(make, tmp_path):
    """The first ones read it themselves, further ones find it read; a change is seen by the next."""
    written = f"VALUE = 1{LOADED}", f"VALUE = +2{LOADED}"  # of another size: compiled files know seconds
    found = []
    async with make(written[0], keep_alive_s=0) as engine:

        async def start(times: int) -> None:
            for _ in range(times):
                found.append((await engine.invoke("f")).payload)
                while engine.sink.drivers["f"].statistics().idle:
                    await asyncio.sleep(0.01)

        await start(5)
        write(tmp_path, {"app.py": written[1]})
        await start(5)
        write(tmp_path, {"app/__init__.py": f"VALUE = 3{LOADED}"})
        await start(1)

    first, second, third = found[:5], found[5:10], found[10]
    assert [1] * 5 == [values[0] for values in first]
    assert [2] * 5 == [values[0] for values in second]
    assert (3, str(tmp_path / "code/app/__init__.py")) == (third[0], third[3][1])
    assert all(values[1:] == found[0][1:] for values in (*first, *second))


@pytest.mark.parametrize(
    ("name", "source", "is_read"),
    [
        ("app", "VALUE = 1\n", True),
        ("runpy", "VALUE = 1\n", False),  # the interpreter has that frozen, and imports it before any file
        ("app", "def handler(:\n", False),
        ("app", "VALUE = 1 is 1\n", False),
    ],
)
def test_what_a_child_would_import_otherwise_or_complain_of_is_left_to_it(
    tmp_path, monkeypatch, name, source, is_read
):
    """And nothing is read at the first fork: that child may say something of it."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # what is compiled already warns of nothing
    file = tmp_path / f"{name}.py"
    file.write_text(source)
    module = CompiledModule(name, str(file), "VALUE")
    found = []
    for _ in range(4):
        module.renew()
        found.append(module.spec is not None)

    assert [False, is_read] == [found[0], found[-1]]


FAILING = """
print("once")
class Ends(BaseException): pass
def give_up():
    {what}
give_up()
"""


@pytest.mark.parametrize(
    "what",
    ["raise ValueError('no')", "raise ImportError('no')", "raise Ends('no')", "raise SystemExit(3)"],
)
async def test_why_a_module_fails_is_told_alike_whoever_runs_it(make, what):
    """The import system does for the first environments; further ones run what was read beforehand."""
    lines, answers, runs = [], [], []
    async with make(FAILING.format(what=what), settings={"write_log": lines.append}) as engine:
        for _ in range(4):
            outcome = await engine.invoke("f")
            answers.append({**(outcome.error or {}), "requestId": "", "errorMessage": ""})
            runs.append("".join(lines).count("once") - sum(runs))
    text = "".join(lines)
    inits, frames = text.count("Traceback"), [line for line in text.splitlines() if line[:1].isspace()]

    assert [answers[0]] * 4 == answers
    assert [2, 1, 1, 1] == runs  # the first init that fails is repeated
    assert inits >= (0 if "Exit" in what else 4)
    assert frames == (frames[: len(frames) // inits] * inits if inits else [])


async def test_what_awss_client_imports_is_not_the_folders(make, tmp_path):
    """As on Lambda: a stray file does not break the handler's json."""
    write(tmp_path, {"json.py": "", "logging.py": "", "decimal.py": ""})
    source = "import json, logging, decimal\ndef handler(event, context): return json.dumps([1])\n"

    assert "[1]" == await answer(make(source))


async def test_a_folder_put_on_the_path_at_run_time_has_its_modules_too(make, tmp_path):
    """Vendored libraries in a subfolder."""
    write(tmp_path, {"vendor/orjson.py": "MINE = True\n", "vendor/engine/core.py": "MINE = True\n"})
    write(tmp_path, {"vendor/engine/__init__.py": ""})
    source = """
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "vendor"))
import orjson
def handler(event, context):
    from engine import core
    return [orjson.MINE, core.MINE]
"""
    assert [True, True] == await answer(make(source))


async def test_nothing_of_the_engine_is_imported_and_the_folder_comes_first(make, tmp_path):
    """`sys` looks as it does on Lambda; what is installed beside the engine can be imported."""
    source = """
import json, sys
SEEN = [sorted(set(sys.modules)), sys.path[:], sys.argv, sorted(vars(sys.modules["__main__"]))]
def handler(event, context):
    import certifi
    return [*SEEN, certifi.__file__, type(sys.path[0]).__name__]
"""
    modules, path, argv, main, installed, kind = await answer(make(source))
    foreign = {name.partition(".")[0] for name in modules} - set(sys.stdlib_module_names)

    assert {"__main__", "app"} == foreign - {"_distutils_hack"}
    assert (str(tmp_path / "code"), "str") == (path[0], kind)
    assert str(Path(sys.executable).parent) not in path
    assert ["/var/runtime/bootstrap.py"] == argv
    assert [] == [name for name in main if not name.startswith("__")]
    assert "certifi" in installed


async def test_the_engines_own_libraries_are_usable_where_the_folder_has_none(make):
    """The same objects that the engine uses: exceptions that one part raises are caught by the other."""
    source = """
import pickle
def handler(event, context):
    import orjson, simplejson
    from engine import Function
    caught = []
    for library in (orjson, simplejson):
        try:
            library.loads("{")
        except library.JSONDecodeError as error:
            caught.append(library.__name__)
    copy = pickle.loads(pickle.dumps(Function("g", handler="a.b")))
    return [caught, copy.name, type(copy) is Function]
"""
    assert [["orjson", "simplejson"], "g", True] == await answer(make(source))


async def test_the_engines_own_work_goes_on_beside_modules_of_its_names(make, tmp_path):
    """What it makes of events and results does not change: neither values nor errors."""
    write(tmp_path, {"simplejson.py": "", "orjson.py": "", "engine.py": ""})
    source = """
import decimal, orjson, simplejson, engine
def handler(event, context):
    if event == "set": return {1}
    if event == "raise": raise ValueError("no")
    return [event, decimal.Decimal("1.10"), 2**70]
"""
    async with make(source) as engine:
        fine = await engine.invoke("f", {"a": 10**20})
        unencodable = await engine.invoke("f", "set")
        raised = await engine.invoke("f", "raise")
        bad = await engine.sink.invoke(Event("f", b"[1,", "id-1", 0.0))

    assert b'[{"a": 100000000000000000000}, 1.10, 1180591620717411303424]' == fine.body
    assert (
        "Unable to marshal response: Object of type set is not JSON serializable"
        == (unencodable.error["errorMessage"])
    )
    assert ("ValueError", 1) == (raised.error["errorType"], len(raised.error["stackTrace"]))
    assert "Unable to unmarshal input: Expecting value: line 1 column 4 (char 3)" == bad.error["errorMessage"]


async def test_child_processes_of_every_kind_find_the_folders_modules(make, tmp_path):
    """Forked, spawned, and a fresh interpreter with -m."""
    write(
        tmp_path, {"engine/__init__.py": "", "engine/tools.py": "def double(n): return 2 * n\nprint('ran')\n"}
    )
    source = """
import multiprocessing, subprocess, sys
from engine import tools
def handler(event, context):
    results = []
    for method in ("fork", "spawn"):
        with multiprocessing.get_context(method).Pool(1) as pool:
            results += pool.map(tools.double, [21])
    done = subprocess.run([sys.executable, "-m", "engine.tools"], capture_output=True, text=True)
    return [*results, done.stdout, done.returncode]
"""
    assert [42, 42, "ran\n", 0] == await answer(make(source))


async def test_metadata_of_a_vendored_distribution_is_the_folders(make, tmp_path):
    """Before that of an installed one of its name."""
    write(tmp_path, {"orjson.py": "", "orjson-0.0.1.dist-info/METADATA": "Name: orjson\nVersion: 0.0.1\n"})
    source = (
        "from importlib import metadata\ndef handler(event, context): return metadata.version('orjson')\n"
    )

    assert "0.0.1" == await answer(make(source))


async def test_a_handlers_plain_folder_goes_before_an_installed_package_of_its_name(make, tmp_path):
    """It is what the handler's name says."""
    write(tmp_path, {"certifi/app.py": "def handler(event, context): return __name__\n"})

    assert "certifi.app" == await answer(make("", handler="certifi/app.handler"))


@pytest.mark.parametrize("limits", [{"snapstart": True}, {"environment_concurrency": 4}], ids=str)
async def test_snapshots_and_shared_environments_do_the_same(make, tmp_path, limits):
    """Their processes are made in other ways."""
    write(tmp_path, {"engine.py": "MINE = True\n", "orjson.py": "MINE = True\n"})
    source = """
import engine
def handler(event, context):
    import orjson
    return engine.MINE and orjson.MINE
"""
    assert await answer(make(source, **limits)) is True


TRACES = {
    "a def": ("def handler(event, context): raise ValueError", "error"),
    "an async def": ("async def handler(event, context): raise ValueError", "error"),
    "a wrong signature": ("def handler(): pass", "error"),
    "an import": ("import nothing_like_it", "init_error"),
    "an import that raises": ("raise ValueError", "init_error"),
    "a BaseException": ("def handler(event, context): raise BaseException('x')", "crash"),
    "a chain": ("def handler(event, context):\n  try: 1/0\n  except Exception: raise ValueError", "error"),
}


@pytest.mark.parametrize("name", TRACES)
async def test_no_traceback_has_a_frame_of_the_engines(make, name):
    """Neither in the answer nor in the log."""
    source, status = TRACES[name]
    lines = []
    engine = make(source, settings={"write_log": lines.append})
    async with engine:
        outcome = await engine.invoke("f")

    assert status == outcome.status.value
    shown = json.dumps(outcome.error) + "".join(map(str, lines))
    assert [] == [part for part in ("engine/executors", "asyncio/") if part in shown]


REPLACES = """
import errno, fcntl, json, os, resource, select, signal, socket, struct, termios, time, traceback
USED = errno, fcntl, json, os, os.path, resource, select, signal, socket, struct, termios, time, traceback

def replace():
    for module in USED:
        for name in list(vars(module)):
            if not name.startswith("_") and name != "path":
                setattr(module, name, None)

calls = []
"""


@pytest.mark.parametrize(
    ("when", "limits"),
    [
        ("import", {}),
        ("call", {}),
        ("call", {"snapstart": True}),
        ("import", {"environment_concurrency": 2}),
        ("call", {"environment_concurrency": 2}),
    ],
    ids=str,
)
async def test_a_handler_may_replace_whatever_modules_hold(make, when, limits):
    """All functions and constants of the modules that the engine uses in its process."""
    at_import = "replace()\n" if when == "import" else ""
    in_call = "    replace()\n" if when == "call" else ""
    source = f"{REPLACES}{at_import}def handler(event, context):\n    calls.append(event)\n{in_call}"
    source += "    context.get_remaining_time_in_millis()\n    return len(calls)\n"
    async with make(source, timeout_s=5, **limits) as engine:
        outcomes = [await engine.invoke("f", n) for n in range(3)]

    assert [b"1", b"2", b"3"] == [outcome.body for outcome in outcomes]


OWN_THREAD = """
import threading
seen = []
def look():
    import app
    seen.append(hasattr(app, "last"))
thread = threading.Thread(target=look)
thread.start()
thread.join(0.05)
last = 1
def handler(event, context):
    thread.join()
    return seen
"""


async def test_a_thread_that_imports_its_own_module_waits_until_that_is_done(make):
    """As in any program, by whomever the module is run: the third environment's was read beforehand."""
    async with make(OWN_THREAD, keep_alive_s=0) as engine:
        found = []
        for _ in range(4):
            outcome = await engine.invoke("f")
            assert outcome.cold_start
            found.append(outcome.payload)
            while engine.sink.drivers["f"].statistics().idle:
                await asyncio.sleep(0.005)

    assert [[True]] * 4 == found
