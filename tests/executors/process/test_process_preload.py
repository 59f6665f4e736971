"""`preload = "auto"`: what the first environment imported from elsewhere, the next ones find imported."""

import asyncio
import re
import sys

import pytest

pytestmark = pytest.mark.real_time

SEEN = """
import os, sys, time
BEFORE = [name for name in {names} if name in sys.modules]
{imports}
def handler(event, context):
    time.sleep(0.2)  # so that another event needs another environment
    return [BEFORE, os.getpid()]
"""


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Writes modules that lie outside the code folder, and can be imported."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)

    def write(**modules):
        for name, source in modules.items():
            (folder / f"{name}.py").write_text(source)

    yield write
    for name in [name for name in sys.modules if name.startswith("elsewhere_")]:
        del sys.modules[name]


def handler_that_imports(*names):
    imports = "\n".join(f"import {name}" for name in names)
    return SEEN.format(names=list(names), imports=imports)


class Told:
    """What the engine says; `preload` is awaited: the line that tells what became of it."""

    def __init__(self):
        self.lines = []

    async def preload(self):
        async with asyncio.timeout(60):
            while not (found := [line for line in self.lines if "preload" in line]):
                await asyncio.sleep(0.01)
        return found[-1]


async def test_the_next_environments_find_it_imported_with_the_functions_variables(make, elsewhere):
    """Modules of the folder itself are each environment's own; Init Duration stays that of the full init."""
    told = Told()
    elsewhere(elsewhere_slow="import os, time\ntime.sleep(0.3)\nTABLE = os.environ['TABLE']\n")
    source = handler_that_imports("elsewhere_slow") + (
        "import time\ndef handler(event, context):\n"
        "    time.sleep(0.5)\n    return [BEFORE, elsewhere_slow.TABLE, os.getpid()]\n"
    )
    settings = {"write_log": told.lines.append}
    async with make(source, preload="auto", environment={"TABLE": "t"}, settings=settings) as engine:
        first = await engine.invoke("f")
        line = await told.preload()
        both = await asyncio.gather(*(engine.invoke("f") for _ in range(3)))

    later = [outcome for outcome in both if outcome.cold_start]
    assert [[], "t"] == first.payload[:2]
    assert [[["elsewhere_slow"], "t"]] * 2 == [outcome.payload[:2] for outcome in later]
    assert [first.init_s] * 2 == [outcome.init_s for outcome in later]
    assert f"Init Duration stays that of the full init, {first.init_s * 1000:.0f} ms, measured once" in line


async def test_nothing_imports_for_itself_what_is_just_imported_for_all(make, elsewhere):
    """Once in the first environment, and once in the zygote; all others wait for that."""
    told = Told()
    elsewhere(
        elsewhere_slow="import time\nprint('is imported')\n"
        "end = time.process_time() + 0.2\nwhile time.process_time() < end: pass\n"
    )
    source = "import elsewhere_slow, time\ndef handler(event, context): time.sleep(1)\n"
    settings = {"write_log": told.lines.append, "init_concurrency": 1}
    async with make(source, preload="auto", settings=settings) as engine:
        outcomes = await asyncio.gather(*(engine.invoke("f") for _ in range(12)))

    assert {"success"} == {outcome.status.value for outcome in outcomes}
    assert 2 == "".join(told.lines).count("is imported")


