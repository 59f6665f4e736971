"""What `engine check` prints of handlers/engine.toml and of copies of the examples in the documentation."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from engine.cli import main
from tests.outside.texts import ROOT, documentation

EXAMPLES = Path(__file__).parent / "examples"


def examples() -> dict[str, Path]:
    """By the name of their recording."""
    kept = {f"check_{path.stem}": path for path in sorted(EXAMPLES.glob("*.toml"))}
    return {**kept, "check_handlers": ROOT / "handlers" / "engine.toml"}


def documented() -> list[str]:
    """The texts of the engine.toml examples that the documentation has now."""
    return re.findall(r"^```toml\n(.*?)^```$", documentation(), re.MULTILINE | re.DOTALL)


def checked(path: Path) -> list[str]:
    """The lines of the plain output in their order, then `key = value` of what `--json` prints."""
    with inside(path.parent):
        plain, as_json = (
            CliRunner().invoke(main, ["check", "--config", path.name, *more]) for more in ([], ["--json"])
        )
    assert (0, 0) == (plain.exit_code, as_json.exit_code), plain.output
    root = str(ROOT)
    document = json.loads(as_json.stdout.replace(root, "ROOT"))
    document["functions"] = {one["name"]: one for one in document["functions"]}
    lines = plain.output.replace(root, "ROOT").splitlines()
    return [line for line in lines if line] + list(values(document))


def values(value: Any, above: str = "") -> Iterator[str]:
    """`path = value` for each value of a JSON document."""
    inner = dict(enumerate(value)) if isinstance(value, list) else value
    if isinstance(inner, dict) and inner:
        for key, one in inner.items():
            yield from values(one, f"{above}.{key}" if above else key)
    else:
        yield f"{above} = {json.dumps(value)}"


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """In that working directory, and nothing imported from it afterwards."""
    before, path, modules = os.getcwd(), sys.path.copy(), set(sys.modules)
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
        sys.path[:] = path
        for name in set(sys.modules) - modules:
            if str(folder) in str(getattr(sys.modules[name], "__file__", None)):
                del sys.modules[name]
