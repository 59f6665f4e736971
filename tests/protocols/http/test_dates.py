"""Dates in headers."""

from email.utils import formatdate

from engine.protocols.http.dates import http_date


def test_a_date_is_written_as_the_standard_library_does():
    """Each day of the week and month, each hour, also in years long ago and to come."""
    moments = [
        -(10**9),
        0,
        784_111_777,
        2**31,
        4_102_444_799.5,
        *range(1_700_000_000, 1_740_000_000, 432_101),
    ]

    assert [formatdate(at_s, usegmt=True) for at_s in moments] == [http_date(at_s) for at_s in moments]
