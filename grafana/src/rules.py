"""Recording and alerting rules, from the names of the dashboards. Thresholds are defaults: change them here.

The windows and factors of the error budget alerts are those of the SRE Workbook, "Alerting on SLOs".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import yaml

OBJECTIVE: Final = 0.999
"""Share of invocations that are to succeed."""

_BUDGET: Final = f"{1 - OBJECTIVE:.4g}"
_WINDOWS: Final = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
_MONTH_S: Final = "3600 * 730"
_ENGINE: Final = "cluster,job,instance"
"""Labels of one engine; `cluster` is there only if Prometheus is told to set it. Every rule keeps them."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert. `wait` is how long it must hold; `severity` is page, ticket or info."""

    name: str
    expr: str
    wait: str
    severity: str
    summary: str


def _error_ratio(window: str) -> str:
    """Also right for a function that has had no success yet: its series of successes may be missing."""
    every = f"sum by({_ENGINE},function)(rate(engine_invocations_total[{window}]))"
    good = f'sum by({_ENGINE},function)(rate(engine_invocations_total{{outcome="success"}}[{window}]))'
    return f"1 - ({good} or 0 * {every}) / ({every} > 0)"


def _sum_rate(metric: str, window: str = "5m") -> str:
    return f"sum by({_ENGINE},function)(rate({metric}[{window}]))"


RECORDED: Final = {
    **{f"function:engine_error_ratio:rate{window}": _error_ratio(window) for window in _WINDOWS},
    "function:engine_invocations:rate5m": _sum_rate("engine_invocations_total"),
    "function:engine_cold_start_ratio:rate5m": (
        f"{_sum_rate('engine_cold_starts_total')} / ({_sum_rate('engine_invocations_total')} > 0)"
    ),
    "function:engine_throttle_ratio:rate5m": (
        f"{_sum_rate('engine_throttles_total')} / ({_sum_rate('engine_requests_received_total')} > 0)"
    ),
    "function:engine_invocation_duration_seconds:p99_5m": (
        "histogram_quantile(0.99, "
        f"sum by({_ENGINE},function,le)(rate(engine_invocation_duration_seconds_bucket[5m])))"
    ),
    "function:engine_cost_dollars:rate1h": _sum_rate("engine_cost_dollars_total", "1h"),
    "instance:engine_cost_dollars:monthly_run_rate": (
        f"sum by({_ENGINE})(rate(engine_cost_dollars_total[1h])) * {_MONTH_S}"
    ),
}
"""Name to query. Level, metric, operation, as Prometheus's naming page has it."""


def _burn(factor: float, long: str, short: str) -> str:
    """Both windows burn the error budget so many times too fast, and there is traffic to speak of."""
    ratio = "function:engine_error_ratio:rate"
    return (
        f"{ratio}{long} > {factor:g} * {_BUDGET} and {ratio}{short} > {factor:g} * {_BUDGET} "
        "and function:engine_invocations:rate5m > 0.1"
    )


