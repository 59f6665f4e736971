"""Ten thousand functions start as well as ten do: the work at start is in proportion to their number."""

import sys

import pytest

from engine import Engine
from engine.app.executor_choice import refuse_clashes
from engine.config import load_config
from engine.runtime.platform import Platform

pytestmark = pytest.mark.real_time

HANDLER = "def handler(event, context):\n    return {'statusCode': 200}\n"
FEW = 300


def configured(folder, count, *, own):
    """An engine.toml of so many functions, in one file or each in its own, on `auto` and on `loop`."""
    folder.mkdir()
    tables = []
    for number in range(count):
        module = f"app{number}" if own else "app"
        (folder / f"{module}.py").write_text(HANDLER)
        tables.append(
            f'[functions.f{number}]\nhandler = "{module}.handler"\n'
            f'executor = "{("auto", "loop")[number % 2]}"\n'
            f'events = [{{ type = "http", method = "GET", path = "/f{number}/{{id}}" }}]\n'
        )
    (folder / "engine.toml").write_text("\n".join(tables))
    return folder / "engine.toml"


async def calls_to_start(file):
    """How many calls, of Python and of C functions, are made until the engine is ready."""
    calls = 0

    def count(_frame, event, _argument):
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        config = load_config(str(file))
        refuse_clashes(config.functions, Platform())
        async with Engine.from_config(config):
            sys.setprofile(None)
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("own", [False, True], ids=["one file", "a file each"])
async def test_twice_as_many_functions_are_twice_the_work_to_start(tmp_path, own):
    """At most: what is done once for all of them makes it less."""
    few = await calls_to_start(configured(tmp_path / "few", FEW, own=own))
    many = await calls_to_start(configured(tmp_path / "many", 2 * FEW, own=own))

    assert many <= 2.05 * few


@pytest.mark.parametrize(("own", "most"), [(False, 650), (True, 820)], ids=["one file", "a file each"])
async def test_a_function_more_costs_few_calls_at_start(tmp_path, own, most):
    """What all of them share is not made, looked up or checked for each."""
    few = await calls_to_start(configured(tmp_path / "few", FEW, own=own))
    many = await calls_to_start(configured(tmp_path / "many", 2 * FEW, own=own))

    assert (many - few) / FEW < most
