"""Panels of mappings of streams."""

from __future__ import annotations

from typing import Final

from grafana.src.board import PER_S, SECONDS, Panel, PanelRow, Query
from grafana.src.promql import increase, level, rate

STREAMS: Final = PanelRow(
    "Streams",
    (
        Panel(
            "Iterator age",
            "How old the last record of the last batch was when it ended: how far a mapping is behind.",
            "timeseries",
            (Query(level("engine_stream_iterator_age_seconds", by="source", how="max"), "{{source}}"),),
            unit=SECONDS,
            width=8,
        ),
        Panel(
            "Records by fate",
            "A second: read, and what became of them in the end.",
            "timeseries",
            (Query(rate("engine_stream_records_total", by="source,fate"), "{{source}} {{fate}}"),),
            unit=PER_S,
            width=8,
        ),
        Panel(
            "Batches by outcome",
            "Attempts, a second; and batches that were split in two.",
            "timeseries",
            (
                Query(rate("engine_stream_batches_total", by="source,outcome"), "{{source}} {{outcome}}"),
                Query(rate("engine_stream_bisects_total", by="source"), "{{source}} bisected", dashed=True),
            ),
            unit=PER_S,
            width=8,
        ),
        Panel(
            "Blocked shards",
            "Shards, or parts of one, in which nothing goes on until a batch succeeds or is given up.",
            "timeseries",
            (Query(level("engine_stream_blocked_shards", by="source"), "{{source}}"),),
            stepped=True,
            width=8,
        ),
        Panel(
            "Shards",
            "By state; held ones wait for their parents.",
            "timeseries",
            (Query(level("engine_stream_shards", by="source,state"), "{{source}} {{state}}"),),
            stepped=True,
            width=8,
        ),
        Panel(
            "Records of what was given up",
            "To on-failure destinations, in an hour; what failed nobody has, nor lost windows.",
            "timeseries",
            (
                Query(
                    increase("engine_stream_discard_deliveries_total", by="source,result", over="1h"),
                    "{{source}} {{result}}",
                ),
                Query(
                    increase("engine_stream_lost_windows_total", by="source", over="1h"),
                    "{{source}} lost windows",
                    dashed=True,
                ),
            ),
            width=8,
        ),
    ),
)
