"""Payloads, results and errors become what AWS's own Python client makes of them (it is the oracle)."""

import asyncio
import collections
import dataclasses
import datetime
import decimal
import enum
import json
import math
import uuid
from pathlib import Path

import pytest
from awslambdaric import bootstrap
from awslambdaric.lambda_runtime_exception import FaultException
from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller, to_json
from hypothesis import given
from hypothesis import strategies as st

import engine
from engine.core.context import ClientContextError
from engine.executors.marshal import (
    Failure,
    MarshalError,
    UnmarshalError,
    decode,
    encode,
    error_body,
    exit_error_body,
    exit_status,
    failure_of,
    marshal_error_body,
    oom_body,
    run_log_json,
    run_log_text,
)

FILES = [str(Path(engine.__file__).parent / "executors" / "marshal.py"), "engine/executors/marshal.py"]
"""Names of a file of the engine in tracebacks: where it lies, and how it is called when it is compiled."""

Point = collections.namedtuple("Point", "x y")


class Colour(enum.Enum):
    RED = 1


class Number(enum.IntEnum):
    ONE = 1


class Word(enum.StrEnum):
    X = "x"


class Record:
    def _asdict(self):
        return {"a": 1}


class DictWithAsdict(dict):
    def _asdict(self):
        return {"other": 2}


@dataclasses.dataclass
class Data:
    a: int = 1


def circular():
    knot = []
    knot.append(knot)
    return knot


def circular_dict():
    knot = {}
    knot["self"] = knot
    return knot


def deep():
    nest = []
    for _ in range(100_000):
        nest = [nest]
    return nest


def generator():
    yield 1


RESULTS = {
    "none": None,
    "true": True,
    "int": 3,
    "float": 1.0,
    "big int": 2**70,
    "dict": {"a": 1, "b": [1, 2]},
    "empty dict": {},
    "empty list": [],
    "list": [1, "a", None],
    "tuple": (1, 2),
    "ordered dict": collections.OrderedDict(b=1, a=2),
    "text": "hé",
    "escapes": '"\\/\b\f\n\r\t\x00\x1f\x7f\u2028\u2029😀',
    "escapes in a dict": {
        '"\\/\b\f\n\r\t\x00\x1f\x7f\u2028\u2029😀': '"\\/\b\f\n\r\t\x00\x1f\x7f\u2028\u2029😀'
    },
    "namedtuple": Point(1, 2),
    "namedtuple inside": {"p": Point(1, 2)},
    "namedtuple two levels down": {"p": {"q": Point(1, 2)}},
    "asdict": Record(),
    "dict with asdict": DictWithAsdict(a=1),
    "dict with asdict inside": {"a": DictWithAsdict(a=1)},
    "int enum": Number.ONE,
    "text enum": Word.X,
    "enums as values": {"a": Number.ONE, "b": Word.X},
    "enums as keys": {Number.ONE: 1, Word.X: 2},
    "enum": Colour.RED,
    "decimal": decimal.Decimal("1.10"),
    "decimal with exponent": [decimal.Decimal("1E+3")],
    "decimal nan": {"a": decimal.Decimal("NaN")},
    "decimal negative nan": {"a": decimal.Decimal("-NaN")},
    "decimal signalling nan": {"a": decimal.Decimal("sNaN")},
    "decimal infinity": decimal.Decimal("-Infinity"),
    "nan": math.nan,
    "infinities": {"a": math.inf, "b": [-math.inf]},
    "small floats": {"a": 1e-7, "b": 1e16, "c": -0.0, "d": 0.1},
    "bytes inside": {"a": b"x"},
    "bytes as key": {b"x": 1},
    "bytes that are no text": {"a": b"\xff"},
    "keys": {None: 1, True: 2, 2: 3, 1.5: 4},
    "tuple as key": {(1, 2): 1},
    "decimal as key": {decimal.Decimal(1): 1},
    "date as key": {datetime.date(2026, 1, 1): 1},
    "set": {1},
    "datetime": {"at": datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)},
    "date": datetime.date(2026, 1, 1),
    "uuid": uuid.UUID(int=1),
    "bytearray": bytearray(b"x"),
    "memoryview": memoryview(b"x"),
    "dataclass": Data(),
    "exception": ValueError("x"),
    "range": range(3),
    "dict view": {"a": 1}.keys(),
    "deque": collections.deque(),
    "chain map": collections.ChainMap(),
    "complex": 1j,
    "class": Data,
    "function": circular,
    "generator": generator(),
    "circular list": circular(),
    "circular dict": circular_dict(),
    "too deep": deep(),
    "too many digits": {"n": 10**5000},
    "http answer": {
        "statusCode": 200,
        "headers": {"content-type": "text/plain"},
        "body": "hi",
        "cookies": ["a=1"],
    },
    "nested": {"a": {"b": {"c": [1, {"d": None}]}}},
}


