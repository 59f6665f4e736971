"""Fields of samples: what can be set, how it is written, and what differs from event to event."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from engine.core.spelling import did_you_mean
from engine.sources.samples.common import MOST_RECORDS, SampleIds
from engine.sources.samples.limits import Check

Kind = Literal["text", "route", "json", "object", "whole", "flag", "time"]

_PLACEHOLDER: Final = re.compile(r"\{(n|i|uuid)\}")
_OPENING: Final = {"{": "}", "[": "]"}
_MAX_FILE_BYTES: Final = 64 * 1024 * 1024
_MAX_SHOWN: Final = 200
_YEAR_10000_S: Final = 253_402_300_800


class SampleField(NamedTuple):
    """One field.

    Attributes:
        name: As it is written.
        default: Its value if it is not set, a JSON value; None: it is left out, or what `about` says.
        about: What it is, for people.
        kind: `text`; `route`: a text with variables of its own; `json`: any JSON value, and a
            text that is none stands for itself; `object`: a JSON object; `whole`: a number from 1 to 10,000;
            `flag`: true or false; `time`: ISO 8601, or seconds since the Unix epoch.
        choices: The values it may have; empty: any of its kind.
        check: What is told of a value that it cannot have; None: it can have any.
    """

    name: str
    default: Any
    about: str
    kind: Kind = "text"
    choices: tuple[str, ...] = ()
    check: Check | None = None


class FieldValues:
    """The values of all fields of a source, for one event after another.

    In a value that was set, `{n}` is the number of the event, `{i}` that of the record in it, both from 0,
    and `{uuid}` a UUID of the record's own. They are put into the text before it is read: `{"n": {n}}`
    holds a number, `{"n": "{n}"}` a text.
    """

    def __init__(self, fields: tuple[SampleField, ...], given: Mapping[str, Any]) -> None:
        """`given`: by name, texts as they are written, other JSON values as they are.

        Raises:
            ValueError: There is no such field, or it cannot have that value.
        """
        self._fields = {one.name: one for one in fields}
        self._fixed = {one.name: one.default for one in fields}
        self._varied: dict[str, str] = {}
        for name, value in given.items():
            field = self._fields.get(name)
            if field is None:
                hint = did_you_mean(name, self._fields) or f"; it has {', '.join(self._fields)}"
                raise ValueError(f"no field {name!r}{hint}")
            text = value if isinstance(value, str) else json.dumps(value)
            if field.kind != "route" and _PLACEHOLDER.search(text):
                self._varied[name] = text
                text = _PLACEHOLDER.sub("1", text)
            self._fixed[name] = _read(field, text)

    def of(self, number: int, record: int, ids: SampleIds) -> dict[str, Any]:
        """The values for a record of event `number`, by its place from 0."""
        values = self._fixed.copy()
        for name, text in self._varied.items():
            put = {"n": str(number), "i": str(record), "uuid": ids("field", number, record)}
            values[name] = _read(self._fields[name], _PLACEHOLDER.sub(lambda found: put[found[1]], text))  # noqa: B023  # called at once
        return values


class EventValues(NamedTuple):
    """The values of all fields for one event: called with the place of a record in it, from 0.

    Attributes:
        fields: Their values for every event.
        number: Of the event, from 0.
        ids: Of the event.
    """

    fields: FieldValues
    number: int
    ids: SampleIds

    def __call__(self, record: int) -> dict[str, Any]:
        """The values for that record."""
        return self.fields.of(self.number, record, self.ids)


def _read(field: SampleField, text: str) -> Any:
    """The value of a field.

    Raises:
        ValueError: It cannot have that one.
    """
    value: Any = text
    if field.kind in ("json", "object") or text[:1] == '"':
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            if field.kind == "object" or text[:1] in ('"', "{", "["):
                raise ValueError(f"{field.name}: {text[:_MAX_SHOWN]} is not JSON: {error}") from None
    if field.kind == "object" and not isinstance(value, dict):
        raise ValueError(f"{field.name}: {text[:_MAX_SHOWN]} is no JSON object")
    if field.kind == "whole":
        if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:6]) <= MOST_RECORDS:
            raise ValueError(f"{field.name}: {text} is no whole number from 1 to {MOST_RECORDS:,}")
        value = int(text)
    if field.kind == "flag":
        if text not in ("true", "false"):
            raise ValueError(f"{field.name}: must be true or false, not {text}")
        value = text == "true"
    if field.kind == "time":
        value = _moment_s(field.name, text)
    if field.choices and value not in field.choices:
        hint = did_you_mean(str(value), field.choices) or f"; it can be {', '.join(field.choices)}"
        raise ValueError(f"{field.name}: no {value!r}{hint}")
    problem = None if field.check is None else field.check(value)
    if problem is not None:
        shown = value if isinstance(value, str) else json.dumps(value)
        raise ValueError(f"{field.name}: {shown[:_MAX_SHOWN]!r} {problem}")
    return value


def _moment_s(name: str, text: str) -> float:
    """Seconds since the Unix epoch; a time without an offset is UTC."""
    try:
        seconds = float(text)
    except ValueError:
        pass
    else:
        if not 0 <= seconds < _YEAR_10000_S:
            raise ValueError(f"{name}: {text} is no time: write seconds since 1970, not milliseconds")
        return seconds
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{name}: {text} is no time: write 2026-01-02T03:04:05Z or seconds") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def fields_in(text: str) -> dict[str, str]:
    """`body={"n": 1},queue=orders` by names.

    A value that begins with a brace, bracket or quote ends where that is closed, any other at the next
    comma. `@FILE` is the text of a file.

    Raises:
        ValueError: With what is wrong.
    """
    found: dict[str, str] = {}
    rest = text
    while rest:
        name, equals, after = rest.partition("=")
        if not equals or not name.strip().isidentifier():
            raise ValueError(f"{rest!r} does not begin with FIELD=")
        end = _end(after)
        found[name.strip()] = value_of(name.strip(), after[:end])
        rest = after[end + 1 :]
    return found


def value_of(name: str, text: str) -> str:
    """A value of the field `name` as it is written: the text of FILE for `@FILE`.

    Raises:
        ValueError: The file cannot be read, or has more than 64 MiB.
    """
    if not text.startswith("@"):
        return text
    try:
        with Path(text[1:]).open("rb") as file:
            content = file.read(_MAX_FILE_BYTES + 1)
        if len(content) > _MAX_FILE_BYTES:
            raise ValueError("more than 64 MiB are in it")
        return content.decode().replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise ValueError(f"{name}: {text[1:]}: not a text in UTF-8") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"{name}: {text[1:]}: {getattr(error, 'strerror', None) or error}") from None


def _end(text: str) -> int:
    """Where the value at the beginning of `text` ends."""
    comma = text.find(",")
    plain = len(text) if comma < 0 else comma
    if text[:1] not in ("{", "[", '"') or _PLACEHOLDER.match(text):
        return plain
    closing: list[str] = []
    quoted = escaped = False
    for at, character in enumerate(text):
        if escaped:
            escaped = False
        elif quoted:
            escaped, quoted = character == "\\", character != '"'
        elif character == '"':
            quoted = True
        elif character in _OPENING:
            closing.append(_OPENING[character])
        elif closing and character == closing[-1]:
            closing.pop()
        if not quoted and not closing and at:
            if text[at + 1 : at + 2] not in ("", ","):
                raise ValueError(f"{text[: at + 1]} is followed by {text[at + 1 :]!r}, not by a comma")
            return at + 1
    raise ValueError(f"{text} is not JSON: it is not closed")
