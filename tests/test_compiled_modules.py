"""The list of what `tools/compile.py` compiles."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_module_that_is_compiled_exists():
    """A module that was moved would end `make bench` with an error of the compiler."""
    spec = importlib.util.spec_from_file_location("compile_tool", ROOT / "tools" / "compile.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)

    assert [] == [module for module in tool.MODULES if not (ROOT / "engine" / module).is_file()]
