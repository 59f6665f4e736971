"""The client's half of run.json, from what a recorder counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.load.generator.recorder import COLUMNS, DROPPED, SUCCESS, THROTTLED, Recorder
from engine.load.metric_catalogue import OUTCOMES
from engine.load.planning.objectives import MIN_REQUESTS
from engine.load.planning.plan import LoadStage
from engine.load.results.comparison import BLOCKS


def findings(recorder: Recorder) -> dict[str, Any]:
    """Everything the callers saw: seconds from the beginning of the load, latencies in milliseconds."""
    plan, ended_s = recorder.plan, recorder.ended_s or 0.0
    begins = plan.begins()
    over = [
        index for index, stage in enumerate(plan.stages) if begins[index] + stage.seconds <= ended_s + 0.001
    ]
    # A stage that breaks the engine also delays the generator; that lag is not the generator's fault.
    held = over[:-1] if ended_s < plan.seconds else over
    return {
        "begin_s": recorder.begin_s,
        "ended_s": round(ended_s, 3),
        "stopped": recorder.stopped,
        "warmup_s": plan.warmup_s,
        "measured": _measured(recorder),
        "streams": {name: _stream(recorder, name) for name in plan.streams},
        "stages": [_stage(recorder, index, begins[index]) for index in over],
        "served_after_end": recorder.completed_in(len(plan.stages), outcome=SUCCESS),
        "timeline": _timeline(recorder),
        "latency": _latency(recorder),
        "lag_ms": recorder.lag_of(held).spread_ms(),
        "dropped": sum(recorder.dropped.values()),
        "unanswered": recorder.all_in_flight(),
        "errors": dict(recorder.errors.most_common()),
        "unexpected": dict(recorder.unexpected.most_common()),
        "cpu_percent": recorder.cpu_percent,
        "workers": plan.workers,
    }


def stage_row(recorder: Recorder, index: int, stream: str | None = None) -> dict[str, Any]:
    """Figures of one stage: rates a second, and response times of what was due in it and succeeded.

    `offered_per_s` and the outcomes are of what was due in the stage; `served_per_s`, `answered` and
    `open_at_end` go by the clock: what was answered in its time, whenever it was due, and what was due by
    its end and had no answer then. So what is served never is more than the engine can do.
    """
    stage = recorder.plan.stages[index]
    counts = {name: recorder.count(stage=index, stream=stream, outcome=name) for name in OUTCOMES}
    answered = {name: recorder.completed_in(index, stream, name) for name in OUTCOMES}
    open_at_end = sum(
        recorder.offered_in(one, stream) - recorder.completed_in(one, stream) for one in range(index + 1)
    )
    served = recorder.tally(stage=index, stream=stream, outcome=SUCCESS)
    return {
        "target_per_s": round(_target(stage, stream), 1),
        "offered": recorder.offered_in(index, stream),
        "never_sent": recorder.completed_in(index, stream, DROPPED),
        "offered_per_s": round(recorder.offered_in(index, stream) / stage.seconds, 1),
        "served_per_s": round(answered[SUCCESS] / stage.seconds, 1),
        **counts,
        "answered": answered,
        "open_at_end": open_at_end,
        "p50_ms": served.ms(50),
        "p99_ms": served.ms(99),
    }


def _target(stage: LoadStage, stream: str | None) -> float:
    rates = [per_s for name, per_s in stage.per_s.items() if stream in (None, name)]
    bursts = [count for name, count in stage.at_once.items() if stream in (None, name)]
    return sum(rates) + sum(bursts) / stage.seconds


def _stage(recorder: Recorder, index: int, begin_s: float) -> dict[str, Any]:
    stage = recorder.plan.stages[index]
    row = {"name": stage.name, "begin_s": round(begin_s, 3), "seconds": stage.seconds}
    row |= stage_row(recorder, index)
    row["warmup"] = stage.warmup
    row["first_error"] = _first_error(recorder, index)
    row["lag_p99_ms"] = recorder.lag_of([index]).ms(99)
    row["streams"] = {name: stage_row(recorder, index, name) for name in recorder.plan.streams}
    if stage.at_once:
        row["at_once"] = sum(stage.at_once.values())
        row["sent_within_ms"] = round(recorder.burst_s.get(index, 0.0) * 1000, 3)
    if index in recorder.ready_s:
        row["ready_ms"] = [round(ready_s * 1000, 3) for ready_s in sorted(recorder.ready_s[index].values())]
    return row


def _first_error(recorder: Recorder, index: int) -> dict[str, Any] | None:
    if index not in recorder.first_errors:
        return None
    at_s, stream, text = recorder.first_errors[index]
    return {"at_s": at_s, "stream": stream, "text": text}


def _stream(recorder: Recorder, name: str) -> dict[str, Any]:
    stream = recorder.plan.streams[name]
    tallies = {outcome: recorder.tally(stream=name, outcome=outcome, measured=True) for outcome in OUTCOMES}
    return {
        "send": stream.send,
        "function": stream.function,
        "due": recorder.asked[name],
        "dropped": recorder.dropped[name],
        **{outcome: recorder.count(stream=name, outcome=outcome) for outcome in OUTCOMES},
        "no_answer": recorder.no_answer[name],
        "records": recorder.records[name],
        "measured": {outcome: tally.count for outcome, tally in tallies.items()},
        "latency_ms": {outcome: tally.spread_ms() for outcome, tally in tallies.items() if tally.count},
        "curve_ms": tallies[SUCCESS].curve_ms(),
        "blocks": _blocks(recorder, name),
    }


def _measured(recorder: Recorder) -> dict[str, Any]:
    """All streams together without warm-up, by when they were due: what objectives are about."""
    objectives = recorder.plan.objectives
    offered, good, throttled, latency_ms = measured(recorder)
    seen = (
        []
        if objectives is None
        else objectives.seen(latency_ms, offered=offered, throttled=throttled, good=good)
    )
    return {
        "offered": offered,
        "success": good,
        "throttled": throttled,
        "objectives": [one._asdict() for one in seen],
    }


def measured(recorder: Recorder) -> tuple[int, int, int, dict[float, float]]:
    """Without warm-up: requests that were due, answered well, refused; and the percentiles asked for."""
    good = recorder.tally(outcome=SUCCESS, measured=True)
    throttled = recorder.tally(outcome=THROTTLED, measured=True)
    objectives = recorder.plan.objectives
    percents = [] if objectives is None else objectives.latency_ms
    latency_ms = {percent: good.ms(percent) for percent in percents}
    return recorder.measured(recorder.offered), good.count, throttled.count, latency_ms


def missed_so_far(recorder: Recorder) -> str:
    """The first objective that is missed by what was answered until now, in words; empty if none is.

    What is still open may yet be answered well. Too few answers miss nothing.
    """
    objectives = recorder.plan.objectives
    offered, good, throttled, latency_ms = measured(recorder)
    answered = recorder.tally(measured=True).count
    if objectives is None or answered < MIN_REQUESTS:
        return ""
    seen = objectives.seen(
        latency_ms, offered=offered, throttled=throttled, good=good, pending=offered - answered
    )
    return next((f"{one.text}: {one.saw}" for one in seen if not one.kept), "")


def _blocks(recorder: Recorder, name: str) -> list[list[tuple[int, int]]]:
    return [sorted(recorder.blocks[name, block].items()) for block in range(BLOCKS)]


def _latency(recorder: Recorder) -> dict[str, list[float]]:
    """Percentiles of what was answered well, by when it was due; two digits of milliseconds."""
    spells = sorted(recorder.spells)
    return {
        "at_s": [round((spell + 0.5) * recorder.spell_s, 3) for spell in spells],
        **{
            f"p{percent}_ms": [_percentile_ms(recorder.spells[spell], percent) for spell in spells]
            for percent in (50, 99)
        },
    }


def _percentile_ms(times_us: Mapping[int, int], percent: float) -> float:
    wanted = percent / 100 * sum(times_us.values())
    upto = 0
    for time_us in sorted(times_us):
        upto += times_us[time_us]
        if upto >= wanted:
            return time_us / 1000
    return 0.0


def _timeline(recorder: Recorder) -> dict[str, list[float]]:
    seconds = range(max(recorder.seconds, default=-1) + 1)
    rows = [recorder.seconds.get(second, [0] * len(COLUMNS)) for second in seconds]
    columns: dict[str, list[float]] = {
        name: [row[index] for row in rows] for index, name in enumerate(COLUMNS)
    }
    return {"at_s": [second + 0.5 for second in seconds], **columns}
