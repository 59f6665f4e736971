"""Dashboard A, Scaling behaviour: cause and effect one above the other, on one axis of time."""

from __future__ import annotations

from typing import Final

from grafana.src.board import (
    BYTES,
    CLUSTER,
    FUNCTION,
    INSTANCE,
    JOB,
    NUMBER,
    PER_S,
    RESTART,
    SECONDS,
    SHARE,
    Board,
    Panel,
    PanelRow,
    Query,
)
from grafana.src.promql import RANGE, TARGETS, increase, level, quantile, rate, selector


def _happened(metric: str, by: str = "") -> str:
    return increase(metric, by=by, over=RANGE)


_GOT: Final = 'kind="got"'
_PROMISED: Final = 'kind="promised"'

_CONCURRENCY: Final = PanelRow(
    "Concurrency",
    (
        Panel(
            "Concurrency",
            "Of the functions chosen, together. Levels are read at each scrape: what is between is not seen.",
            "timeseries",
            (
                Query(level("engine_concurrency_in_use"), "in use"),
                Query(level("engine_unreserved_concurrency_in_use"), "in use without a reserved one"),
                Query(level("engine_concurrency_ready"), "ready"),
                Query(level("engine_concurrency_desired"), "desired", dashed=True),
            ),
            stepped=True,
            height=10,
        ),
        Panel(
            "In use by function",
            "Concurrency in use; the dashed line is what a function has reserved.",
            "timeseries",
            (
                Query(level("engine_concurrency_in_use", by="function")),
                Query(
                    level("engine_concurrency_limit", 'kind="reserved"', by="function"),
                    "{{function}} reserved",
                    dashed=True,
                ),
            ),
            stepped=True,
            height=10,
        ),
        Panel(
            "Shortfall",
            "Desired minus ready: above 0, events wait for environments to initialise, or for a limit.",
            "timeseries",
            (
                Query(
                    f"{level('engine_concurrency_desired', by='function')} - "
                    f"{level('engine_concurrency_ready', by='function')}"
                ),
            ),
            stepped=True,
        ),
        Panel(
            "Growth",
            "Slots that become ready a second, smoothed over a minute.",
            "timeseries",
            (Query(f"sum by(function)(deriv({selector('engine_concurrency_ready')}[1m]))"),),
            unit=PER_S,
        ),
        Panel(
            "Slots in use",
            "Share of what is ready that runs something. Empty while nothing is ready.",
            "stat",
            (
                Query(
                    f"{level('engine_concurrency_in_use')} / ({level('engine_concurrency_ready')} > 0)",
                    "in use",
                ),
            ),
            unit=SHARE,
            width=8,
            height=5,
        ),
        Panel(
            "Scale from zero, p50",
            "From received to answered, for events that found no environment at all, over the whole range.",
            "stat",
            (Query(quantile(0.5, "engine_scale_from_zero_seconds", over=RANGE), "p50"),),
            unit=SECONDS,
            width=8,
            height=5,
        ),
        Panel(
            "Account in use",
            "Concurrency of all functions as a share of the account's limit.",
            "gauge",
            (
                Query(
                    f"{level('engine_concurrency_in_use')} / "
                    f'sum(engine_concurrency_limit{{{TARGETS},kind="account"}})',
                    "of the account",
                ),
            ),
            unit=SHARE,
            width=8,
            height=5,
            thresholds=(0.7, 0.9),
        ),
    ),
)

