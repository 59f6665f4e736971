"""Updates of operations as the SDK sends them, and what the service refuses about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from engine.core.durable.values import ErrorObject, OperationAction, OperationType


class OperationUpdate(NamedTuple):
    """One OperationUpdate of a checkpoint.

    Attributes:
        type, action: Members of the enums; the plain text where it is not one of them.
        options: The one options member that belongs to `type`, as it was sent, or None.
    """

    id: str
    type: OperationType | str
    action: OperationAction | str
    parent_id: str | None = None
    name: str | None = None
    sub_type: str | None = None
    payload: str | None = None
    error: ErrorObject | None = None
    options: Mapping[str, Any] | None = None


def read_update(document: Mapping[str, Any]) -> OperationUpdate:
    """The update that a document of the API says."""
    raise NotImplementedError


def update_document(update: OperationUpdate) -> dict[str, Any]:
    """The document of the API that says the update; `read_update` of it is the update again."""
    raise NotImplementedError
