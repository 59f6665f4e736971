"""Puts values in the place of Grafana's variables, as Grafana would."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_VARIABLE: Final = re.compile(r"\$\{?(\w+)\}?")

ALL: Final = {"cluster": ".*", "job": ".+", "instance": ".+", "function": ".+", "scenario": ".+"}


def filled(expr: str, *, rate_interval_s: float, range_s: float, values: Mapping[str, str] = ALL) -> str:
    """`expr` with a value for each variable.

    Raises:
        KeyError: It has a variable that no dashboard defines.
    """
    times = {
        "__rate_interval": f"{rate_interval_s * 1000:.0f}ms",
        "__interval": f"{rate_interval_s * 250:.0f}ms",
        "__range": f"{range_s * 1000:.0f}ms",
    }
    return _VARIABLE.sub(lambda found: {**values, **times}[found[1]], expr)
