"""The command, the variables, and the lines of a process."""

import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import Function
from engine.core.function import Account
from engine.core.python_interpreter import PythonInterpreter
from engine.executors.runtime_api.command import InvalidEntrypoint, command_of, variables_of
from engine.executors.runtime_api.output_lines import OutputLines


def function(folder, handler="app.handler", **keys):
    return Function("f", handler=handler, code=str(folder), executor="runtime", **keys)


def variables(of, command=("node",), host=None, **options):
    options = {
        "runtime_api": "127.0.0.1:1",
        "log_stream": "s",
        "logs_json": False,
        "endpoint_url": None,
        **options,
    }
    return variables_of(of, Account(), command, host={} if host is None else host, **options)


def test_a_wrapper_comes_before_the_runtime_but_not_before_an_os_only_one(tmp_path):
    """Its path is Lambda's, and found where code and layers lie here."""
    code, layer = tmp_path / "task", tmp_path / "opt" / "wrap"
    code.mkdir()
    layer.parent.mkdir()
    layer.touch()
    commands = [
        command_of(function(code, bootstrap=bootstrap, environment={"AWS_LAMBDA_EXEC_WRAPPER": path}))
        for bootstrap, path in (
            ("node x", "/opt/wrap"),
            ("node x", "/bin/env"),
            ("/a/bootstrap", "/opt/wrap"),
        )
    ]

    assert [(str(layer), "node", "x"), ("/bin/env", "node", "x"), ("/a/bootstrap",)] == commands


@pytest.mark.parametrize(("wrapper", "status"), [("/none.sh", 127), ("/etc/hostname", 126)])
def test_a_wrapper_that_cannot_be_started_ends_as_in_a_shell(tmp_path, wrapper, status):
    wrapped = function(tmp_path, environment={"AWS_LAMBDA_EXEC_WRAPPER": wrapper})
    expected = ("Runtime.ExitError", f"Runtime exited with error: exit status {status}")

    assert expected == InvalidEntrypoint(wrapper).failure_of(wrapped)[:2]
    assert "Runtime.InvalidEntrypoint" == InvalidEntrypoint("/task/bootstrap").failure_of(wrapped)[0]


def test_a_command_that_is_given_is_the_command(tmp_path):
    """As words, or as one text that a shell would split the same way."""
    words = ("node", "a b.mjs")

    assert words == command_of(function(tmp_path, bootstrap=words))
    assert words == command_of(function(tmp_path, bootstrap="node 'a b.mjs'"))


def test_a_file_bootstrap_is_the_command(tmp_path):
    """As in a deployment package."""
    file = tmp_path / "bootstrap"
    file.write_text("#!/bin/sh\n")
    file.chmod(0o755)

    assert (str(file),) == command_of(function(tmp_path))


def test_a_file_bootstrap_that_cannot_be_executed_is_no_entrypoint(tmp_path):
    """AWS's words for it."""
    (tmp_path / "bootstrap").write_text("#!/bin/sh\n")
    with pytest.raises(InvalidEntrypoint) as caught:
        command_of(function(tmp_path))

    assert ("Runtime.InvalidEntrypoint", f"Couldn't find valid bootstrap(s): [{tmp_path}/bootstrap]") == (
        caught.value.failure_of(function(tmp_path))[:2]
    )


@pytest.mark.parametrize(
    ("handler", "dotted"),
    [("app.handler", "app.handler"), ("src/app.py:handler", "src/app.handler"), ("a/b.c", "a/b.c")],
)
def test_without_either_it_is_awss_python_client(tmp_path, handler, dotted):
    """With the engine's own interpreter."""
    assert (sys.executable, "-m", "awslambdaric", dotted) == command_of(function(tmp_path, handler))


