"""Handlers in an interpreter that is not the engine's: every CPython from 3.9 on that this machine has."""

import ast
import asyncio
import dataclasses
import importlib
import json
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

import engine
from engine import Engine, Function
from engine.app.python_choice import with_pythons
from engine.config import from_functions
from tests.pythons import SERIES, interpreter, interpreters, make_venv

pytestmark = pytest.mark.real_time

ROOT = Path(engine.__file__).parent
SIMPLEJSON = str(Path(sys.modules["simplejson"].__file__).parent)

HANDLER = """
import multiprocessing, os, random, subprocess, sys

def double(number):
    return 2 * number

def handler(event, context):
    if event is None:
        return {"random": random.random()}
    spawned = multiprocessing.get_context("spawn").Process(target=double, args=(1,))
    spawned.start()
    spawned.join()
    command = [sys.executable, "-c", "import from_venv; print(from_venv.VALUE)"]
    return {
        "prefix": sys.prefix,
        "executable": sys.executable,
        "spawned": spawned.exitcode,
        "child": subprocess.run(command, capture_output=True, text=True).stdout.strip(),
        "script": subprocess.run(["tool"], capture_output=True, text=True).stdout.strip(),
        "pth": "of_a_pth" in sys.modules,
        "ours": sorted({"engine", "orjson", "simplejson"} & set(sys.modules)),
        "variables": [os.environ["AWS_EXECUTION_ENV"], os.environ.get("VIRTUAL_ENV")],
        "random": random.random(),
    }
"""

TASK = """
import logging, sys
try:
    from from_venv import VALUE
except ImportError:
    VALUE = None

logging.getLogger().setLevel("INFO")

def handler(event, context):
    if event == "fail":
        raise ValueError("wanted")
    if event == "exit":
        sys.exit(3)
    print("printed é")
    logging.info("logged")
    return [list(sys.version_info[:2]), VALUE, event]

async def task(event, context):
    return handler(event, context)

def streamed(event, context):
    yield f"{sys.version_info[:2]} "
    yield from (bytes(100_000) for _ in range(event))

async def streamed_task(event, context):
    for piece in streamed(event, context):
        yield piece
"""


async def test_a_handler_has_the_interpreter_and_the_packages_of_its_environment(make, tmp_path):
    """Its modules, `.pth` files and scripts; what it starts has them too; nothing of the engine is there."""
    venv = make_venv(tmp_path / "venv", interpreter("3.9"))
    [site] = venv.glob("lib/python3.*/site-packages")
    (site / "of_a_pth.py").write_text("")
    (site / "of_a_pth.pth").write_text("import of_a_pth\n")
    tool = venv / "bin" / "tool"
    tool.write_text(f"#!{venv}/bin/python\nimport from_venv\nprint(from_venv.VALUE)\n")
    tool.chmod(0o755)
    async with make(HANDLER, python=str(venv), memory_mb=512) as engine:
        outcome = await engine.invoke("f", "call")
        second = await engine.invoke("f", None)

    found = outcome.payload
    assert (str(venv), str(venv / "bin" / "python")) == (found["prefix"], found["executable"])
    assert ["of the environment"] * 2 == [found["child"], found["script"]]
    assert (0, True, []) == (found["spawned"], found["pth"], found["ours"])
    assert ["AWS_Lambda_python3.9", None] == found["variables"]
    assert found["random"] != second.payload["random"]


async def test_every_python_runs_handlers_in_one_engine(tmp_path, marked_processes):
    """Each interpreter has a zygote of its own; what handlers return, raise and print comes the same way."""
    (tmp_path / "app.py").write_text(TASK)
    pythons = {series: str(make_venv(tmp_path / series, path)) for series, path in interpreters().items()}
    functions = [
        Function(f"on{number}", handler="app.handler", code=str(tmp_path), executor="process", python=python)
        for number, python in enumerate([None, *pythons.values()])
    ]
    lines = []
    async with Engine(functions, write_log=lines.append) as engine:
        outcomes = [await engine.invoke(one.name, {"text": "é", "number": 2**70}) for one in functions]
        failures = [await engine.invoke(one.name, "fail") for one in functions]
        exits = await engine.invoke("on1", "exit")
    log = "".join(lines)

    event = {"text": "é", "number": 2**70}
    own, *others = [outcome.payload for outcome in outcomes]
    assert [[*sys.version_info[:2]], None, event] == own
    assert [[series, "of the environment", event] for series in pythons] == [
        [".".join(map(str, version)), *rest] for version, *rest in others
    ]
    assert {("ValueError", "wanted", 1)} == {
        (one.error["errorType"], one.error["errorMessage"], len(one.error["stackTrace"])) for one in failures
    }
    assert ("Runtime.ExitError", "3") == (exits.error["errorType"], exits.error["errorMessage"][-1])
    assert [len(functions)] * 2 == [log.count("printed é"), log.count("[INFO]")]
    assert len(pythons) == log.count("named by functions.on")
    assert [] == marked_processes()


