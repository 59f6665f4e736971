"""What goes wrong in a load test before it has a result."""

from __future__ import annotations

from engine.errors import EngineError


class LoadTestError(EngineError):
    """The load test could not be run; the text says why, a line for each problem."""
