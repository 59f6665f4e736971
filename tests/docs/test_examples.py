"""What the pages tell people to do works: code runs, configuration loads, commands and links exist."""

import http.client
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import anyio
import click
import pytest

from engine import Engine
from engine.cli import main
from engine.config import load_config
from engine.ports import Host
from engine.registry import resolve
from engine.telemetry.status import status_document
from engine.testing import virtual_platform

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        ROOT / "grafana" / "README.md",
        ROOT / "handlers" / "README.md",
        ROOT / "loadtests" / "README.md",
    ]
)
SHELL = ("sh", "bash", "shell", "console")
ADDRESSES = {
    "http": "http://127.0.0.1:3000",
    "aws": "http://127.0.0.1:4566",
    "admin": "http://127.0.0.1:9464",
}
AGAINST_A_SERVER = "runnable: against a server"

FENCE = re.compile(r"(?:^<!-- ([^>]*?) -->\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
MAKE_TARGET = re.compile(r"^([a-z]+):", re.MULTILINE)


class Block(NamedTuple):
    """One fenced block.

    A comment before it says what it is for: `runnable`, `runnable: against a server`, `file: NAME` (other
    blocks of the page find it under that name), or `prints` (what the block before it prints).
    """

    page: Path
    line: int
    marker: str
    language: str
    text: str

    def __str__(self):
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page):
    """The fenced blocks of `page`, in order."""
    text = page.read_text()
    return [
        Block(page, text.count("\n", 0, found.start()) + 1, found[1] or "", found[2], found[3])
        for found in FENCE.finditer(text)
    ]


BLOCKS = [block for page in PAGES for block in blocks(page)]


def chosen(*languages, marker=""):
    """Blocks in one of `languages`, with that marker if one is given."""
    return [
        pytest.param(block, id=str(block))
        for block in BLOCKS
        if block.language in languages and marker in ("", block.marker)
    ]


def printed_by(block):
    """What the page says that `block` prints, or None."""
    page = blocks(block.page)
    following = page[page.index(block) + 1 :][:1]
    return next((other.text for other in following if other.marker == "prints"), None)


def commands(block):
    """The commands of a shell block, continued lines joined, comments and prompts left out."""
    lines = block.text.replace("\\\n", " ").splitlines()
    return [line.removeprefix("$ ").strip() for line in lines if line.strip() and not line.startswith("#")]


def words(command):
    """The words of the first of the commands that `|`, `&&`, `;` or `&` join, redirections left out."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    found = []
    for word in lexer:
        if set(word) <= set("();<>|&"):
            break
        found.append(word)
    return found


ENGINE_COMMANDS = [
    pytest.param(words(command), id=f"{block}: {command[:60]}")
    for block in BLOCKS
    if block.language in SHELL
    for command in commands(block)
    if words(command)[:1] in (["engine"], [".venv/bin/engine"])
]


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """`workspace(page)`: a working directory with the example handlers and the files that `page` shows."""

    def make(page):
        (tmp_path / "handlers").symlink_to(ROOT / "handlers")
        for block in blocks(page):
            if block.marker.startswith("file: "):
                (tmp_path / block.marker.removeprefix("file: ")).write_text(block.text)
        monkeypatch.chdir(tmp_path)
        monkeypatch.syspath_prepend(tmp_path)
        return tmp_path

    return make


@pytest.fixture
def environment():
    """Variables for a child process: no proxy, no AWS account of whoever runs the tests."""
    return {
        name: value
        for name, value in os.environ.items()
        if "proxy" not in name.lower() and not name.startswith("AWS_")
    }


def run_python(block, text, environment):
    """Run `text` as a program; its output, which must be all it says."""
    command = [sys.executable, "-W", "error", "-c", text]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=50, check=False)

    assert (0, "") == (done.returncode, done.stderr), str(block)
    assert printed_by(block) in (None, done.stdout)


@pytest.mark.real_time
@pytest.mark.parametrize("block", chosen("python", marker="runnable"))
def test_python_examples_run(block, workspace, environment):
    """A program of its own each; it prints what the page says."""
    workspace(block.page)

    run_python(block, block.text, environment)


@pytest.mark.parametrize("block", chosen("toml"))
def test_toml_examples_load(block, workspace):
    """As an engine.toml beside the example handlers."""
    folder = workspace(block.page)
    (folder / "engine.toml").write_text(block.text)
    (folder / "trace.csv").write_text("timestamp,payload\n0,{}\n")

    assert load_config("engine.toml").functions


@pytest.mark.parametrize("arguments", ENGINE_COMMANDS)
def test_engine_commands_parse(arguments):
    """The command exists, and takes these options and arguments. Nothing is run."""
    with click.Context(main) as context:
        name, command, rest = main.resolve_command(context, arguments[1:])
        with command.make_context(name, list(rest), parent=context) as parsed:
            assert command is parsed.command


def test_make_targets_exist():
    """Whatever a page says to make is in the Makefile."""
    known = set(MAKE_TARGET.findall((ROOT / "Makefile").read_text()))
    told = {
        word
        for page in PAGES
        for target in re.findall(r"\bmake ((?:[a-z]+)(?: [a-z]+)*)", "\n".join(code_of(page)))
        for word in target.split()
    }

    assert set() == told - known


def code_of(page):
    """All code of a page: shell blocks, and what stands between backticks."""
    text = page.read_text()
    spans = re.findall(r"`(make [a-z ]+)`", FENCE.sub("", text))
    return [*spans, *(block.text for block in blocks(page) if block.language in SHELL)]


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES])
def test_links_lead_somewhere(page):
    """Relative links name a file, and a heading in it where they name one."""
    broken = []
    for link in LINK.findall(FENCE.sub("", page.read_text())):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)

    assert [] == broken


def anchors(page):
    """What a link can name in `page`, as GitHub makes it of headings."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in HEADING.findall(page.read_text())
    }


