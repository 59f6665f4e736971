"""Samples as they are named on a command line and in scenarios: `sqs`, `sqs:body=hello,queue=orders`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from engine.core.spelling import did_you_mean
from engine.sources.samples.catalogue import SOURCES, SampleSource
from engine.sources.samples.common import SampleIds
from engine.sources.samples.fields import EventValues, FieldValues, fields_in

_NAMED: Final = re.compile(r"([a-z][a-z0-9-]*)(?::(.*))?", re.DOTALL)


def source_named(name: str) -> SampleSource:
    """The source of that name.

    Raises:
        ValueError: There is none.
    """
    found = SOURCES.get(name)
    if found is None:
        hint = did_you_mean(name, SOURCES) or f"; there are {', '.join(SOURCES)}"
        raise ValueError(f"no source {name!r}{hint}")
    return found


class EventTemplate:
    """Makes the events of one source, each with ids and a time of its own.

    Attributes:
        source: Its name.
        fields: Those that are set.
    """

    def __init__(self, source: str, fields: Mapping[str, Any]) -> None:
        """`fields`: those that are set, texts as they are written, or other JSON values.

        Raises:
            ValueError: With what is wrong.
        """
        found = source_named(source)
        self.source = source
        self._make = found.make
        self.fields = dict(fields)
        try:
            self._values = FieldValues(found.fields, fields)
            self.event(0, 0.0)
        except ValueError as error:
            raise ValueError(f"{source}: {error}") from None

    @classmethod
    def named(cls, text: str) -> EventTemplate | None:
        """The template of `SOURCE` or `SOURCE:FIELD=VALUE,...`; None if `text` does not begin like that.

        Raises:
            ValueError: It does, and cannot be used.
        """
        found = _NAMED.fullmatch(text)
        if found is None or (found[1] not in SOURCES and (found[2] is None or "=" not in found[2])):
            return None
        try:
            fields = fields_in(found[2] or "")
        except ValueError as error:
            raise ValueError(f"{found[1]}: {error}") from None
        return cls(found[1], fields)

    def event(self, number: int, at_s: float, salt: str = "") -> Any:
        """The event with that number, as a JSON value that may be changed.

        Args:
            number: From 0: its ids are others than those of other numbers, and it is `{n}`.
            at_s: When it happens, seconds since the Unix epoch, unless the field `time` says.
            salt: Makes the ids others than those of another salt.
        """
        own = f"{salt}/{number}" if salt or number else ""
        values = EventValues(self._values, number, SampleIds(own))
        time_s = values(0)["time"]
        return self._make(values, at_s if time_s is None else time_s, own)
