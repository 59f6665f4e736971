"""Tables with typed keys, which configurations and the state file are read into.

Nearly all of them are right. One whose values plainly have the types of their keys, and keep to their rules,
is read here, in a few microseconds. Any other is handed to pydantic, which is imported for that alone, since
it takes as long as a quarter of the engine: it reads the rare right one, and tells all that is wrong with the
others. What is read here, pydantic reads alike: a test holds that for every table of the engine.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from types import NoneType, SimpleNamespace, UnionType
from typing import (
    Annotated,
    Any,
    ClassVar,
    Final,
    Literal,
    Self,
    TypeVar,
    Union,
    cast,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

from engine.core.table_rules import NotPlain, Parsed

T = TypeVar("T")
_Reader = Callable[[Any], Any]
"""Returns a value that is plainly of a type, in the form that pydantic gives it.

Raises NotPlain, ValueError or OverflowError: pydantic has to say what to do with it.
"""
_SCALARS: Final = frozenset({str, int, float, bool, NoneType})


class Key:
    """A key of a table. Its doors have the names that they have on a field of pydantic's models."""

    __slots__ = ("_default",)
    alias = None

    def __init__(self, *default: Any) -> None:
        """No `default`: the key is required."""
        self._default = default

    def is_required(self) -> bool:
        """Whether a table without it is wrong."""
        return not self._default

    def get_default(self, *, call_default_factory: bool = True) -> Any:
        """What a table without it has. A `fresh` value is made each time."""
        (default,) = self._default
        return default.factory() if call_default_factory and isinstance(default, _Fresh) else default


class _Fresh:
    def __init__(self, factory: Callable[[], Any]) -> None:
        self.factory = factory


def fresh(factory: Callable[[], T]) -> T:
    """The default of a key whose values can be changed: each table has one of its own."""
    return cast("T", _Fresh(factory))


