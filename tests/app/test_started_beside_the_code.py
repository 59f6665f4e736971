"""An engine that is started in the folder of the handler, as README does, whatever files are there."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.real_time

NAMES = (
    "queue",
    "json",
    "typing",
    "signal",
    "socket",
    "select",
    "struct",
    "ctypes",
    "random",
    "enum",
    "uuid",
)


def test_files_named_as_modules_of_the_standard_library_do_no_harm(tmp_path):
    """The zygote does not look for its own imports there; the handler's import finds what Lambda would."""
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text("MINE = True\n")
    (tmp_path / "app.py").write_text("def handler(event, context):\n    import uuid\n    return uuid.MINE\n")
    command = "from engine.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-P", "-c", command, "invoke", "app.handler"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert (0, True) == (done.returncode, json.loads(done.stdout)), done.stderr
