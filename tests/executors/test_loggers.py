"""What one function does to `logging` changes nothing in the logs of another that shares its interpreter."""

import logging

import pytest

from engine import Engine, Function
from engine.testing import virtual_platform

CONFIGURES = {
    "basicConfig": "logging.basicConfig(force=True, format='MINE %(message)s', level=logging.ERROR)",
    "dictConfig": (
        "import logging.config; logging.config.dictConfig({'version': 1, "
        "'root': {'level': 'ERROR', 'handlers': ['h']}, "
        "'formatters': {'f': {'format': 'MINE %(message)s'}}, "
        "'handlers': {'h': {'class': 'logging.StreamHandler', 'formatter': 'f'}}})"
    ),
    "handlers": "logging.getLogger().handlers.clear(); logging.getLogger().setLevel(logging.ERROR)",
    "a formatter": "logging.getLogger().handlers[0].setFormatter(logging.Formatter('MINE %(message)s\\n'))",
    "disabled": "logging.getLogger('shop').disabled = True",
    "disable": "logging.disable(logging.CRITICAL)",
    "a level": "logging.getLogger('shop').setLevel(logging.CRITICAL)",
    "propagation": "logging.getLogger('shop').propagate = False",
    "a filter": "logging.getLogger('shop').addFilter(lambda record: False)",
    "shutdown": "logging.shutdown()",
}

MODULE = """
import logging
{configures}
def handler(event, context):
    logging.getLogger("shop").error("to be seen")
"""


async def logs(tmp_path, executor, configures, *names):
    """What the log has of `names`, of which `first` configures logging, at import."""
    (tmp_path / "first.py").write_text(MODULE.format(configures=configures))
    (tmp_path / "other.py").write_text(MODULE.format(configures=""))
    written = []
    functions = [
        Function(name, handler=f"{name}.handler", code=str(tmp_path), executor=executor, timeout_s=20)
        for name in ("first", "other")
    ]
    platform = virtual_platform() if executor == "loop" else None
    async with Engine(functions, platform=platform, write_log=written.append) as engine:
        for name in names:
            outcome = await engine.invoke(name, {})
            assert outcome.ok, outcome.error
    return [line for text in written for line in text.splitlines() if "seen" in line]


@pytest.mark.parametrize("configures", CONFIGURES.values(), ids=CONFIGURES)
async def test_a_configuration_is_its_functions_own_on_the_loop(tmp_path, configures):
    """Level, handlers, formatter, filters, `disabled` and `propagate`, of the root and of any other."""
    before = logging.getLogger().handlers[:], logging.getLogger().level, logging.getLogger("shop").level
    found = await logs(tmp_path, "loop", configures, "first", "other", "other")

    theirs = [line for line in found if line.startswith("[ERROR]\t") and line.endswith("\tto be seen")]
    assert 2 <= len(theirs)
    assert before == (
        logging.getLogger().handlers[:],
        logging.getLogger().level,
        logging.getLogger("shop").level,
    )
    assert not logging.getLogger("shop").disabled


@pytest.mark.real_time
@pytest.mark.parametrize("how", ["basicConfig", "dictConfig"])
async def test_a_configuration_is_its_environments_own_on_thread(tmp_path, how):
    """What each environment adds when it is imported does not add up."""
    found = await logs(tmp_path, "thread", CONFIGURES[how], "first", "other", "first")

    assert ["MINE to be seen", "MINE to be seen"] == [line for line in found if "MINE" in line]
    assert 1 == len([line for line in found if line.startswith("[ERROR]\t")])


async def test_a_test_sees_what_handlers_log(tmp_path, caplog):
    """Its own handlers on the root logger, and the level it sets, work as they do without an engine."""
    (tmp_path / "app.py").write_text(
        "import logging\ndef handler(event, context):\n    logging.getLogger('shop').info('to be seen')\n"
    )
    function = Function("f", handler="app.handler", code=str(tmp_path), executor="loop")
    caplog.set_level(logging.WARNING)
    async with Engine([function], platform=virtual_platform()) as engine:
        await engine.invoke("f", {})
        unseen = caplog.messages[:]
        caplog.set_level(logging.INFO)
        await engine.invoke("f", {})

    assert ([], ["to be seen"]) == (unseen, caplog.messages)
