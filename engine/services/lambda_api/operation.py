"""What every operation of the control plane is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from engine.services.lambda_api.routes import Call

Document = dict[str, Any]


class Answer(NamedTuple):
    """A document, and what is to happen once it has been sent, or None."""

    document: Document
    then: Callable[[], Awaitable[None]] | None = None


Look = Callable[[Call], Document]
"""An operation that only looks."""

Change = Callable[[Call, bytes], Awaitable[Answer]]
"""An operation that changes something; it gets the body as well."""

Looks = Mapping[str, Look]
Changes = Mapping[str, Change]