@pytest.fixture
def server(environment):
    """`engine serve` with the README's command, on free ports; gives its addresses."""
    [command] = [
        words(command)
        for block in blocks(ROOT / "README.md")
        for command in commands(block)
        if block.marker == "serve"
    ]
    listeners = [f"--{name}=127.0.0.1:0" for name in ADDRESSES]
    process = subprocess.Popen(
        [sys.executable, "-m", "engine", *command[1:], *listeners],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with process:
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()
            process.wait(20)


def at(text, server):
    """`text` with the default addresses replaced by those of `server`."""
    for name, address in ADDRESSES.items():
        text = text.replace(address, server[name])
    return text


@pytest.mark.real_time
@pytest.mark.slow
def test_the_readmes_clients_are_answered(server, workspace, environment):
    """curl, the AWS CLI and boto3, as the README shows them, against the server it starts."""
    page = ROOT / "README.md"
    workspace(page)
    path = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    for block in blocks(page):
        if block.marker != AGAINST_A_SERVER:
            continue
        text = at(block.text, server)
        if block.language == "python":
            run_python(block, text, environment)
        elif all(shutil.which(word, path=path) for word in programs(block)):
            command = ["sh", "-e", "-c", text]
            child = {**environment, "PATH": path}
            done = subprocess.run(command, env=child, capture_output=True, text=True, timeout=50, check=False)

            assert (0, "") == (done.returncode, done.stderr if done.returncode else ""), str(block)
            assert "Hello, Ada!" in done.stdout


def programs(block):
    """What a shell block needs to be installed."""
    return {words(command)[0] for command in commands(block)} - {"export", "echo", "cat"}


@pytest.mark.real_time
def test_the_readmes_metrics_are_there(server):
    """Every metric the README names is on the page it names."""
    named = set(re.findall(r"`(engine_\w+)", (ROOT / "README.md").read_text()))
    connection = http.client.HTTPConnection(server["admin"].removeprefix("http://"), timeout=10)
    connection.request("GET", "/metrics")
    with connection.getresponse() as answer:
        metrics = answer.read().decode()
    connection.close()

    assert set() == {name for name in named if f"\n{name}" not in f"\n{metrics}"}


async def test_the_example_source_delivers(workspace):
    """docs/architecture.md: its source, registered by its engine.toml, feeds the function as it says."""
    page = ROOT / "docs" / "architecture.md"
    workspace(page)
    [example] = [block.text for block in blocks(page) if block.language == "toml"]
    Path("engine.toml").write_text(example)
    config = load_config("engine.toml")
    [(kind, bindings)] = config.bindings.items()
    async with Engine.from_config(config, platform=virtual_platform()) as engine:
        host = Host(
            account=config.account,
            clock=engine.platform.clock,
            new_request_id=engine.new_request_id,
            listen=config.listeners,
        )
        stopping = anyio.Event()
        async with anyio.create_task_group() as group:
            await group.start(resolve("source", kind).build(bindings, host).serve, engine.sink, stopping)
            await anyio.sleep(10.5 * bindings[0].settings.seconds)
            stopping.set()
        counted = status_document(engine.stats, uptime_s=0.0)["functions"]["heartbeat"]["invocations"]

    assert 10 == counted["success"]
    assert 10 == sum(counted.values())
