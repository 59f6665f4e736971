"""The chaos of tests/bench, short: everybody gets one answer of the right kind, and nothing is left."""

import importlib.util
from pathlib import Path

import pytest

pytestmark = pytest.mark.real_time


def load():
    path = Path(__file__).parents[2] / "bench" / "process_chaos.py"
    spec = importlib.util.spec_from_file_location("process_chaos", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_in_the_middle_of_crashes_loops_and_leaks_everybody_gets_the_right_answer():
    """One in ten misbehaves."""
    module = load()
    await module.chaos(0.2, 20)
    result = await module.chaos(2, 100)

    assert result["invocations"] == result["answers"]
    assert ([], 0, 0) == (result["wrong_samples"], result["processes_left"], result["descriptors_left"])
