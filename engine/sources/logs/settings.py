"""What a user says about one subscription: `[[functions.NAME.events]]` with `type = "logs"`."""

from __future__ import annotations

from typing import Annotated, Literal

from engine.core.table import SettingsTable
from engine.core.table_rules import Check, Length, Pattern
from engine.services.logs.filter_patterns import BadPattern, compiled


def _pattern(value: str) -> str:
    try:
        compiled(value)
    except BadPattern as error:
        raise ValueError(f"{value!r}: {error}") from None
    return value


class LogsEvent(SettingsTable):
    """One subscription filter.

    Attributes:
        function: Name of the function whose logs are delivered.
        group: Name of a log group instead; it is made if it is not there.
        pattern: Which of its events are delivered; empty: all.
        name: Of the filter; absent means the function's name and a number.
    """

    type: Literal["logs"] = "logs"
    function: Annotated[str, Length(1, 170)] | None = None
    group: Annotated[str, Length(1, 512), Pattern(r"^[.\-_/#A-Za-z0-9]+$")] | None = None
    pattern: Annotated[str, Length(most=1024), Check(_pattern)] = ""
    name: Annotated[str, Length(1, 512), Pattern(r"^[^:*]*$")] | None = None

    def check_keys_together(self) -> None:
        """A group is named in one of two ways."""
        if (self.function is None) == (self.group is None):
            raise ValueError("needs either function or group: whose logs are delivered")
