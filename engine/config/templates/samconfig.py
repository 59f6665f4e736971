"""samconfig.toml: which template `sam` would deploy, and the values it would give to parameters.

Read are `template_file` (or `template`) and `parameter_overrides` of the environment `default`; of several
commands that say something the later of `_COMMANDS` counts.
Source: SAM developer guide, "AWS SAM CLI configuration file".
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.config.templates.parameters import parsed
from engine.config.text_file import read_text
from engine.core.late_dataclass import dataclass
from engine.errors import ConfigError

NAME: Final = "samconfig.toml"
BUILT: Final = os.path.join(".aws-sam", "build")
_COMMANDS: Final = ("global", "build", "deploy", "local_invoke", "local_start_api")
_TEMPLATES: Final = ("template.yaml", "template.yml", "template.json")


@dataclass(frozen=True, slots=True)
class SamConfig:
    """What the file says. `path` is where it lies."""

    path: str
    template: str
    parameters: Mapping[str, str]


def beside(template: str) -> SamConfig | None:
    """The samconfig.toml of the project that `template` belongs to, built or not; None if it has none."""
    folder = os.path.dirname(os.path.abspath(template))
    if folder.endswith(os.sep + BUILT):
        folder = folder.removesuffix(os.sep + BUILT)
    path = os.path.join(folder, NAME)
    return read(path) if os.path.isfile(path) else None


def read(path: str) -> SamConfig:
    """The file at `path`.

    Raises:
        ConfigError: It is not TOML, or its parameters are not of the form KEY=VALUE.
    """
    try:
        document = tomllib.loads(read_text(path))
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise ConfigError((f"{path}: {error}",)) from error
    folder, template = os.path.dirname(os.path.abspath(path)), None
    values: dict[str, str] = {}
    for section in _sections(document):
        template = section.get("template_file", section.get("template", template))
        values |= _overrides(path, section.get("parameter_overrides", ()))
    names = [template] if isinstance(template, str) else _TEMPLATES
    found = [os.path.join(folder, name) for name in names]
    there = next((path for path in found if os.path.isfile(path)), found[0])
    return SamConfig(path, there, values)


def newer_build(template: str) -> str | None:
    """The template that `sam build` made of `template` after it was written last; None if there is none."""
    built = os.path.join(os.path.dirname(os.path.abspath(template)), BUILT, "template.yaml")
    try:
        return built if os.path.getmtime(built) >= os.path.getmtime(template) else None
    except OSError:
        return None


def _sections(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    default = document.get("default")
    for command in _COMMANDS:
        table = default.get(command) if isinstance(default, Mapping) else None
        section = table.get("parameters") if isinstance(table, Mapping) else None
        if isinstance(section, Mapping):
            yield section


def _overrides(path: str, given: Any) -> dict[str, str]:
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise ConfigError((f"{path}: parameter_overrides is neither text nor a list of texts",))
    try:
        return parsed(texts)
    except ValueError as error:
        raise ConfigError((f"{path}: parameter_overrides: {error}",)) from error
