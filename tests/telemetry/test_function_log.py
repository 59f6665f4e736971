"""What functions have logged, for the logs service: order, bounds, and the odd ends."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.event import Event
from engine.core.invocation import Invocation, Phase
from engine.core.outcome import Outcome, Status
from engine.core.rate import Rate
from engine.telemetry.function_log import FunctionLog
from engine.testing import VirtualClock

RATE = Rate(0, 0)
EPOCH_S = 1_767_225_600.0


class Bench:
    """A log with invocations of one function."""

    def __init__(self, max_bytes=100_000, write_line=lambda _invocation, _text: None):
        self.clock = VirtualClock()
        self.log = FunctionLog(self.clock, max_bytes, write_line)

    def begin(self, request_id="r", env_id=1):
        invocation = Invocation(Event("f", b"{}", request_id, self.clock.now()), print)
        invocation.env_id, invocation.started_s = env_id, self.clock.now()
        return invocation

    def end(self, invocation, status=Status.SUCCESS, body=b"1"):
        invocation.phase = Phase.ENDED
        outcome = Outcome(status, body, invocation.event.request_id, RATE, duration_s=0.25, billed_ms=250)
        self.log.ended(invocation, outcome, None, 128)

    def read(self, step=10):
        lines = []
        while taken := list(self.log.take(step)):
            lines += taken
        return lines

    def words(self, **more):
        return [line.message.split(" ")[0].strip() for line in self.read(**more)]


@pytest.fixture
def bench():
    return Bench()


def test_start_has_the_time_of_the_start_and_each_line_its_own(bench):
    invocation = bench.begin()
    bench.clock.advance(1)
    bench.log.line(invocation, "one\n")
    bench.clock.advance(1)
    bench.end(invocation)
    lines = bench.read()

    assert ["START", "one", "END", "REPORT"] == [line.message.split()[0] for line in lines]
    assert [0, 1, 2, 2] == [line.at_s - EPOCH_S for line in lines]
    assert {"/aws/lambda/f"} == {line.group for line in lines}


def test_what_is_read_while_an_invocation_runs_is_not_there_again(bench):
    invocation = bench.begin()
    bench.log.line(invocation, "one\n")
    assert ["START", "one"] == bench.words()
    assert [] == bench.words()
    bench.log.line(invocation, "two\n")
    assert ["two"] == bench.words()
    bench.end(invocation)
    assert ["END", "REPORT"] == bench.words()


def test_nothing_comes_before_what_a_reader_has_read(bench):
    """Who follows a log asks for what is later than the last line: a START must not hide behind it."""
    invocation = bench.begin()
    bench.clock.advance(5)
    bench.read()
    bench.clock.advance(5)
    bench.end(invocation)

    assert [5, 10, 10] == [line.at_s - EPOCH_S for line in bench.read()]


def test_the_open_line_at_the_end_comes_before_end(bench):
    invocation = bench.begin()
    bench.log.watch_output(lambda one: bench.log.line(one, "open\n"))
    bench.end(invocation)

    assert ["START", "open", "END", "REPORT"] == bench.words(step=1)


def test_a_thread_that_goes_on_writes_behind_the_report(bench):
    invocation = bench.begin()
    bench.end(invocation)
    bench.log.line(invocation, "late\n")

    assert ["START", "END", "REPORT", "late"] == bench.words()


def test_attempts_of_one_request_have_a_start_each(bench):
    for _ in range(2):
        bench.end(bench.begin())

    assert ["START", "END", "REPORT"] * 2 == bench.words()


def test_a_failure_is_worded_as_in_the_platforms_log(bench):
    bench.end(bench.begin("a"), Status.TIMEOUT, b"{}")
    bench.end(bench.begin("b"), Status.CRASH, b'{"errorMessage": "exited", "errorType": "Runtime.ExitError"}')
    messages = [line.message for line in bench.read()]

    assert "a Task timed out after 0.25 seconds\n\n" in messages[1]
    assert "exited\nRuntime.ExitError\n" == messages[5]
    assert messages[7].endswith("Status: error\tError Type: Runtime.ExitError\n")


def test_environments_have_a_stream_each_and_the_one_they_tell(bench):
    bench.log.name_stream("f", "$LATEST", 1, "told")
    for env_id in (1, 2, 2):
        bench.end(bench.begin(env_id=env_id))
    first, second, third = [line.stream for line in bench.read()][::3]

    assert "told" == first
    assert second == third
    assert second.startswith("2026/01/01/[$LATEST]")


def test_without_lines_what_was_written_is_read_at_the_end():
    bench = Bench(write_line=None)
    invocation = bench.begin()
    invocation.log = ["one\ntw", "o\nthree"]
    bench.end(invocation)

    assert ["START", "one", "two", "three", "END", "REPORT"] == bench.words()


@given(st.lists(st.integers(1, 3000), max_size=200), st.integers(2_000, 50_000))
def test_the_oldest_go_and_never_more_than_the_bound_is_kept(lengths, max_bytes):
    bench = Bench(max_bytes)
    invocation = bench.begin()
    for length in lengths:
        bench.log.line(invocation, f"{'x' * length}\n")
    kept = [len(line.message) - 1 for line in bench.read() if line.message.startswith("x")]

    assert kept == lengths[len(lengths) - len(kept) :]
    assert sum(kept) <= max_bytes


@pytest.mark.real_time
def test_lines_of_a_thread_and_ends_on_the_loop_lose_no_byte_of_the_count():
    bench = Bench(max_bytes=50_000)
    invocation = bench.begin()

    def write():
        for number in range(3000):
            bench.log.line(invocation, f"{number}\n")

    thread = threading.Thread(target=write)
    thread.start()
    for _ in range(1000):
        bench.end(bench.begin())
    thread.join()
    bench.log.line(invocation, "last\n")

    assert "last" == bench.words()[-1]
    assert [] == bench.words()
    bench.log.line(invocation, "one more\n")
    assert ["one"] == bench.words()
