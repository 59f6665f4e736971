"""Output whose reader is slow, late or gone: writers never wait, and what is lost is counted and told."""

import os
import threading

import pytest

from engine.runtime.output import OutputWriter

pytestmark = pytest.mark.real_time


@pytest.fixture
def pipe():
    """Both ends; closed afterwards, if not before."""
    ends = list(os.pipe())
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            pass


def writer(pipe, **more):
    return OutputWriter(pipe[1], "{} lines are missing here\n".format, **more)


def read_all(pipe):
    """From another thread, so that the writer can go on; joined by `text()`."""
    pieces = []

    def read():
        while piece := os.read(pipe[0], 65_536):
            pieces.append(piece)

    thread = threading.Thread(target=read)
    thread.start()

    def text():
        os.close(pipe[1])
        thread.join(10)
        return b"".join(pieces).decode()

    return text


def test_lines_come_in_the_order_in_which_they_were_written(pipe):
    """Whatever the size of the pieces."""
    out = writer(pipe)
    text = read_all(pipe)
    lines = [f"{number} {'x' * (number % 700)}\n" for number in range(3_000)]
    for line in lines:
        out.write(line)
    out.close()

    assert "".join(lines) == text()
    assert 0 == out.dropped


def test_a_gap_is_told_once_in_its_place_when_the_reader_comes_back(pipe):
    """What was kept comes first, then how many lines are missing, then what came after."""
    out = writer(pipe, kept_bytes=100_000)
    sent = 3_000
    for number in range(sent):
        out.write(f"{number:099}\n")
    dropped = out.dropped
    text = read_all(pipe)
    done = threading.Event()
    while out.failing and not done.wait(0.01):
        pass
    out.write("after\n")
    out.close()
    lines = text().splitlines()

    assert 0 < dropped < sent
    assert [f"{number:099}" for number in range(sent - dropped)] == lines[:-2]
    assert [f"{dropped} lines are missing here", "after"] == lines[-2:]


def test_a_reader_that_never_comes_costs_neither_the_writer_nor_the_end_more_than_a_moment(pipe):
    """All that was not read is counted."""
    out = writer(pipe, kept_bytes=1_000_000)
    for _ in range(30_000):
        out.write("x" * 99 + "\n")
    out.close()

    assert not out.is_done
    assert out.dropped >= 30_000 - 10_000


def test_a_reader_that_is_gone_is_counted_and_the_next_write_is_tried(pipe):
    """No line is lost in silence; the thread ends in order."""
    out = writer(pipe)
    os.close(pipe[0])
    out.write("one\ntwo\n")
    out.write("three\n")
    out.close()

    assert out.is_done
    assert out.failing
    assert 3 == out.dropped


def test_a_descriptor_that_others_made_non_blocking_is_waited_for(pipe):
    """It is shared with them: nothing is dropped for it."""
    os.set_blocking(pipe[1], False)
    out = writer(pipe)
    text = read_all(pipe)
    out.write("x" * 1_000_000 + "\n")
    out.close()

    assert 1_000_001 == len(text())
    assert 0 == out.dropped


def test_what_the_encoding_cannot_hold_is_written_with_backslashes(pipe):
    """A lone surrogate or an arrow must not fail a write."""
    out = writer(pipe, encoding="ascii")
    text = read_all(pipe)
    out.write("\udcff → ok\n")
    out.close()

    assert "\\udcff \\u2192 ok\n" == text()
