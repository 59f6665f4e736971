"""Values of options: what is taken, and what is refused."""

import click
import pytest

from engine.cli.values import SECONDS


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("15", 15.0), ("15s", 15.0), ("1.5m", 90.0), ("1h", 3600.0), ("500ms", 0.5), ("0", 0.0), ("0s", 0.0)],
)
def test_a_time_is_a_number_with_one_unit_or_none(text, seconds):
    """Without a unit it is seconds."""
    assert seconds == SECONDS.convert(text, None, None)


@pytest.mark.parametrize(
    "text", ["", "s", "ms", "5sm", "5ss", "5mms", "5hs", "5d", "-1", "-1s", "nan", "inf", "infs", "1e308h"]
)
def test_what_is_no_time_is_refused_as_it_was_written(text):
    """Two units are none."""
    with pytest.raises(click.BadParameter) as refused:
        SECONDS.convert(text, None, None)

    assert f"{text!r} is no time: write 15, 15s, 1.5m or 1h" == refused.value.message
