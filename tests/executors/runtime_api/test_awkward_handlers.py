"""Handlers that misbehave get the answer, and leave the log, that AWS's own Python client gives them.

Each runs on `runtime`, where it is awslambdaric that calls it, and on `process`. What differs is in
`DIFFERENCES`, and in a table of `docs/fidelity/handlers.md`.
"""

import asyncio
import json
import linecache
import re
import runpy
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from engine import Engine, Function
from engine.core.event import Event
from engine.runtime.platform import new_event_loop

pytestmark = pytest.mark.real_time

FOLDER = Path(__file__).parent
_table = runpy.run_path(str(FOLDER / "awkward_handlers.py"), run_name="awkward_handlers")
CASES, ENDINGS, DIRECT = list(_table["CASES"]), list(_table["ENDINGS"]), _table["DIRECT"]
LOGS = [name for name in CASES if name.startswith("log_")]
REQUEST_ID = "11111111-2222-4333-8444-555555555555"
CLIENT = ("env", "AWS_EXECUTION_ENV=AWS_Lambda_python3.13", sys.executable, "-m", "awslambdaric")

OK = "def handler(event, context): return 1\n"
MODULES = {
    "exits": {"app.py": "import sys; sys.exit(4)"},
    "exits in C": {"app.py": "import os; os._exit(4)"},
    "is interrupted": {"app.py": "raise KeyboardInterrupt"},
    "raises a BaseException": {"app.py": "raise BaseException('no')"},
    "prints": {"app.py": f"import sys; print('hello'); print('x', file=sys.stderr, end='')\n{OK}"},
    "logs": {"app.py": f"import logging; logging.warning('hello'); logging.info('no')\n{OK}"},
    "sets its level": {
        "app.py": "import logging; L = logging.getLogger(); L.setLevel('INFO'); L.info('loading')\n"
        "def handler(event, context): L.info('running')\n"
    },
    "logs badly": {"app.py": f"import logging; logging.error('%d', 'x')\n{OK}"},
    "tabs and spaces": {"app.py": "if 1:\n\tx = 1\n        y = 2\n"},
    "a null byte": {"app.py": "x = 1\0\n"},
    "no utf-8": {"app.py": b"x = '\xff'\n"},
    "latin-1, declared": {
        "app.py": b"# -*- coding: latin-1 -*-\ndef handler(event, context): return '\xe9'\n"
    },
    "an unknown encoding": {"app.py": "# -*- coding: klingon -*-\n" + OK},
    "an import circle": {
        "app.py": "import other\n" + OK,
        "other.py": "from app import handler\n",
    },
    "a name that is missing": {"app.py": "from json import no_such_name\n"},
    "a relative import": {"app.py": "from . import sibling\n"},
    "an import error without a word": {"app.py": "raise ImportError"},
    "a helper with an error": {"app.py": "import helper\n", "helper.py": "def f(): 1/0\nf()\n"},
    "a helper with a syntax error": {"app.py": "import helper\n", "helper.py": "def f(:\n"},
    "endless recursion": {"app.py": "def f(): f()\nf()\n"},
    "a package that fails": {"pkg/__init__.py": "raise OSError('no')", "pkg/app.py": OK},
    "a package": {
        "pkg/__init__.py": "",
        "pkg/app.py": "from .part import X\ndef handler(e, c): return X\n",
        "pkg/part.py": "X = 5\n",
    },
    "a plain folder": {
        "pkg/app.py": "from pkg.part import X\ndef handler(e, c): return X\n",
        "pkg/part.py": "X = 5\n",
    },
    "a dash": {"my-app.py": OK},
    "a module that replaces itself": {
        "app.py": "import sys\nclass M:\n    handler = staticmethod(lambda e, c: 'replaced')\n"
        "sys.modules[__name__] = M()\n"
    },
    "a module that removes itself": {"app.py": f"import sys\n{OK}\ndel sys.modules[__name__]\n"},
    "a module that gives what it lacks": {"app.py": "def __getattr__(name): return lambda e, c: name\n"},
    "a module that will not say": {"app.py": "def __getattr__(name): raise KeyError(name)\n"},
    "threads": {
        "app.py": "import threading, time\n"
        "threading.Thread(target=time.sleep, args=(30,), daemon=True).start()\n"
        "def handler(e, c): return threading.active_count()\n"
    },
    "a fork": {"app.py": "import os\npid = os.fork()\nif pid == 0: os._exit(0)\nos.waitpid(pid, 0)\n" + OK},
    "a warning": {
        "app.py": f"import warnings\nwarnings.warn('old', DeprecationWarning)\nwarnings.warn('new')\n{OK}"
    },
    "arguments parsed": {"app.py": f"import argparse\nargparse.ArgumentParser().parse_known_args()\n{OK}"},
    "stdout closed": {"app.py": f"import sys; sys.stdout.close()\n{OK}"},
}
HANDLERS = {
    "a package that fails": "pkg.app.handler",
    "a package": "pkg.app.handler",
    "a plain folder": "pkg/app.handler",
    "a dash": "my-app.handler",
    "a module that gives what it lacks": "app.anything",
    "a module that will not say": "app.anything",
}

