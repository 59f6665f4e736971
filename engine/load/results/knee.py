"""Where the knee is: the highest load that held before one that did not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from engine.load.planning.plan import Breaks

_HEADROOM: Final = 0.3
_ASKED_PER_S: Final = (1_000, 10_000, 100_000)


def why_broken(row: Mapping[str, Any], breaks: Breaks) -> str | None:
    """Why a stage did not hold, or None if it did. `row` is of `findings.stage_row`."""
    answered = row["success"] + row["failure"] + row["throttled"]
    refused = row["failure"] + row["throttled"]
    if not row["success"]:
        return "nothing was served"
    if refused > breaks.refused * answered:
        return f"{refused / answered:.1%} refused or failed, above {breaks.refused:.1%}"
    if row["p99_ms"] > breaks.p99_ms:
        return f"p99 {row['p99_ms']:.0f} ms, above {breaks.p99_ms:g} ms"
    return None


def knee(stages: Sequence[Mapping[str, Any]], breaks: Breaks) -> dict[str, Any] | None:
    """The knee between the last stage that held and the first that did not; None if none broke or held.

    `plus_minus` is the relative half-width of that gap: where in it the knee is was not measured.
    """
    rows = [stage["streams"][breaks.stream] for stage in stages]
    reasons = [why_broken(row, breaks) for row in rows]
    first = next((index for index, reason in enumerate(reasons) if reason is not None), None)
    if not first:
        return None
    held, broke = rows[first - 1]["target_per_s"], rows[first]["target_per_s"]
    per_s = (held + broke) / 2
    return {
        "stream": breaks.stream,
        "per_s": round(per_s, 1),
        "plus_minus": round((broke - held) / 2 / per_s, 4),
        "held_per_s": held,
        "broke_per_s": broke,
        "why": reasons[first],
        "instances": [
            {"per_s": asked, "headroom": _HEADROOM, "instances": math.ceil(asked * (1 + _HEADROOM) / held)}
            for asked in _ASKED_PER_S
        ],
    }
