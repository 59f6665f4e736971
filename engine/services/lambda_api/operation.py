"""Types of the control plane's operations: what each takes and returns."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from engine.services.lambda_api.routes import Call

Document = dict[str, Any]


class Answer(NamedTuple):
    """What a write operation returns.

    Attributes:
        document: The answer's document.
        then: Runs after the answer was sent; None for nothing.
    """

    document: Document
    then: Callable[[], Awaitable[None]] | None = None


ReadOperation = Callable[[Call], Document]
"""Changes nothing; returns the answer's document."""

WriteOperation = Callable[[Call, bytes], Awaitable[Answer]]
"""Changes something; takes the body as well."""

ReadOperations = Mapping[str, ReadOperation]
WriteOperations = Mapping[str, WriteOperation]
