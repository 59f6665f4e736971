"""What all tests of commands share."""

import sys

import pytest


@pytest.fixture(autouse=True)
def path_of_its_own(monkeypatch):
    """Commands add the folder that they run in to `sys.path`: the next test has it no more."""
    monkeypatch.setattr(sys, "path", [*sys.path])
