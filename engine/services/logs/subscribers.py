"""What subscription filters need of the functions that they deliver to."""

from __future__ import annotations

from typing import Any, Protocol


class Subscribers(Protocol):
    """The functions of one engine, by ARN with or without a qualifier."""

    def log_group_of(self, arn: str) -> str | None:
        """The name of the log group that the function logs to; None if there is no such function here."""

    def deliver(self, arn: str, event: dict[str, Any]) -> None:
        """Invoke it asynchronously, and try again if it cannot be at present. Never raises."""
