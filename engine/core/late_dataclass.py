"""`dataclass` as the standard library's, for classes with slots: an import of them takes a tenth of the time.

The standard library writes the source of each method and compiles it when the class is made, and most classes
of an engine that starts are not used before it is ready. Here `__init__` is compiled when the first instance
is made, and what compares, hashes and shows is the same code for all. Type checkers see the original, by
`late_dataclass.pyi`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import attrgetter
from reprlib import recursive_repr
from typing import Any, Final, NoReturn

_MADE_LATE: Final = ("__init__", "__match_args__", "__dataclass_fields__", "__dataclass_params__")
_NO_FIELDS: Final = ("ClassVar", "KW_ONLY")
_OF_A_CLASS: Final = frozenset({"__dict__", "__weakref__"})


def dataclass(**options: bool) -> Callable[[type], type]:
    """As `dataclasses.dataclass` with `slots=True` and any of `frozen`, `kw_only`, `eq` and `repr`.

    The class defines none of the methods that it is given, and no base of it is a data class.
    """
    return partial(_made, options)


def _made(options: Mapping[str, bool], written: type) -> type:
    """The class that is `written` so."""
    body = {name: value for name, value in vars(written).items() if name not in _OF_A_CLASS}
    kinds = written.__annotations__
    names = tuple(name for name in kinds if not kinds[name].startswith(_NO_FIELDS))
    made = {name: value for name, value in body.items() if name not in names}
    made |= {"__slots__": names, "__qualname__": written.__qualname__}
    made |= {name: _Late(name, body, options) for name in _MADE_LATE}
    if options.get("repr", True):
        made["__repr__"] = _showing([name for name in names if getattr(body.get(name), "repr", True)])
    if options.get("eq", True):
        compared = [name for name in names if getattr(body.get(name), "compare", True)]
        made |= _comparing(compared, hashes=options.get("frozen", False))
    if options.get("frozen"):
        made |= _FROZEN
    return type(written)(written.__name__, written.__bases__, made)


class _Late:
    """One of `_MADE_LATE`: when it is asked for, the standard library makes all of them."""

    def __init__(self, name: str, body: Mapping[str, Any], options: Mapping[str, bool]) -> None:
        """`body` is that of the class as it was written."""
        self._name = name
        self._body = body
        self._options = {**options, "slots": True, "repr": False, "eq": False}

    def __get__(self, instance: object, kind: type) -> Any:
        for owner in kind.__mro__:
            if vars(owner).get(self._name) is self:  # another thread may have been first
                self._make(owner)
        value = getattr(kind if instance is None else instance, self._name)
        # From Python 3.13 on, `inspect.signature` binds `__init__` to the class itself.
        return value.__get__(instance) if isinstance(instance, type) and self._name == "__init__" else value

    def _make(self, owner: type) -> None:
        body = {**self._body, "__qualname__": owner.__qualname__}
        written: type = type(owner)(owner.__name__, owner.__bases__, body)
        made = vars(dataclasses.dataclass(**self._options)(written))
        for name in _MADE_LATE:
            setattr(owner, name, made[name])


def _showing(names: Sequence[str]) -> Callable[[object], str]:
    """`__repr__` that shows these attributes."""

    @recursive_repr()
    def show(self: object) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__qualname__}({shown})"

    return show


def _comparing(names: Sequence[str], *, hashes: bool) -> dict[str, Any]:
    """`__eq__` and `__hash__` by these attributes; what can be changed has no hash."""
    values = attrgetter(*names) if names else lambda _: ()

    def equals(self: object, other: object) -> bool:
        return values(self) == values(other) if type(other) is type(self) else NotImplemented

    def hashed(self: object) -> int:
        return hash(values(self))

    return {"__eq__": equals, "__hash__": hashed if hashes else None}


def _refuse_to_set(_self: object, name: str, _value: object) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(_self: object, name: str) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> list[Any]:
    return [getattr(self, field.name) for field in dataclasses.fields(self)]


def _restore(self: Any, state: Sequence[Any]) -> None:
    for field, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, field.name, value)


_FROZEN: Final = {
    "__setattr__": _refuse_to_set,
    "__delattr__": _refuse_to_delete,
    "__getstate__": _state,
    "__setstate__": _restore,
}
"""Methods of a class whose instances are not changed; without slots, nothing could be copied by itself."""
