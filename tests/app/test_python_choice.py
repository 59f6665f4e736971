"""What a handler runs in: the order of what may name it, and what is said when it cannot be used."""

import os
import sys

import pytest
from click.testing import CliRunner

from engine.app.python_choice import PythonChooser, line_of
from engine.cli.check import check
from engine.core.function import Function
from engine.core.python_interpreter import ChosenPython
from engine.errors import ConfigError
from engine.executors.python_probe import UnusablePython, interpreter_at
from tests.pythons import interpreter, make_venv

OWN = f"python{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture(scope="module")
def venvs(tmp_path_factory):
    """Virtual environments by the place that names them; that beside the code has an older Python."""
    root = tmp_path_factory.mktemp("venvs")
    (root / "code").mkdir()
    made = {name: make_venv(root / name) for name in ("key", "option", "shell")}
    return {**made, ".venv": make_venv(root / "code" / ".venv", interpreter("3.9"))}


def chooser(python=None, shell=None, path="/nowhere", unavailable=None):
    """With these variables in the shell."""
    variables = {"PATH": str(path)} | ({"VIRTUAL_ENV": str(shell)} if shell else {})
    return PythonChooser(
        None if python is None else str(python),
        unavailable=lambda: unavailable,
        variables=lambda: variables,
    )


def chosen(found, function, code=None):
    """Prefix and reason of what is chosen."""
    choice = found.named(function) or found.found(function, None if code is None else str(code))
    return choice.interpreter and choice.interpreter.prefix, choice.why


def function(**keys):
    return Function("f", handler="app.handler", **keys)


def test_the_first_that_names_an_interpreter_wins(venvs, tmp_path):
    """Key, option, beside the code, shell, declared runtime, the engine's own."""
    code = venvs[".venv"].parent
    with_key = function(python=str(venvs["key"]), runtime="python3.9")
    (tmp_path / "python3.9").symlink_to(interpreter("3.9"))
    anywhere = {"shell": venvs["shell"], "path": tmp_path}
    whole = [
        chosen(chooser(venvs["option"], **anywhere), with_key, code),
        chosen(chooser(venvs["option"], **anywhere), function(runtime="python3.9"), code),
        chosen(chooser(**anywhere), function(runtime="python3.9"), code),
        chosen(chooser(**anywhere), function(runtime="python3.9"), tmp_path),
        chosen(chooser(path=tmp_path), function(runtime="python3.9"), tmp_path)[1:],
        chosen(chooser(path=tmp_path), function(runtime="python3.10"), tmp_path),
        chosen(chooser(), function(), tmp_path),
    ]

    assert [
        (str(venvs["key"]), "named by functions.f.python"),
        (str(venvs["option"]), "named by --python, or python of [engine]"),
        (str(venvs[".venv"]), ".venv beside the code"),
        (str(venvs["shell"]), "VIRTUAL_ENV"),
        ("its runtime is python3.9",),
        (None, None),
        (None, None),
    ] == whole


def test_the_engines_own_environment_changes_nothing(tmp_path):
    """However it is named: also by its interpreter, which is not asked then, and as the runtime."""
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / OWN).symlink_to(sys.executable)
    for found in (
        chooser(sys.prefix),
        chooser(sys.executable),
        chooser(shell=sys.prefix),
        chooser(path=tmp_path),
    ):
        assert chosen(found, function(runtime=OWN))[0] is None
    assert chosen(chooser(shell="/gone"), function(), tmp_path)[0] is None


def test_what_somebody_else_put_beside_the_code_is_not_run(venvs, monkeypatch):
    """A `.venv` must belong to the user: it is named once if it does not, and the next answer holds."""
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    found = chooser(shell=venvs["shell"])

    assert 2 * [(str(venvs["shell"]), "VIRTUAL_ENV")] == [
        chosen(found, function(), venvs[".venv"].parent) for _ in range(2)
    ]
    assert [f"{venvs['.venv']} is not used: it belongs to user {os.getuid()}"] == [
        note.partition(",")[0] for note in found.notes
    ]


def test_the_project_folder_is_beside_its_source_folder(venvs, tmp_path):
    """`src/app.py` has the environment that lies beside `src`."""
    (tmp_path / "src").mkdir()
    (tmp_path / ".venv").symlink_to(venvs["key"])

    assert ".venv beside the code" == chosen(chooser(), function(), tmp_path / "src")[1]


