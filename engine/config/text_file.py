"""Reads a configuration file; whatever goes wrong is one line."""

from __future__ import annotations

import os
from typing import Final

from engine.core.spelling import did_you_mean
from engine.errors import ConfigError

_MAX_BYTES: Final = 8 * 1024 * 1024  # CloudFormation takes 1 MB; a device file never ends


def read_text(path: str | os.PathLike[str]) -> str:
    """The UTF-8 text of `path`, byte order mark removed.

    Raises:
        ConfigError: It cannot be read, is larger than 8 MiB, or is not UTF-8.
    """
    name = os.fspath(path)
    try:
        with open(name, "rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except FileNotFoundError as error:
        folder, base = os.path.split(name)
        raise ConfigError((f"{name}: no such file{did_you_mean(base, _names_in(folder))}",)) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError((f"{name}: cannot be read: {reason}",)) from error
    if len(data) > _MAX_BYTES:
        raise ConfigError((f"{name}: larger than {_MAX_BYTES} bytes",))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError((f"{name}:{line}: not UTF-8 text",)) from error


def _names_in(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder or "."))
    except OSError:
        return []
