"""What the pages tell people to do works: code runs, configuration loads, commands and links exist."""

import ast
import http.client
import importlib.util
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import anyio
import click
import pytest

from engine import Engine
from engine.cli import main
from engine.config import load_config
from engine.ports import Host
from engine.registry import resolve
from engine.runtime.signals import SIGNALS
from engine.telemetry.status import status_document
from engine.testing import virtual_platform
from tests.docs.pages import (
    AGAINST_A_SERVER,
    BLOCKS,
    FENCE,
    HEADING,
    LINK,
    MAKE_TARGET,
    PAGES,
    ROOT,
    SHELL,
    at,
    blocks,
    chosen,
    commands,
    printed_by,
    words,
)

ENGINE_COMMANDS = [
    pytest.param(words(command), id=f"{block}: {command[:60]}")
    for block in BLOCKS
    if block.language in SHELL
    for command in commands(block)
    if words(command)[:1] in (["engine"], [".venv/bin/engine"])
]


def run_python(block, text, environment):
    """Run `text` as a program; its output, which must be all it says."""
    command = [sys.executable, "-W", "error", "-c", text]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)

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


def in_sentences(pattern):
    """Commands between backticks in the sentences of the pages."""
    for page in PAGES:
        for found in re.findall(rf"`({pattern}[^`]*)`", FENCE.sub("", page.read_text())):
            yield pytest.param(words(" ".join(found.split())), id=f"{page.name}: {found[:50]}")


@pytest.mark.parametrize("arguments", [*in_sentences(r"engine \w+ [^`]*--")])
def test_options_named_in_sentences_exist(arguments):
    """What stands for a value there (FILE, TRACE) is not looked at."""
    with click.Context(main) as context:
        _, command, rest = main.resolve_command(context, arguments[1:])
        with click.Context(command, parent=context) as own:
            command.make_parser(own).parse_args(list(rest))


@pytest.mark.parametrize("arguments", [*in_sentences(r"(?:\.venv/bin/)?python [\w/]+\.py")])
def test_scripts_named_in_sentences_exist(arguments):
    """By their path from the root."""
    assert (ROOT / arguments[1]).is_file()


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


@pytest.mark.real_time
@pytest.mark.parametrize("block", chosen("python", marker=AGAINST_A_SERVER))
def test_python_clients_are_answered(block, server, workspace, environment):
    """boto3 and others as the pages show them, against the server that the README starts."""
    imported = [
        node for node in ast.walk(ast.parse(block.text)) if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    for node in imported:
        name = node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
        if importlib.util.find_spec(name.split(".")[0]) is None:
            pytest.skip(f"{name} is not installed")
    workspace(block.page)

    run_python(block, at(block.text, server), environment)


@pytest.mark.real_time
@pytest.mark.parametrize("block", chosen("js", marker=AGAINST_A_SERVER))
def test_javascript_clients_are_answered(block, server, environment):
    """Where Node.js finds the SDK: NODE_PATH names a folder that has it."""
    needed = re.findall(r'require\("(.+?)"\)', block.text)
    found = "".join(f"require.resolve({name!r});" for name in needed)
    node = shutil.which("node")
    if (
        not node
        or subprocess.run([node, "-e", found], env=environment, capture_output=True, check=False).returncode
    ):
        pytest.skip(f"needs Node.js with {', '.join(needed)}")
    command = [node, "-e", at(block.text, server)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)

    assert (0, printed_by(block)) == (done.returncode, done.stdout), done.stderr


@pytest.mark.real_time
@pytest.mark.parametrize("block", chosen("hcl"))
def test_terraform_reads_the_examples(block, environment):
    """Its provider is downloaded by `init`, so this is the syntax, and the layout that `fmt` gives it."""
    terraform = shutil.which("terraform")
    if not terraform:
        pytest.skip("needs terraform")
    command = [terraform, "fmt", "-"]
    done = subprocess.run(
        command, input=block.text, env=environment, capture_output=True, text=True, timeout=100, check=False
    )

    assert (0, block.text) == (done.returncode, done.stdout), done.stderr


@pytest.mark.real_time
def test_the_readmes_metrics_are_there(server):
    """Every metric the README names is on the page it names."""
    named = set(re.findall(r"`(engine_\w+)", (ROOT / "README.md").read_text()))
    connection = http.client.HTTPConnection(server["admin"].removeprefix("http://"), timeout=60)
    connection.request("GET", "/metrics")
    with connection.getresponse() as answer:
        metrics = answer.read().decode()
    connection.close()

    assert set() == {name for name in named if f"\n{name}" not in f"\n{metrics}"}


def test_the_signals_that_drain_are_those_of_the_page():
    """docs/operations.md names every one, in their order."""
    row = next(
        line
        for line in (ROOT / "docs" / "operations.md").read_text().splitlines()
        if line.startswith("| SIGTERM")
    )
    offset = signal.SIGRTMIN + 3
    names = ["SIGRTMIN+3" if number == offset else signal.Signals(number).name for number in SIGNALS]

    assert names == row.split("|")[1].strip().split(", ")


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
