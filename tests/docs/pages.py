"""The pages, their fenced blocks, and the commands in them."""

import json
import re
import shlex
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

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
PROMPT = "\n$ "
AGAINST_A_SERVER = "runnable: against a server"
ITS_OWN_SERVER = "runnable: against the page's server"

FENCE = re.compile(r"(?:^<!-- ([^>]*?) -->\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
MAKE_TARGET = re.compile(r"^([a-z]+):", re.MULTILINE)


class Block(NamedTuple):
    """One fenced block.

    A comment before it says what it is for: `runnable`, `runnable: against a server` (the
    README's), `runnable: against the page's server` (by a test of that page alone), `file: NAME` (other
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


def files_of(page):
    """What `page` shows as `file: NAME`, by name."""
    return {
        block.marker.removeprefix("file: "): block.text
        for block in blocks(page)
        if block.marker.startswith("file: ")
    }


def write_files(page, folder):
    """Write the files of `page` into `folder`."""
    for name, text in files_of(page).items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def chosen(*languages, marker=""):
    """Blocks in one of `languages`, with that marker if one is given."""
    return [
        pytest.param(block, id=str(block))
        for block in BLOCKS
        if block.language in languages and marker in ("", block.marker)
    ]


def printed_by(block):
    """What the page says that `block` prints, or None."""
    if PROMPT in f"\n{block.text}":
        return "".join(line for line in block.text.splitlines(keepends=True) if not line.startswith("$ "))
    page = blocks(block.page)
    following = page[page.index(block) + 1 :][:1]
    return next((other.text for other in following if other.marker == "prints"), None)


def commands(block):
    """The commands of a shell block, continued lines joined, comments left out.

    Where there are prompts the other lines are what is printed.
    """
    lines = block.text.replace("\\\n", " ").splitlines()
    if PROMPT in f"\n{block.text}":
        return [line.removeprefix("$ ").strip() for line in lines if line.startswith("$ ")]
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


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


def at(text, server):
    """`text` with the default addresses replaced by those of `server`."""
    for name, address in ADDRESSES.items():
        text = text.replace(address, server[name])
    return text


@contextmanager
def serving(page, folder, environment, end=subprocess.Popen.terminate):
    """The page's `engine serve` in `folder`, on free ports; gives its addresses. `end` ends the process."""
    [command] = [words(one) for block in blocks(page) if block.marker == "serve" for one in commands(block)]
    listeners = [f"--{name}=127.0.0.1:0" for name in ADDRESSES]
    process = subprocess.Popen(
        [sys.executable, "-m", "engine", *command[1:], *listeners],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with process:
        try:
            yield json.loads(process.stdout.readline())
        finally:
            end(process)
            process.wait(60)
