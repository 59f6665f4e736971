"""engine.toml: read and parse; what it says is checked in `configuration`."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from engine.config.configuration import Config, DocumentOrigin, build
from engine.config.overrides import applied
from engine.config.text_file import read_text
from engine.errors import ConfigError

_POSITION = re.compile(r" \(at line (\d+), column (\d+)\)$")
_END = re.compile(r" \(at end of document\)$")


def load(path: str | os.PathLike[str], overrides: Mapping[str, Any] | None = None) -> Config:
    """The `Config` of an engine.toml. `overrides` are keys of `[engine]` and of every function.

    Raises:
        ConfigError: Not readable, not TOML (`FILE:LINE:COLUMN: ...`), or not a valid configuration.
    """
    text = read_text(path)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError((_syntax_problem(os.fspath(path), text, str(error)),)) from error
    except RecursionError as error:
        raise ConfigError((f"{os.fspath(path)}: nested too deeply",)) from error
    except ValueError as error:  # an integer of thousands of digits
        raise ConfigError((f"{os.fspath(path)}: {error}",)) from error
    folder = os.path.dirname(os.path.abspath(path))
    return build(applied(document, overrides or {}), DocumentOrigin(folder=folder))


def _syntax_problem(path: str, text: str, message: str) -> str:
    found = _POSITION.search(message)
    if found:
        line, column = int(found[1]), int(found[2])
        message = message[: found.start()]
    else:
        lines = text.split("\n")
        line, column = len(lines), len(lines[-1]) + 1
        message = _END.sub("", message)
    return f"{path}:{line}:{column}: {message[:1].lower()}{message[1:]}"
