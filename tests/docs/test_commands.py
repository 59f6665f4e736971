"""Every command line of the pages is run as it stands, or is on the short list that says why it cannot be."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from engine.cli import main
from tests.docs.pages import (
    AGAINST_A_SERVER,
    BLOCKS,
    FENCE,
    ITS_OWN_SERVER,
    PAGES,
    ROOT,
    SHELL,
    at,
    blocks,
    commands,
    files_of,
    printed_by,
    words,
)

pytestmark = pytest.mark.real_time

NOT_RUN = {
    "pip install aws-durable-execution-sdk-python": "asks PyPI; the tests have it from the lock",
    "pip install ./invocation-engine": "fetches its build tools; `make environments` installs the clone so",
    "python -Xfrozen_modules=off -m debugpy --listen 127.0.0.1:5678 -m engine serve --debug "
    "handlers.hello.handler": "its port is fixed; tests/cli/test_serve_debug.py runs it with a free one",
    "coverage run --include 'handlers/*' -m engine serve --debug handlers.hello.handler": (
        "needs a request before it ends; tests/cli/test_serve_debug.py sends one"
    ),
    "coverage report": "as above",
    "export LOADTEST_PLAN=plan.json": "for the two that follow",
    "locust -f loadtests/locustfile.py --headless --master --expect-workers 2 --stop-timeout 60   # here": (
        "needs three machines; tests/loadtests runs a master with workers on one"
    ),
    "locust -f loadtests/locustfile.py --worker --master-host HOST                                "
    "# on each of two": "as above",
    "cd grafana": "for the one that follows",
    "cd watch": "for the one that follows",
    "docker compose up": "needs Docker",
    "docker run -p 8000:8000 amazon/dynamodb-local": "as above",
    "npx kinesis-local": "fetches kinesis-mock from npm",
    "engine agent 127.0.0.1:7800            # in another terminal; a second one with --name other": (
        "its port is fixed, and it has no end; tests/executors/cluster runs agents on free ports"
    ),
    "engine agent 10.0.0.5:7800 --secret-file /etc/engine/secret --name rack-7": "as above",
    "pip install './invocation-engine[ray]'": "as ./invocation-engine",
    "engine cluster up --nodes 2": "starts a dozen processes; `make test-ray` runs it",
    "export RAY_ADDRESS=127.0.0.1:43367 RAY_AUTH_MODE=token ...": "what the one before it prints",
    "engine serve MODULE.FUNCTION --ray auto": "as above",
    "export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=/etc/ray/token": "for the three that follow",
    "ray start --head --node-ip-address=10.0.0.1 --port=6379 --num-cpus=0 --include-dashboard=false": (
        "needs several machines; `make test-ray` runs the same in namespaces"
    ),
    "ray start --address=10.0.0.1:6379 --node-ip-address=10.0.0.2 --resources='{\"agent_slot\": 1}'": (
        "as above"
    ),
    "engine serve orders.handler --ray 10.0.0.1:6379": "as above",
}
"""Commands as the pages have them, and why no test runs them."""

LOADS = "engine load "
"""Beginning of commands that take their time. docs/guides/ci.md has a short one that runs to its end."""

ENDLESS = ("engine serve", "engine top")
"""Beginnings of commands that run until they are told to stop."""

FILES = {
    "event.json": '{"name": "Ada"}',
    "template.yaml": """
Transform: AWS::Serverless-2016-10-31
Resources:
  App:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.handler
      Runtime: python3.11
      Events: {Api: {Type: HttpApi, Properties: {Path: /app, Method: post}}}
""",
}
"""What a reader has made by then."""


def told():
    """Every command line with its block."""
    for block in BLOCKS:
        if block.language in SHELL:
            for command in commands(block):
                yield block, command


ALONE = [
    pytest.param(block, id=str(block))
    for block in BLOCKS
    if block.language in SHELL
    and not block.marker.startswith((AGAINST_A_SERVER, ITS_OWN_SERVER))
    and not all(command in NOT_RUN for command in commands(block))
]
WITH_A_SERVER = [
    pytest.param(block, id=str(block))
    for block in BLOCKS
    if block.language in SHELL and block.marker == AGAINST_A_SERVER
]


@pytest.fixture
def reader(workspace, environment):
    """`reader(block)`: runs shell text as somebody who reads the block's page, in a folder of theirs."""

    def make(block):
        folder = workspace(block.page)
        for name in ("Makefile", "pyproject.toml", "loadtests", "engine"):
            if not (folder / name).exists():
                (folder / name).symlink_to(ROOT / name)
        (folder / ".venv").symlink_to(Path(sys.executable).parent.parent)
        for name, text in FILES.items():
            if not (folder / name).exists():
                (folder / name).write_text(text)
        path = f"{Path(sys.executable).parent}:{environment['PATH']}"

        def start(text):
            return subprocess.Popen(
                ["sh", "-e", "-c", text],
                cwd=folder,
                env={**environment, "PATH": path, "PYTHONUNBUFFERED": "1"},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )

        start.path = path
        return start

    return make