def test_little_of_the_host_is_inherited(tmp_path):
    """What finds the interpreter and its packages, and nothing else."""
    host = {"PATH": "/opt/node/bin", "PYTHONPATH": "/lib", "SECRET": "x", "HOME": "/root"}
    actual = variables(function(tmp_path), host=host)

    assert f"{os.path.dirname(sys.executable)}:/opt/node/bin" == actual["PATH"]
    assert "/lib" == actual["PYTHONPATH"]
    assert not {"SECRET", "HOME"} & actual.keys()
    assert str(tmp_path) == actual["LAMBDA_TASK_ROOT"]


def test_the_functions_own_variables_win(tmp_path):
    """Over those of the host, too."""
    own = function(tmp_path, environment={"PATH": "/mine", "TABLE": "orders"})

    assert ("/mine", "orders") == tuple(variables(own, host={"PATH": "/x"})[key] for key in ("PATH", "TABLE"))


def test_the_execution_environment_is_told_to_awss_client_only(tmp_path):
    """It is unset for a runtime that brings its own language."""
    python = f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}"
    of = function(tmp_path)

    assert python == variables(of, command_of(of))["AWS_EXECUTION_ENV"]
    assert "AWS_EXECUTION_ENV" not in variables(of, ("node", "x"))


def test_a_shared_environment_is_a_managed_instance(tmp_path):
    """Whose client starts that many workers."""
    actual = variables(function(tmp_path, environment_concurrency=4))

    assert ("lambda-managed-instances", "4") == (
        actual["AWS_LAMBDA_INITIALIZATION_TYPE"],
        actual["AWS_LAMBDA_MAX_CONCURRENCY"],
    )


# ---------------------------------------------------------------- lines


def test_lines_are_whole_whatever_the_pieces():
    """A character may be cut in two."""
    lines = OutputLines()
    data = "one\ntwo é\nthree".encode()
    got = [line for at in range(len(data)) for line in lines.take(data[at : at + 1])]

    assert ["one\n", "two é\n"] == got
    assert ["three\n"] == lines.end()
    assert [] == lines.end()


def test_what_is_no_text_is_kept_readable():
    """One sign for each byte that means nothing."""
    assert ["\ufffd\ufffdx\n"] == OutputLines().take(b"\xff\xfex\n")


def test_a_traceback_of_awss_client_is_on_several_lines():
    """It joins them by carriage returns; a progress bar's are left alone."""
    lines = OutputLines()

    assert ["[ERROR] E: x\nTraceback\n at\n"] == lines.take(b"[ERROR] E: x\rTraceback\r at\n")
    assert ["10%\r20%\n"] == lines.take(b"10%\r20%\n")


def test_a_line_without_end_is_cut():
    """Where CloudWatch cuts it; memory is bounded."""
    lines = OutputLines()
    got = lines.take(b"x" * 600_000)

    assert [262_145, 262_145] == [len(line) for line in got]
    assert [600_000 - 2 * 262_144 + 1] == [len(line) for line in lines.end()]


@given(st.lists(st.binary(max_size=20)))
def test_nothing_is_lost_or_added_by_cutting(pieces):
    """But for the last newline."""
    lines = OutputLines()
    got = "".join([line for piece in pieces for line in lines.take(piece)] + lines.end())
    whole = b"".join(pieces)
    if whole and not whole.endswith(b"\n"):
        whole += b"\n"

    assert [line.replace("\r", "\n") for line in got.split("\n")] == [
        line.decode("utf-8", "replace").replace("\r", "\n") for line in whole.split(b"\n")
    ]


def test_the_python_client_is_that_of_the_handlers_interpreter(tmp_path):
    """Its version and its folder are in the variables; where the engine's own library lies is not."""
    python = PythonInterpreter("/venv/bin/python", (3, 9, 1), "/venv")
    of = function(tmp_path)
    command = command_of(of, python)
    found = variables(of, command, host={"PATH": "/bin", "PYTHONHOME": "/ours"}, interpreter=python)

    assert ("/venv/bin/python", "-m", "awslambdaric") == command[:3]
    assert ("AWS_Lambda_python3.9", "/venv/bin:/bin") == (found["AWS_EXECUTION_ENV"], found["PATH"])
    assert "PYTHONHOME" not in found
