"""What a key of a `TypedTable` may hold besides its type: `Annotated[int, Bounds(ge=1)]`.

`read` is for values that are plainly right; pydantic asks a rule for its own form, to tell what is wrong.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

Item = TypeVar("Item")


class NotPlain(Exception):  # no error: pydantic is asked
    """A value is not plainly of its type. It may be right all the same."""


class Rule(ABC):
    """What a value keeps to. One that has the type already is given to `read`."""

    __slots__ = ()

    @abstractmethod
    def read(self, value: Any) -> Any:
        """The value, perhaps in another form.

        Raises:
            ValueError, NotPlain: It may break the rule.
        """

    @abstractmethod
    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any: ...


class _SchemaKeys(Rule):
    """A rule that pydantic knows by keys of its schemas."""

    __slots__ = ("terms",)

    def __init__(self, **terms: Any) -> None:
        self.terms = {name: term for name, term in terms.items() if term is not None}

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return {**handler(source), **self.terms}


class Bounds(_SchemaKeys):
    """Of a number."""

    __slots__ = ("_ge", "_gt", "_le", "_lt")

    def __init__(
        self,
        *,
        ge: float | None = None,
        gt: float | None = None,
        le: float | None = None,
        lt: float | None = None,
        finite: bool = False,
    ) -> None:
        super().__init__(ge=ge, gt=gt, le=le, lt=lt, allow_inf_nan=False if finite else None)
        infinite = float("inf")
        self._ge, self._gt = -infinite if ge is None else ge, -infinite if gt is None else gt
        self._le, self._lt = infinite if le is None else le, infinite if lt is None else lt

    def read(self, value: Any) -> Any:
        """Infinite numbers are left to pydantic."""
        if self._ge <= value <= self._le and self._gt < value < self._lt:
            return value
        raise NotPlain


class Length(_SchemaKeys):
    """Of a text or an array."""

    __slots__ = ("_least", "_most")

    def __init__(self, least: int = 0, most: int | None = None) -> None:
        super().__init__(min_length=least or None, max_length=most)
        self._least, self._most = least, most

    def read(self, value: Any) -> Any:
        """Counts characters or items."""
        if self._least <= len(value) and (self._most is None or len(value) <= self._most):
            return value
        raise NotPlain


class Pattern(_SchemaKeys):
    """Of a text, in what the expressions of Python and of pydantic have in common."""

    __slots__ = ("_pattern",)

    def __init__(self, pattern: str) -> None:
        super().__init__(pattern=pattern)
        self._pattern = pattern

    def read(self, value: Any) -> Any:
        """A text that goes on after what the pattern describes is left to pydantic."""
        if re.fullmatch(self._pattern, value):
            return value
        raise NotPlain


class Lenient(_SchemaKeys):
    """Of an array: any iterable will do, also where types are not converted otherwise."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(strict=False)

    def read(self, value: Any) -> Any:
        """Nothing more is asked of it."""
        return value


class Check(Rule):
    """What `function` makes of a value; it raises ValueError, with the end of a sentence, if it is wrong."""

    __slots__ = ("function",)

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function

    def read(self, value: Any) -> Any:
        """As `function` reads it."""
        return self.function(value)

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic import AfterValidator

        return AfterValidator(self.function).__get_pydantic_core_schema__(source, handler)


class Parsed(Check):
    """The same of any value at all: `function` checks its type too."""

    __slots__ = ()

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic import PlainValidator

        return PlainValidator(self.function).__get_pydantic_core_schema__(source, handler)


Array = Annotated[tuple[Item, ...], Lenient()]
"""A tuple, which files write as an array."""
