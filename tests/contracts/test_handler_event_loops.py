"""`asyncio.get_event_loop()` works in handlers and their modules, as on the main thread of AWS's client."""

import pytest

from engine import Function

MODULE = """
import asyncio

AT_IMPORT = asyncio.get_event_loop()

async def later(value):
    await asyncio.sleep(0)
    return value

def handler(event, context):
    loop = asyncio.get_event_loop()
    return [loop is AT_IMPORT, loop.run_until_complete(later(event)), loop.run_until_complete(later(2))]

async def awaited(event, context):
    return [asyncio.get_running_loop() is AT_IMPORT, await later(event), await loop_task()]

async def loop_task():
    return await asyncio.get_event_loop().create_task(later(2))
"""


@pytest.mark.needs("code")
@pytest.mark.filterwarnings("ignore:There is no current event loop:DeprecationWarning")
async def test_the_event_loop_is_there_at_import_and_in_the_handler(play, tmp_path):
    """One and the same, in every invocation of an environment."""
    (tmp_path / "app.py").write_text(MODULE)
    name = "awaited" if play.name == "loop" else "handler"
    function = Function("f", handler=f"app.{name}", code=str(tmp_path), executor=play.name, timeout_s=20)
    async with play.engine(function) as engine:
        outcomes = [await engine.invoke("f", 1) for _ in range(2)]

    assert [[True, 1, 2]] * 2 == [outcome.payload for outcome in outcomes]
