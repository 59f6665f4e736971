"""Traces: both formats, read as a stream, with the line of whatever is wrong."""

import csv
import gzip
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.sources.replay.reader import rows_of
from engine.sources.replay.trace_file import TraceError

KNOWN = "timestamp, function, payload, duration_ms, memory_mb, init_ms, status, cpu_ms"


def read(tmp_path, text, name="t.jsonl", form="auto"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with rows_of(path, form) as rows:
        return [row[:4] for row in rows]


def test_json_lines(tmp_path):
    """Function and payload may be left out, and empty lines too."""
    text = '{"timestamp": 1.5, "function": "g", "payload": {"a": [1]}}\n\n{"timestamp": "2"}\n'

    assert [(1, 1.5, "g", b'{"a":[1]}'), (3, 2.0, None, b"{}")] == read(tmp_path, text)


def test_csv(tmp_path):
    """Columns in any order; a payload of several lines."""
    text = 'payload,Timestamp,function\n"{""a"":\n 1}",1,g\n,2,\n'

    assert [(3, 1.0, "g", b'{"a":\n 1}'), (4, 2.0, None, b"{}")] == read(tmp_path, text, "t.csv")


def test_csv_without_optional_columns(tmp_path):
    """A timestamp is enough."""
    assert [(2, 7.0, None, b"{}")] == read(tmp_path, "timestamp\r\n7\r\n", "t.csv")


def test_times_are_seconds_or_iso(tmp_path):
    """UTC, if no zone is named."""
    times = ["1970-01-01T00:00:10", "1970-01-01T01:00:10+01:00", "1970-01-01T00:00:10.5Z", 10, "1e1"]
    text = "".join(json.dumps({"timestamp": one}) + "\n" for one in times)

    assert [10.0, 10.0, 10.5, 10.0, 10.0] == [row[1] for row in read(tmp_path, text)]


def test_a_packed_file_is_unpacked_on_the_way(tmp_path):
    """By its name."""
    assert [(1, 1.0, None, b"{}")] == read(tmp_path, gzip.compress(b'{"timestamp": 1}\n'), "t.jsonl.gz")


def test_a_byte_order_mark_is_no_content(tmp_path):
    """As some programs write it."""
    assert [(2, 1.0, None, b"{}")] == read(tmp_path, b"\xef\xbb\xbftimestamp\n1\n", "t.csv")


@pytest.mark.parametrize(
    ("name", "text", "place", "reason"),
    [
        ("t.jsonl", '{"timestamp": 1}\n{"timestamp": 1', 2, "is no JSON: Expecting ',' delimiter"),
        ("t.jsonl", "[1]\n", 1, "is no JSON object"),
        ("t.jsonl", "{}\n", 1, "has no timestamp"),
        (
            "t.jsonl",
            '{"timestamp": 1, "fn": "f"}',
            1,
            f"unknown member 'fn' (known: {KNOWN})",
        ),
        ("t.jsonl", '{"timestamp": true}', 1, "timestamp: True is no number of seconds"),
        ("t.jsonl", '{"timestamp": "inf"}', 1, "timestamp: inf is no number of seconds"),
        ("t.jsonl", '{"timestamp": null}', 1, "timestamp: None is no number of seconds"),
        (
            "t.jsonl",
            '{"timestamp": "noon"}',
            1,
            "timestamp: 'noon' is neither a number of seconds nor an ISO 8601 date and time",
        ),
        ("t.jsonl", '{"timestamp": 1, "function": 5}', 1, "function: is no text"),
        (
            "t.csv",
            "",
            1,
            f"is empty: the first line names the columns ({KNOWN})",
        ),
        (
            "t.csv",
            "when\n1\n",
            1,
            f"'when' is no column (the first line names them: {KNOWN})",
        ),
        (
            "t.csv",
            "function\nf\n",
            1,
            (f"timestamp is missing, or a column is there twice (the first line names them: {KNOWN})"),
        ),
        ("t.csv", "timestamp,payload\n1,{}\n2\n", 3, "has 1 fields, not 2"),
        (
            "t.csv",
            "timestamp,payload\n1,{\n",
            2,
            "payload: is no JSON: Expecting property name enclosed in double quotes",
        ),
        ("t.csv", 'timestamp,payload\n1,"{}"x\n', 2, "is no CSV: ',' expected after '\"'"),
        ("t.jsonl.gz", "no gzip", 0, "Not a gzipped file (b'no')"),
        ("t.jsonl", b"\xff\xff", 1, "is not UTF-8"),
        ("t.txt", "", 0, "its name ends neither in .jsonl nor in .csv: say which it is by `format`"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, name, text, place, reason):
    """File, line and reason, in one sentence."""
    with pytest.raises(TraceError) as caught:
        read(tmp_path, text, name)

    where = f"{tmp_path / name}:{place}" if place else f"{tmp_path / name}"
    assert f"{where}: {reason}" == str(caught.value)


def test_a_line_without_end_is_not_read_into_memory(tmp_path):
    """Eight million characters are enough."""
    with pytest.raises(TraceError, match="is longer than 8388608 characters"):
        read(tmp_path, '{"timestamp": 1, "payload": "' + "x" * 9_000_000 + '"}')


def test_a_file_that_is_not_there_is_one_sentence(tmp_path):
    """And a folder is no file."""
    for path, reason in ((tmp_path / "no.csv", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(TraceError, match=reason), rows_of(path, "csv"):
            pass


def test_a_trace_is_read_as_it_is_asked_for(tmp_path):
    """What stands at the end of a large file is not looked at before its time."""
    path = tmp_path / "t.jsonl"
    with path.open("w") as file:
        file.writelines('{"timestamp": 1, "payload": "' + "x" * 100 + '"}\n' for _ in range(100_000))
        file.write("broken")

    with rows_of(path) as rows:
        first = next(rows)
        position = path.stat().st_size

    assert 1 == first.line
    assert 10_000_000 < position


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
entries = st.lists(
    st.tuples(st.floats(-1e9, 1e9), st.from_regex(r"[a-z]{1,9}", fullmatch=True), json_values), max_size=8
)


@given(entries, st.booleans())
def test_what_was_written_is_read(tmp_path_factory, written, as_csv):
    """In either format."""
    path = tmp_path_factory.mktemp("trace") / ("t.csv" if as_csv else "t.jsonl")
    if as_csv:
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(["timestamp", "function", "payload"])
        writer.writerows((at_s, function, json.dumps(payload)) for at_s, function, payload in written)
        path.write_text(text.getvalue(), newline="")
    else:
        path.write_text(
            "".join(
                json.dumps({"timestamp": at_s, "function": function, "payload": payload}) + "\n"
                for at_s, function, payload in written
            )
        )

    with rows_of(path) as rows:
        found = [(row.at_s, row.function, json.loads(row.payload)) for row in rows]

    assert written == found


@given(st.binary(max_size=200), st.sampled_from(["jsonl", "csv"]))
def test_no_file_makes_anything_but_rows_or_a_sentence(tmp_path_factory, content, form):
    """Whatever it holds."""
    path = Path(tmp_path_factory.mktemp("trace")) / "t"
    path.write_bytes(content)
    try:
        with rows_of(path, form) as rows:
            assert all(row.payload for row in rows)
    except TraceError as error:
        assert str(path) in str(error)  # noqa: PT017  # either is right