@pytest.mark.parametrize("executor", ["loop", "thread"])
def test_the_engines_own_process_has_no_other_interpreter(venvs, executor):
    """One that is named for such a function is refused; one that is found is not used, and that is said."""
    with pytest.raises(ConfigError) as refused:
        chooser(venvs["option"]).named(function(executor=executor))
    found = chooser(shell=venvs["shell"])

    where = f"in the engine's own Python, not in {venvs['option']}/bin/python"
    assert (
        f'functions.f.executor: {executor!r} runs handlers {where}: take executor = "process"',
    ) == refused.value.problems
    assert (None, None) == chosen(found, function(executor=executor))
    unused = f"{venvs['shell']} (VIRTUAL_ENV) is not used"
    assert [f"f: executor {executor} runs in the engine's own interpreter: {unused}"] == found.notes


def test_where_nothing_can_be_forked_only_what_is_named_is_refused(venvs):
    """What is merely found is passed over: the engine's own interpreter is all there is."""
    found = chooser(shell=venvs["shell"], unavailable="no Linux")

    assert (None, None) == chosen(found, function())
    with pytest.raises(ConfigError, match=r"none can be forked here \(no Linux\)"):
        chooser(venvs["key"], unavailable="no Linux").named(function())


def program(folder, text):
    """An executable file."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


UNUSABLE = {
    "missing": (lambda folder: str(folder / "gone"), "does not exist"),
    "a folder": (str, "is no virtual environment: it has no bin/python"),
    "not executable": (lambda folder: str(_written(folder / "text")), "cannot be started: Permission denied"),
    "says nothing": (lambda folder: program(folder, "exit 3"), "is no working Python: it says nothing"),
    "fails": (lambda folder: program(folder, "echo broken >&2; exit 1"), "is no working Python: broken"),
    "PyPy": (
        lambda folder: program(folder, """echo '["/p", [3, 10, 14], "/", "pypy", true]'"""),
        "is pypy: handlers are forked by CPython alone",
    ),
    "old": (
        lambda folder: program(folder, """echo '["/p", [3, 8, 18], "/", "cpython", true]'"""),
        "is Python 3.8.18: handlers need 3.9 or later",
    ),
    "no pidfd": (
        lambda folder: program(folder, """echo '["/p", [3, 9, 1], "/", "cpython", false]'"""),
        "was built without os.pidfd_open, which forking handlers takes",
    ),
}


def _written(path):
    path.write_text("")
    return path


@pytest.mark.parametrize("case", UNUSABLE)
def test_what_cannot_run_handlers_is_one_line(tmp_path, case):
    """A broken environment, no interpreter, another Python than CPython, one too old."""
    make, reason = UNUSABLE[case]
    with pytest.raises(UnusablePython) as unusable:
        interpreter_at(make(tmp_path))

    assert reason == unusable.value.reason


def test_an_environment_whose_python_is_gone_is_broken(tmp_path):
    """As after an upgrade of the system's Python."""
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    (tmp_path / "venv" / "bin" / "python").symlink_to("/usr/bin/python2.6")
    with pytest.raises(UnusablePython, match=r"bin/python leads to /usr/bin/python2\.6, which is gone"):
        interpreter_at(str(tmp_path / "venv"))


def test_check_says_which_and_why_or_ends_with_2(tmp_path, venvs, monkeypatch):
    """Async handlers are on process then; a broken environment is a problem of the configuration."""
    monkeypatch.setattr(sys, "path", [*sys.path])  # the command adds to it
    (tmp_path / "app.py").write_text(
        "async def task(event, context): ...\ndef handler(event, context): ...\n"
    )
    file = tmp_path / "engine.toml"
    file.write_text(
        f'[functions.a]\nhandler = "app.task"\npython = "{venvs["key"]}"\n'
        '[functions.b]\nhandler = "app.handler"\n'
    )
    fine = CliRunner().invoke(check, ["--config", str(file)], env={"VIRTUAL_ENV": sys.prefix})
    wrong = CliRunner().invoke(check, ["--config", str(file), "--python", str(tmp_path)])

    line = line_of(ChosenPython(interpreter_at(str(venvs["key"])), "named by functions.a.python"))
    assert (0, 1) == (fine.exit_code, fine.output.count(line))
    assert f"a: {line}" in fine.output
    assert "process" in fine.output.splitlines()[1]
    assert 2 == wrong.exit_code
    assert (
        f"--python, or python of [engine]: {tmp_path} is no virtual environment: it has no bin/python"
        in wrong.output
    )
