"""docs/guides/durable.md from its first command to its last, against the server that it starts."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.docs.pages import ITS_OWN_SERVER, ROOT, at, blocks, printed_by, serving

pytestmark = [pytest.mark.real_time, pytest.mark.slow]

PAGE = ROOT / "docs" / "guides" / "durable.md"
URL = "http://127.0.0.1:4566"


def run(text, server, folder, environment):
    """What shell text of the page prints; commands find the server without being told its port."""
    told = re.sub(r"engine executions (\w+)", rf"\g<0> --url {URL}", text)
    path = f"{Path(sys.executable).parent}:{environment['PATH']}"
    done = subprocess.run(
        ["sh", "-e", "-c", at(told, server)],
        cwd=folder,
        env={**environment, "PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert 0 == done.returncode, f"{text}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def until(said, show):
    """What `show` prints, once it says that."""
    limit_s = time.monotonic() + 30
    while said not in (text := show()):
        assert time.monotonic() < limit_s, text
        time.sleep(0.1)
    return text


def test_an_order_is_shipped_as_the_page_says(workspace, environment):
    """It waits for its approval while the engine is killed and started again, and nothing is done twice."""
    folder = workspace(PAGE)
    before = [block for block in blocks(PAGE) if block.marker == ITS_OWN_SERVER]
    [after] = [block for block in blocks(PAGE) if block.marker.startswith(f"{ITS_OWN_SERVER},")]
    show = "engine executions show A-2 --function order"
    with serving(PAGE, folder, environment, subprocess.Popen.kill) as server:
        for block in before[:2]:
            printed = run(block.text, server, folder, environment)
            assert printed_by(block) in (None, printed)
        until("CallbackId", lambda: run(show, server, folder, environment))
        for block in before[2:]:
            assert "A-2" in run(block.text, server, folder, environment)
    with serving(PAGE, folder, environment, subprocess.Popen.kill) as server:
        run(before[1].text.replace("A-2", "A-3"), server, folder, environment)
        run(after.text, server, folder, environment)
        ended = until("SUCCEEDED", lambda: run(show, server, folder, environment))
        told = run(f"{show} --json", server, folder, environment)
        other = show.replace("A-2", "A-3")
        until("CallbackId", lambda: run(other, server, folder, environment))
        refusal = after.text.replace("A-2", "A-3").replace("true", "false")
        run(refusal, server, folder, environment)
        until("SUCCEEDED", lambda: run(other, server, folder, environment))
        refused = run(f"{other} --json", server, folder, environment)

    assert (folder / "A-2.html").read_text().startswith("<!")
    assert 1 == ended.count("step desk")
    assert "P-A-2" in told
    assert "refused" in refused
    assert "P-A-3" not in refused