class TypedTable:
    """A mapping whose keys have types: each key is an annotation of the class, perhaps with a default.

    No key is unknown, and no value is converted to the type of its key unless the class says `strict=False`.
    The doors have the names that they have on pydantic's models, which the settings of a user's sources are.

    Attributes:
        model_fields: The keys, in order, those of base classes first.
        model_fields_set: The keys that were given, others have their defaults.
    """

    __slots__ = ("__dict__", "model_fields_set")

    model_fields: ClassVar[Mapping[str, Key]] = {}
    model_fields_set: frozenset[str]
    _strict: ClassVar[bool] = True
    _required: ClassVar[frozenset[str]] = frozenset()
    _shared_defaults: ClassVar[Mapping[str, Any]] = {}
    _fresh_keys: ClassVar[tuple[str, ...]] = ()
    _resolved: ClassVar[Mapping[str, Any]]
    _made_readers: ClassVar[Mapping[str, _Reader]]
    _adapter: ClassVar[Any]

    def __init_subclass__(cls, *, strict: bool = True) -> None:
        keys = dict(cls.model_fields)
        own = vars(cls)
        keys |= {name: Key(own[name]) if name in own else Key() for name in cls.__annotations__}
        cls.model_fields, cls._strict = keys, strict and cls._strict
        cls._required = frozenset(name for name, key in keys.items() if key.is_required())
        cls._shared_defaults = {
            name: None if name in cls._required else key.get_default(call_default_factory=False)
            for name, key in keys.items()
        }
        cls._fresh_keys = tuple(
            name for name, default in cls._shared_defaults.items() if isinstance(default, _Fresh)
        )

    def __init__(self, **values: Any) -> None:
        """Raises pydantic's ValidationError, which is a ValueError, with all that is wrong."""
        found = type(self).model_validate(values)
        vars(self).update(vars(found))
        object.__setattr__(self, "model_fields_set", found.model_fields_set)

    @classmethod
    def model_validate(cls, table: Any) -> Self:
        """`table` as one of these. Raises pydantic's ValidationError, which is a ValueError."""
        with suppress(NotPlain, ValueError, OverflowError):
            return cls.read_plainly(table)
        return cast("Self", cls._by_pydantic().validate_python(table))

    @classmethod
    def model_construct(cls, **values: Any) -> Self:
        """One of `values` that are known to be right."""
        made = cls.__new__(cls)
        found = vars(made)
        found.update(cls._shared_defaults)  # of all keys, so that they stand in order
        for key in cls._fresh_keys:
            if key not in values:
                found[key] = cls.model_fields[key].get_default()
        found.update(values)
        object.__setattr__(made, "model_fields_set", frozenset(values))
        return made

    @classmethod
    def _kinds(cls) -> Mapping[str, Any]:
        """Type and rules of each key."""
        if "_resolved" not in vars(cls):
            cls._resolved = get_type_hints(cls, include_extras=True)
        return cls._resolved

    @classmethod
    def _readers(cls) -> Mapping[str, _Reader]:
        """What reads the value of each key."""
        if "_made_readers" not in vars(cls):
            cls._made_readers = _Readers(cls)
        return cls._made_readers

    @classmethod
    def _by_pydantic(cls) -> Any:
        """What pydantic reads such tables with."""
        if "_adapter" not in vars(cls):
            from pydantic import TypeAdapter

            cls._adapter = TypeAdapter(cls)
        return cls._adapter

    @classmethod
    def read_plainly(cls, table: Any) -> Self:
        """`table` as one of these, without pydantic.

        Raises:
            NotPlain, ValueError, OverflowError: That has to say what is wrong with it, if anything is.
        """
        if not isinstance(table, dict):
            raise NotPlain
        if not cls._required <= table.keys() <= cls.model_fields.keys():
            raise NotPlain
        readers = cls._readers()
        return cls._fitting({name: readers[name](value) for name, value in table.items()})

    @classmethod
    def _fitting(cls, values: dict[str, Any]) -> Self:
        made = cls.model_construct(**values)
        made.check_keys_together()
        return made

    def check_keys_together(self) -> None:
        """Raise ValueError, with a sentence, if the keys do not fit together."""

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        kinds = cls._kinds()
        keys = {
            name: core_schema.typed_dict_field(
                handler.generate_schema(kinds[name]), required=key.is_required()
            )
            for name, key in cls.model_fields.items()
        }
        table = core_schema.typed_dict_schema(
            keys, extra_behavior="forbid", config=core_schema.CoreConfig(strict=cls._strict)
        )
        return core_schema.no_info_wrap_validator_function(cls._from_pydantic, table)

    @classmethod
    def _from_pydantic(cls, value: Any, read: Callable[[Any], dict[str, Any]]) -> Self:
        return value if isinstance(value, cls) else cls._fitting(read(value))

    @classmethod
    def model_json_schema(cls) -> dict[str, Any]:
        """The JSON schema of such tables."""
        schema: dict[str, Any] = cls._by_pydantic().json_schema()
        return schema

    def model_dump(self, *, mode: str = "python") -> dict[str, Any]:
        """The table with all its keys, and the same of tables in it; mode `json`: arrays are lists."""
        kinds = self._kinds()
        return {
            name: float(value) if _is_float(kinds[name]) else _dumped(value, mode)
            for name, value in vars(self).items()
        }

    def __eq__(self, other: object) -> bool:
        return vars(self) == vars(other) if type(other) is type(self) else NotImplemented

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({values})"


@dataclass_transform(frozen_default=True, kw_only_default=True)
class SettingsTable(TypedTable):
    """One that cannot be changed: what a file says."""

    __slots__ = ()

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} cannot be changed: {name}")

    __delattr__ = cast("Callable[[Any, str], None]", __setattr__)


