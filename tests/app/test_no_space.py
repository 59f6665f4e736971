"""A disk that is full, at the start and later: who asks is told, nothing kept is lost, and it goes on."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.app.conftest import Served, zipped

IN_SMALL = """
mount -t tmpfs -o size=4m none "$0" && cp -a "$1"/. "$0" && shift || exit
if [ "$FULL" ]; then head -c 5000000 /dev/zero >"$0/.filling" 2>/dev/null; fi
exec "$@"
"""
SOURCE = "def handler(event, context):\n    return 1\n"

pytestmark = [
    pytest.mark.real_time,
    pytest.mark.skipif(
        sys.platform != "linux"
        or subprocess.run(
            ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False
        ).returncode
        != 0,
        reason="only root can mount a small file system",
    ),
]


@contextmanager
def small_disk(tmp_path, *arguments, full=False):
    """An engine, and as seen from here the folder of 4 MB for it, with a copy of `tmp_path/kept` in it."""
    kept = tmp_path / "kept"
    kept.mkdir(exist_ok=True)
    space = tmp_path / "space"
    space.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "engine", "serve", "--executor", "thread", *arguments]
    for listener in ("http", "aws", "admin"):
        command += [f"--{listener}", "127.0.0.1:0"]
    process = subprocess.Popen(
        ["unshare", "-m", "sh", "-c", IN_SMALL, space, kept, *command],
        env={**os.environ, "TMPDIR": str(space), "FULL": "yes" if full else ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        line = process.stdout.readline()
        addresses = json.loads(line) if line else {"aws": "http://127.0.0.1:1"}
        yield Served(addresses, process), Path(f"/proc/{process.pid}/root") / space.relative_to("/")
    finally:
        process.kill()
        process.communicate()


def fill(space):
    """Leave no byte; `.filling` frees it."""
    with (space / ".filling").open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"x" * 4_096):
            pass


def refusals(served, name):
    """What creating a function and putting an object fail with."""
    s3, answers = served.client("s3"), []
    code = {"ZipFile": zipped({"app.py": SOURCE, "data": "x" * 50_000})}
    role, runtime = "arn:aws:iam::000000000000:role/any", "python3.12"
    for call, keys in (
        (
            served.lambda_.create_function,
            {"FunctionName": name, "Role": role, "Runtime": runtime, "Handler": "app.handler", "Code": code},
        ),
        (s3.put_object, {"Bucket": "b-1", "Key": name, "Body": b"x" * 100_000}),
    ):
        try:
            call(**keys)
            answers.append(None)
        except ClientError as error:
            answers.append(error.response["Error"]["Code"])
    return answers


@pytest.mark.parametrize("lasting", [True, False])
def test_a_full_disk_is_an_error_of_the_service_and_over_when_there_is_room(tmp_path, lasting):
    """Of the state folder, or of /tmp where there is none: objects are in memory then."""
    state = ["--state-dir", str(tmp_path / "space")] if lasting else []
    with small_disk(tmp_path, *state) as (served, space):
        served.create("f", SOURCE)
        served.client("s3").create_bucket(Bucket="b-1")
        fill(space)
        full = refusals(served, "g")
        invoked, _ = served.invoke("f")
        (space / ".filling").unlink()
        after = refusals(served, "h")
        served.process.terminate()
        said = served.process.stderr.read().decode()

        assert ["ServiceException", "InternalError" if lasting else None] == full
        assert (1, [None, None], 0) == (invoked, after, served.process.wait(100))
        assert "CreateFunction failed: [Errno 28] No space left on device\n" in said
        assert "Traceback" not in said


def test_a_state_folder_without_room_is_one_line_at_the_start_and_keeps_what_it_has(tmp_path):
    state = ("--state-dir", str(tmp_path / "space"))
    with small_disk(tmp_path, *state) as (served, space):
        served.create("f", SOURCE)
        subprocess.run(["cp", "-a", f"{space}/.", tmp_path / "kept"], check=True)
    with small_disk(tmp_path, *state, full=True) as (served, space):
        said = served.process.stderr.read().decode().splitlines()

        assert 2 == served.process.wait(100)
        assert said[-1].startswith(f"error: {tmp_path}/space/")
        assert said[-1].endswith(": No space left on device")
        assert "Traceback" not in "".join(said)
    with small_disk(tmp_path, *state) as (served, _):
        assert 1 == served.invoke("f")[0]
