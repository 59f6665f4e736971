"""Shapes of traffic, and arrivals drawn from them."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model.traffic.shapes import arrivals, parse_shape
from engine.sources.replay.published import spread

SHAPES = [
    "constant:20",
    "poisson:20",
    "20",
    "sine:20:15:60",
    "step:5:40:100",
    "ramp:5:40:100",
    "spike:5:200:100:10",
    "onoff:40:10:10",
]


@pytest.mark.parametrize("text", SHAPES)
def test_arrivals_come_at_the_rate_of_the_shape(text):
    """In order, within the horizon, as many as the mean rate says within five standard deviations."""
    shape = parse_shape(text)
    at_s = arrivals(shape, 300.0, Random(1))
    expected = shape.mean_per_s(300.0) * 300

    assert at_s == sorted(at_s)
    assert 0 <= at_s[0]
    assert at_s[-1] < 300
    assert abs(len(at_s) - expected) <= 5 * math.sqrt(expected)


@pytest.mark.parametrize("text", SHAPES)
def test_the_mean_rate_is_the_average_of_the_rate(text):
    """And no moment is above the peak."""
    shape = parse_shape(text)
    rates = [shape.rate_per_s((step + 0.5) * 0.05) for step in range(6000)]

    assert shape.mean_per_s(300.0) == pytest.approx(sum(rates) / len(rates), rel=1e-3)
    assert max(rates) <= shape.peak_per_s(300.0)
    assert max(rates) == pytest.approx(shape.peak_per_s(300.0), rel=1e-3)


@pytest.mark.parametrize("text", SHAPES)
def test_a_scaled_shape_has_more_requests_at_the_same_times(text):
    """Rates are multiplied, moments are not."""
    shape = parse_shape(text)

    assert 3 * shape.mean_per_s(300.0) == pytest.approx(shape.scaled(3).mean_per_s(300.0))
    assert 3 * shape.rate_per_s(103.0) == pytest.approx(shape.scaled(3).rate_per_s(103.0))


def test_a_wave_goes_up_and_down():
    """Twice as many come in its upper half as in its lower one, or thereabouts."""
    at_s = arrivals(parse_shape("sine:100:50:100"), 100.0, Random(2))
    above = sum(one < 50 for one in at_s)

    assert above == pytest.approx(50 * (100 + 50 * 2 / math.pi), rel=0.05)


def test_constant_traffic_has_equal_distances():
    """Nothing is drawn."""
    assert [0.0, 0.25, 0.5, 0.75] == arrivals(parse_shape("constant:4"), 1.0, Random(1))


def test_off_is_off():
    """No request comes between the bursts."""
    at_s = arrivals(parse_shape("onoff:50:2:8"), 100.0, Random(1))

    assert all(one % 10 < 2 for one in at_s)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("-3", "RATE must not be negative or infinite, got -3"),
        ("poisson:inf", "RATE must not be negative or infinite"),
        ("poisson:0", "RATE must be more than 0"),
        ("poisson:many", "RATE 'many' is not a number"),
        ("wave:3", "no such traffic (known: poisson, constant, sine, step, ramp, spike, onoff)"),
        ("sine:10:5", "must be sine:MEAN:AMPLITUDE:PERIOD_S"),
    ],
)
def test_a_shape_that_is_none_is_one_clear_line(text, problem):
    """With what was written, and what is wrong."""
    with pytest.raises(ValueError, match=r"^'.*': ") as raised:
        parse_shape(text)

    assert problem in str(raised.value)
    assert "\n" not in str(raised.value)


@given(st.text(max_size=40))
def test_no_text_breaks_the_parser_of_shapes(text):
    """It is a shape, or a ValueError."""
    try:
        shape = parse_shape(text)
    except ValueError:
        return
    assert shape == parse_shape(str(shape)) or "e" in str(shape)


@pytest.mark.parametrize(
    ("how", "expected"), [("start", [0.0, 0.0, 120.0, 120.0]), ("even", [15.0, 45.0, 135.0, 165.0])]
)
def test_counted_requests_are_spread_as_asked(how, expected):
    """All at the start of their minute, or at equal distances."""
    assert expected == spread([2, 0, 2], 60.0, how, Random(1))


def test_counted_requests_anywhere_in_their_minute():
    """Uniform, in order, none lost."""
    at_s = spread([3, 0, 5], 60.0, "uniform", Random(1))

    assert [3, 5] == [sum(one < 60 for one in at_s), sum(120 <= one < 180 for one in at_s)]
    assert at_s == sorted(at_s)


@pytest.mark.parametrize(
    ("traffic", "expected"),
    [
        ("5", [0.25, 0.25, 0.25, 0.25]),
        ("step:10:30:1800", [1 / 8, 1 / 8, 3 / 8, 3 / 8]),
        ("onoff:9:900:900", [0.5, 0, 0.5, 0]),
        ("step:0:5:9000", [0.25, 0.25, 0.25, 0.25]),
    ],
)
def test_each_part_of_the_time_has_its_share_of_the_requests(traffic, expected):
    """Of none at all, they are alike."""
    assert expected == pytest.approx(parse_shape(traffic).shares(3600, 4))