DIFFERENCES = {
    "both_streams": "writes to `sys.__stdout__` or `sys.stdout.buffer`",
    "returns many small things": "returns more than 6 MB",
    "descriptors_closed": "closes the descriptors 0 to 2, then prints",
    "handler coroutine": "is an `async def`",
    "handler coroutine, again": "is an `async def`",
    "module: no utf-8": "cannot be decoded, so that the report of it is not Latin-1",
    "module: endless recursion": "recurses without end",
}
"""Names to what the table in `docs/fidelity/handlers.md` calls it. Other rows: `test_awslambdaric`."""


class Run(NamedTuple):
    """What became of one invocation."""

    status: str
    body: str | bytes
    raw: bool
    log: str


async def invoke(engine, lines, name, case):
    payload = b"{}" if case is None else b'{"case": "%s"}' % case.encode()
    del lines[:]
    event = Event(name, payload, REQUEST_ID, engine.platform.clock.now())
    outcome = await engine.sink.invoke(event)
    body = outcome.body if outcome.raw else shown(outcome.body.decode())
    return Run(outcome.status.value, body, outcome.raw, shown("".join(lines)))


PLATFORM = re.compile(
    r'^((START|END|REPORT|INIT_REPORT|INIT_START) |\{"time":"[^"]*","type":"(platform|engine)).*\n',
    re.MULTILINE,
)
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


CLIENTS_FRAMES = re.compile(
    r'^[ \xa0]+File "[^"]*(awslambdaric/|<frozen runpy>)[^"]*".*\n([ \xa0]{4}.*\n)*', re.MULTILINE
)
CLIENTS_FRAMES_IN_JSON = re.compile(r'(, )?"  File \\"[^"]*awslambdaric/[^"]*\\"[^"]*"')
WARNING = re.compile(r"^\[WARNING\]\tTIME\t\tLAMBDA_WARNING: Unhandled exception.*\n\n?", re.MULTILINE)


NOTICE = re.compile(r"^\[engine\] .*\n", re.MULTILINE)
BARE = re.compile(r"^Traceback \(most recent call last\):\n(?![ \xa0])", re.MULTILINE)