@pytest.fixture
def aws(monkeypatch):
    monkeypatch.setenv("AWS_EXECUTION_ENV", "AWS_Lambda_python3.13")
    return LambdaMarshaller()


def aws_encoded(aws, result):
    """What AWS's client sends for `result`, or the message of its refusal."""
    try:
        body, content_type = aws.marshal_response(result)
    except FaultException as fault:
        return fault.exception_type, fault.msg
    return (body if isinstance(body, bytes) else body.encode()), content_type == "application/unknown"


def our_encoded(result):
    try:
        return encode(result)
    except MarshalError as error:
        return error.error_type, str(error)


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_becomes_what_aws_makes_of_it(aws, name):
    """Bytes for bytes, refusal for refusal."""
    assert aws_encoded(aws, RESULTS[name]) == our_encoded(RESULTS[name])


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (None, b"null"),
        ({"a": 1, "b": [1, 2]}, b'{"a": 1, "b": [1, 2]}'),
        ("hé", '"hé"'.encode()),
        (decimal.Decimal("1.10"), b"1.10"),
        (Point(1, 2), b'{"x": 1, "y": 2}'),
        ({"a": b"x"}, b'{"a": "x"}'),
        ({None: 1, True: 2, 1.5: 3}, b'{"null": 1, "true": 2, "1.5": 3}'),
        (math.nan, b"NaN"),
    ],
)
def test_json_has_spaces_and_raw_utf8(result, expected):
    """The table of the reference, without the oracle."""
    assert (expected, False) == encode(result)


@pytest.mark.parametrize("result", [b"", b"\xff\x00", b"text"])
def test_bytes_are_sent_raw(aws, result):
    """They are not JSON, and the caller is told."""
    assert (result, True) == encode(result) == aws_encoded(aws, result)


def test_a_lone_surrogate_is_refused():
    """It has no UTF-8; AWS's client dies of it after the handler, we name it."""
    with pytest.raises(MarshalError, match="surrogates not allowed"):
        encode({"a": "\ud800"})


def test_a_coroutine_is_no_result(aws):
    """What AWS says of an `async def` handler."""

    async def handler():
        return 1

    coroutine = handler()
    actual = our_encoded(coroutine)
    coroutine.close()

    assert (
        "Runtime.MarshalError",
        "Unable to marshal response: Object of type coroutine is not JSON serializable",
    ) == actual


texts = st.text(st.characters(exclude_categories=["Cs"]))
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
json_scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
)
documents = st.recursive(
    json_scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=20,
)
keys = scalars | st.sampled_from([*Number, *Word]) | st.binary(max_size=4) | st.tuples(st.integers())
odd_results = st.recursive(
    scalars | st.sampled_from([*Number, *Word, *Colour]) | st.decimals() | st.binary(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.builds(Point, inner, inner)
        | st.dictionaries(keys, inner, max_size=4)
    ),
    max_leaves=15,
)


@given(odd_results)
def test_any_result_becomes_what_aws_makes_of_it(result):
    """Decimals, tuples, named tuples, enums and bytes at any depth and as keys."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_EXECUTION_ENV", "AWS_Lambda_python3.13")
        expected = aws_encoded(LambdaMarshaller(), result)

    assert expected == our_encoded(result)


@given(documents)
def test_any_json_document_is_decoded_as_json_loads_does(document):
    """Types included: an int stays an int whatever its size."""
    text = json.dumps(document).encode()

    assert repr(json.loads(text)) == repr(decode(text))


@given(st.integers(min_value=-(10**40), max_value=10**40))
def test_integers_have_no_bound(number):
    """Also just inside and outside of 64 bits, and inside documents."""
    assert {"n": [number, -number]} == decode(json.dumps({"n": [number, -number]}).encode())


@given(st.binary(max_size=40) | st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_decoded_or_refused_as_aws_does(payload):
    """The words are AWS's too."""
    assert _aws_decoded(payload) == _our_decoded(payload)


