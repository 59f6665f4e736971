"""What the metrics say of durable executions."""

import pytest

from engine.telemetry.metric_catalogue import CATALOGUE
from engine.telemetry.samples import Snapshot, children
from engine.telemetry.status import status_document

pytestmark = pytest.mark.real_time


def test_executions_are_counted_timed_and_priced(served):
    """By function; a stopped one is no more among those that are suspended."""
    stats = served.engine.stats
    function, ordinary = stats.functions["waiter"], stats.functions["plain"]
    counts = function.durable
    before = counts.started, counts.ended["succeeded"], counts.operations, counts.bytes_written
    usd = function.durable_usd()

    arn = served.start("waiter", {})
    served.until(lambda: served.events(arn), lambda found: "InvocationCompleted" in found)
    suspended = dict(counts.now)
    assert 0 < counts.oldest_age_s < 5
    served.ended(arn)
    payloads = [
        details[member]["Payload"]
        for event in served.history(arn)
        for details in (event[f"{event['EventType']}Details"],)
        for member in ("Input", "Result")
        if member in details
    ]

    assert {"running": 0, "suspended": 1, "paused": 0} == suspended
    assert {"running": 0, "suspended": 0, "paused": 0} == counts.now
    after = counts.started, counts.ended["succeeded"], counts.operations, counts.bytes_written
    started, succeeded, operations, written = (one - other for one, other in zip(after, before, strict=True))
    assert (1, 1, 3) == (started, succeeded, operations)
    assert sum(map(len, payloads)) == written
    assert function.durable_took.sum >= 1
    spent = {name: dollars - usd[name] for name, dollars in function.durable_usd().items()}
    assert pytest.approx(
        {
            "durable_operations": 3 * 8e-6,
            "durable_written": written * 0.25e-9,
            "durable_retained": written * 0.15e-9 * 14 / 30,
        },
        rel=1e-3,
    ) == {name: float(dollars) for name, dollars in spent.items()}
    assert {} == ordinary.durable_usd()


def test_what_is_not_durable_has_no_series_of_executions(served):
    stats = served.engine.stats
    shown = {
        dict(labels)["function"]
        for metric in CATALOGUE
        if metric.name.startswith("engine_durable_")
        for function, tree in Snapshot(stats).trees(metric)
        for labels, _ in children(metric, function, tree)
    }
    assert "waiter" in shown
    assert "plain" not in shown
    costs = status_document(stats, uptime_s=1)["functions"]
    assert "durable_operations" in costs["waiter"]["cost_usd"]
    assert "durable_operations" not in costs["plain"]["cost_usd"]


def test_invocations_are_found_by_their_execution(served):
    """By ARN or name; the others of the function are left out."""
    arn = served.start("waiter", {}, DurableExecutionName="logged-1")
    served.ended(arn)
    served.ended(served.start("waiter", {}))
    recent = served.engine.stats.recent

    found = [recent.of("waiter", execution=one) for one in (arn, "logged-1", "nobody")]
    invocations = [
        event["InvocationCompletedDetails"]["RequestId"]
        for event in served.history(arn)
        if event["EventType"] == "InvocationCompleted"
    ]
    assert [invocations, invocations, []] == [[one.outcome.request_id for one in of] for of in found]
    assert arn == recent.shown(found[0][0], with_log=False)["execution_arn"]
