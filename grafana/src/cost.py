"""Dashboard C, Cost: what the load would cost on AWS, by component, by function, and what of it is waste."""

from __future__ import annotations

from typing import Final

from grafana.src.board import (
    CLUSTER,
    DOLLARS,
    FUNCTION,
    INSTANCE,
    JOB,
    NUMBER,
    RESTART,
    SHARE,
    Board,
    Panel,
    PanelRow,
    Query,
)
from grafana.src.promql import RANGE, increase, level, rate, selector

_HOUR: Final = "3600"
_MONTH: Final = "3600 * 730"
_COST: Final = "engine_cost_dollars_total"
_DURATION: Final = 'component="duration"'
_INIT: Final = 'component="init"'
_PROVISIONED: Final = 'kind="provisioned"'
_STANDING: Final = "engine_provisioned_gigabyte_seconds_total"
_INFO: Final = selector("engine_function_info")
_PRICE: Final = level("engine_price_dollars", 'item="provisioned_gb_second"', by="architecture", how="max")
_A_MONTH: Final = 'period="month"'

_NOW: Final = PanelRow(
    "Now",
    (
        Panel(
            "Dollars an hour",
            "At the prices in force, tier 1, without the free tier.",
            "stat",
            (Query(f"{rate(_COST)} * {_HOUR}", "an hour"),),
            unit=DOLLARS,
            width=6,
            height=6,
        ),
        Panel(
            "Monthly run-rate",
            "What a month of 730 hours would cost if it went on like the last hour.",
            "stat",
            (Query(f"{rate(_COST, over='1h')} * {_MONTH}", "a month"),),
            unit=DOLLARS,
            width=6,
            height=6,
        ),
        Panel(
            "Share of the budget",
            "The run-rate of the last six hours over `monthly_budget_usd` of the configuration.",
            "gauge",
            (
                Query(
                    f"{rate(_COST, over='6h')} * {_MONTH} / "
                    f"scalar({level('engine_budget_dollars', _A_MONTH, how='max')})",
                    "of the budget",
                ),
            ),
            unit=SHARE,
            width=6,
            height=6,
            thresholds=(0.8, 1.0),
        ),
        Panel(
            "In this range",
            "What everything in the range shown would have cost.",
            "stat",
            (Query(increase(_COST, over=RANGE), "in all", instant=True),),
            unit=DOLLARS,
            width=6,
            height=6,
        ),
        Panel(
            "Dollars an hour by component",
            "Requests, time in handlers, and what initialisation adds.",
            "timeseries",
            (Query(f"{rate(_COST, by='component')} * {_HOUR}", "{{component}}"),),
            unit=DOLLARS,
            stacked=True,
        ),
        Panel(
            "Dollars an hour by function",
            "Where it goes.",
            "timeseries",
            (Query(f"{rate(_COST, by='function')} * {_HOUR}"),),
            unit=DOLLARS,
            stacked=True,
        ),
    ),
)

_UNITS: Final = PanelRow(
    "Per unit",
    (
        Panel(
            "Dollars per million invocations",
            "All components.",
            "timeseries",
            (
                Query(
                    f"1e6 * {rate(_COST, by='function')} / "
                    f"({rate('engine_invocations_total', by='function')} > 0)"
                ),
            ),
            unit=DOLLARS,
            width=8,
        ),
        Panel(
            "Dollars per billed millisecond",
            "Time in the handler only: the price of the configured memory.",
            "timeseries",
            (
                Query(
                    f"{rate(_COST, _DURATION, by='function')} / "
                    f"(1000 * {rate('engine_billed_seconds_total', by='function')} > 0)"
                ),
            ),
            unit=DOLLARS,
            width=8,
        ),
        Panel(
            "GB-seconds",
            "Billed time multiplied by configured memory, in the whole range.",
            "bargauge",
            (
                Query(
                    increase("engine_billed_gigabyte_seconds_total", by="function", over=RANGE), instant=True
                ),
            ),
            unit=NUMBER,
            width=8,
        ),
        Panel(
            "Dearest functions",
            "Dollars in the whole range, the ten highest.",
            "table",
            (Query(f"topk(10, {increase(_COST, by='function', over=RANGE)})", instant=True),),
            unit=DOLLARS,
        ),
        Panel(
            "Prices in force",
            "US dollars, by item and architecture. Their date and source: docs/operations.md.",
            "table",
            (
                Query(
                    level("engine_price_dollars", by="item,architecture", how="max"),
                    "{{item}} {{architecture}}",
                    instant=True,
                ),
            ),
            unit=DOLLARS,
        ),
    ),
)

_WASTE: Final = PanelRow(
    "Waste",
    (
        Panel(
            "Rounding",
            "Share of the billed time that comes from rounding each invocation up to a millisecond.",
            "timeseries",
            (
                Query(
                    f"{rate('engine_billing_rounding_seconds_total', by='function')} / "
                    f"({rate('engine_billed_seconds_total', by='function')} > 0)"
                ),
            ),
            unit=SHARE,
        ),
        Panel(
            "Initialisation",
            "Share of the cost that cold starts add.",
            "timeseries",
            (Query(f"{rate(_COST, _INIT, by='function')} / ({rate(_COST, by='function')} > 0)"),),
            unit=SHARE,
        ),
        Panel(
            "Provisioned concurrency that idles",
            "One minus concurrency in use over what is provisioned: it costs the same, used or not.",
            "timeseries",
            (
                Query(
                    f"1 - clamp_max({level('engine_concurrency_in_use', by='function')} / "
                    f"({level('engine_concurrency_limit', _PROVISIONED, by='function')} > 0), 1)"
                ),
            ),
            unit=SHARE,
        ),
        Panel(
            "Provisioned concurrency an hour",
            "What AWS charges for keeping it ready. It is in no other panel: those price what runs.",
            "timeseries",
            (
                Query(
                    f"sum by(function,architecture)(rate({selector(_STANDING)}[$__rate_interval]) "
                    f"* on(cluster,job,instance,function) group_left(architecture) {_INFO}) "
                    f"* on(architecture) group_left() {_PRICE} * {_HOUR} > 0"
                ),
            ),
            unit=DOLLARS,
        ),
    ),
)

COST: Final = Board(
    "engine-cost",
    "Cost",
    "What the load would cost on AWS Lambda, live.",
    (_NOW, _UNITS, _WASTE),
    (CLUSTER, JOB, INSTANCE, FUNCTION),
    (RESTART,),
)