_ENVIRONMENTS: Final = PanelRow(
    "Environments",
    (
        Panel(
            "Environments by state",
            "Starting, idle and busy.",
            "timeseries",
            (Query(level("engine_environments", by="state"), "{{state}}"),),
            stacked=True,
            stepped=True,
        ),
        Panel(
            "Scale events",
            "Environments that came and went, and why.",
            "timeseries",
            (
                Query(
                    increase("engine_scale_events_total", by="direction,reason"), "{{direction}} {{reason}}"
                ),
            ),
            bars=True,
            stacked=True,
        ),
        Panel(
            "Wanted against initialised",
            "Environments Lambda would have made, and initialisations that ended, a second. Where fewer end, "
            "events wait for a turn to initialise, or for the machine.",
            "timeseries",
            (
                Query(rate("engine_environments_wanted_total"), "Lambda would make", dashed=True),
                Query(rate("engine_environment_starts_total"), "initialised"),
            ),
            unit=PER_S,
        ),
        Panel(
            "CPU as on Lambda",
            "Of the CPU that Lambda would give environments, and they could use, what this machine gives "
            '(cpu = "lambda").',
            "timeseries",
            (
                Query(
                    f"{rate('engine_cpu_law_seconds_total', _GOT, by='function')} / "
                    f"({rate('engine_cpu_law_seconds_total', _PROMISED, by='function')} > 0)",
                    "{{function}}",
                ),
            ),
            unit=SHARE,
        ),
        Panel(
            "Scaled to zero",
            "Whether a function has any environment.",
            "state-timeline",
            (Query(f"clamp_max({level('engine_environments', by='function')}, 1)"),),
            states=(("0", "zero", "text"), ("1", "up", "green")),
        ),
        Panel(
            "Starts by kind",
            "Initialisations that ended, a second.",
            "timeseries",
            (Query(rate("engine_environment_starts_total", by="kind"), "{{kind}}"),),
            unit=PER_S,
        ),
        Panel(
            "Cold starts",
            "Share of invocations that waited for an environment to initialise.",
            "timeseries",
            (
                Query(
                    f"{rate('engine_cold_starts_total', by='function')} / "
                    f"({rate('engine_invocations_total', by='function')} > 0)"
                ),
            ),
            unit=SHARE,
        ),
        Panel(
            "Time to initialise, p95",
            "Import of the code and of what it imports.",
            "timeseries",
            (Query(quantile(0.95, "engine_init_duration_seconds", by="function", over=RANGE)),),
            unit=SECONDS,
        ),
    ),
)

_WAITING: Final = PanelRow(
    "Waiting and refusing",
    (
        Panel(
            "Queue depth",
            "Events that wait for an environment or for a limit.",
            "timeseries",
            (Query(level("engine_queue_depth", by="function,queue"), "{{function}} {{queue}}"),),
            width=8,
            stepped=True,
        ),
        Panel(
            "Oldest event in the queue",
            "How long the first in line has waited.",
            "timeseries",
            (
                Query(
                    level("engine_queue_oldest_age_seconds", by="function,queue", how="max"),
                    "{{function}} {{queue}}",
                ),
            ),
            unit=SECONDS,
            width=8,
        ),
        Panel(
            "Wait, p99",
            "From received to handed to an environment, initialisation included.",
            "timeseries",
            (Query(quantile(0.99, "engine_queue_wait_seconds", by="function")),),
            unit=SECONDS,
            width=8,
        ),
        Panel(
            "Throttles",
            "Events refused for lack of concurrency, a second, by reason.",
            "timeseries",
            (
                Query(
                    rate("engine_throttles_total", by="function,reason") + " > 0", "{{function}} {{reason}}"
                ),
                Query(rate("engine_recursive_invocations_dropped_total"), "recursive loops"),
            ),
            unit=PER_S,
        ),
        Panel(
            "Throttle ratio",
            "Share of the events for a function that were refused.",
            "timeseries",
            (
                Query(
                    f"{rate('engine_throttles_total', by='function')} / "
                    f"({rate('engine_requests_received_total', by='function')} > 0)"
                ),
            ),
            unit=SHARE,
        ),
    ),
)

