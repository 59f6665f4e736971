"""The list of commands: what it says of each, and that it imports none of them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest

import engine
from engine.cli import COMMANDS, main

UNLIMITED = 1000
LISTING = """
import sys
from engine.cli import main
main(prog_name="engine", standalone_mode=False)
sys.stderr.write(" ".join(name for name in sys.modules if name.startswith("engine.cli.")))
"""


def test_the_table_says_what_each_command_says_of_itself():
    """The first sentence of its help; the command is NAME in the module of that name."""
    commands = {name: getattr(import_module(f"engine.cli.{name}"), name) for name in COMMANDS}

    assert dict(COMMANDS) == {
        name: command.get_short_help_str(UNLIMITED) for name, command in commands.items()
    }
    assert {name: name for name in COMMANDS} == {name: command.name for name, command in commands.items()}


@pytest.mark.parametrize("name", COMMANDS)
def test_no_help_says_a_word_twice(name):
    """Once behind itself."""
    command = getattr(import_module(f"engine.cli.{name}"), name)
    said = command.get_help(click.Context(command, terminal_width=UNLIMITED))

    assert [] == re.findall(r"\b([a-z]+) \1\b", said)


def test_every_module_with_a_command_of_its_name_is_in_the_table():
    """A command that nobody can call is a mistake."""
    folder = Path(engine.__file__).parent / "cli"
    texts = {path.stem: path.read_text() for path in folder.glob("*.py")}
    texts |= {path.parent.name: path.read_text() for path in folder.glob("*/__init__.py")}

    assert set(COMMANDS) == {name for name, text in texts.items() if _declares(text, name)}


def _declares(text: str, name: str) -> bool:
    return any(f'@click.{kind}("{name}"' in text for kind in ("command", "group"))


def test_the_list_of_commands_imports_none_of_them():
    """As does completion of a command's name."""
    completed = {"_ENGINE_COMPLETE": "bash_complete", "COMP_WORDS": "engine s", "COMP_CWORD": "1"}

    assert ("plain,serve\nplain,simulate\n", "") == _listed((), completed)
    shown, imported = _listed(("--help",), {})
    assert "" == imported
    assert sorted(COMMANDS) == [line.split()[0] for line in shown.partition("Commands:\n")[2].splitlines()]


def _listed(words: tuple[str, ...], variables: dict[str, str]) -> tuple[str, str]:
    command = [sys.executable, "-c", LISTING, *words]
    environment = {**os.environ, "COLUMNS": "60", **variables}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout, done.stderr


@pytest.mark.parametrize("name", ["cost", "plan"])
def test_what_is_answered_by_formulas_needs_no_pydantic(name):
    """It would be a third of their start: bounds of options are plain numbers."""
    code = f"import sys, engine.cli.{name}; print('pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "False\n" == done.stdout


def test_an_unknown_command_is_none():
    """Also one that is a module of the package, but no command."""
    assert main.get_command(main.make_context("engine", [], resilient_parsing=True), "options") is None
