"""Which kind of file a configuration is: engine.toml, or a SAM / CloudFormation template."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

from engine.config.configuration import Config
from engine.config.text_file import read_text
from engine.errors import ConfigError

_TEMPLATES: Final = (".yaml", ".yml", ".json", ".template")
_TEMPLATE_MARKS: Final = ("AWSTemplateFormatVersion", "Resources:", '"Resources"')


def load_config(
    path: str | os.PathLike[str],
    overrides: Mapping[str, Any] | None = None,
    parameters: Mapping[str, str] | None = None,
) -> Config:
    """The `Config` in `path`: TOML or a template by its extension, by its content if that says nothing.

    Args:
        path: The file; a `samconfig.toml` stands for the template that it names.
        overrides: Keys of `[engine]` and of every function, as given on a command line; None is "not given".
        parameters: Values for the parameters of a template.

    Raises:
        ConfigError: With every problem, a line each.
    """
    from engine.config.templates import samconfig

    if os.path.basename(os.fspath(path)) == samconfig.NAME:
        path = samconfig.read(os.fspath(path)).template
    extension = os.path.splitext(os.fspath(path))[1].lower()
    is_template = extension in _TEMPLATES
    if extension != ".toml" and not is_template:
        is_template = any(mark in read_text(path) for mark in _TEMPLATE_MARKS)
    if is_template:
        from engine.config.templates import sam

        return sam.load(path, overrides, parameters)
    if parameters:
        raise ConfigError((f"{os.fspath(path)}: parameters are given, but it is not a template",))
    from engine.config import toml_file

    return toml_file.load(path, overrides)
