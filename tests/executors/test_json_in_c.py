"""What is written in C gives what the Python it stands in for gives, whatever it is given."""

import collections
import enum
import importlib.util
import json
import math
import sys
import sysconfig
import tracemalloc
import uuid
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from setuptools import Distribution, Extension

import engine
from engine.core import fast_json, json_document
from engine.executors import marshal

SOURCE = Path(engine.__file__).parent / "core" / "_fast_json.c"
NO_BOUND = sys.maxsize


def built(folder: Path) -> ModuleType:
    """The module made from its source; that of the wheel where the sources are those of one."""
    if not SOURCE.exists():
        return pytest.importorskip("engine.core._fast_json")
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        pytest.skip("there are no C headers of this Python")
    command = Distribution(
        {"ext_modules": [Extension("engine.core._fast_json", [str(SOURCE)], extra_compile_args=["-O1"])]}
    ).get_command_obj("build_ext")
    command.build_temp = command.build_lib = str(folder)
    command.ensure_finalized()
    command.run()
    [binary] = folder.rglob("_fast_json*" + sysconfig.get_config_var("EXT_SUFFIX"))
    spec = importlib.util.spec_from_file_location("engine.core._fast_json", binary)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def in_c(tmp_path_factory):
    return built(tmp_path_factory.mktemp("in_c"))


