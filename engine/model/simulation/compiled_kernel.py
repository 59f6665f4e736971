"""The kernel compiled by numba: imported only where numba is installed and asked for (extra `[model]`)."""

from __future__ import annotations

from typing import Any

import numba
import numpy

from engine.model.simulation.kernel import Rules, Totals
from engine.model.simulation.kernel import run as run_kernel

_compiled = numba.njit(cache=True)(run_kernel)


def run(
    at_s: Any,
    hold_s: Any,
    kills: Any,
    inits_s: Any,
    horizon_s: float,
    rules: Rules,
    outcomes: bytearray,
    started_s: Any,
    billed_init_s: Any,
    inside: bytearray,
) -> Totals:
    """As `kernel.run`; whatever comes is seen as arrays without a copy where that can be."""
    return Totals(
        *_compiled(
            numpy.asarray(at_s, dtype=numpy.float64),
            numpy.asarray(hold_s, dtype=numpy.float64),
            numpy.frombuffer(kills or bytearray(), dtype=numpy.uint8),
            numpy.asarray(inits_s, dtype=numpy.float64),
            float(horizon_s),
            rules,
            numpy.frombuffer(outcomes, dtype=numpy.uint8),
            numpy.asarray(started_s),
            numpy.asarray(billed_init_s),
            numpy.frombuffer(inside, dtype=numpy.uint8),
        )
    )