@pytest.mark.parametrize(
    "limits",
    [{"preload": "auto"}, {"snapstart": True}, {"handler": "app.task"}, {"environment_concurrency": 4}],
    ids=["preload", "snapstart", "async", "shared"],
)
async def test_what_the_process_executor_offers_it_offers_there(make, tmp_path, limits):
    """Preloading, snapshots, `async def` handlers, several invocations in one environment."""
    venv = make_venv(tmp_path / "venv", interpreter("3.9"))
    async with make(TASK, python=str(venv), memory_mb=512, **limits) as engine:
        outcomes = await asyncio.gather(*(engine.invoke("f", number) for number in range(3)))

    assert [[[3, 9], "of the environment", number] for number in range(3)] == [
        one.payload for one in outcomes
    ]


@pytest.mark.parametrize(
    "limits",
    [{}, {"snapstart": True}, {"handler": "app.streamed_task"}, {"environment_concurrency": 4}],
    ids=["plain", "snapstart", "async", "shared"],
)
async def test_a_stream_comes_from_there_too(make, tmp_path, limits):
    """More of it than fits between the engine and the handler."""
    venv = make_venv(tmp_path / "venv", interpreter("3.9"))
    keys = {"python": str(venv), "handler": "app.streamed", "streaming": "generator", "memory_mb": 512}
    async with make(TASK, **keys | limits) as engine:
        outcome = await engine.invoke("f", 20)

    assert (b"(3, 9) ", 2_000_007) == (outcome.body[:7], len(outcome.body))


async def test_a_function_of_the_lambda_api_runs_in_its_declared_runtime(tmp_path, monkeypatch):
    """If that is on PATH; which and why is logged once. Its code is an archive: no `.venv` is looked for."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "app.py").write_text(TASK)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3.9").symlink_to(interpreter("3.9"))
    (tmp_path / "code" / ".venv").mkdir()  # a broken one
    monkeypatch.delenv("VIRTUAL_ENV")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    code, lines = str(tmp_path / "code"), []
    function = Function("f", handler="app.handler", code=code, executor="process", runtime="python3.9")
    async with Engine.from_config(with_pythons(from_functions([])), write_log=lines.append) as engine:
        await engine.deployments.put(function)
        outcome = await engine.invoke("f", 1)
        await engine.deployments.put(dataclasses.replace(function, name="g"))
    log = "".join(lines)

    assert [[3, 9], None, 1] == outcome.payload
    assert 1 == log.count("its runtime is python3.9")


# ---------------------------------------------------------------- the child's half

OURS = """
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location("foreign_start", sys.argv[1])
foreign_start = importlib.util.module_from_spec(spec)
spec.loader.exec_module(foreign_start)
sys.modules["orjson"] = None
foreign_start.import_from("simplejson", sys.argv[2])
foreign_start.import_zygote()
"""


@cache
def linted_for_the_oldest():
    """Files that pyproject.toml has linted for Python 3.9."""
    settings = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())["tool"]["ruff"]
    patterns = settings["per-file-target-version"]
    assert {"py39"} == set(patterns.values())
    return {str(path.relative_to(ROOT.parent)) for pattern in patterns for path in matches(pattern)}


def matches(pattern):
    """Files below the repository for a pattern with at most one pair of braces."""
    before, brace, rest = pattern.partition("{")
    inner, _, after = rest.partition("}")
    for name in inner.split(","):
        yield from ROOT.parent.glob(before + name + after if brace else pattern)


PAYLOADS = [
    b"", b"{}", b"null", b'"\xc3\xa9"', b'{"a": 1, "a": 2}', b"[1, 2.50, -0, -0.0, 1e3, 1e400, 0.1]",
    b"123456789012345678901234567890", b'"\\ud800"', b'"\xff"', b"\xef\xbb\xbf{}", b"NaN", b"[Infinity]",
    b"-Infinity", b"{,}", b"[1,]", b'{"a" 1}', b"{'a': 1}", b'"a\nb"', b'"\\x"', b'"abc', b"[1 2]", b"{} {}",
    b"tru", b"01", b"1.", b'{"a": 1,}', b"\x00", "\u2028".encode(), b"[" * 300 + b"]" * 300,
    b'{"": {"": []}}',
]  # fmt: skip

RESULTS = """
import datetime, decimal, enum, fractions, uuid
from collections import OrderedDict, namedtuple
from dataclasses import dataclass

