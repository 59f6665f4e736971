"""The closed sets of label values. Nothing unbounded is a label."""

from __future__ import annotations

from typing import Final

from engine.core.cluster_nodes import NodeLoss
from engine.core.delivery_counts import BUS_SERVICES, TARGET_KINDS, DeliveryOutcome
from engine.core.event import TRIGGERS
from engine.core.ledger import Component
from engine.core.outcome import Status
from engine.core.throttling import ThrottleReason

OTHER: Final = "other"
"""Where a value goes that its set does not have: a trigger or a refusal of somebody's own."""

OVERFLOW_LABEL: Final = "__other__"
"""The label value of everything above a cap."""

FUNCTION_LABEL_CAP: Final = 200
"""How many functions have a label value of their own."""

OUTCOMES: Final = tuple(status for status in Status if status is not Status.THROTTLED)
"""A throttle is no invocation: neither here nor in CloudWatch's Invocations."""

THROTTLE_REASONS: Final = (
    *(refusal.value for refusal in ThrottleReason if refusal is not ThrottleReason.CLOSING),
    OTHER,
)

REJECTIONS: Final = (
    "unknown_function",
    "invalid_payload",
    "payload_too_large",
    "not_accepting",
    "forbidden",
    "caller_rate",
    OTHER,
)
"""Why an event never became one for a function."""

OBSERVER_METHODS: Final = ("began", "ended", "refused", "noticed", "close")
"""What observers are called by."""

STATES: Final = ("pending", "starting", "idle", "busy")
EXECUTION_STATES: Final = ("running", "suspended", "paused")
EXECUTION_ENDS: Final = ("succeeded", "failed", "timed_out", "stopped")
START_KINDS: Final = ("on_demand", "provisioned")
DIRECTIONS: Final = ("up", "down", "to_zero")
SCALE_REASONS: Final = (
    *("demand", "provisioned"),
    *("idle", "timeout", "crash", "init_failed", "renewed", "limit", "closing", "shortage"),
)
"""Why there is an environment more, or one fewer."""

FORESEEN_SCALING: Final = {"up": ("demand",), "down": ("idle", "timeout", "crash"), "to_zero": ("idle",)}
"""What is shown before it happens, at 0."""

HOLDS: Final = ("memory", "descriptors", "processes", "disk")
"""What the machine is short of when an environment has to wait for its start."""

NODE_LOSSES: Final = tuple(loss.value for loss in NodeLoss)
"""Why a node of the cluster is not there any more."""

INIT_FAILURES: Final = ("error", "import", "handler", "exit", "memory", "timeout", "other")
"""Why an environment did not come up: its module raised, cannot be imported, has no such handler, ..."""

INIT_FAILURE_OF: Final = {
    "Runtime.ImportModuleError": "import",
    "Runtime.UserCodeSyntaxError": "import",
    "Runtime.BuiltInModuleConflict": "import",
    "Runtime.HandlerNotFound": "handler",
    "Runtime.MalformedHandlerName": "handler",
    "Runtime.InvalidEntrypoint": "handler",
    "Runtime.ExitError": "exit",
    "Runtime.OutOfMemory": "memory",
    "Sandbox.Timedout": "timeout",
}
"""AWS's names of errors to `INIT_FAILURES`; others with a dot are `other`, those without the module's own."""

ASYNC_RESULTS: Final = (
    "accepted",
    "delivered",
    "retried",
    "exhausted",
    "expired",
    "refused",
    "abandoned",
    "recursive",
)
"""What becomes of asynchronous events: `core.retry.AsyncCounts` says what each is."""

DELIVERY_RESULTS: Final = ("delivered", "failed")
RECORD_RESULTS: Final = ("polled", "delivered", "filtered", "failed", "dropped", "deleted")
"""What becomes of the messages that a mapping polls."""

STREAM_FATES: Final = ("read", "filtered", "succeeded", "exhausted", "expired", "given_back")
"""What becomes of the records of a stream: `core.streams.counts` says what each is."""

BATCH_OUTCOMES: Final = ("succeeded", "failed", "partial", "throttled")
SHARD_STATES: Final = ("open", "held", "finished")

CLIENT_TRIGGERS: Final = ("invoke", "http", "direct")
"""Triggers whose caller waits for the answer: what the engine adds to its latency is measured."""

LINE_RESULTS: Final = ("parsed", "invalid", "over_cap")
STREAMS: Final = ("stdout", "stderr")
LIMIT_KINDS: Final = ("reserved", "provisioned", "maximum", "account")
DURABLE_COMPONENTS: Final = ("durable_operations", "durable_written", "durable_retained")
"""What durable executions cost, beside their invocations."""

PRICE_ITEMS: Final = (
    "request",
    "gb_second",
    "provisioned_gb_second",
    "provisioned_duration_gb_second",
    "storage_gb_second",
)

LABEL_VALUES: Final = {
    "trigger": TRIGGERS,
    "outcome": tuple(
        dict.fromkeys(
            (
                *(status.value for status in OUTCOMES),
                *(outcome.value for outcome in DeliveryOutcome),
                *BATCH_OUTCOMES,
            )
        )
    ),
    "service": BUS_SERVICES,
    "target": TARGET_KINDS,
    "reason": tuple(
        dict.fromkeys((*THROTTLE_REASONS, *REJECTIONS, *SCALE_REASONS, *HOLDS, *INIT_FAILURES, *NODE_LOSSES))
    ),
    "state": (*STATES, *EXECUTION_STATES, *SHARD_STATES),
    "fate": STREAM_FATES,
    "status": EXECUTION_ENDS,
    "direction": DIRECTIONS,
    "kind": (*START_KINDS, *(kind for kind in LIMIT_KINDS if kind not in START_KINDS)),
    "component": (*(component.value for component in Component), *DURABLE_COMPONENTS),
    "queue": ("admission", "async", "source"),
    "item": PRICE_ITEMS,
    "architecture": ("x86_64", "arm64"),
    "label": ("function", "source", "node"),
    "period": ("month",),
    "stream": STREAMS,
    "method": OBSERVER_METHODS,
    "result": tuple(dict.fromkeys((*ASYNC_RESULTS, *DELIVERY_RESULTS, *RECORD_RESULTS, *LINE_RESULTS))),
}
"""Each closed label and all its values."""

EMF_CHILD_CAP: Final = 500
"""How many series of their own the metrics in handlers' log lines get, over all functions."""