@pytest.fixture(autouse=True, scope="module")
def in_python():
    """The engine's own functions without those in C: what they are compared with."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(marshal, "write", None)
        patch.setattr(json_document, "has_short_numbers_in_c", None)
        yield


class Text(str):
    """A subclass."""


class Map(dict):
    """Another."""


class Colour(enum.Enum):
    RED = 1


class Number(enum.IntEnum):
    ONE = 1


texts = st.text(st.characters(exclude_categories=()), max_size=40) | st.text('\\"/\b\t\x1f\x7fa', max_size=40)
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**66), 2**66)
    | st.floats()
    | texts
    | texts.map(Text)
    | st.binary(max_size=4)
    | st.sampled_from([Colour.RED, Number.ONE, uuid.UUID(int=1), {1, 2}, object])
)
keys = texts | st.integers() | st.none() | st.booleans() | st.floats() | texts.map(Text)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(texts, inner, max_size=5)
        | st.dictionaries(keys, inner, max_size=3)
        | st.dictionaries(texts, inner, max_size=3).map(Map)
    ),
    max_leaves=20,
)


def outcome_of(encode, *arguments):
    try:
        return encode(*arguments)
    except marshal.MarshalError as error:
        return str(error)


def both(in_c, value, max_bytes=NO_BOUND):
    """What the encoder gives without the writer in C, and with it."""
    expected = outcome_of(marshal.encode_up_to, max_bytes, value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(marshal, "write", in_c.write)
        return expected, outcome_of(marshal.encode_up_to, max_bytes, value)


@given(values)
def test_results_are_encoded_alike(in_c, value):
    expected, encoded = both(in_c, value)

    assert expected == encoded


@given(values, st.integers(-1, 60))
def test_results_are_found_too_long_alike(in_c, value, max_bytes):
    expected, encoded = both(in_c, value, max_bytes)

    assert expected == encoded


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(st.characters(codec="utf-8"), max_size=40),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=9), inner)
    ),
    max_leaves=20,
)


@given(plain)
def test_what_is_built_in_all_the_way_down_is_written_in_c(in_c, value):
    assert json.dumps(value, ensure_ascii=False).encode() == in_c.write(value, NO_BOUND)


@given(st.floats())
def test_floats_are_written_as_python_prints_them(in_c, value):
    expected = {"nan": b"NaN", "inf": b"Infinity", "-inf": b"-Infinity"}.get(
        repr(value), repr(value).encode()
    )

    assert expected == in_c.write(value, NO_BOUND)


@pytest.mark.parametrize(
    "value", [2**63, -(2**63) - 1, 10**400, "\ud800", {"\udfff": 1}, {1: 1}, b"", Text(), Map()]
)
def test_the_rest_is_left(in_c, value):
    assert in_c.write([value], NO_BOUND) is None


@pytest.mark.parametrize(
    "value", [2**63 - 1, -(2**63), 0, -1, "😀\u2028ÿ\x7f", "a" * 7, "a" * 7 + "\n", "a" * 8 + '"']
)
def test_what_is_just_inside_the_bounds_is_written(in_c, value):
    assert json.dumps(value, ensure_ascii=False).encode() == in_c.write(value, NO_BOUND)


@pytest.mark.parametrize("levels", [1, 199, 200, 201, 253, 254, 255, 256, 900])
@pytest.mark.parametrize("nest", [lambda inner: [inner], lambda inner: (inner,), lambda inner: {"": inner}])
def test_nesting_makes_no_difference(in_c, levels, nest):
    value = 1
    for _ in range(levels):
        value = nest(value)
    expected, encoded = both(in_c, value)

    assert expected == encoded


def test_what_contains_itself_is_refused_alike(in_c):
    knot = {"a": "x" * 100}
    knot["self"] = [knot]
    expected, encoded = both(in_c, knot)

    assert expected == encoded
    assert isinstance(encoded, str)


@pytest.mark.parametrize("text", ["x" * 3_000_000, "é" * 1_000_000, '"' * 1_000_000, "ab\n😀" * 300_000])
def test_long_texts_are_written_whole(in_c, text):
    expected, encoded = both(in_c, {"text": text, "more": [text, 1]})

    assert expected == encoded


@pytest.mark.parametrize("size", range(1010, 1040))
def test_text_that_outgrows_the_first_memory_is_written_whole(in_c, size):
    value = ["a" * (size - 20), 1, "é", size]

    assert json.dumps(value, ensure_ascii=False).encode() == in_c.write(value, NO_BOUND)


def test_the_bound_is_that_of_the_text(in_c):
    text = json.dumps({"a": [1, "é" * 2000]}, ensure_ascii=False).encode()

    assert text == in_c.write({"a": [1, "é" * 2000]}, len(text))
    assert in_c.write({"a": [1, "é" * 2000]}, len(text) - 1) is None


@pytest.mark.parametrize("arguments", [(), (1,), (1, 2, 3), (1, "2"), (1, 2**70), (1, None)])
def test_what_is_no_call_is_refused(in_c, arguments):
    with pytest.raises((TypeError, OverflowError)):
        in_c.write(*arguments)


def test_nothing_is_kept(in_c):
    """Neither memory nor references, whether a value is written, left, or too long."""
    shared = collections.Counter()
    values = [
        {"a": ["é" * 600, 1.5, None, True, -5] * 9},
        [1, Text()],
        {"a": {1: 1}},
        "\ud800",
        10**30,
        shared,
    ]
    written = [sys.getrefcount(value) for value in values]
    tracemalloc.start()
    for number in range(3000):
        if number == 1000:
            before = tracemalloc.get_traced_memory()[0]
        for value in values:
            in_c.write(value, NO_BOUND)
            in_c.write(value, 500)
            in_c.has_short_numbers(b"1" * 30)
    del value
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()

    assert written == [sys.getrefcount(value) for value in values]
    assert after - before < 1000


numbers = st.lists(
    st.binary(max_size=25)
    | st.integers(0, 30).map(lambda count: b"7" * count)
    | st.sampled_from([b"/", b":"])
).map(b"".join)


@given(numbers)
def test_long_numbers_are_found_alike(in_c, payload):
    assert json_document.has_short_numbers(payload) is in_c.has_short_numbers(payload)


@pytest.mark.parametrize("before", range(40))
@pytest.mark.parametrize("digits", [18, 19, 20, 57])
def test_a_long_number_is_found_wherever_it_stands(in_c, before, digits):
    assert (digits < 19) is in_c.has_short_numbers(b"[" * before + b"9" * digits + b"]")


def test_only_bytes_are_looked_at(in_c):
    with pytest.raises(TypeError):
        in_c.has_short_numbers("1")


def test_without_a_build_nothing_is_missing():
    """A pure build has neither; a compiled one both."""
    functions = (fast_json.write, fast_json.has_short_numbers)

    assert all(functions) or functions == (None, None)
    assert math.isnan(json.loads(marshal.encode(math.nan)[0]))
