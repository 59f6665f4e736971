"""AWS's own Python client, unmodified, answers every case of the handler contract as the engine does.

Each case is run on the executors `loop`, `thread` and `process`, and on `runtime`, where it is
awslambdaric that calls the handler. What differs, and why, is in `DIFFERENCES`.
"""

import asyncio
import json
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
_table = runpy.run_path(str(FOLDER / "contract_table.py"))
RETURNS, DOES, KILLS = _table["RETURNS"], _table["DOES"], _table["KILLS"]
REQUEST_ID = "11111111-2222-4333-8444-555555555555"
# As on the runtimes of Python 3.12 and later, which do not escape text; see the test of Python's own version.
CLIENT = ("env", "AWS_EXECUTION_ENV=AWS_Lambda_python3.13", sys.executable, "-m", "awslambdaric")


class Answer(NamedTuple):
    status: str
    body: bytes
    raw: bool


class Case(NamedTuple):
    payload: bytes
    handler: str = "handler"
    client_context: str | None = None
    qualifier: str | None = None


def does(name):
    return Case(json.dumps({"case": name}).encode())


PAYLOADS = [
    b"{}",
    b" [1] ",
    b'{"a": 1, "a": 2}',
    b"\xef\xbb\xbf{}",
    b"9223372036854775808",
    b"18446744073709551616",
    b"0.12345678901234567890123",
    b"1e5",
    b"1e999",
    b"-0.0",
    b'"\\ud83d\\ude00"',
    b'"h\xc3\xa9"',
    b"NaN",
    b"[-Infinity]",
    b"nul",
    b"01",
    b"[1,]",
    b'"\x01"',
    b'"\xff"',
    b"[" * 2000 + b"]" * 2000,
]

CLIENT_CONTEXTS = {
    "custom and env": '{"custom": {"a": 1}, "env": {"locale": "de"}}',
    "client": '{"client": {"installation_id": "i", "app_title": "t"}}',
    "null": "null",
    "text with umlauts": '{"custom": {"a": "äöü😀"}}',
    "on several lines": '{\n  "custom": {"a": "b"}\n}',
    "trace context": '{"w3c": {"traceparent": "00-1-2-01", "other": "x"}}',
    "no JSON": "{]",
    "a list": "[1]",
}

CASES = {
    **{f"returns {name}": does(name) for name in RETURNS},
    **{name: does(name) for name in DOES},
    **{f"payload {payload[:20]!r}": Case(payload) for payload in PAYLOADS},
    **{f"client context: {name}": Case(b"{}", "tell", text) for name, text in CLIENT_CONTEXTS.items()},
    "context": Case(b"{}", "tell"),
    "context of an alias": Case(b"{}", "tell", qualifier="live"),
    "one argument": Case(b"{}", "one_argument"),
    "not callable": Case(b"{}", "not_callable"),
    "async def": Case(b"{}", "coroutine"),
}

BROKEN = {
    "module missing": ("no_such_module", None),
    "module imports what is missing": ("broken_import", "import no_such_module"),
    "syntax error": ("broken_syntax", "x = 1\ndef :\n"),
    "raises at import": ("broken_raise", "raise OSError('no tàble')"),
    "exits at import": ("broken_exit", "raise SystemExit(2)"),
    "no handler": ("broken_empty", "x = 1"),
}

DIFFERENCES = {
    "returns lone surrogate": "AWS's client dies of it (exit status 1); in process it is a MarshalError",
    "raises what has no text": "AWS's client dies of it; in process it is answered with a text of our own",
    "recurses": "the frames of the caller count too, so that the depth of the traceback differs",
    "one argument": "the one frame left is the caller's, which is AWS's client or the engine",
    "not callable": "the one frame left is the caller's, which is AWS's client or the engine",
    "client context: a list": "the one frame left is in the caller, which is AWS's client or the engine",
    "async def": "AWS does not await coroutines; the executors in process do",
}


