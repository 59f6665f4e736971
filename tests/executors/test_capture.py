"""What handlers print and log is told apart by invocation, and everything is put back afterwards."""

import asyncio
import contextlib
import contextvars
import io
import json
import logging
import random
import signal
import sys
import threading
import time

import pytest
from awslambdaric.lambda_runtime_log_utils import JsonFormatter as AwsJsonFormatter

from engine.core.event import Event
from engine.core.invocation import LOG_KEPT_CHARACTERS, LOG_TAIL_BYTES, Invocation, Phase
from engine.executors.capture import Capture, current


def invocation(request_id="r1", *, wants_log=True):
    return Invocation(Event("f", b"{}", request_id, 0.0, wants_log=wants_log), lambda outcome: None)


class Lines:
    """Takes lines as the engine's log does, by request id."""

    def __init__(self):
        self.by_request = {}

    def __call__(self, of, line):
        self.by_request.setdefault(of.event.request_id, []).append(line)


@contextlib.contextmanager
def inside(of):
    token = current.set(of)
    try:
        yield of
    finally:
        current.reset(token)


@contextlib.contextmanager
def process(streams):
    """Standard streams of the test's own, and a root logger without handlers (pytest sets up its own)."""
    before, root = (sys.stdout, sys.stderr), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    (sys.stdout, sys.stderr), root.handlers[:] = streams, []
    root.setLevel(logging.WARNING)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        root.handlers[:] = handlers
        root.setLevel(level)


@contextlib.contextmanager
def capturing(streams, lines=None, **options):
    """A `Capture` that is entered in a process with `streams`."""
    with process(streams), Capture(lines, **options) as capture:
        yield capture


@pytest.fixture
def streams():
    return io.StringIO(), io.StringIO()


@pytest.fixture
def lines():
    return Lines()


def record(level=logging.WARNING, message="hello %s", args=("you",), **extra):
    made = logging.LogRecord("shop.orders", level, "/var/task/app.py", 7, message, args, None, "handler")
    made.created, made.msecs = 1_767_225_600.1239, 123.9
    vars(made).update(extra)
    return made


def test_text_goes_to_its_invocation_by_complete_lines(streams, lines):
    """Pieces are joined; what has no newline yet waits for one."""
    with capturing(streams, lines) as capture, inside(invocation()) as one:
        print("a", 1)
        print("b", end="")
        print("c\nd\ne", file=sys.stderr)
        print("rest", end="")
        before = list(lines.by_request["r1"])
        capture.end(one)

    assert ["a 1\n", "bc\n", "d\n", "e\n"] == before
    assert [*before, "rest\n"] == lines.by_request["r1"]
    assert "a 1\nbc\nd\ne\nrest" == "".join(one.log)
    assert ["", ""] == [stream.getvalue() for stream in streams]


def test_outside_an_invocation_streams_are_as_before(streams, lines):
    """The engine's own output is nobody's log."""
    with capturing(streams, lines):
        print("engine")
        sys.stderr.writelines(["x\n", "y\n"])

    assert ["engine\n", "x\ny\n"] == [stream.getvalue() for stream in streams]
    assert {} == lines.by_request


def test_without_a_line_taker_text_goes_on_to_its_stream(streams):
    """It is kept for the log tail all the same."""
    with capturing(streams), inside(invocation()) as one:
        print("out")
        print("err", file=sys.stderr)
        logging.getLogger("x").warning("logged")

    assert "out\n" == streams[0].getvalue().partition("[")[0]
    assert "err\n" == streams[1].getvalue()
    assert streams[0].getvalue().endswith("\tr1\tlogged\n")
    assert 3 == "".join(one.log).count("\n")


def test_nobody_asked_nothing_is_kept(streams, lines):
    """The log is for callers that want its tail."""
    with capturing(streams, lines), inside(invocation(wants_log=False)) as one:
        print("a")

    assert one.log is None
    assert ["a\n"] == lines.by_request["r1"]


