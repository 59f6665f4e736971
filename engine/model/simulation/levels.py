"""For how long how much was in flight: levels of a run weighed by time, never sampled at a rhythm."""

from __future__ import annotations

import math
from collections.abc import Sequence


def seconds_at_levels(begins_s: Sequence[float], ends_s: Sequence[float], horizon_s: float) -> list[float]:
    """Seconds in [0, `horizon_s`) in which 0, 1, 2, ... of these stretches of time overlapped."""
    begins, ends = sorted(begins_s), sorted(ends_s)
    seconds = [0.0]
    level = ended = 0
    now_s = 0.0
    for begin_s in begins:
        while ended < len(ends) and ends[ended] <= begin_s:
            end_s = min(ends[ended], horizon_s)
            seconds[level] += end_s - now_s
            now_s = end_s
            level -= 1
            ended += 1
        if begin_s >= horizon_s:
            break
        seconds[level] += begin_s - now_s
        now_s = begin_s
        level += 1
        if level == len(seconds):
            seconds.append(0.0)
    while now_s < horizon_s:
        end_s = min(ends[ended], horizon_s) if ended < len(ends) and level else horizon_s
        seconds[level] += end_s - now_s
        now_s = end_s
        level -= 1
        ended += 1
        if level < 0:
            break
    return seconds


def level_quantile(seconds: Sequence[float], share: float) -> int:
    """The level that is not exceeded for that share of the time."""
    wanted = share * math.fsum(seconds)
    below = 0.0
    for level, spent in enumerate(seconds):
        below += spent
        if below >= wanted * (1 - 1e-12):
            return level
    return max(0, len(seconds) - 1)
