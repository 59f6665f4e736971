"""Stamps: AWS's spellings of the time."""

from engine.sources.http.timestamps import Timestamps, new_trace_id


def test_a_stamp_spells_the_time_as_aws_does(wall_clock):
    """`time`, `timeEpoch` and the start of a trace id."""
    timestamp = Timestamps(wall_clock).now()

    expected = 1584039838390, "12/Mar/2020:19:03:58 +0000", "Root=1-5e6a879e-"
    assert expected == (timestamp.epoch_ms, timestamp.text, timestamp.trace)


def test_the_text_follows_the_clock_each_second(wall_clock):
    """Milliseconds are fresh, the text changes with the second, also backwards."""
    stamps = Timestamps(wall_clock)
    seen = []
    for wall_s in (1584039838.390, 1584039838.999, 1584039839.0, 1577836799.5):
        wall_clock.wall_s = wall_s
        timestamp = stamps.now()
        seen.append((timestamp.epoch_ms % 1000, timestamp.text))

    assert [
        (390, "12/Mar/2020:19:03:58 +0000"),
        (999, "12/Mar/2020:19:03:58 +0000"),
        (0, "12/Mar/2020:19:03:59 +0000"),
        (500, "31/Dec/2019:23:59:59 +0000"),
    ] == seen


def test_a_new_trace_id_has_the_shape_of_x_ray(wall_clock):
    """8 hex digits of time, 24 of the request id."""
    trace = new_trace_id(Timestamps(wall_clock).now(), "0f0e0d0c-0b0a-4908-8706-050403020100")

    assert "Root=1-5e6a879e-0504030201000f0e0d0c0b0a" == trace