def test_where_all_is_kept_it_is_kept_line_by_line(streams, lines):
    """And bounded. A line that has not ended ends with the invocation."""
    with capturing(streams, lines, keeps_all=True) as capture, inside(invocation(wants_log=False)) as one:
        print("a")
        sys.stdout.write("b\nc")
        pieces = list(one.log)
        one.phase = Phase.ENDED
        capture.end(one)
        whole = list(one.log)
        for _ in range(1000):
            print("d" * 100)

    assert (["a\n", "b\n"], ["a\n", "b\n", "c\n"]) == (pieces, whole)
    assert whole == lines.by_request["r1"][:3]
    assert sum(map(len, one.log)) < 3 * LOG_KEPT_CHARACTERS


def test_the_log_stays_bounded_and_keeps_its_tail(streams):
    """A handler may print for ever."""
    with capturing(streams, lambda of, line: None), inside(invocation()) as one:
        for number in range(20_000):
            sys.stdout.write(f"line {number}\n")
        sys.stdout.write("x" * 1_000_000 + "end\n")
        sizes = sum(map(len, one.log))
        for number in range(300):
            sys.stdout.write(f"{number}\n")
    tail = "".join(one.log)[-LOG_TAIL_BYTES:]

    assert sizes < 300 * LOG_TAIL_BYTES
    assert LOG_TAIL_BYTES == len(tail)
    assert tail.endswith("298\n299\n")


def test_late_text_is_still_forwarded_but_not_kept(streams, lines):
    """A task the handler left behind writes after the answer."""
    with capturing(streams, lines), inside(invocation()) as one:
        print("in time")
        one.phase = Phase.ENDED
        print("late")

    assert ["in time\n"] == ["".join(one.log)]
    assert ["in time\n", "late\n"] == lines.by_request["r1"]


def test_unfinished_lines_of_ended_invocations_are_not_hoarded(streams, lines):
    """They come out by and by, at the latest at the end."""
    with capturing(streams, lines):
        for number in range(1000):
            with inside(invocation(f"r{number}")) as one:
                print(number, end="")
            one.phase = Phase.ENDED
        early = len(lines.by_request)

    assert early > 800
    assert {f"r{number}": [f"{number}\n"] for number in range(1000)} == lines.by_request


@pytest.mark.parametrize("text", [b"x", None, 3])
def test_only_text_can_be_written(streams, text):
    """As a real stream says."""
    with (
        capturing(streams),
        inside(invocation()),
        pytest.raises(TypeError, match="write\\(\\) argument must be str"),
    ):
        sys.stdout.write(text)


def test_write_tells_how_much_it_wrote(streams):
    """In characters, as a real stream does."""
    with capturing(streams, lambda of, line: None), inside(invocation()):
        written = sys.stdout.write("héy\n")

    assert 4 == written


def test_the_rest_of_a_stream_is_the_streams(tmp_path):
    """Encoding, file descriptor, buffer, isatty; closing is refused silently."""
    with (tmp_path / "out").open("w", encoding="utf-16", errors="replace") as file:
        with capturing((file, file)), inside(invocation()):
            out = sys.stdout
            out.close()
            out.flush()
            actual = out.encoding, out.errors, out.fileno(), out.isatty(), out.closed
            buffer = out.buffer

        assert buffer is file.buffer
        assert ("utf-16", "replace", file.fileno(), False, False) == actual


def test_everything_is_put_back(streams):
    """Streams, handlers and level, even if the handlers' code changed the level."""
    root = logging.getLogger()
    with process(streams):
        with Capture(log_format="json"):
            during = root.level
            root.setLevel(logging.DEBUG)
        after = sys.stdout, sys.stderr, root.handlers[:], root.level

    assert logging.INFO == during
    assert (*streams, [], logging.WARNING) == after


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_captures_nest_and_may_end_in_any_order(streams, order):
    """The innermost takes the text, once; after both all is as before."""
    first, second = Lines(), Lines()
    captures = [Capture(first), Capture(second)]
    with process(streams):
        for capture in captures:
            capture.__enter__()
        with inside(invocation()):
            print("x")
            logging.getLogger().warning("y")
        for position in order:
            captures[position].__exit__(None, None, None)
        with inside(invocation()):
            print("after")
        after = sys.stdout, sys.stderr, logging.getLogger().handlers[:]

    assert {} == first.by_request
    assert ["x\n"] == second.by_request["r1"][:1]
    assert 2 == len(second.by_request["r1"])
    assert "after\n" == streams[0].getvalue()
    assert (*streams, []) == after


