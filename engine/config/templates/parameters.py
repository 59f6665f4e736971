"""Parameters of a template: their values, as given beside it, by default, or made of their own names.

Sources: CloudFormation User Guide, "Parameters section structure"; SAM CLI reference, "sam local invoke"
(`--parameter-overrides`) and "AWS SAM CLI configuration file".
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Final

from engine.config.problems import Place, Problem, show
from engine.config.templates.names import valid_name
from engine.core.spelling import did_you_mean

_PAIR = re.compile(r"ParameterKey=(?P<key>[^,\s]+),ParameterValue=(?P<value>.*)", re.DOTALL)
_SSM: Final = "AWS::SSM::"


class Unvalued(Exception):
    """A parameter for which nothing can be made up: a number; the argument is its name."""


class Parameters:
    """The section `Parameters`. `notes` has a line for each value that had to be made up."""

    def __init__(self, section: Any, given: Mapping[str, Any], prefix: Place = ()) -> None:
        self._section: Mapping[str, Any] = section if isinstance(section, Mapping) else {}
        self._given = given
        self._prefix = prefix
        self.notes: dict[Place, str] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._section

    def problems(self) -> list[Problem]:
        """Values that were given and cannot be: unknown names, and what a parameter's own bounds forbid."""
        found = []
        for name, value in self._given.items():
            place = (*self._prefix, "Parameters", name)
            declared = self._section.get(name)
            if name not in self._section:
                hint = did_you_mean(name, map(str, self._section))
                found.append(Problem(place, f"a value is given, but there is no such parameter{hint}"))
            elif isinstance(declared, Mapping) and (wrong := _wrong(declared, value)) is not None:
                found.append(Problem(place, wrong))
        return found

    def value(self, name: str) -> Any:
        """A list for the types that are lists, else text. Raises Unvalued for a number that nobody gave."""
        declared = self._section[name]
        declared = declared if isinstance(declared, Mapping) else {}
        kind = str(declared.get("Type", "String"))
        if name in self._given:
            value = self._given[name]
        elif "Default" in declared and not kind.startswith(_SSM):
            value = declared["Default"]
        else:
            value = self._made_up(name, declared, kind)
        if (kind == "CommaDelimitedList" or "List<" in kind) and not isinstance(value, list):
            return [item.strip() for item in _text(value).split(",")]
        return value if isinstance(value, list) else _text(value)

    def _made_up(self, name: str, declared: Mapping[str, Any], kind: str) -> Any:
        allowed = declared.get("AllowedValues")
        if isinstance(allowed, list) and allowed and not kind.startswith(_SSM):
            value = allowed[0]
        elif kind == "Number" and "MinValue" not in declared:
            raise Unvalued(name)
        else:
            value = declared["MinValue"] if kind == "Number" else valid_name(name)
        why = "its value is in SSM" if kind.startswith(_SSM) else "it has no Default and was given no value"
        self.notes[(*self._prefix, "Parameters", name)] = f"{why}; {_text(value)!r} stands for it"
        return value


def parsed(texts: Sequence[str]) -> dict[str, str]:
    """`--parameter-overrides`: words as in sh, `KEY=VALUE` or `ParameterKey=KEY,ParameterValue=VALUE` each.

    Raises:
        ValueError: What is neither; its text is the rest of a sentence.
    """
    values: dict[str, str] = {}
    for text in texts:
        for word in shlex.split(text):
            pair = _PAIR.fullmatch(word)
            key, equals, value = (pair["key"], "=", pair["value"]) if pair else word.partition("=")
            if not equals or not key:
                raise ValueError(f"{word!r} is neither KEY=VALUE nor ParameterKey=KEY,ParameterValue=VALUE")
            values[key] = value.strip('"') if pair else value
    return values


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def _wrong(declared: Mapping[str, Any], value: Any) -> str | None:
    text = _text(value)
    allowed = declared.get("AllowedValues")
    if isinstance(allowed, list) and text not in map(_text, allowed):
        hint = did_you_mean(text, map(_text, allowed))
        return f"{show(text)} is not one of its AllowedValues{hint}"
    pattern = declared.get("AllowedPattern")
    try:
        if isinstance(pattern, str) and not re.fullmatch(pattern, text):
            return f"{show(text)} does not match its AllowedPattern {pattern}"
    except re.error:
        return None  # a pattern that only Java understands
    if declared.get("Type") == "Number":
        try:
            float(text)
        except ValueError:
            return f"{show(text)} is not a number"
    return None