class _Readers(dict[str, _Reader]):
    """What reads the values of a table, by key: made when the key first has one, as most never have."""

    def __init__(self, table: type[TypedTable]) -> None:
        super().__init__()
        self._table = table

    def __missing__(self, name: str) -> _Reader:
        owner = next(one for one in self._table.__mro__ if name in one.__annotations__)
        alone = SimpleNamespace(__annotations__={name: owner.__annotations__[name]})
        kind = get_type_hints(alone, vars(sys.modules[owner.__module__]), include_extras=True)[name]
        self[name] = reader = _reader_of(kind)
        return reader


def read_errors(error: ValueError) -> Sequence[Mapping[str, Any]]:
    """What is wrong, each with its place, as pydantic says it; another error is raised again."""
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        raise error
    return error.errors(include_url=False)


def _reader_of(kind: Any) -> _Reader:
    """What reads values of that type."""
    if kind in _SCALARS:
        return {float: _float, str: _text}.get(kind) or partial(_exact, kind)
    if kind is Any:
        return _anything
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _ruled(*arguments)
    if origin is Literal:
        return partial(_choice, arguments)
    if origin in (UnionType, Union):
        return partial(_first, [_reader_of(argument) for argument in arguments])
    if origin is tuple:
        return partial(_tuple, _reader_of(arguments[0]))
    if origin is list:
        return partial(_list, _reader_of(arguments[0]))
    if origin is dict:
        return partial(_dict, *map(_reader_of, arguments))
    if isinstance(kind, type) and issubclass(kind, TypedTable):
        return partial(_table, kind)
    return _not_plain


def _exact(kind: type, value: Any) -> Any:
    if type(value) is kind:
        return value
    raise NotPlain


def _text(value: Any) -> str:
    """Bytes of an argument or variable that are no UTF-8 are lone surrogates, which no text has."""
    if type(value) is str:
        if not value.isascii():
            value.encode()
        return value
    raise NotPlain


def _float(value: Any) -> float:
    if type(value) is float or type(value) is int:
        return float(value)
    raise NotPlain


def _anything(value: Any) -> Any:
    return value


def _not_plain(_value: Any) -> Any:
    raise NotPlain


def _choice(choices: tuple[Any, ...], value: Any) -> Any:
    if any(type(value) is type(choice) and value == choice for choice in choices):
        return value
    raise NotPlain


def _tuple(read: _Reader, value: Any) -> tuple[Any, ...]:
    if type(value) in (list, tuple):
        return tuple([read(item) for item in value])
    raise NotPlain


def _list(read: _Reader, value: Any) -> list[Any]:
    if type(value) is list:
        return [read(item) for item in value]
    raise NotPlain


def _dict(read_key: _Reader, read: _Reader, value: Any) -> dict[Any, Any]:
    if type(value) is dict:
        return {read_key(key): read(item) for key, item in value.items()}
    raise NotPlain


def _table(kind: type[TypedTable], value: Any) -> TypedTable:
    return value if type(value) is kind else kind.read_plainly(value)


def _ruled(plain: Any, *rules: Any) -> _Reader:
    """By the rules of `Annotated[plain, *rules]`; `Parsed`, which makes its own type, comes first."""
    first = () if isinstance(rules[0], Parsed) else (_reader_of(plain),)
    readers = (*first, *(rule.read for rule in rules))

    def read(value: Any) -> Any:
        for each in readers:
            value = each(value)
        return value

    return read


def _first(readers: Sequence[_Reader], value: Any) -> Any:
    """As the first of several types that it plainly has."""
    for read in readers:
        try:
            return read(value)
        except (NotPlain, ValueError, OverflowError):
            continue
    raise NotPlain


def _is_float(kind: Any) -> bool:
    return kind is float or (get_origin(kind) is Annotated and get_args(kind)[0] is float)


def _dumped(value: Any, mode: str) -> Any:
    if isinstance(value, TypedTable):
        return value.model_dump(mode=mode)
    if isinstance(value, tuple | list):
        items = [_dumped(item, mode) for item in value]
        return tuple(items) if isinstance(value, tuple) and mode != "json" else items
    if isinstance(value, dict):
        return {key: _dumped(item, mode) for key, item in value.items()}
    return value