class Text(str): pass
class Number(int): pass
class Level(enum.IntEnum):
    LOW = 1
class Color(enum.Enum):
    RED = "red"
@dataclass
class Record:
    a: int = 1
Pair = namedtuple("Pair", "left right")
loop = []
loop.append(loop)
deep = []
for _ in range(300):
    deep = [deep]
D = decimal.Decimal

RESULTS = [
    None, True, 1, 1.0, -0.0, 1e22, 1e-7, 2**63, 2**64, -2**70, float("nan"), [float("inf"), -float("inf")],
    "", "é", "\\u2028", "a\\x00\\x1f\\"\\\\/", "\\ud800", ["\\udcff"], {"\\ud800": 1},
    b"raw", [b"raw"], bytearray(b"x"),
    {}, {"a": [1, {"b": None}]}, {1: 2}, {None: 1, True: 2, 1.5: 3}, {(1, 2): 3}, {b"k": 1},
    (1, (2,)), {1, 2},
    D("1.50"), D("NaN"), D("Infinity"), D("1E+2"), [D("0.10")], {"d": D("-0")},
    Text("t"), Number(3), Level.LOW, Color.RED, Record(), Pair(1, [Pair(2, 3)]), OrderedDict(b=1, a=2),
    datetime.datetime(2026, 1, 2), datetime.date(2026, 1, 2), uuid.UUID(int=1), fractions.Fraction(1, 3),
    1j, object, range(3), iter([1]), loop, deep, ValueError("x"), {"a": [1, 2.5, "x", None, True]}, "😀",
]
"""

CODEC = """
marshal = importlib.import_module("engine.executors.marshal")

def attempt(convert, value, show):
    try:
        return show(convert(value))
    except Exception as error:
        return type(error).__name__ + ": " + str(error)

def answers(payloads, results):
    return [
        [attempt(marshal.decode, bytes(payload, "latin-1"), repr) for payload in payloads],
        [attempt(marshal.encode, result, repr) for result in results],
    ]
"""


FILES = """
files = [getattr(module, "__file__", None) for name, module in sorted(sys.modules.items())
         if name.partition(".")[0] in ("engine", "simplejson")]
"""


def run_there(series, code, package=ROOT):
    """What `code` prints as JSON, in a bare interpreter that sees its standard library alone."""
    start = str(package / "executors" / "process" / "child" / "foreign_start.py")
    command = [interpreter(series), "-S", "-I", "-B", "-c", OURS + code, start, SIMPLEJSON]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ("", 0) == (done.stderr, done.returncode)
    return json.loads(done.stdout)


def test_no_binary_beside_the_engines_files_is_imported(tmp_path):
    """Even if it is for this very Python: what its code lies in is where the engine is installed."""
    series = ".".join(map(str, sys.version_info[:2]))
    copy = shutil.copytree(ROOT, tmp_path / "engine", ignore=shutil.ignore_patterns("resources", "*.so"))
    (copy / f"errors{EXTENSION_SUFFIXES[0]}").write_bytes(b"not for you")
    there = "print(json.dumps(sys.modules['engine.errors'].__file__))"

    assert str(copy / "errors.py") == run_there(series, FILES + there, copy)


@pytest.mark.parametrize("series", SERIES)
def test_the_childs_half_needs_the_standard_library_alone(series):
    """All of it is imported from the engine's files where nothing is installed, and converts as it does here.

    What a handler gets and what its caller gets, errors word for word, with orjson and without. The grammar
    of the files is that of Python 3.9: this also holds where there is none.
    """
    texts = [payload.decode("latin-1") for payload in PAYLOADS]
    here: dict = {"importlib": importlib}
    exec(RESULTS + CODEC, here)
    there = f"print(json.dumps([files, answers({texts!r}, RESULTS)]))"
    files, answers = run_there(series, FILES + RESULTS + CODEC + there)
    ours = [file for file in files if file is not None and file.startswith(str(ROOT))]

    assert here["answers"](texts, here["RESULTS"]) == answers
    assert len(ours) > 30
    assert all(file.startswith((str(ROOT), SIMPLEJSON)) for file in files if file is not None)
    for file in ours:
        ast.parse(Path(file).read_text(), file, feature_version=(3, 9))
        assert str(Path(file).relative_to(ROOT.parent)) in linted_for_the_oldest()
