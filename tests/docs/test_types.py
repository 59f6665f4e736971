"""The Python examples that use the engine pass mypy --strict, as the engine does, with the types it ships."""

import subprocess
import sys

import pytest

from tests.docs.pages import BLOCKS, ROOT

UNTYPED = "file: spool.py"
"""A source in as few lines as can be; the one of docs/architecture.md has types."""

EXAMPLES = [
    block
    for block in BLOCKS
    if block.language == "python" and "engine" in block.text and block.marker != UNTYPED
]


@pytest.mark.slow
def test_examples_pass_mypy_strict(tmp_path):
    """Each a module of its own, checked by the settings of this repository, which are strict."""
    files = {}
    for number, block in enumerate(EXAMPLES):
        file = tmp_path / f"example_{number}.py"
        file.write_text(block.text)
        files[file.stem] = str(block)
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml")]
    done = subprocess.run(
        [*command, *map(str, sorted(tmp_path.iterdir()))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )

    assert (0, "") == (done.returncode, done.stderr), f"{done.stdout}\n{files}"
