"""docs/guides/streams.md from its first command to its last, against the server that it starts."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.docs.pages import ITS_OWN_SERVER, ROOT, at, blocks, printed_by, serving, write_files

pytest.importorskip("moto")
pytestmark = [pytest.mark.real_time, pytest.mark.slow]

PAGE = ROOT / "docs" / "guides" / "streams.md"
ADMIN = "http://127.0.0.1:9464"


def run(text, server, folder, environment):
    """What shell text of the page prints; commands find the server without being told its port."""
    told = at(text.replace("engine logs", f"engine logs --admin {ADMIN}"), server)
    path = f"{Path(sys.executable).parent}:{environment['PATH']}"
    done = subprocess.run(
        ["sh", "-e", "-c", told],
        cwd=folder,
        env={**environment, "PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert 0 == done.returncode, f"{text}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_changes_and_clicks_reach_their_functions_as_the_page_says(workspace, environment):
    """What cannot be read is tried three times, and lands in the queue."""
    folder = workspace(PAGE)
    write_files(PAGE, folder)
    drive, logs = [block for block in blocks(PAGE) if block.marker == ITS_OWN_SERVER]
    with serving(PAGE, folder, environment) as server:
        script = folder / "drive.py"
        script.write_text(at(script.read_text(), server))
        printed = run(drive.text, server, folder, environment)
        end_s = time.monotonic() + 30
        while "MODIFY A-1" not in (told := run(logs.text, server, folder, environment)):
            assert time.monotonic() < end_s, told

    assert printed_by(drive) == printed
    assert "INSERT A-1" in told
    assert "REMOVE" not in told
    assert told.count("click on /home") >= 1
    assert told.count("JSONDecodeError") >= 3