def test_a_missing_stream_is_left_missing():
    """Some processes have no standard streams."""
    with capturing((None, None)) as capture:
        capture.take(invocation(), "nowhere\n")
        during = sys.stdout

    assert during is None


async def test_a_thousand_tasks_never_mix(streams, lines):
    """Each prints and logs in pieces, in turn with the others, from inner tasks too."""
    chance = random.Random(1)

    async def write(request_id, number):
        print(request_id, end="")
        await asyncio.sleep(0)
        print(f" {number}")
        logging.getLogger("user").warning("%s logs %d", request_id, number)

    async def handler(one):
        current.set(one)
        for number in range(chance.randrange(1, 6)):
            await asyncio.create_task(write(one.event.request_id, number))
            if number == 4:
                await asyncio.to_thread(print, one.event.request_id, "thread")

    ours = [invocation(f"r{number}") for number in range(1000)]
    with capturing(streams, lines):
        async with asyncio.TaskGroup() as group:
            for one in ours:
                group.create_task(handler(one))
        print("engine")

    assert 1000 == len(lines.by_request)
    assert all(request_id in line.split() for request_id, own in lines.by_request.items() for line in own)
    assert all("".join(lines.by_request[one.event.request_id]) == "".join(one.log) for one in ours)
    assert "engine\n" == streams[0].getvalue()


@pytest.mark.real_time
def test_threads_never_mix(streams, lines):
    """Nor do threads of one invocation lose text to each other."""
    gate = threading.Barrier(8)

    def handler(one):
        current.set(one)
        gate.wait()
        for number in range(300):
            print(one.event.request_id, number, sep="-")

    shared = invocation("shared")
    ours = [invocation(f"r{number}") for number in range(4)] + [shared] * 4
    with capturing(streams, lines):
        threads = [threading.Thread(target=contextvars.Context().run, args=(handler, one)) for one in ours]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert {"r0", "r1", "r2", "r3", "shared"} == set(lines.by_request)
    assert [f"r0-{number}\n" for number in range(300)] == lines.by_request["r0"]
    assert 1200 * len("shared-\n") + 4 * sum(len(str(n)) for n in range(300)) == sum(
        map(len, lines.by_request["shared"])
    )


def logged(made, **options):
    """What `made` becomes in an invocation's log."""
    lines = Lines()
    with capturing((io.StringIO(), io.StringIO()), lines, **options), inside(invocation()):
        logging.getLogger().handlers[0].handle(made)
    return "".join(lines.by_request.get("r1", []))


def test_a_record_becomes_lambdas_text():
    """Level, UTC time to the millisecond, request id, message, by tabs."""
    assert "[WARNING]\t2026-01-01T00:00:00.123Z\tr1\thello you\n" == logged(record())


def aws_text(made):
    """AWS's client sets its formatter up inside a function, so the format is given here."""
    made.aws_request_id = "r1"
    formatter = logging.Formatter(
        "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n", "%Y-%m-%dT%H:%M:%S"
    )
    formatter.converter = time.gmtime
    return formatter.format(made)


def aws_json(made):
    made.aws_request_id, made.tenant_id = "r1", None
    formatter = AwsJsonFormatter()
    formatter.converter = time.gmtime
    return formatter.format(made)


def with_error(error):
    try:
        raise error
    except type(error):
        return sys.exc_info()


RECORDS = {
    "plain": {},
    "no args": {"args": ()},
    "text with percent": {"message": "100 %", "args": ()},
    "dict": {"message": {"a": 1, "when": object}, "args": ()},
    "number": {"message": 3, "args": ()},
    "umlaut": {"message": "hé\u2028", "args": ()},
    "two lines": {"message": "a\nb", "args": ()},
    "debug": {"level": logging.DEBUG},
    "custom level": {"level": 25},
    "beyond critical": {"level": 99},
    "error": {"exc_info": with_error(ValueError("bad"))},
    "error without text": {"exc_info": with_error(KeyError())},
    "extra": {"order": "A-1", "none": None, "count": 3, "odd": {1, 2}},
    "extra that has a key's name": {"timestamp": "mine", "level": "mine"},
}


