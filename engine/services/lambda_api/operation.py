"""Operations of the control plane: methods that are marked with AWS's name for them, and found by it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from types import FunctionType, MethodType
from typing import Any, Final, Literal, NamedTuple, TypeVar, overload

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

Read = TypeVar("Read", bound=Callable[[Any, Call], Document])
Write = TypeVar("Write", bound=Callable[[Any, Call, bytes], Awaitable[Answer]])

_MARK: Final = "aws_operation"


class Operations(NamedTuple):
    """Operations by AWS's names for them."""

    reads: dict[str, ReadOperation]
    writes: dict[str, WriteOperation]


@overload
def operation(name: str) -> Callable[[Read], Read]: ...
@overload
def operation(name: str, *, writes: Literal[True]) -> Callable[[Write], Write]: ...
def operation(name: str, *, writes: bool = False) -> Callable[[Any], Any]:
    """Mark a method as the operation of that name; `writes` if it changes something."""

    def mark(method: FunctionType) -> FunctionType:
        vars(method)[_MARK] = (name, writes)
        return method

    return mark


def operations_of(parts: Iterable[object]) -> Operations:
    """The marked methods of `parts`, bound to them."""
    found = Operations({}, {})
    for part in parts:
        for method in vars(type(part)).values():
            if isinstance(method, FunctionType) and _MARK in vars(method):
                name, writes = vars(method)[_MARK]
                (found.writes if writes else found.reads)[name] = MethodType(method, part)
    return found
