"""What tables are read into without pydantic, pydantic would read them into as well."""

from contextlib import suppress
from functools import cache
from random import Random
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from engine.config.settings import ClusterSettings, EngineSettings, FunctionSettings, RaySettings
from engine.core.table import TypedTable
from engine.core.table_rules import NotPlain
from engine.packages.records import Record, StoredState
from engine.registry import names, resolve
from engine.services.eventbridge.settings import BusSettings, RuleSettings, RuleTargetSettings
from engine.services.partner.settings import DataStreamSettings, TableSettings
from engine.services.s3.settings import BucketSettings, S3Settings
from engine.services.sns.settings import TopicSettings
from engine.services.sqs.settings import QueueSettings

TABLES = [
    *(EngineSettings, FunctionSettings, ClusterSettings, RaySettings),
    *(QueueSettings, TopicSettings, BucketSettings, S3Settings, StoredState),
    *(DataStreamSettings, TableSettings, BusSettings, RuleSettings, RuleTargetSettings),
    *(resolve("source", kind).Settings for kind in names("source")),
]
TEXTS = [
    *("", " ", "a", "auto", "measured", "a\n", "x" * 129, "\0", "é", "\udcff", "*", "~", "True", "1"),
    *("app.handler", "app.py:handler", "python3.12", "us-east-1", "123456789012", "otel", "json", "a.b.c"),
    *("127.0.0.1:0", "localhost:99999", "[::1]:3000", "example.com", "https://a.example", "http://x/y"),
    *(
        "orders",
        "orders.fifo",
        "arn:aws:sqs:us-east-1:000000000000:q",
        "http://127.0.0.1/1/q",
        "sqs",
        "knative",
    ),
    *(
        "rate(1 minute)",
        "cron(0 0 * * ? *)",
        "at(2030-01-01T00:00:00)",
        "UTC",
        "Europe/Berlin",
        "trace.jsonl",
    ),
    *(
        "s3:ObjectCreated:*",
        "s3:ObjectRemoved:Delete",
        "photos",
        "GET",
        "get",
        "M-SEARCH",
        "/",
        "/*",
        "/a/{b+}",
    ),
    *(
        "$default",
        "image/png",
        "image",
        "FOO",
        "AWS_REGION",
        "00000000-0000-4000-8000-000000000001",
        "$LATEST",
    ),
    *("arn:aws:sns:us-east-1:123456789012:t", "s3://photos", '{"body": ["a"]}', "true"),
]
PATTERNS = ['{"body": ["a"]}', {"body": ["a"]}, {"body": [{"prefix": "a"}]}, {"body": "a"}, "a", None]
"""Of rules: nothing that is drawn of its type alone is likely to be one."""
NUMBERS = [-1, 0, 1, 2, 9, 10, 11, 60, 128, 900, 901, 10_241, 10**400]
FLOATS = [-0.0, 0.5, 1.0, 900.0, 1e300, float("inf"), float("-inf"), float("nan")]
OTHERS = [
    *(None, True, False, (), (1,), [], ["a"], [1], {}, {"a": "b"}, {"a": 1}, {1: 2}, b"a"),
    *({"policy": "deadline", "deadline_s": 3}, {"body": [{"prefix": "a"}]}, {"queue": "a"}),
]
ANYTHING = [*TEXTS, *NUMBERS, *FLOATS, *OTHERS]
SCALARS = {
    str: TEXTS,
    int: NUMBERS,
    float: [*FLOATS, *NUMBERS],
    bool: [True, False],
    type(None): [None],
    Any: ANYTHING,
}


@cache
def kinds_of(model: type[TypedTable]) -> dict[str, Any]:
    return get_type_hints(model, include_extras=True)


def some(kind: Any, random: Random) -> Any:
    """Mostly what a key of that type may hold, at times anything."""
    return random.choice(ANYTHING) if random.random() < 0.1 else fitting(kind, random)


def fitting(kind: Any, random: Random) -> Any:
    """A value of the type; its rules it may break."""
    if kind in SCALARS:
        return random.choice(SCALARS[kind])
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        terms = [term for rule in parts[1:] for term in getattr(rule, "terms", {}).values()]
        bounds = [term + step for term in terms if type(term) is int for step in (-1, 0, 1)]
        is_number = bounds and parts[0] in (int, float)
        return random.choice(bounds) if is_number and random.random() < 0.5 else fitting(parts[0], random)
    if origin is Literal:
        return random.choice(parts)
    if origin in (UnionType, Union):
        return fitting(random.choice(parts), random)
    if origin in (tuple, list):
        several = [some(parts[0], random) for _ in range(random.randrange(4))]
        return tuple(several) if origin is tuple and random.random() < 0.5 else several
    if origin is dict:
        keys = [some(parts[0], random) for _ in range(random.randrange(3))]
        return {key: some(parts[1], random) for key in keys if not isinstance(key, list | dict)}
    return table_of(kind, random) if issubclass(kind, TypedTable) else random.choice(ANYTHING)


def table_of(model: type[TypedTable], random: Random) -> dict[str, Any]:
    """With the keys that are required, some of the others, and rarely one that is unknown."""
    kinds = kinds_of(model)
    required = {name for name, key in model.model_fields.items() if key.is_required()}
    others = random.choices([*[*model.model_fields] * 3, "unknown"], k=random.randrange(4))
    return {
        name: random.choice(PATTERNS) if name == "pattern" else some(kinds.get(name, Any), random)
        for name in [*required, *others]
    }


def plain(model: type[TypedTable], table: dict[str, Any]) -> TypedTable | None:
    """What the table is read into without pydantic; None if that is needed."""
    with suppress(NotPlain, ValueError, OverflowError):
        return model.read_plainly(table)
    return None


@pytest.mark.parametrize("model", TABLES, ids=lambda model: model.__name__)
def test_what_is_read_plainly_pydantic_reads_alike(model):
    """To the type of each value, and what was given; such tables there are."""
    by_pydantic, count = TypeAdapter(model), 0

    @settings(max_examples=10, deadline=None)
    @given(st.integers(0, 1 << 32))
    def alike(seed):
        nonlocal count
        random = Random(seed)
        for table in (table_of(model, random) for _ in range(60)):
            read = plain(model, table)
            if read is not None:
                count += 1
                again = by_pydantic.validate_python(table)

                assert repr(again) == repr(read)
                assert again.model_fields_set == read.model_fields_set

    alike()

    assert count > 10


def test_every_table_of_the_engine_is_among_them():
    """Or is in one of them."""
    found = set(TABLES)
    for model in TABLES:
        found |= {kind for kind in below(model) if isinstance(kind, type)}
    bases = {base for model in found for base in model.__mro__}

    assert [] == [model.__name__ for model in subclasses(TypedTable) - found - bases if is_of_engine(model)]
    assert Record in bases


def below(kind: Any) -> set[Any]:
    """All tables in the types of a table's keys."""
    if isinstance(kind, type) and issubclass(kind, TypedTable):
        return {kind}.union(*map(below, kinds_of(kind).values()))
    return set().union(*map(below, get_args(kind)))


def subclasses(model: type) -> set[type]:
    return {model}.union(*map(subclasses, model.__subclasses__()))


def is_of_engine(model: type) -> bool:
    return model.__module__.startswith("engine.")
