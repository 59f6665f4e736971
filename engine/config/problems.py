"""Problems of a configuration: where, and one sentence each. Turns pydantic's errors into such sentences."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from engine.core.spelling import did_you_mean
from engine.core.table import read_errors
from engine.errors import ConfigError
from engine.ports import SettingsModel

Model = TypeVar("Model", bound=SettingsModel)

Place = tuple[str | int, ...]
"""Keys and positions from the root of the document: `("functions", "orders", "events", 0, "path")`."""

AWS_BOUNDS: Final = frozenset({"memory_mb", "timeout_s", "environment_concurrency", "handler"})
"""Keys of a function whose bounds are AWS's, so that the message can say so."""

_LAST: Final = 1 << 30
_SHOWN_CHARACTERS: Final = 60
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")

_WANTED: Final[Mapping[str, str]] = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "string_type": "a string",
    "string_sub_type": "a string",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": "a table",
    "mapping_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "list_type": "an array",
    "tuple_type": "an array",
    "iterable_type": "an array",
}
"""Pydantic error type to what was wanted, for errors that say: this value is not of that kind."""

_BOUNDS: Final[Mapping[str, tuple[str, str, str]]] = {
    "greater_than_equal": ("is below", "ge", "minimum"),
    "greater_than": ("must be more than", "gt", "minimum"),
    "less_than_equal": ("is above", "le", "maximum"),
    "less_than": ("must be less than", "lt", "maximum"),
}


class Problem(NamedTuple):
    """One thing wrong. `sentence` goes on after the key and a colon."""

    place: Place
    sentence: str


def show(value: Any) -> str:
    """`value` much as TOML writes it, on one line and not too long."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list | tuple):
        return "an array"
    if isinstance(value, int) and value.bit_length() > 128:  # str() of a huge int fails, by design of Python
        return "a number of more than 38 digits"
    text = "null" if value is None else repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 3]}..."


def dotted(place: Place) -> str:
    """`functions.orders.events[0].path`: how TOML would name the place."""
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            key = part if _BARE_KEY.fullmatch(part) else show(part)
            text += f".{key}" if text else key
    return text or "the file"


def validated(
    model: type[Model], table: Mapping[str, Any], place: Place, problems: list[Problem]
) -> Model | None:
    """`table` as a `model`; or None, and what is wrong with it added to `problems`."""
    try:
        return model.model_validate(table)
    except ValueError as error:
        problems += _from_pydantic(error, model, place)
        return None


def _from_pydantic(error: ValueError, model: type[Any], place: Place) -> list[Problem]:
    """One `Problem` for each of pydantic's; `place` is where the validated table stands."""
    found = []
    for detail in read_errors(error):
        parts = tuple(part for part in detail["loc"] if part != "[key]")
        found.append(Problem((*place, *parts), _sentence(detail, model)))
    return found


def _sentence(detail: Mapping[str, Any], model: type[Any]) -> str:
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    key = str(detail["loc"][-1]) if detail["loc"] else ""
    origin = "AWS " if key in AWS_BOUNDS else ""
    if kind == "missing":
        return "is required"
    if kind == "extra_forbidden":
        known = model.model_fields if len(detail["loc"]) == 1 else ()
        return f"unknown key{did_you_mean(key, known)}"
    if kind in _BOUNDS:
        verb, name, bound = _BOUNDS[kind]
        return f"{show(value)} {verb} {context[name]:.12g} ({origin}{bound})"
    if kind in _WANTED:
        return f"{show(value)} is not {_WANTED[kind]}"
    if kind == "value_error":
        return str(context["error"])
    if kind in ("literal_error", "enum"):
        return _not_one_of(value, str(context["expected"]))
    if kind == "string_too_long":
        return f"{len(value)} characters is above {context['max_length']} ({origin}maximum)"
    if kind == "string_too_short":
        return f"{len(value)} characters is below {context['min_length']} ({origin}minimum)"
    if kind == "string_pattern_mismatch":
        return f"{show(value)} does not match {context['pattern']}"
    return f"{show(value)}: {detail['msg'][:1].lower()}{detail['msg'][1:]}"


def _not_one_of(value: Any, expected: str) -> str:
    valid = re.findall(r"'([^']*)'", expected)
    hint = did_you_mean(value, valid) if isinstance(value, str) else ""
    return f"{show(value)} is not {expected}{hint}"


def in_order(problems: Iterable[Problem], document: Any) -> list[Problem]:
    """Sorted by where they stand in `document`; what is missing comes after what is there."""
    return sorted(problems, key=lambda problem: _position(problem.place, document))


def _position(place: Place, document: Any) -> list[int]:
    position = []
    for part in place:
        if isinstance(document, Mapping) and part in document:
            position.append(list(document).index(part))
            document = document[str(part)]
        elif isinstance(document, list | tuple) and isinstance(part, int) and part < len(document):
            position.append(part)
            document = document[part]
        else:
            return [*position, _LAST]
    return position


def refuse(problems: Sequence[Problem], document: Any, spell: Callable[[Place], str] = dotted) -> None:
    """Raise one `ConfigError` if there is any problem: a line for each key, its first problem."""
    first: dict[str, Problem] = {}
    for problem in problems:
        first.setdefault(spell(problem.place), problem)
    if first:
        ordered = in_order(first.values(), document)
        raise ConfigError(tuple(f"{spell(place)}: {sentence}" for place, sentence in ordered))
