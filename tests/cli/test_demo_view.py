"""The demo while it runs: plain lines, the live picture, and the plan behind both."""

import io

import pytest
from rich.console import Console

from engine.cli.demo.engine_process import ROOT
from engine.cli.demo.load import OK
from engine.cli.demo.mixed_traffic import EXPECTED_FAILURES, traffic_classes
from engine.cli.demo.phases import PhaseProgress
from engine.cli.demo.sizes import DemoSizes
from engine.cli.demo.view import Lines, Quiet, screen, sparkline
from engine.config import load_config
from engine.telemetry.status_sample import StatusSample
from handlers.faulty import HOW

PLAN = DemoSizes(config="handlers/engine.toml")


class Watch:
    """A time axis that a test moves."""

    def __init__(self):
        self.at_s = 0.0

    def __call__(self):
        return self.at_s


def sample(at_s, in_flight=0, environments=0, invocations=0):
    return StatusSample(at_s, in_flight, environments, invocations, throttles=3, cost_usd=0.0000125)


@pytest.fixture
def watch():
    return Watch()


def test_plain_lines_tell_each_phase_and_every_two_seconds_between(watch):
    """Begin, so far, end: one line each, with the time in front."""
    out = io.StringIO()
    board = PhaseProgress(PLAN.phases(), watch, Lines(out))
    with board.during(0) as phase:
        for at_s in (0.5, 1.0, 2.0, 2.1, 3.9):
            watch.at_s = at_s
            board.show_sample(sample(at_s, in_flight=1000, environments=1000, invocations=int(at_s * 10)))
        phase.achieved = "1,000 at a time"

    numbers = "1,000 in flight, 1,000 environments, 10 per s, 20 invocations, 3 refused, $0.000013"
    assert [
        "  0.0 s  1/7 from zero: 0 → 1,000 at a time, none refused",
        f"  2.0 s    from zero: {numbers}, about 20 s left",
        "  3.9 s    from zero: 1,000 at a time",
    ] == out.getvalue().splitlines()


def test_nothing_is_said_between_two_phases(watch):
    """Samples keep coming; lines do not."""
    out = io.StringIO()
    board = PhaseProgress(PLAN.phases(), watch, Lines(out))
    watch.at_s = 9.0
    board.show_sample(sample(9.0))

    assert "" == out.getvalue()


def test_the_picture_shows_every_phase_target_and_what_came(watch):
    """What is over, what runs, what waits."""
    board = PhaseProgress(PLAN.phases(), watch, Quiet())
    with board.during(0) as phase:
        phase.achieved = "1,000 at a time, 0 refused"
    with board.during(1):
        board.show_sample(sample(0.1, in_flight=812, environments=1000))
        out = io.StringIO()
        Console(file=out, width=130, color_system=None).print(screen(board))

    text = out.getvalue()
    assert all(phase.title in text and phase.target in text for phase in board.phases)
    assert "1,000 at a time, 0 refused" in text
    assert "812 in flight" in text
    assert "left" in text


def test_the_remaining_time_is_that_of_the_plan(watch):
    """What waits in full; what runs less what it took, never below zero."""
    board = PhaseProgress(PLAN.phases(), watch, Quiet())
    planned_s = [phase.planned_s for phase in board.phases]

    assert sum(planned_s) == board.remaining_s()
    with board.during(0):
        watch.at_s = 1.0
        assert sum(planned_s) - 1.0 == board.remaining_s()
        watch.at_s = 100.0
        assert sum(planned_s[1:]) == board.remaining_s()
        assert 0.99 == board.share(board.phases[0])
    assert 1.0 == board.share(board.phases[0])


def test_the_rate_is_that_of_the_last_second(watch):
    """Older samples do not count; one sample has no rate."""
    board = PhaseProgress(PLAN.phases(), watch, Quiet())
    board.show_sample(sample(0.0, invocations=0))

    assert 0.0 == board.per_s
    for at_s, count in ((1.0, 1000), (1.5, 1100), (2.0, 1200)):
        board.show_sample(sample(at_s, invocations=count))
    assert 200.0 == board.per_s


def test_the_demo_is_planned_for_less_than_half_a_minute():
    """Make demo promises to be done in under a minute, on a slow machine too."""
    assert sum(phase.planned_s for phase in PLAN.phases()) < 30


@pytest.mark.parametrize(
    ("values", "text"),
    [([], ""), ([0, 0], "  "), ([0, 1, 1000], " ▁█"), ([5], "█"), ([0, 8, 0, 0, 4, 1], "█ ▄")],
)
def test_a_sparkline_hides_nothing_but_zero(values, text):
    """The highest fills the line, one of many is still seen, each bar is the highest of its share."""
    assert text == sparkline(values, width=3)


def test_mixed_traffic_asks_for_every_way_to_fail():
    """A new way to fail in handlers/faulty.py must be added; each costs one environment at most."""
    tried = {*EXPECTED_FAILURES, "malformed", "sleep"}  # sleep is another name for timeout

    assert set(HOW) == tried


def test_mixed_traffic_leaves_thumbnails_out_without_pillow():
    """The rest goes on."""
    with_pillow = {one.name for one in traffic_classes(thumbnails=True)}

    assert {"thumbnails"} == with_pillow - {one.name for one in traffic_classes(thumbnails=False)}
    assert all(
        one.expected and OK not in one.expected
        for one in traffic_classes(thumbnails=False)
        if "raise" in one.name
    )


def test_the_functions_of_the_demo_are_in_the_example_configuration():
    """What it drives must be there."""
    config = load_config(ROOT / "handlers" / "engine.toml")

    assert {"hello", "echo", "orders", "thumbnails", "primes", "sleeper", "faulty"} <= {
        function.name for function in config.functions
    }