@pytest.mark.parametrize("name", RECORDS)
def test_a_text_record_is_awss(name):
    """Tracebacks included; they are closed by a newline, where AWS frames them."""
    expected = aws_text(record(**_arguments(name)))

    assert expected.removesuffix("\n") + "\n" == logged(record(**_arguments(name)))


@pytest.mark.parametrize("name", RECORDS)
def test_a_json_record_is_awss(name):
    """Keys in the same order; extra attributes last; None left out."""
    arguments = _arguments(name)

    assert aws_json(record(**arguments)) == logged(record(**arguments), log_format="json")


def _arguments(name):
    """`extra=` and the rest as `logging` sets them: level is an attribute only under another name."""
    arguments = dict(RECORDS[name])
    if name == "extra that has a key's name":
        arguments.pop("level")
    return arguments


def test_json_has_these_keys_in_this_order():
    """The reference's list, without the oracle."""
    text = logged(record(exc_info=with_error(ValueError("bad")), order="A-1"), log_format="json")
    expected = ["timestamp", "level", "message", "logger", "stackTrace", "errorType", "errorMessage"]

    assert [*expected, "requestId", "location", "order"] == list(json.loads(text))
    assert "2026-01-01T00:00:00Z" == json.loads(text)["timestamp"]


async def test_the_name_of_a_task_is_not_logged():
    """Python 3.12 puts it on every record; on Lambda there are no tasks."""
    assert "taskName" not in logged(record(taskName="Task-12"), log_format="json")


def test_a_formatter_of_the_users_is_used(streams, lines):
    """Set on the first handler of the root logger, with Lambda's own attribute."""
    with capturing(streams, lines), inside(invocation()):
        logging.getLogger().handlers[0].setFormatter(logging.Formatter("%(aws_request_id)s: %(message)s"))
        logging.getLogger("x").error("bad")

    assert ["r1: bad\n"] == lines.by_request["r1"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"WARNING", "ERROR"}),
        ({"log_format": "json"}, {"INFO", "WARNING", "ERROR"}),
        ({"level": logging.ERROR}, {"ERROR"}),
        ({"log_format": "json", "level": logging.DEBUG}, {"DEBUG", "INFO", "WARNING", "ERROR"}),
    ],
)
def test_levels_are_lambdas(streams, lines, options, expected):
    """WARNING as Python's default in text, INFO in JSON, or the one that was configured."""
    with capturing(streams, lines, **options), inside(invocation()):
        for level in ("debug", "info", "warning", "error"):
            getattr(logging.getLogger("user"), level)("x")
    text = "".join(lines.by_request["r1"])

    assert expected == {level for level in ("DEBUG", "INFO", "WARNING", "ERROR") if level in text}


def test_a_bad_log_call_raises_as_on_lambda(streams, lines):
    """AWS's client formats without the catch that `logging` has; nothing is written."""
    with capturing(streams, lines), inside(invocation()), pytest.raises(TypeError):
        logging.getLogger("x").warning("%d", "no number")

    assert [] == lines.by_request.get("r1", [])


def test_outside_an_invocation_logging_works_as_without_us(streams):
    """Warnings still reach stderr, as they do when no handler is set up."""
    with capturing(streams):
        logging.getLogger("asyncio").warning("of the engine")
        logging.getLogger("asyncio").info("not shown")

    assert "of the engine\n" == streams[1].getvalue()


def test_outside_an_invocation_other_handlers_are_not_doubled(streams):
    """Who has set up logging gets each record once."""
    out = io.StringIO()
    with capturing(streams):
        logging.getLogger().addHandler(logging.StreamHandler(out))
        logging.getLogger("x").warning("once")

    assert ("once\n", "") == (out.getvalue(), streams[1].getvalue())


def test_a_line_that_comes_in_very_many_pieces_is_put_together_once():
    """Thirty thousand pieces: joined with each of them anew, it would take minutes."""

    def give_up(_number: int, _frame: object) -> None:
        raise TimeoutError

    lines = []
    capture = Capture(lambda _invocation, line: lines.append(line))
    one = Invocation(Event("f", b"", "id", 0.0), lambda _: None)
    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(20)
    try:
        for _ in range(30_000):
            capture.take(one, "x" * 2000)
        capture.take(one, "\nrest")
        capture.end(one)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)

    assert ["x" * 60_000_000 + "\n", "rest\n"] == lines