_DURABLE: Final = PanelRow(
    "Durable executions",
    (
        Panel(
            "Executions now",
            "While one is running, an invocation runs; a suspended one holds nothing.",
            "timeseries",
            (Query(level("engine_durable_executions", by="state"), "{{state}}"),),
            width=8,
            stepped=True,
        ),
        Panel(
            "Started and ended",
            "Executions a second; the ends by status.",
            "timeseries",
            (
                Query(rate("engine_durable_executions_started_total"), "started"),
                Query(rate("engine_durable_executions_ended_total", by="status"), "{{status}}"),
            ),
            unit=PER_S,
            width=8,
        ),
        Panel(
            "Duration and age",
            "Executions that ended, p50 and p99, and the age of the oldest that has not.",
            "timeseries",
            (
                Query(quantile(0.5, "engine_durable_execution_duration_seconds"), "p50"),
                Query(quantile(0.99, "engine_durable_execution_duration_seconds"), "p99"),
                Query(level("engine_durable_oldest_age_seconds", how="max"), "oldest", dashed=True),
            ),
            unit=SECONDS,
            width=8,
        ),
        Panel(
            "Operations",
            "A second, by function; each retry is one more.",
            "timeseries",
            (Query(rate("engine_durable_operations_total", by="function")),),
            unit=PER_S,
        ),
        Panel(
            "Bytes written",
            "A second, by function: inputs, payloads, results, errors. Their cost is in the dashboard Cost.",
            "timeseries",
            (Query(rate("engine_durable_written_bytes_total", by="function")),),
            unit=BYTES,
        ),
    ),
)

_CLUSTER: Final = PanelRow(
    "Cluster",
    (
        Panel(
            "Nodes",
            "1 while a node is there, 0 after it was lost. Empty without a cluster, as this whole row is.",
            "timeseries",
            (Query(level("engine_node_up", by="node"), "{{node}}"),),
            stepped=True,
            width=8,
        ),
        Panel(
            "Environments by node",
            "Of all functions, idle and busy ones and those that initialise.",
            "timeseries",
            (Query(level("engine_node_environments", by="node"), "{{node}}"),),
            stacked=True,
            stepped=True,
            width=8,
        ),
        Panel(
            "CPU by node",
            "CPUs that are at work as a share of those that environments may use: at 1 the node is full.",
            "timeseries",
            (
                Query(
                    f"{level('engine_node_load', by='node')} / {level('engine_node_cores', by='node')}",
                    "{{node}}",
                ),
            ),
            unit=SHARE,
            width=8,
        ),
        Panel(
            "Invocations by node",
            "That ended, a second; those that did not succeed apart.",
            "timeseries",
            (
                Query(rate("engine_node_invocations_total", by="node"), "{{node}}"),
                Query(
                    rate("engine_node_invocations_total", 'outcome!="success"', by="node") + " > 0",
                    "{{node}} failed",
                    dashed=True,
                ),
            ),
            unit=PER_S,
            width=8,
        ),
        Panel(
            "Free memory by node",
            "By the last heartbeat; the dashed lines are what environments may use.",
            "timeseries",
            (
                Query(level("engine_node_free_memory_bytes", by="node"), "{{node}}"),
                Query(level("engine_node_memory_bytes", by="node"), "{{node}} in all", dashed=True),
            ),
            unit=BYTES,
            width=8,
        ),
        Panel(
            "Link to each node",
            "The round trip of heartbeats, and how long ago the last frame came: a node is lost after 1 s.",
            "timeseries",
            (
                Query(level("engine_node_round_trip_seconds", by="node", how="max"), "{{node}} round trip"),
                Query(
                    level("engine_node_heartbeat_age_seconds", by="node", how="max"),
                    "{{node}} last heard",
                    dashed=True,
                ),
            ),
            unit=SECONDS,
            width=8,
        ),
        Panel(
            "Cold starts by node",
            "Invocations that waited for an environment to initialise, a second.",
            "timeseries",
            (Query(rate("engine_node_cold_starts_total", by="node"), "{{node}}"),),
            unit=PER_S,
            width=8,
        ),
        Panel(
            "Nodes that came and went",
            "In the whole range, with the reason.",
            "table",
            (
                Query(_happened("engine_node_joins_total", "node"), "{{node}} joined", instant=True),
                Query(
                    _happened("engine_node_losses_total", "node,reason") + " > 0",
                    "{{node}} lost: {{reason}}",
                    instant=True,
                ),
            ),
            width=8,
        ),
        Panel(
            "What nodes run",
            "Where each is, its Python, and the version of its agent.",
            "table",
            (
                Query(
                    level("engine_node_info", by="node,address,python,version", how="max"),
                    "{{node}} at {{address}}: {{version}}, Python {{python}}",
                    instant=True,
                ),
            ),
            width=8,
        ),
    ),
)

