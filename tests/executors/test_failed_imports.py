"""An environment whose module or helper failed to import is never kept, and leaves nothing half-made."""

import asyncio
import sys
import types

import pytest

from engine import Engine, Function
from engine.executors.failed_imports import forget_since

pytestmark = pytest.mark.real_time

HELPER = """
import pathlib, time
BEGUN = True

def value():
    return VALUE

folder = pathlib.Path(__file__).parent
count = len(list(folder.glob("tried-*")))
(folder / f"tried-{count}").touch()
time.sleep(0.2)  # others come, and wait for it
if count == 0:
    raise OSError("the database is not up yet")
VALUE = 42
"""

HANDLERS = {
    "the module": "import helper_{n}\ndef handler(event, context):\n    return helper_{n}.VALUE\n",
    "a function of it": ("from helper_{n} import value\ndef handler(event, context):\n    return value()\n"),
    "by another helper": (
        "import between_{n}\ndef handler(event, context):\n    return between_{n}.helper_{n}.VALUE\n"
    ),
}


@pytest.fixture
def written(tmp_path):
    """Files that the test names, in a code folder; module names are of one test alone."""

    def write(**modules):
        for name, source in modules.items():
            (tmp_path / f"{name}.py").write_text(source)
        return str(tmp_path)

    return write


async def outcomes(code, handler, executor, rounds, count=4):
    function = Function("f", handler=handler, code=code, executor=executor, timeout_s=20)
    async with Engine([function]) as engine:
        return [await asyncio.gather(*(engine.invoke("f", {}) for _ in range(count))) for _ in range(rounds)]


@pytest.mark.parametrize("number", range(len(HANDLERS)), ids=HANDLERS)
async def test_who_waited_for_a_helper_that_failed_imports_it_again(written, number):
    """Several environments import at once, and the first one's helper fails: the others are whole."""
    handler = list(HANDLERS.values())[number].format(n=number)
    modules = {f"app_{number}": handler, f"helper_{number}": HELPER}
    if "between" in handler:
        modules[f"between_{number}"] = f"import helper_{number}\n"
    first, second = await outcomes(written(**modules), f"app_{number}.handler", "thread", 2)

    assert {"OSError"} >= {outcome.error["errorType"] for outcome in first if not outcome.ok}
    assert {42} == {outcome.payload for outcome in first if outcome.ok}
    assert [42] * 4 == [outcome.payload for outcome in second]


CYCLE = {
    "app_cycle": "import left_half\ndef handler(event, context):\n    return left_half.right_half.answer()\n",
    "left_half": (
        "import pathlib\nimport right_half\n"
        "flag = pathlib.Path(__file__).with_name('flag')\n"
        "if not flag.exists():\n    flag.touch()\n    raise OSError('not yet')\n"
        "VALUE = 42\n"
    ),
    "right_half": "import left_half\ndef answer():\n    return left_half.VALUE\n",
}


@pytest.mark.parametrize("executor", ["loop", "thread"])
async def test_what_was_imported_on_the_way_to_a_failure_is_imported_again(written, executor):
    """Else a helper that is whole keeps the half of the one that failed."""
    renamed = {
        name.replace("half", executor).replace("cycle", executor): source.replace("half", executor)
        for name, source in CYCLE.items()
    }
    [failed], [then] = await outcomes(written(**renamed), f"app_{executor}.handler", executor, 2, count=1)

    assert "OSError" == failed.error["errorType"]
    assert 42 == then.payload


def test_what_another_thread_imports_by_a_name_meanwhile_is_left_to_it(tmp_path, monkeypatch):
    """Else its import finds nothing in its place at the end."""
    anew = types.ModuleType("helper_anew")

    class Failed(types.ModuleType):
        @property
        def __file__(self):
            sys.modules["helper_anew"] = anew  # the moment at which the other one begins
            return str(tmp_path / "helper_anew.py")

    monkeypatch.setitem(sys.modules, "helper_anew", Failed("helper_anew"))
    forget_since({*sys.modules} - {"helper_anew"}, tmp_path)

    assert anew is sys.modules["helper_anew"]
