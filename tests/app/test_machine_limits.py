"""Servers that may open few files or start few processes: one line says so, and every caller is answered."""

import asyncio
import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.real_time

SOURCE = "import time\ndef handler(event, context):\n    time.sleep(0.02)\n    return {}\n"
SERVE = [sys.executable, "-m", "engine", "serve", "--http", "127.0.0.1:0", "--aws", "127.0.0.1:0"]


@pytest.fixture
def serve(tmp_path):
    """`serve(limit)`: a server that may open so many files; the process, and the address for HTTP or None."""
    (tmp_path / "app.py").write_text(SOURCE)
    started = []

    def serve(files: int) -> tuple[subprocess.Popen, str | None]:
        log = (tmp_path / "log").open("w")
        process = subprocess.Popen(
            [*SERVE, "--admin", "127.0.0.1:0", "--executor", "process", "app.handler"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=log,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files)),
        )
        started.append((process, log))
        line = process.stdout.readline()
        return process, json.loads(line)["http"] if line else None

    yield serve
    for process, log in started:
        process.terminate()
        process.wait(60)
        process.stdout.close()
        log.close()


async def get(url: str) -> int:
    """The status of one answer, on a connection of its own."""
    host, port, path = re.match(r"http://([^:]+):(\d+)(.*)", url).groups()
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path or '/'} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return int(answer.split()[1])


def said(tmp_path: Path) -> list[str]:
    log = (tmp_path / "log").read_text()
    return [line for line in log.splitlines() if not re.match("START|END|REPORT|$", line)]


def test_too_few_descriptors_to_work_with_are_one_line_at_the_start(serve, tmp_path):
    """Sixteen."""
    process, url = serve(16)

    assert (None, 2) == (url, process.wait(60))
    assert ["error: the limit of open files (ulimit -n) is 16: the engine needs 40 at least"] == said(
        tmp_path
    )


@pytest.mark.parametrize("files", [40, 48, 64])
async def test_with_few_descriptors_callers_wait_and_all_of_them_are_answered(serve, tmp_path, files):
    """Many more connections at once than may be open; the log has no traceback."""
    _, url = await asyncio.to_thread(serve, files)
    async with asyncio.timeout(60):
        statuses = await asyncio.gather(*(get(url) for _ in range(40)))
    lines = await asyncio.to_thread(said, tmp_path)

    assert {200} == set(statuses)
    assert 2 <= len(lines) <= 3
    assert all("ulimit -n" in line for line in lines[1:])


LEAKS = """
import os
taken = []
def handler(event, context):
    try:
        while True:
            taken.append(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.errno
"""


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_the_admin_listener_answers_though_handlers_have_taken_every_descriptor(tmp_path, loop):
    """One client after the other, by a descriptor that is kept for them."""
    (tmp_path / "leaks.py").write_text(LEAKS)
    command = [*SERVE, "--admin", "127.0.0.1:0", "--executor", "thread", "leaks.handler"]
    if loop == "asyncio":  # what `engine serve` uses where uvloop is not installed
        (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['uvloop'] = None\n")
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)),
    )
    listening = json.loads(await process.stdout.readline())
    statuses = [await get(listening["http"])]
    statuses += [await asyncio.wait_for(get(f"{listening['admin']}/healthz"), 20) for _ in range(3)]
    process.terminate()
    log = (await process.stderr.read()).decode()

    assert ([200, 200, 200, 200], 0) == (statuses, await process.wait())
    assert "Traceback" not in log


@pytest.mark.parametrize("megabytes", [40, 300])
def test_too_little_address_space_is_one_line_at_the_start(tmp_path, megabytes):
    """`ulimit -v`: less than Python itself needs, and less than threads do."""
    done = subprocess.run(
        [*SERVE, "app.handler"],
        capture_output=True,
        check=False,
        text=True,
        cwd=tmp_path,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20,) * 2),
    )

    assert (2, "") == (done.returncode, done.stdout)
    assert [f"error: the limit of address space (ulimit -v) is {megabytes} MB: the engine needs"] == [
        line.partition(" 1024 ")[0] for line in done.stderr.splitlines()
    ]


WATCHES_NOTHING = ["unshare", "-Ur", "sh", "-c", 'echo 0 >/proc/sys/user/max_inotify_instances; exec "$@"']


@pytest.mark.skipif(
    subprocess.run([*WATCHES_NOTHING, "sh", "true"], capture_output=True, check=False).returncode != 0,
    reason="a user namespace of its own is not allowed here",
)
async def test_code_is_looked_at_where_the_machine_can_watch_no_more(tmp_path):
    """`--reload` without inotify: one line, and new code is served all the same."""
    (tmp_path / "app.py").write_text("def handler(event, context):\n    return {'statusCode': 201}\n")
    process = await asyncio.create_subprocess_exec(
        *WATCHES_NOTHING,
        *("sh", *SERVE, "--admin", "127.0.0.1:0", "--reload", "--executor", "thread", "app.handler"),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    url = json.loads(await process.stdout.readline())["http"]
    statuses = [await get(url)]
    (tmp_path / "app.py").write_text("def handler(event, context):\n    return {'statusCode': 2 * 101}\n")
    async with asyncio.timeout(60):
        while await get(url) != 202:
            await asyncio.sleep(0.1)
    process.terminate()
    log = (await process.stderr.read()).decode()

    assert ([201], 0) == (statuses, await process.wait())
    assert 1 == log.count("--reload cannot watch (")
    assert "Traceback" not in log