PAYLOADS = [
    b"{}",
    b" [1] ",
    b'{"a": 1, "a": 2}',
    b"\xef\xbb\xbf{}",
    b"9223372036854775807",
    b"9223372036854775808",
    b"-9223372036854775808",
    b"-9223372036854775809",
    b"18446744073709551615",
    b"18446744073709551616",
    b'{"id": 123456789012345678901234567890}',
    b'"12345678901234567890"',
    b"0.12345678901234567890123",
    b"1e5",
    b"1E-7",
    b"1e999",
    b"-0",
    b"-0.0",
    b'"\\ud800"',
    b'"\\udc00x"',
    b'"\\ud83d\\ude00"',
    b"NaN",
    b'{"a": NaN}',
    b"Infinity",
    b"[-Infinity]",
    b"",
    b" ",
    b"nul",
    b"01",
    b"1 2",
    b"[1,]",
    b"{'a': 1}",
    b"{1: 2}",
    b'"\x01"',
    b'"\xff"',
    b"\xff\xfe1\x00",
    b"[" * 2000 + b"]" * 2000,
    b"[" * 100_000,
    b"9" * 5000,
]


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: repr(payload[:20]))
def test_a_payload_is_decoded_or_refused_as_aws_does(payload):
    """Each of the corners where parsers differ."""
    assert _aws_decoded(payload) == _our_decoded(payload)


def _aws_decoded(payload):
    try:
        return repr(LambdaMarshaller().unmarshal_request(payload))
    except FaultException as fault:
        return fault.exception_type, fault.msg


def _our_decoded(payload):
    try:
        return repr(decode(payload))
    except UnmarshalError as error:
        return error.error_type, str(error)


class Refused(Exception):
    pass


def boom(event, context):
    raise Refused("no stock")


def boom_inside(event, context):
    return boom(event, context)


def empty_message(event, context):
    raise Refused


def chained(event, context):
    try:
        {}["missing"]
    except KeyError as error:
        raise Refused("cause") from error


def recursion(event, context, depth=50):
    if depth == 0:
        raise RecursionError("maximum recursion depth exceeded")
    return recursion(event, context, depth - 1)


def surprising_text(event, context):
    raise Refused('hé \u2028 "quoted"\nsecond line')


def key_error(event, context):
    return {}["missing"]


def grouped(event, context):
    raise ExceptionGroup("several", [ValueError(1), TypeError(2)])


FAILING = [boom, boom_inside, empty_message, chained, recursion, surprising_text, key_error, grouped]


class Posted:
    """Stands where AWS's client posts to; keeps what it is given."""

    def __init__(self):
        self.marshaller = LambdaMarshaller()
        self.error = None
        self.log_lines = None

    def post_invocation_error(self, invoke_id, error, xray, invocation_id=None):
        self.error = error.encode()

    def log_error(self, lines):
        self.log_lines = lines


def aws_failed(handler, payload="{}"):
    """What AWS's client posts and logs when `handler` fails."""
    posted = Posted()
    bootstrap.handle_event_request(
        posted, handler, "r1", payload, "application/json", None, None, "arn", 0, None, posted
    )
    return posted


def caught(handler):
    try:
        handler({}, None)
    except Exception as error:
        # Our own frame is where the engine's would be; that one is cut.
        return error.with_traceback(error.__traceback__.tb_next)
    raise AssertionError("it did not fail")


@pytest.mark.parametrize("handler", FAILING, ids=lambda handler: handler.__name__)
def test_an_error_is_reported_as_aws_does(aws, handler):
    """Payload and log text: class name, message, frames from the handler on, in this order of keys."""
    posted = aws_failed(handler)
    error = caught(handler)

    assert json.loads(posted.error) == json.loads(error_body(error, "r1"))
    assert posted.error == error_body(error, "r1")
    assert "\n".join(posted.log_lines) + "\n" == run_log_text(error)


def test_a_result_that_is_no_json_is_reported_as_aws_does(aws):
    """No frames; the log has the line all the same."""
    posted = aws_failed(lambda event, context: {1, 2})
    with pytest.raises(MarshalError) as error:
        encode({1, 2})

    assert posted.error == marshal_error_body(error.value, "r1") == error_body(error.value, "r1")
    assert "\n".join(posted.log_lines) + "\n" == run_log_text(error.value)


def test_a_payload_that_is_no_json_is_reported_as_aws_does(aws):
    """The handler does not run."""
    posted = aws_failed(boom, payload="{]")
    with pytest.raises(UnmarshalError) as error:
        decode(b"{]")

    assert posted.error == error_body(error.value, "r1")