REFUSED = {
    "threads": (
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n",
        "starts threads",
    ),
    "sockets": ("import socket\nPAIR = socket.socketpair()\n", "opens sockets or pipes"),
    "pipes": ("import os\nPIPE = os.pipe()\n", "opens sockets or pipes"),
    "named": ("", "imports what no_preload names"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_must_not_be_forked_is_left_out_with_those_that_import_it(make, elsewhere, name):
    """All the rest is there beforehand; a line names it."""
    source, why = REFUSED[name]
    told = Told()
    elsewhere(
        elsewhere_bad=source, elsewhere_user="import elsewhere_bad\n", elsewhere_good="", elsewhere_last=""
    )
    code = handler_that_imports("elsewhere_good", "elsewhere_user", "elsewhere_bad", "elsewhere_last")
    limits = {"no_preload": ("elsewhere_bad",)} if name == "named" else {}
    async with make(code, preload="auto", settings={"write_log": told.lines.append}, **limits) as engine:
        await engine.invoke("f")
        line = await told.preload()
        cold = None
        while cold is None:  # a quick one may serve both
            outcomes = await asyncio.gather(*(engine.invoke("f") for _ in range(2)))
            cold = next((outcome for outcome in outcomes if outcome.cold_start), None)

    assert ["elsewhere_good", "elsewhere_last"] == cold.payload[0]
    assert f"elsewhere_user {why}" in line


async def test_random_numbers_are_each_environments_own(make):
    """Of Python's generator and numpy's."""
    told = Told()
    source = """
import random, time
import numpy
def handler(event, context):
    time.sleep(0.3)
    return [random.random(), float(numpy.random.random())]
"""
    settings = {"write_log": told.lines.append}
    async with make(source, preload="auto", memory_mb=512, settings=settings) as engine:
        await engine.invoke("f")
        await told.preload()
        drawn = [outcome.payload for outcome in await asyncio.gather(*(engine.invoke("f") for _ in range(4)))]

    assert [4, 4] == [len(set(numbers)) for numbers in zip(*drawn, strict=True)]


async def test_changed_code_is_learnt_again(make, elsewhere, tmp_path):
    """And nothing of the old zygote is left."""
    told = Told()
    elsewhere(elsewhere_old="", elsewhere_new="")
    settings = {"write_log": told.lines.append}
    async with make(handler_that_imports("elsewhere_old"), preload="auto", settings=settings) as engine:
        await engine.invoke("f")
        await told.preload()
        (tmp_path / "code" / "app.py").write_text(handler_that_imports("elsewhere_old", "elsewhere_new"))
        engine.sink.renew()
        told.lines.clear()
        renewed = await engine.invoke("f")
        await told.preload()
        engine.sink.renew()

    assert [] == renewed.payload[0]


async def test_a_module_that_cannot_be_imported_there_is_the_handlers_affair(make, elsewhere):
    """Its own import says what is wrong, or is not."""
    told = Told()
    elsewhere(elsewhere_moody="import app\n", elsewhere_good="")
    source = handler_that_imports("elsewhere_moody", "elsewhere_good")
    async with make(source, preload="auto", settings={"write_log": told.lines.append}) as engine:
        first = await engine.invoke("f")
        line = await told.preload()
        outcomes = await asyncio.gather(*(engine.invoke("f") for _ in range(2)))

    assert "success" == first.status.value
    assert ["success"] * 2 == [outcome.status.value for outcome in outcomes]
    assert "modules are imported beforehand" in line


@pytest.mark.parametrize("limits", [{"environment_concurrency": 2}, {"handler": "app.asynchronous"}], ids=str)
async def test_shared_environments_and_coroutines_too(make, elsewhere, limits):
    """They are made in their own way."""
    told = Told()
    elsewhere(elsewhere_good="")
    source = handler_that_imports("elsewhere_good") + (
        "import asyncio, time\n"
        "def handler(event, context):\n    time.sleep(0.2)\n    return BEFORE\n"
        "async def asynchronous(event, context):\n    await asyncio.sleep(0.2)\n    return BEFORE\n"
    )
    async with make(source, preload="auto", settings={"write_log": told.lines.append}, **limits) as engine:
        await engine.invoke("f")
        await told.preload()
        outcomes = await asyncio.gather(*(engine.invoke("f") for _ in range(4)))

    assert ["elsewhere_good"] in [outcome.payload for outcome in outcomes]


@pytest.mark.parametrize("preload", [(), "auto"], ids=str)
async def test_where_inits_limit_a_run_one_line_says_so_and_what_would_help(make, elsewhere, preload):
    """The rate, and that of `preload` where it is not used."""
    told = Told()
    elsewhere(
        elsewhere_busy="import time\nend = time.process_time() + 0.2\nwhile time.process_time() < end: pass\n"
    )
    source = "import elsewhere_busy, time\ndef handler(event, context): time.sleep(30)\n"
    settings = {"write_log": told.lines.append, "init_concurrency": 1, "grace_s": 0.0}
    async with make(source, preload=preload, timeout_s=30, settings=settings) as engine:
        waiting = [asyncio.ensure_future(engine.invoke("f")) for _ in range(20)]
        async with asyncio.timeout(60):
            while not (lines := [line for line in told.lines if "inits limit it" in line]):
                await asyncio.sleep(0.01)
        for one in waiting:
            one.cancel()

    (line,) = lines
    assert re.search(
        r"each takes 0\.\d+ s of a CPU, so this machine starts [\d.]+ environments a second; \d+ wait", line
    )
    assert (preload == ()) == ('preload = "auto" imports what lies outside the code folder once' in line)