async def outcome_of(engine, name, case):
    event = Event(
        name,
        case.payload,
        REQUEST_ID,
        engine.platform.clock.now(),
        client_context=case.client_context,
        qualifier=case.qualifier,
    )
    outcome = await engine.sink.invoke(event)
    return Answer(outcome.status.value, outcome.body, outcome.raw)


async def play(executor, folder):
    """Every case on one executor: name to answer."""

    def function(name, handler, code):
        bootstrap = (*CLIENT, handler) if executor == "runtime" else ()
        return Function(
            name,
            handler=handler,
            code=str(code),
            executor=executor,
            bootstrap=bootstrap,
            timeout_s=20,
            aliases=("live",),
        )

    handlers = sorted({case.handler for case in CASES.values()})
    functions = [function(name, f"contract_table.{name}", FOLDER) for name in handlers]
    modules = [module for module, _ in BROKEN.values()]
    with pytest.MonkeyPatch.context() as patch:
        for module in modules:  # what cannot be found is refused before it starts, unless it goes missing
            (folder / f"{module}.py").touch()
        functions += [function(module, f"{module}.handler", folder) for module in modules]
        engine = Engine(functions)
        for module, source in BROKEN.values():
            if source is None:
                (folder / f"{module}.py").unlink()
            else:
                (folder / f"{module}.py").write_text(source)
        patch.syspath_prepend(folder)
        async with engine:
            answers = {name: await outcome_of(engine, case.handler, case) for name, case in CASES.items()}
            for name, (module, _) in BROKEN.items():
                answers[name] = await outcome_of(engine, module, Case(b"{}"))
            if executor in ("process", "runtime"):
                for name in KILLS:
                    answers[name] = await outcome_of(engine, "handler", does(name))
    return answers


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """Executor to its answers."""
    found = {}
    folder = tmp_path_factory.mktemp("broken")
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        for executor in ("loop", "thread", "process", "runtime"):
            found[executor] = runner.run(play(executor, folder))
    return found


@pytest.mark.parametrize("executor", ["loop", "thread", "process"])
@pytest.mark.parametrize("name", [name for name in (*CASES, *BROKEN) if name not in DIFFERENCES])
def test_a_case_is_answered_as_by_awss_client(answers, executor, name):
    """Status and payload, byte for byte."""
    assert answers["runtime"][name] == answers[executor][name]


@pytest.mark.parametrize("name", DIFFERENCES)
def test_what_is_listed_as_different_is_so(answers, name):
    """The list excuses nothing that it need not."""
    others = [answers[executor][name] for executor in ("loop", "thread", "process")]

    assert any(answers["runtime"][name] != other for other in others)


@pytest.mark.parametrize("executor", ["process", "runtime"])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("os._exit(0)", "Runtime exited without providing a reason"),
        ("os._exit(4)", "Runtime exited with error: exit status 4"),
        ("SIGKILL", "Runtime exited with error: signal: killed"),
        ("SIGSEGV", "Runtime exited with error: signal: segmentation fault"),
        ("SIGTERM", "Runtime exited with error: signal: terminated"),
    ],
)
def test_what_would_end_the_engine_ends_one_environment(answers, name, text, executor):
    """The words are AWS's, and the next case finds a new environment."""
    body = f'{{"errorType":"Runtime.ExitError","errorMessage":"RequestId: {REQUEST_ID} Error: {text}"}}'

    assert Answer("crash", body.encode(), False) == answers[executor][name]


def test_every_way_to_end_the_process_is_tried():
    """None of the handlers' module is left out above."""
    assert {"os._exit(0)", "os._exit(4)", "SIGKILL", "SIGSEGV", "SIGTERM"} == set(KILLS)


async def _pythons_own():
    function = Function("own", handler="contract_table.handler", code=str(FOLDER), executor="runtime")
    async with Engine([function]) as engine:
        return (await engine.invoke("own", {"text": "é"})).body


def test_text_is_escaped_as_on_the_runtime_of_this_python():
    """Those before Python 3.12 escape it; the executors in process never do."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        body = runner.run(_pythons_own())

    assert ('{"text": "é"}'.encode() if sys.version_info >= (3, 12) else b'{"text": "\\u00e9"}') == body