def test_a_bad_client_context_is_reported_with_its_type():
    """The type is the runtime's, not the class's."""
    expected = {
        "errorMessage": "Unable to parse Client Context JSON: why",
        "errorType": "Runtime.LambdaContextUnmarshalError",
        "requestId": "r1",
        "stackTrace": [],
    }

    assert list(expected.items()) == list(json.loads(error_body(ClientContextError("why"), "r1")).items())


@pytest.mark.parametrize("file", FILES)
def test_the_engines_frames_are_cut_from_the_head(file):
    """The first frame is the user's, whoever called; engine frames below it stay."""
    namespace = {}
    exec(compile("def call(handler):\n    return handler({}, None)\n", file, "exec"), namespace)
    try:
        namespace["call"](boom)
    except Refused as error:
        shown = error.with_traceback(error.__traceback__.tb_next)
    stack = failure_of(shown).stack

    assert [True] == ["in boom\n" in frame for frame in stack]


@pytest.mark.parametrize("file", FILES)
def test_a_handler_that_cannot_be_called_leaves_no_frame(file):
    """There is none but the engine's, which would mean nothing to the user."""
    namespace = {}
    exec(compile("def call(handler):\n    return handler({}, None)\n", file, "exec"), namespace)
    try:
        namespace["call"](lambda event: event)
    except TypeError as error:
        shown = error.with_traceback(error.__traceback__.tb_next)

    assert ("TypeError", ()) == (failure_of(shown).error_type, failure_of(shown).stack)


def test_an_error_whose_text_fails_is_still_reported():
    """User code cannot break the report."""

    class Bad(Exception):
        def __str__(self):
            raise ValueError

    assert Failure("Bad", "<exception str() failed>", ()) == failure_of(Bad())


def test_a_lone_surrogate_in_an_error_becomes_an_escape():
    """The payload is valid JSON in UTF-8."""
    assert "\ud800" == json.loads(error_body(ValueError("\ud800"), "r1"))["errorMessage"]


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (SystemExit(), "without providing a reason"),
        (SystemExit(0), "without providing a reason"),
        (SystemExit(None), "without providing a reason"),
        (SystemExit(256), "without providing a reason"),
        (SystemExit(1), "with error: exit status 1"),
        (SystemExit(True), "with error: exit status 1"),
        (SystemExit(-1), "with error: exit status 255"),
        (SystemExit("message"), "with error: exit status 1"),
        (BaseException("own"), "with error: exit status 1"),
        (GeneratorExit(), "with error: exit status 1"),
        (asyncio.CancelledError(), "with error: exit status 1"),
        (KeyboardInterrupt(), "with error: signal: interrupt"),
        (0, "without providing a reason"),
        (127, "with error: exit status 127"),
        (-9, "with error: signal: killed"),
        (-11, "with error: signal: segmentation fault"),
        (-6, "with error: signal: aborted"),
        (-99, "with error: signal: signal 99"),
    ],
    ids=repr,
)
def test_an_exit_is_told_by_its_status(cause, reason):
    """Two keys, type first, compact."""
    expected = (
        f'{{"errorType":"Runtime.ExitError","errorMessage":"RequestId: r1 Error: Runtime exited {reason}"}}'
    )

    assert expected.encode() == exit_error_body("r1", cause)


def test_an_exit_status_is_what_cpython_would_exit_with():
    """Signals are negative, as in `subprocess`."""
    assert (0, 3, 1, -2) == tuple(
        map(exit_status, (SystemExit(), SystemExit(3), ValueError(), KeyboardInterrupt()))
    )


def test_running_out_of_memory_has_a_type_of_its_own():
    """With the words of the kill that it is."""
    assert (
        b'{"errorType":"Runtime.OutOfMemory",'
        b'"errorMessage":"RequestId: r1 Error: Runtime exited with error: signal: killed"}' == oom_body("r1")
    )


def test_the_json_log_has_time_and_level_first(aws):
    """One line, keys in AWS's order, UTF-8 as it is."""
    line = run_log_json(Failure("Refused", "né", ("frame\n",)), "r1", 1_700_000_000.9)
    expected = {
        "timestamp": "2023-11-14T22:13:20Z",
        "level": "ERROR",
        "errorMessage": "né",
        "errorType": "Refused",
        "requestId": "r1",
        "stackTrace": ["frame\n"],
    }

    assert to_json(expected) + "\n" == line
