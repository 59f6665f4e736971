"""What tests of the pages share: a folder as a reader has it, and the README's server."""

import os
import shutil

import pytest

from tests.docs.pages import ROOT, serving, write_files


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """`workspace(page)`: a working directory with the example handlers and the files that `page` shows."""

    def make(page):
        shutil.copytree(ROOT / "handlers", tmp_path / "handlers")
        write_files(page, tmp_path)
        monkeypatch.chdir(tmp_path)
        monkeypatch.syspath_prepend(tmp_path)
        return tmp_path

    return make


GIVEN = ("PYTHON", "VENV", "LOCK", "PYTEST_ARGS")
"""What `make test PYTHON=...` hands on to what it runs."""


@pytest.fixture(scope="session")
def environment():
    """Variables for a child process: no proxy, no AWS account of whoever runs the tests, no `make` around."""
    return {
        name: value
        for name, value in os.environ.items()
        if "proxy" not in name.lower()
        and not name.startswith(("AWS_", "MAKE", "MFLAGS"))
        and name not in GIVEN
    }


@pytest.fixture(scope="session")
def server(environment, tmp_path_factory):
    """`engine serve` with the README's command and files, on free ports; gives its addresses."""
    page = ROOT / "README.md"
    folder = tmp_path_factory.mktemp("served")
    write_files(page, folder)
    with serving(page, folder, environment) as addresses:
        yield addresses
