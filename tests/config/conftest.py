"""A folder with handlers, and a source of the user's own."""

import pytest

SOURCE = """
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class FeedSource:
    class Settings(BaseModel):
        model_config = ConfigDict(frozen=True, extra="forbid")
        every_s: float = Field(gt=0)
        mode: Literal["fast", "slow"] = "fast"


class NoSettings:
    pass
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A working directory with `handlers/hello.py`, `handlers/orders.py` and `feeds.py`."""
    (tmp_path / "handlers").mkdir()
    for name in ("hello", "orders"):
        (tmp_path / "handlers" / f"{name}.py").write_text("raise RuntimeError('never imported here')\n")
    (tmp_path / "feeds_of_user.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write(project):
    """Write a file of the project and return its path."""

    def _write(name: str, text: str) -> str:
        path = project / name
        path.write_text(text)
        return str(path)

    return _write