def shown(log):
    """Without what no two runs have in common, the engine's own lines, and the frames of AWS's client.

    An init that failed is tried twice on process, as on Lambda, and its log is there twice.
    """
    log = NOTICE.sub("", TIME.sub("TIME", PLATFORM.sub("", log.replace("\r", "\n"))))
    log = CLIENTS_FRAMES_IN_JSON.sub("", CLIENTS_FRAMES.sub("", WARNING.sub("", log))).replace("[, ", "[")
    once = log[: len(log) // 2]
    return BARE.sub("", once if log == once * 2 else log)


async def play(executor, folder, log_format, only=None):
    """Everything on one executor: name to what became of it."""
    lines, found, several = [], {}, {}

    def function(name, handler, code=FOLDER):
        bootstrap = (*CLIENT, handler) if executor == "runtime" else ()
        several[name] = Function(
            name,
            handler=handler,
            code=str(code),
            executor=executor,
            bootstrap=bootstrap,
            timeout_s=20,
            memory_mb=512,
        )

    if only is None and log_format == "json":
        only = LOGS
    if only is not None:
        function("cases", "awkward_handlers.handler")
        runs = [(name, "cases", name) for name in only]
    else:
        function("cases", "awkward_handlers.handler")
        function("endings", "awkward_handlers.handler")
        runs = [(name, "cases", name) for name in CASES] + [(name, "endings", name) for name in ENDINGS]
        for name in DIRECT:
            function(f"direct-{name}", f"awkward_handlers.{name}")
            runs += [
                (f"handler {name}", f"direct-{name}", None),
                (f"handler {name}, again", f"direct-{name}", None),
            ]
        for number, name in enumerate(MODULES):
            function(f"module-{number}", HANDLERS.get(name, "app.handler"), folder / str(number))
            runs.append((f"module: {name}", f"module-{number}", None))
    async with Engine(several.values(), write_log=lines.append, log_format=log_format) as engine:
        for name, which, case in runs:
            found[name] = await invoke(engine, lines, which, case)
    return found


IN_PROCESS = [name for name in CASES if name.startswith(("returns", "raises")) and name != "returns file"]
LOGGED_BADLY = (
    *("log_with_too_few_arguments", "log_with_a_wrong_argument"),
    *("log_of_what_has_no_text", "log_with_a_broken_formatter"),
)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Log format and executor to what became of everything there."""
    folder, found = tmp_path_factory.mktemp("awkward"), {}
    linecache.clearcache()  # from Python 3.13 on it has the text of `python -c`, as which tests may run
    for number, files in enumerate(MODULES.values()):
        for name, text in files.items():
            file = folder / str(number) / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text if isinstance(text, bytes) else text.encode())

    async def both(log_format):
        executors = ("runtime", "process")
        played = await asyncio.gather(*(play(executor, folder, log_format) for executor in executors))
        return dict(zip(executors, played, strict=True))

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        for log_format in ("text", "json"):
            found[log_format] = runner.run(both(log_format))
        for executor in ("thread", "loop"):
            found["text"][executor] = runner.run(play(executor, folder, "text", [*IN_PROCESS, *LOGGED_BADLY]))
    return found


def test_there_are_many():
    """Seventy-five at least."""
    assert 75 <= len(CASES) + len(ENDINGS) + len(DIRECT) + len(MODULES)


NAMES = [
    *CASES,
    *ENDINGS,
    *(f"handler {name}{again}" for name in DIRECT for again in ("", ", again")),
    *(f"module: {name}" for name in MODULES),
]


@pytest.mark.parametrize("name", [name for name in NAMES if name not in DIFFERENCES])
def test_a_handler_is_answered_and_logged_as_by_awss_client(ran, name):
    """Status, payload and log."""
    assert ran["text"]["runtime"][name] == ran["text"]["process"][name]


@pytest.mark.parametrize("name", LOGS)
def test_its_log_is_the_same_in_json(ran, name):
    """With the level that goes with it, which is INFO."""
    assert ran["json"]["runtime"][name] == ran["json"]["process"][name]


@pytest.mark.parametrize("name", DIFFERENCES)
def test_what_is_listed_as_different_is_so(ran, name):
    """The list excuses nothing that it need not, and the documents have it."""
    table = (FOLDER.parents[2] / "docs" / "fidelity" / "handlers.md").read_text()

    assert ran["text"]["runtime"][name] != ran["text"]["process"][name]
    assert f"\n| {DIFFERENCES[name]} | " in table


@pytest.mark.parametrize("executor", ["thread", "loop"])
@pytest.mark.parametrize("name", [name for name in IN_PROCESS if name not in DIFFERENCES])
def test_the_executors_in_the_engines_process_answer_the_same(ran, name, executor):
    """Results and errors."""
    assert ran["text"]["runtime"][name][:3] == ran["text"][executor][name][:3]


@pytest.mark.parametrize("executor", ["process", "thread", "loop"])
@pytest.mark.parametrize("name", LOGGED_BADLY)
def test_a_log_call_that_fails_fails_the_invocation_on_every_executor(ran, name, executor):
    """With the type and text that AWS's client reports."""
    expected, actual = (json.loads(ran["text"][one][name].body) for one in ("runtime", executor))

    assert "error" == ran["text"][executor][name].status
    assert [expected["errorType"], expected["errorMessage"]] == [actual["errorType"], actual["errorMessage"]]


def test_the_frames_of_the_client_are_all_that_is_left_out():
    """The comparison does not hide more than it says."""
    mine = '  File "/code/app.py", line 1, in f\n    x()\n'
    theirs = '  File "/lib/awslambdaric/bootstrap.py", line 9, in g\n    y()\n'

    assert mine + "E: x\n" == shown(theirs + mine + theirs + "E: x\n")
