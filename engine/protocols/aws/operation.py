"""Operations of a service: functions that are marked with AWS's name for them, and found by it.

The name is the docstring of one that there is nothing more to say of.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import FunctionType, MethodType, ModuleType
from typing import Any, Final, NamedTuple, TypeVar

Document = dict[str, Any]
"""What an operation answers, as the model has it."""

Function = TypeVar("Function", bound=Callable[..., Any])

_MARK: Final = "aws_operation"


class Answer(NamedTuple):
    """What an operation returns that has something to do after its answer.

    Attributes:
        document: The answer's document.
        then: Runs after the answer was sent; None for nothing.
    """

    document: Document
    then: Callable[[], Awaitable[None]] | None = None


class Operation(NamedTuple):
    """One operation that is served.

    Attributes:
        name: AWS's.
        function: Bound to its object, if it is a method.
        writes: Whether it changes something.
        kept: Whether what it sets is kept and shown, and has no other effect.
    """

    name: str
    function: Callable[..., Any]
    writes: bool
    kept: bool


def operation(name: str, *, writes: bool = False, kept: bool = False) -> Callable[[Function], Function]:
    """Mark a function or a method as the operation of that name; see `Operation`."""

    def mark(function: Function) -> Function:
        vars(function)[_MARK] = (name, writes, kept)
        return function

    return mark


def operations_of(parts: Iterable[object]) -> Mapping[str, Operation]:
    """The marked functions of `parts` by name: of modules, and of objects, bound to them.

    Raises:
        ValueError: Two have the same name.
    """
    found: dict[str, Operation] = {}
    for part in parts:
        namespace = vars(part if isinstance(part, ModuleType | type) else type(part))
        for function in namespace.values():
            if not isinstance(function, FunctionType) or _MARK not in vars(function):
                continue
            name, writes, kept = vars(function)[_MARK]
            if name in found:
                raise ValueError(f"two functions are the operation {name}")
            bound = function if isinstance(part, ModuleType | type) else MethodType(function, part)
            found[name] = Operation(name, bound, writes, kept)
    return found
