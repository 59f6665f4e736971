"""What a target gets of an event: all of it, a constant, a part, or what a template makes of it.

Source: EventBridge User Guide, "Amazon EventBridge input transformation"; recorded deliveries. The guide says
that a path which finds nothing is left out: recorded is an empty text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from engine.core.json_document import NotJson
from engine.errors import EngineError
from engine.services.eventbridge.bus_event import BusEvent, json_text, parsed
from engine.services.eventbridge.event_paths import MISSING, EventPath
from engine.services.schedules.expression import timestamp

_PLACEHOLDER: Final = re.compile(r"<([A-Za-z0-9_.\-]+)>")

Values = Callable[[str], Any]
"""The value of a placeholder by its name."""


class RuleNames(NamedTuple):
    """The rule that took an event, as templates may name it."""

    name: str
    arn: str


class InputRefused(EngineError):
    """A template makes no JSON of this event: nothing is delivered."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


TargetInput = Callable[[BusEvent, RuleNames], bytes]
"""Makes what a target gets. Raises InputRefused."""


def compile_input(target: Mapping[str, Any], *, of_function: bool = False) -> TargetInput:
    """From `Input`, `InputPath` or `InputTransformer` of a target, of which there is one at most.

    A target that is a function gets one JSON value: Lambda takes no other payload. Others may get several
    quoted lines.

    Raises:
        ValueError: One of them cannot be used. Its text is AWS's for a placeholder without a path, and not on
            record for the others.
    """
    target_id = target["Id"]
    if target.get("Input"):
        return _constant(target["Input"], target_id)
    if target.get("InputPath"):
        return _part_of(_path(target["InputPath"], f"InputPath for target {target_id}"))
    if target.get("InputTransformer"):
        return InputTemplate(target["InputTransformer"], target_id, of_function=of_function).render
    return lambda event, _rule: event.body


def unknown_placeholders(template: str, paths: Mapping[str, str]) -> list[str]:
    """The names in a template that are neither reserved nor have a path."""
    names = [found[1] for found in _PLACEHOLDER.finditer(template)]
    return [name for name in names if name not in paths and name not in _RESERVED]


def _constant(text: str, target_id: str) -> TargetInput:
    try:
        parsed(text)
    except NotJson:
        raise ValueError(f"JSON syntax error in input for target {target_id}.") from None
    constant = text.encode("utf-8", "replace")
    return lambda _event, _rule: constant


def _path(text: str, what: str) -> EventPath:
    try:
        return EventPath(text)
    except ValueError as error:
        raise ValueError(f"{what} is not valid: {error}.") from None


def _part_of(path: EventPath) -> TargetInput:
    def render(event: BusEvent, _rule: RuleNames) -> bytes:
        found = path.find(event.document)
        return json_text(None if found is MISSING else found)  # null for nothing: not on record

    return render


class InputTemplate:
    """An `InputTransformer`."""

    def __init__(self, transformer: Mapping[str, Any], target_id: str, *, of_function: bool = False) -> None:
        """Read it. Raises ValueError, see `compile_input`."""
        self._is_of_function = of_function
        self._template: str = transformer["InputTemplate"]
        paths: Mapping[str, str] = transformer.get("InputPathsMap") or {}
        what = f"InputPathsMap for target {target_id}"
        self._paths = {name: _path(text, what) for name, text in paths.items()}
        self._is_text = self._template.lstrip().startswith('"')
        for name in unknown_placeholders(self._template, paths):
            where = f"InputTemplate for target {target_id}"
            raise ValueError(f"{where} contains invalid placeholder {name}.")

    def render(self, event: BusEvent, rule: RuleNames) -> bytes:
        """What the target gets. Raises InputRefused if that is no JSON."""

        def value_of(name: str) -> Any:
            reserved = _RESERVED.get(name)
            value = reserved(event, rule) if reserved else self._paths[name].find(event.document)
            return "" if value is MISSING else value

        try:
            if self._is_text:
                return self._as_text(value_of)
            return json_text(parsed("".join(self._filled(value_of))))
        except NotJson as error:
            raise InputRefused(f"the input template gives no JSON: {error}") from None

    def _as_text(self, value_of: Values) -> bytes:
        """Of a template of quoted lines: values without quotes of their own, each line a JSON string."""
        text = _PLACEHOLDER.sub(lambda found: _without_quotes(value_of(found[1])), self._template).strip()
        for one in [text] if self._is_of_function else text.split("\n"):
            if one.strip():
                parsed(one)
        return text.encode("utf-8", "replace")

    def _filled(self, value_of: Values) -> Iterator[str]:
        """Of any other template: JSON values; within quotes a text without those it has itself."""
        at, is_quoted = 0, False
        for found in _PLACEHOLDER.finditer(self._template):
            literal = self._template[at : found.start()]
            is_quoted = _is_quoted_after(literal, is_quoted=is_quoted)
            yield literal
            value = value_of(found[1])
            text = json_text(value).decode()
            yield text[1:-1] if is_quoted and isinstance(value, str) else text
            at = found.end()
        yield self._template[at:]


def _is_quoted_after(literal: str, *, is_quoted: bool) -> bool:
    """Whether what follows a piece of JSON is within quotes."""
    is_escaped = False
    for character in literal:
        if is_escaped:
            is_escaped = False
        elif character == "\\":
            is_escaped = is_quoted
        elif character == '"':
            is_quoted = not is_quoted
    return is_quoted


def _without_quotes(value: Any) -> str:
    text = json_text(value).decode()
    return text[1:-1] if isinstance(value, str) else text.replace('"', "")


def _without_detail(event: BusEvent) -> dict[str, Any]:
    renamed = {"detailType" if name == "detail-type" else name: one for name, one in event.document.items()}
    renamed.pop("detail", None)
    return renamed


_RESERVED: Final[Mapping[str, Callable[[BusEvent, RuleNames], Any]]] = {
    "aws.events.rule-arn": lambda _event, rule: rule.arn,
    "aws.events.rule-name": lambda _event, rule: rule.name,
    "aws.events.event.ingestion-time": lambda event, _rule: timestamp(event.received_s),
    "aws.events.event.json": lambda event, _rule: event.document,
    "aws.events.event": lambda event, _rule: _without_detail(event),
}
