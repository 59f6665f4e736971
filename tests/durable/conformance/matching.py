"""What a requirement expects of a history, a result or a log, against what there is.

The rules are those of AWS's own checker: an expected event is compared with the actual one of its number;
events and members that are not expected are ignored, and what is expected must be there.
"""

from __future__ import annotations

import json
import random
import re
import string
from collections.abc import Iterator, Sequence
from typing import Any, Final

_EXPRESSION: Final = re.compile(r"^\$\{/(.+)/\}$")
_NAME_ALONE: Final = re.compile(r"^\$\{(.+)\}$")
_NAME: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_GENERATED: Final = re.compile(r"^\$\{GEN_STR:(\d+)\}$")
_LETTERS: Final = string.ascii_lowercase + string.digits


class Bindings(dict[str, Any]):
    """What the names of one requirement stand for: made up at first, or bound by the first value met."""

    @classmethod
    def of(cls, variables: dict[str, Any] | None, seed: str) -> Bindings:
        """With the texts that the requirement has generated: the same for the same seed."""
        letters = random.Random(seed)
        bound = cls()
        for name, value in (variables or {}).items():
            generated = _GENERATED.match(str(value))
            length = int(generated[1]) if generated else 0
            bound[name] = "".join(letters.choices(_LETTERS, k=length)) if generated else str(value)
        return bound

    def substituted(self, value: Any) -> Any:
        """The value with `${NAME}` replaced in all its texts, where the name is bound."""
        if isinstance(value, str):
            return _NAME.sub(lambda found: str(self.get(found[1], found[0])), value)
        if isinstance(value, dict):
            return {key: self.substituted(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.substituted(inner) for inner in value]
        return value


def event_problems(
    expected: Sequence[dict[str, Any]], actual: Sequence[dict[str, Any]], bindings: Bindings
) -> list[str]:
    """How the events differ. Names that are met for the first time are bound."""
    by_number = {event["EventId"]: event for event in actual}
    problems: list[str] = []
    for event in expected:
        number = event["EventId"]
        if number in by_number:
            problems += _differences(event, by_number[number], bindings, f"event {number}")
        else:
            problems.append(f"event {number}: {event['EventType']} is missing")
    return problems


def _differences(expected: Any, actual: Any, bindings: Bindings, where: str) -> Iterator[str]:
    if expected in ({}, "*"):
        return
    if isinstance(expected, str) and (expression := _EXPRESSION.match(expected)):
        if not re.search(expression[1], str(actual)):
            yield f"{where}: {actual!r} does not match {expression[1]}"
    elif isinstance(expected, str) and (name := _NAME_ALONE.match(expected)):
        if bindings.setdefault(name[1], actual) != actual:
            yield f"{where}: {bindings[name[1]]!r} before, now {actual!r}"
    elif isinstance(expected, dict) and isinstance(actual, dict):
        for key, inner in expected.items():
            if key in actual:
                yield from _differences(inner, actual[key], bindings, f"{where}.{key}")
            else:
                yield f"{where}.{key} is missing"
    elif isinstance(expected, list) and isinstance(actual, list):
        if len(expected) != len(actual):
            yield f"{where}: {len(expected)} expected, {len(actual)} there"
            return
        for index, (inner, there) in enumerate(zip(expected, actual, strict=True)):
            yield from _differences(inner, there, bindings, f"{where}[{index}]")
    elif bindings.substituted(expected) != actual:
        yield f"{where}: {bindings.substituted(expected)!r} expected, {actual!r} there"


def result_problems(expected: dict[str, Any], execution: dict[str, Any], bindings: Bindings) -> list[str]:
    """How the state that GetDurableExecution tells differs. Only a success has a result to compare."""
    status = execution["Status"]
    if expected.get("ExecutionStatus", status) != status:
        return [f"status: {expected['ExecutionStatus']} expected, {status} there: {execution.get('Error')}"]
    if status != "SUCCEEDED" or "Result" not in expected:
        return []
    text = execution.get("Result")
    try:
        result = None if text is None else json.loads(text)
    except ValueError:
        result = text
    wanted = bindings.substituted(expected["Result"])
    return [] if wanted == result else [f"result: {wanted!r} expected, {result!r} there"]


def callback_is_for(name: str, event: dict[str, Any], bindings: Bindings) -> bool:
    """Whether an action for callbacks of that name is for the one that this event started."""
    wanted, there = str(bindings.substituted(name)), event.get("Name", "")
    expression = _EXPRESSION.match(wanted)
    return wanted in ("*", there) or bool(expression and re.search(expression[1], there))


def log_problems(
    expected: Sequence[dict[str, Any]], lines: Sequence[dict[str, Any]], bindings: Bindings
) -> list[str]:
    """What is missing or too much among the log's lines (`FilterLogEvents`), or in the wrong order."""
    ordered = sorted(lines, key=_moment)
    moments = [_moment(line) for line in ordered]
    records = [_record(line["message"]) for line in ordered]

    def found(members: dict[str, Any]) -> list[tuple[Any, ...]]:
        return [moment for moment, record in zip(moments, records, strict=True) if _has_all(record, members)]

    problems = []
    for entry in bindings.substituted(list(expected)):
        own = found(entry["match"])
        least, most = entry.get("min_count", 0), entry.get("max_count", len(lines))
        if not {"min_count", "max_count"} & entry.keys():
            least = 1
        if "count" in entry:
            least = most = entry["count"]
        if not least <= len(own) <= most:
            problems.append(f"log: {len(own)} records with {entry['match']}, {least} to {most} expected")
        for direction in ("after", "before"):
            anchors = entry.get(direction) or []
            for anchor in anchors if isinstance(anchors, list) else [anchors]:
                others = found(anchor)
                if not others:
                    problems.append(f"log: no record with {anchor}")
                elif own and (own[0] < others[-1] if direction == "after" else own[-1] > others[0]):
                    problems.append(f"log: {entry['match']} is not {direction} {anchor}")
    return problems


def _moment(line: dict[str, Any]) -> tuple[Any, ...]:
    return (line["timestamp"], line.get("ingestionTime", 0))


def _record(line: str) -> dict[str, Any]:
    """The members of a line of JSON; any other line is a message."""
    try:
        record = json.loads(line)
    except ValueError:
        record = None
    return record if isinstance(record, dict) else {"message": line.strip()}


def _has_all(record: dict[str, Any], members: dict[str, Any]) -> bool:
    return all(name in record and _is(wanted, record[name]) for name, wanted in members.items())


def _is(wanted: Any, there: Any) -> bool:
    if isinstance(wanted, str):
        text = str(there).strip()
        if len(wanted) >= 2 and wanted[0] == wanted[-1] == "/":
            return re.search(wanted[1:-1], text) is not None
        return wanted.strip() == text
    if isinstance(wanted, bool) or isinstance(there, bool):
        return wanted is there
    if isinstance(wanted, int | float) and isinstance(there, int | float):
        return wanted == there
    return str(wanted) == str(there)
