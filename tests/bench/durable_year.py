"""A year of durable waits in virtual time: how long that takes in real time.

Run: `python -m tests.bench.durable_year`; prints one JSON line with the median of 5, in seconds: of one wait
of a year, and of twelve steps and waits of a month.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from statistics import median

from engine import DurableConfig, Function
from engine.testing import SyncEngine

CODE = str(Path(__file__).parent.parent / "durable")
YEAR = DurableConfig(366 * 24 * 3600)
PROGRAMS = {"one_wait": ("program", [f"wait {365 * 24 * 3600}"]), "twelve_months": ("year", None)}


def seconds(name: str, payload: object) -> float:
    """For one execution on an engine that has run one before."""
    functions = [
        Function(one, handler=f"year_handlers.{one}", code=CODE, durable=YEAR) for one in ("program", "year")
    ]
    with SyncEngine(functions) as engine:
        engine.execute(name, [])
        began_s = time.perf_counter()
        assert "SUCCEEDED" == engine.execute(name, payload).status
        return time.perf_counter() - began_s


print(json.dumps({key: round(median(seconds(*one) for _ in range(5)), 3) for key, one in PROGRAMS.items()}))