_HEALTH: Final = PanelRow(
    "The engine itself",
    (
        Panel(
            "Event loop lag, p99",
            "How late the loop wakes up: above a few milliseconds a handler holds it or the machine is full.",
            "timeseries",
            (Query(quantile(0.99, "engine_event_loop_lag_seconds"), "lag"),),
            unit=SECONDS,
            width=8,
        ),
        Panel(
            "Loop held by handlers",
            "Share of the time in which a handler held the event loop; nothing else runs meanwhile.",
            "timeseries",
            (Query(rate("engine_loop_blocked_seconds_total", by="function")),),
            unit=SHARE,
            width=8,
        ),
        Panel(
            "CPU",
            "Of the engine's process; handlers in processes of their own are not in it.",
            "timeseries",
            (
                Query(
                    f"sum by(cluster,job,instance)(rate(process_cpu_seconds_total{{{TARGETS}}}"
                    "[$__rate_interval]))",
                    "{{cluster}} {{job}} {{instance}} cores",
                ),
            ),
            unit=NUMBER,
            width=4,
        ),
        Panel(
            "Memory",
            "Resident memory of the engine's process.",
            "timeseries",
            (
                Query(
                    f"max by(cluster,job,instance)(process_resident_memory_bytes{{{TARGETS}}})",
                    "{{cluster}} {{job}} {{instance}}",
                ),
            ),
            unit=BYTES,
            width=4,
        ),
        Panel(
            "What went wrong in the engine",
            "In the whole range: requests that reached no function, blocked loops, threads that ignored "
            "their deadline, environments that waited for the machine, lines that nobody read in time, "
            "observers that raised, names that share a label, pages that lack a collector.",
            "table",
            (
                Query(
                    _happened("engine_requests_rejected_total", "reason"),
                    "rejected: {{reason}}",
                    instant=True,
                ),
                Query(_happened("engine_loop_blocked_total"), "loop blocked", instant=True),
                Query(_happened("engine_threads_abandoned_total"), "threads abandoned", instant=True),
                Query(
                    _happened("engine_environments_held_total", "reason"),
                    "starts that waited for {{reason}}",
                    instant=True,
                ),
                Query(
                    _happened("engine_output_lines_dropped_total", "stream"),
                    "lines not read: {{stream}}",
                    instant=True,
                ),
                Query(
                    _happened("engine_observer_failures_total", "method"),
                    "observer failed: {{method}}",
                    instant=True,
                ),
                Query(
                    _happened("engine_label_overflow_total", "label"),
                    "no label left: {{label}}",
                    instant=True,
                ),
                Query(_happened("engine_scrape_failures_total"), "incomplete pages", instant=True),
            ),
            width=12,
        ),
        Panel(
            "What runs",
            "The version of the engine and which build, the version of Python, and the event loop.",
            "table",
            (
                Query(
                    level(
                        "engine_build_info",
                        by="cluster,job,instance,version,python,event_loop,build",
                        how="max",
                    ),
                    "{{cluster}} {{job}} {{instance}}: {{version}} {{build}}, {{python}}, {{event_loop}}",
                    instant=True,
                ),
            ),
        ),
    ),
)

SCALING: Final = Board(
    "engine-scaling",
    "Scaling behaviour",
    "How environments follow the load: desired against ready, cold starts, queues, throttles.",
    (_CONCURRENCY, _ENVIRONMENTS, _WAITING, _DURABLE, _CLUSTER, _HEALTH),
    (CLUSTER, JOB, INSTANCE, FUNCTION),
    (RESTART,),
)