def ended(process, text, timeout=100):
    """What it printed, once it has ended well."""
    try:
        out, err = process.communicate(timeout=timeout)
    finally:
        process.kill()

    assert 0 == process.returncode, f"{text}\n{out}\n{err}"
    return out


@pytest.mark.slow
@pytest.mark.parametrize("block", ALONE)
def test_every_command_line_runs_as_it_stands(block, reader, server):
    """To its end, with exit code 0; a server until it is ready and told to stop, on free ports.

    What `make` would do is only printed: each of its recipes is what the suite tests otherwise, or, of
    docs/guides/ci.md, what its workflow does.
    """
    start = reader(block)
    for command in commands(block):
        if command in NOT_RUN:
            continue
        if command.startswith("make "):
            ended(start(f"{command} --dry-run"), command)
        elif command.startswith(LOADS) and "--list" not in command:
            refused(words(at(command, server)))
        elif command.startswith(ENDLESS) and "--count" not in command:
            stopped(start, command, server)
        else:
            address = f" --url {server['admin']}" if command.startswith("engine top") else ""
            printed = ended(start(at(command, server) + address), command)
            assert printed_by(block) in (None, printed)


def refused(command):
    """It is right but for the folder of its report, which is there already, and is looked at last.

    Nothing has started by then, so it is done in the tests' own process: an interpreter for each takes
    half a second of CPU.
    """
    done = CliRunner().invoke(main, [*command[1:], "--out", "."])

    assert (2, "error: .: File exists") == (done.exit_code, done.stderr.strip()), command


def stopped(start, command, server):
    """Start it, read its first line, and end it as Ctrl-C does."""
    if "serve" in words(command):
        command += "".join(f" --{name} 127.0.0.1:0" for name in ("http", "aws", "admin"))
    else:
        command = f"{at(command, server)} --url {server['admin']}"
    process = start(f"exec {command}")
    line = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    ended(process, command)

    assert line.strip(), command
    assert "serve" not in words(command) or json.loads(line)["ready"]


@pytest.mark.slow
@pytest.mark.parametrize("block", WITH_A_SERVER)
def test_clients_are_answered_as_the_pages_say(block, reader, server):
    """curl and the AWS CLI, against the server that the README starts."""
    start = reader(block)
    first = {words(command)[0] for command in commands(block)}
    programs = {word for word in first if "=" not in word} - {"export", "echo", "cat"}
    if not all(shutil.which(program, path=start.path) for program in programs):
        pytest.skip(f"needs {', '.join(programs)}")

    printed = ended(start(at(block.text, server)), str(block))

    assert block.page != ROOT / "README.md" or "Hello, Ada!" in printed


def test_the_list_of_what_is_not_run_is_of_what_is_told():
    """Each with its reason, and nothing that no page has any more."""
    every = {command for _, command in told()}

    assert set() == NOT_RUN.keys() - every
    assert all(NOT_RUN.values())


def test_no_shell_block_goes_by_another_name():
    """A block of commands that is not marked as shell would be read by people and by no test."""
    programs = ("engine ", "make ", "aws ", "curl ", "$ ", "pip ", "docker ", "locust ", ".venv/bin/")
    indented = [
        f"{page.relative_to(ROOT)}: {line}"
        for page in PAGES
        for line in FENCE.sub("", page.read_text()).splitlines()
        if line.startswith("    ") and line.strip().startswith(programs)
    ]
    hidden = [
        str(block)
        for block in BLOCKS
        if block.language not in SHELL
        and any(line.startswith(programs) for line in block.text.splitlines())
        and not block.marker.startswith(("file: ", "prints"))
    ]

    assert [] == hidden + indented


def test_the_aws_cli_is_always_told_where_to_go():
    """Version 1 sends `aws sqs` to AWS whatever the variable says, Debian's version 2 every service."""
    unsafe = [
        f"{block}: {command}"
        for block, command in told()
        if words(command)[:1] == ["aws"] and "--endpoint-url" not in words(command)
    ]

    assert [] == unsafe


@pytest.mark.slow
def test_the_workflow_of_the_guide_runs(reader):
    """GitHub's own form as far as this machine can hold it, and every `run` line to its end."""
    page = ROOT / "docs" / "guides" / "ci.md"
    workflow = yaml.safe_load(files_of(page)[".github/workflows/handlers.yml"])
    [job] = workflow["jobs"].values()
    start = reader(blocks(page)[0])
    lines = [step["run"] for step in job["steps"] if "run" in step]
    for line in lines:
        ended(start(line), line)

    assert {"name", True, "permissions", "jobs"} == set(workflow)  # YAML 1.1 reads `on` as true
    assert {"runs-on", "timeout-minutes", "steps"} == set(job)
    assert all(("uses" in step) != ("run" in step) for step in job["steps"])
    assert "make test load" in lines