_ALERTS: Final = (
    Alert(
        "EngineErrorBudgetFastBurn", _burn(14.4, "1h", "5m"), "2m", "page",
        "{{ $labels.function }} fails so often that its error budget of a month is gone in two days",
    ),
    Alert(
        "EngineErrorBudgetMediumBurn", _burn(6, "6h", "30m"), "15m", "page",
        "{{ $labels.function }} fails so often that its error budget of a month is gone in five days",
    ),
    Alert(
        "EngineErrorBudgetSlowBurn", f"({_burn(3, '1d', '2h')}) or ({_burn(1, '3d', '6h')})", "1h", "ticket",
        "{{ $labels.function }} fails more often than its objective allows",
    ),
    Alert(
        "EngineThrottling", "function:engine_throttle_ratio:rate5m > 0.01", "5m", "ticket",
        "{{ $labels.function }}: {{ $value | humanizePercentage }} of its events are refused",
    ),
    Alert(
        "EngineAtConcurrencyLimit",
        f"sum by({_ENGINE},function)(engine_concurrency_in_use) / "
        f'min by({_ENGINE},function)(engine_concurrency_limit{{kind="maximum"}}) > 0.9',
        "10m", "ticket",
        "{{ $labels.function }} uses {{ $value | humanizePercentage }} of the concurrency it may have",
    ),
    Alert(
        "EngineQueueAgeHigh",
        f"max by({_ENGINE},function,queue)(engine_queue_oldest_age_seconds) > 60",
        "5m", "ticket",
        "{{ $labels.function }}: an event has waited {{ $value | humanizeDuration }} in {{ $labels.queue }}",
    ),
    Alert(
        "EngineColdStartRatioHigh",
        "function:engine_cold_start_ratio:rate5m > 0.05 and function:engine_invocations:rate5m > 1",
        "10m", "ticket",
        "{{ $labels.function }}: {{ $value | humanizePercentage }} of its invocations are cold starts",
    ),
    Alert(
        "EngineSourceLag",
        f"max by({_ENGINE},function,source)(engine_source_oldest_age_seconds) > 300 "
        f"and max by({_ENGINE},function,source)(deriv(engine_source_oldest_age_seconds[5m])) > 0",
        "5m", "ticket",
        "{{ $labels.source }} falls behind: its oldest message is {{ $value | humanizeDuration }} old",
    ),
    Alert(
        "EngineStreamBlocked",
        f"sum by({_ENGINE},function,source)(engine_stream_blocked_shards) > 0",
        "15m", "ticket",
        "{{ $labels.source }}: {{ $value | humanize }} shards wait for a batch that fails",
    ),
    Alert(
        "EngineDeadLetters",
        f'sum by({_ENGINE},function)(increase(engine_dead_letters_total{{result="delivered"}}[10m])) > 0',
        "0m", "ticket",
        "{{ $labels.function }}: {{ $value | humanize }} events went to the dead-letter queue in 10 min",
    ),
    Alert(
        "EngineHandOverFailing",
        f'sum by({_ENGINE},function)(increase(engine_dead_letters_total{{result="failed"}}[10m])) > 0 or '
        f"sum by({_ENGINE},function)"
        '(increase(engine_destination_deliveries_total{result="failed"}[10m])) > 0',
        "0m", "page",
        "{{ $labels.function }}: events could not be handed over, and nobody has them",
    ),
    Alert(
        "EngineIdleProvisioned",
        f"1 - clamp_max(sum by({_ENGINE},function)(avg_over_time(engine_concurrency_in_use[6h])) / "
        f'(sum by({_ENGINE},function)(engine_concurrency_limit{{kind="provisioned"}}) > 0), 1) > 0.8',
        "6h", "info",
        "{{ $labels.function }}: {{ $value | humanizePercentage }} of its provisioned concurrency idles",
    ),
    Alert(
        "EngineNearDeadline",
        f'1 - sum by({_ENGINE},function)(rate(engine_deadline_used_ratio_bucket{{le="0.9"}}[5m])) / '
        f"(sum by({_ENGINE},function)(rate(engine_deadline_used_ratio_count[5m])) > 0) > 0.05",
        "10m", "ticket",
        "{{ $labels.function }}: {{ $value | humanizePercentage }} of invocations use 90 % of the timeout",
    ),
    Alert(
        "EngineTimeouts",
        f'sum by({_ENGINE},function)(rate(engine_invocations_total{{outcome="timeout"}}[5m])) / '
        f"(sum by({_ENGINE},function)(rate(engine_invocations_total[5m])) > 0) > 0.005",
        "10m", "ticket",
        "{{ $labels.function }}: {{ $value | humanizePercentage }} of its invocations time out",
    ),
    Alert(
        "EngineScaleShortfall",
        f"sum by({_ENGINE},function)(engine_concurrency_desired) - "
        f"sum by({_ENGINE},function)(engine_concurrency_ready) > "
        f"0.2 * sum by({_ENGINE},function)(engine_concurrency_desired)",
        "3m", "ticket",
        "{{ $labels.function }} lacks {{ $value }} environments",
    ),
    Alert(
        "EngineCostOverBudget",
        f"instance:engine_cost_dollars:monthly_run_rate > on({_ENGINE}) 1.2 * "
        f'max by({_ENGINE})(engine_budget_dollars{{period="month"}})',
        "30m", "ticket",
        "At the rate of the last hour a month costs {{ $value | humanize }} dollars, above the budget",
    ),
    Alert(
        "EngineCostSpike",
        "function:engine_cost_dollars:rate1h > 3 * (function:engine_cost_dollars:rate1h offset 1w > 0)",
        "30m", "ticket",
        "{{ $labels.function }} costs over three times as much as at this hour a week ago",
    ),
    Alert(
        "EngineEventLoopLag",
        "histogram_quantile(0.99, "
        f"sum by({_ENGINE},le)(rate(engine_event_loop_lag_seconds_bucket[5m]))) > 0.05",
        "5m", "ticket",
        "{{ $labels.instance }}: the event loop is {{ $value | humanizeDuration }} late",
    ),
    Alert(
        "EngineCrashLoop",
        f"sum by({_ENGINE},function)"
        '(increase(engine_scale_events_total{reason=~"crash|init_failed"}[10m])) > 3',
        "5m", "ticket",
        "{{ $labels.function }}: {{ $value | humanize }} environments crashed or failed to start in 10 min",
    ),
    Alert(
        "EngineOutputDropped",
        f"sum by({_ENGINE},stream)(increase(engine_output_lines_dropped_total[10m])) > 0",
        "0m", "ticket",
        "{{ $labels.instance }}: {{ $value | humanize }} lines of {{ $labels.stream }} were lost in 10 min: "
        "nobody reads them in time",
    ),
    Alert(
        "EngineObserverFailing",
        f"sum by({_ENGINE},method)(increase(engine_observer_failures_total[10m])) > 0",
        "0m", "ticket",
        "{{ $labels.instance }}: an observer raised {{ $value | humanize }} times in {{ $labels.method }} "
        "in 10 min",
    ),
    Alert(
        "EngineNodeLost",
        f"sum by({_ENGINE},node,reason)"
        '(increase(engine_node_losses_total{reason!~"left|replaced"}[10m])) > 0',
        "0m", "ticket",
        "Node {{ $labels.node }} was lost ({{ $labels.reason }}): what ran there was answered with an error",
    ),
    Alert(
        "EngineNodeDown", f"max by({_ENGINE},node)(engine_node_up) == 0", "5m", "ticket",
        "Node {{ $labels.node }} was lost and has not come back",
    ),
    Alert(
        "EngineNodeSilent",
        # Heartbeats come four times a second: on a good link their mean age is an eighth of a second.
        f"max by({_ENGINE},node)(avg_over_time(engine_node_heartbeat_age_seconds[5m])) > 0.35",
        "2m", "ticket",
        "Node {{ $labels.node }} is heard only every {{ $value | humanizeDuration }}: its link or its CPU is "
        "overloaded, and after a second of silence it is lost",
    ),
    Alert(
        "EngineLabelOverflow", f"sum by({_ENGINE},label)(engine_label_overflow_total) > 0", "5m", "info",
        "Functions above the cap share a label: their metrics are added up",
    ),
    Alert(
        "EngineDown",
        # Named by itself while others are up: whatever its job is called, if it was seen within a day.
        f"up == 0 and on({_ENGINE}) last_over_time(engine_build_info[1d]) "
        'or up{job="engine"} == 0 or absent(engine_build_info or up{job="engine"})',
        "5m", "page",
        "{{ with $labels.instance }}Prometheus does not reach the engine at {{ . }}"
        "{{ else }}Prometheus scrapes no engine{{ end }}",
    ),
)  # fmt: skip


def documents() -> dict[str, Any]:
    """File name to content."""
    recording = [{"record": name, "expr": expr} for name, expr in RECORDED.items()]
    return {
        "recording.yml": {"groups": [{"name": "engine-recording", "interval": "30s", "rules": recording}]},
        "alerts.yml": {"groups": [{"name": "engine-alerts", "rules": [_rule(alert) for alert in _ALERTS]}]},
    }


def texts() -> dict[str, str]:
    """File name to YAML, with a line that says where it comes from."""
    head = "# Generated by `make dashboards` from grafana/src/rules.py: change that.\n"
    return {
        name: head + yaml.safe_dump(document, sort_keys=False, width=110)
        for name, document in documents().items()
    }


def _rule(alert: Alert) -> dict[str, Any]:
    return {
        "alert": alert.name,
        "expr": alert.expr,
        "for": alert.wait,
        "labels": {"severity": alert.severity},
        "annotations": {"summary": alert.summary},
    }
