"""report.html: one file that needs no network, with the verdict, charts, tables and run.json itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from engine.load.generator.tally import PERCENTILES
from engine.load.results import charts
from engine.load.results.checks import GENERATOR_LIMITED, PASSED
from engine.report import page as kit
from engine.report import run_charts
from engine.report.figures import dollars, milliseconds
from engine.report.page import section
from engine.report.tables import html_table

_SENTENCES: Final = {
    PASSED: "Passed",
    GENERATOR_LIMITED: "Generator-limited: the generator did not keep up, so this says little of the engine",
}

Document = Mapping[str, Any]


def page(document: Document) -> str:
    """The HTML page of a run."""
    verdict = document["verdict"]
    missed = [one for one in document["generator"] if not one["held"]]
    sections = [
        section(
            _SENTENCES.get(verdict, "Failed"),
            _checks([*document["checks"], *missed]),
            kind="good" if verdict == PASSED else "bad",
        ),
        _limit(document),
        section("Offered and served", charts.offered_and_served(document), _stages(document)),
        *_first_errors(document),
        *_knee(document),
        *_ready(document),
        *_deliveries(document),
        section(
            "Response time",
            charts.latency(document),
            _latency(document),
            note="From the moment a request was due (open model) or sent (closed model) to its answer."
            + _warmup(document),
        ),
        section("Response time over time", charts.latency_over_time(document)),
        *_environments(document),
        section("Throttles and failures", charts.throttled_and_failed(document), _errors(document)),
        *_cost(document),
        section("Conservation", _conservation(document), note="Nothing may be lost on the way."),
        *_compared(document),
        *_stubs(document),
        *_prometheus(document),
        *_machine(document),
        section("The load generator", _checks(document["generator"])),
        section("Machine and settings", _settings(document)),
    ]
    title = f"Load test: {document['scenario']}"
    return kit.page(
        title,
        kit.tiles(facts(document)),
        *sections,
        heading=title,
        header=f"<p>{escape(document['question'])}</p>",
        document=document,
    )


def facts(document: Document) -> list[tuple[str, str]]:
    """The few numbers to look at first: name and value."""
    client, engine, cost = document["client"], document["engine"], document["cost"]
    sums = document["totals"]
    served = sum(one["success"] for one in client["streams"].values())
    found = [
        ("verdict", document["verdict"]),
        ("limit", named_limit(document)),
        ("offered", f"{sums['offered']:,}"),
        ("served", f"{served:,}"),
        ("served, per s", f"{served / client['ended_s']:,.0f}" if client["ended_s"] else "0"),
        ("p99, slowest stream", f"{milliseconds(_slowest_p99(client))} ms"),
        ("refused", f"{sums['refused']:,}"),
        ("failed", f"{sums['failed']:,}"),
        ("open", f"{sums['open']:,}"),
    ]
    if engine is not None:
        found += [
            ("peak concurrency", f"{engine['peak_concurrency']:,}"),
            ("cold starts", f"{engine['cold_starts']:,}"),
            ("throttles", f"{engine['throttles']:,}"),
            ("per 1,000 requests", dollars(cost["per_thousand_requests_usd"], 6)),
            ("per million invocations", dollars(cost["per_million_invocations_usd"], 2)),
        ]
    if document["knee"] is not None:
        found.append(("knee, per s", f"{document['knee']['per_s']:,.0f}"))
    return found


def named_limit(document: Document) -> str:
    """Who was the limit, in a few words."""
    return " and ".join(document["limit"]["names"]) or "none"


def _limit(document: Document) -> str:
    """Who was the limit, why, and what Lambda would have done about it."""
    limit = document["limit"]
    names = named_limit(document)
    title = "No limit was reached" if names == "none" else f"The limit: {names}"
    told = [kit.note(one) for one in (limit["on_lambda"],) if one]
    return section(title, *told, note=limit["why"], kind="risk" if limit["names"] else "good")


def _first_errors(document: Document) -> list[str]:
    errors = [(one["name"], one["first_error"]) for one in document["stages"] if one["first_error"]]
    if not errors:
        return []
    rows = [(name, f"{error['at_s']:,.1f} s", error["stream"], error["text"]) for name, error in errors]
    table = html_table([("stage", "at", "stream", "what the caller was told"), *rows], text_columns=4)
    return [section("First failure of each stage", table)]


def _machine(document: Document) -> list[str]:
    """CPU of engine, handlers and generator, event-loop lag, and what waited, over time."""
    if len(document["host"]["at_s"]) < 2:
        return []
    note = (
        "Cores that each used, and that the machine used in all, up to twice a second. A process that is "
        "ready and has no core waits: the lower chart adds up such waits of the handlers' processes."
    )
    parts = [charts.cores(document), charts.waiting(document)]
    if document["loop_lag"]["at_s"]:
        parts.append(charts.loop_lag(document))
    return [section("CPU, waits and backlog", *parts, note=note)]


def _slowest_p99(client: Mapping[str, Any]) -> float:
    spreads = [one["latency_ms"].get("success") for one in client["streams"].values()]
    return max((spread["p99"] for spread in spreads if spread), default=0.0)


def _environments(document: Document) -> list[str]:
    """Over time, and how many environments were made, and how many Lambda would have made."""
    engine = document["engine"]
    if engine is None:
        return []
    made = (
        f"{engine['environments_made']:,} environments were made; Lambda would have made "
        f"{engine['environments_wanted']:,}, one for each event that found none free. Here such an event "
        "takes whatever is free first, and an environment that no event needs any more is not begun."
    )
    said = "As the engine says of itself, up to five times a second."
    return [
        section("Concurrency and environments", run_charts.concurrency(document), note=said),
        section("Cold starts", charts.cold_starts(document), note=made),
    ]


def _stages(document: Document) -> str:
    rows = [
        (
            row["name"],
            f"{row['seconds']:.4g} s",
            f"{row['target_per_s']:,.1f}",
            *(f"{row[name]:,}" for name in ("open_before", "offered")),
            *(f"{row[name]:,}" for name in ("answered", "refused", "failed", "open_at_end")),
            *(milliseconds(row[name]) for name in ("p50_ms", "p99_ms")),
            *(_percent(row[name]) for name in ("engine_cpu", "handlers_cpu", "generator_cpu")),
            "" if row["per_thousand_usd"] is None else dollars(row["per_thousand_usd"], 6),
        )
        for row in document["stages"]
    ]
    head = (
        *("stage", "for", "target per s", "open before", "offered"),
        *("answered", "refused", "failed", "open at its end", "p50, ms", "p99, ms"),
        *("engine CPU", "handlers' CPU", "generator CPU", "per 1,000 requests"),
    )
    return html_table([head, *rows], text_columns=1)


def _percent(share: float | None) -> str:
    """Of a core."""
    return "" if share is None else f"{share:.0%}"


def _knee(document: Document) -> list[str]:
    found = document["knee"]
    if found is None:
        return []
    note = (
        f"{found['per_s']:,.0f} requests a second, ±{found['plus_minus']:.1%}: "
        f"{found['held_per_s']:,.0f} held, "
        f"{found['broke_per_s']:,.0f} did not ({found['why']}). "
        f"{document['engine']['invocations_per_cpu_s']:,.0f} invocations for each CPU second of the engine."
    )
    rows = [
        (f"{one['per_s']:,}", f"{one['headroom']:.0%}", f"{one['instances']:,}") for one in found["instances"]
    ]
    table = html_table([("requests per s", "headroom", "engines like this one"), *rows], text_columns=0)
    return [section("Knee", charts.knee(document), table, note=note)]


def _ready(document: Document) -> list[str]:
    rows = [
        (
            f"{one['environments']:,}",
            *(milliseconds(one[key]) for key in ("first_ms", "half_ms", "last_ms")),
            f"{one['per_s']:,.0f}",
            milliseconds(one["sent_within_ms"]),
        )
        for one in document["ready"]
    ]
    if not rows:
        return []
    head = ("environments", "first, ms", "half, ms", "all, ms", "per s", "sent within, ms")
    note = (
        "From the moment at which all requests were due to that at which so many handlers had begun, each in "
        "an environment of its own. The generator needs time to send them: the last column."
    )
    return [section("Time to N environments from zero", html_table([head, *rows], text_columns=0), note=note)]


def _deliveries(document: Document) -> list[str]:
    rows = [
        (
            name,
            *(f"{one[key]:,}" for key in ("sent", "delivered", "dead_letters", "duplicates")),
            f"{one['attempts_per_record']:.3f}",
            f"{one['drained_after_s']:.1f}",
            f"{one['per_s']:,.0f}",
            milliseconds(one["sent_to_done_ms"]["p50"]),
            milliseconds(one["sent_to_done_ms"]["p99"]),
        )
        for name, one in document["deliveries"].items()
    ]
    if not rows:
        return []
    counted = ("sent", "delivered", "dead letters", "taken again", "attempts each")
    head = ("records", *counted, "drained after, s", "per s", "p50, ms", "p99, ms")
    note = "From the moment at which a record was due to be sent to that at which the function took it."
    return [
        section(
            "Records",
            charts.records_delivered(document),
            html_table([head, *rows], text_columns=1),
            note=note,
        )
    ]


def _warmup(document: Document) -> str:
    warmup_s = document["client"]["warmup_s"]
    return f" What was due in the warm-up, {warmup_s:g} s, is left out." if warmup_s else ""


def _latency(document: Document) -> str:
    rows = [
        (
            name,
            outcome,
            f"{stream['measured'][outcome]:,}",
            *(milliseconds(value) for value in spread.values()),
        )
        for name, stream in document["client"]["streams"].items()
        for outcome, spread in stream["latency_ms"].items()
    ]
    titles = [f"p{percent:g}, ms" for percent in PERCENTILES]
    return html_table([("stream", "answer", "count", *titles, "max, ms"), *rows], text_columns=2)


def _errors(document: Document) -> str:
    rows = [(kind, f"{count:,}") for kind, count in document["client"]["errors"].items()]
    return html_table([("failures, as the callers saw them", "count"), *rows], text_columns=1) if rows else ""


def _cost(document: Document) -> list[str]:
    if document["cost"] is None:
        return []
    rows = [
        (
            name,
            f"{one['invocations']:,}",
            f"{one['billed_ms']:,}",
            *(dollars(usd, 6) for usd in one["cost_usd"].values()),
        )
        for name, one in document["functions"].items()
    ]
    components = (*document["cost"]["components_usd"], "total")
    table = html_table([("function", "invocations", "billed ms", *components), *rows], text_columns=1)
    return [section("Cost", run_charts.cost(document), table, note=_bill(document))]


def _bill(document: Document) -> str:
    cost = document["cost"]
    parts = ", ".join(f"{name} {dollars(usd, 6)}" for name, usd in cost["components_usd"].items())
    return (
        f"What AWS would have asked for it, tier 1, without the free tier: {parts}; "
        f"{dollars(cost['per_million_invocations_usd'], 2)} per million invocations, and "
        f"{dollars(cost['month_at_this_rate_usd'], 2)} for a month (730 hours) at this rate."
    )


def _conservation(document: Document) -> str:
    rows = [
        (one["what"], one["where"], f"{one['sent']:,}", f"{one['found']:,}", "✓" if one["agrees"] else "✗")
        for one in document["conservation"]
    ]
    return html_table([("sum", "where", "callers", "found", ""), *rows], text_columns=2)


def _compared(document: Document) -> list[str]:
    found = document.get("comparison")
    if found is None:
        return []
    table = html_table(compared_rows(found), text_columns=1)
    unlike = " ".join(f"Not alike: {text}." for text in found["unlike"])
    note = f"Before: {found['with']}. {found['method']}. {unlike}"
    return [section("Compared with an earlier run", table, note=note)]


def compared_rows(found: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The rows of a comparison, with their heading."""
    rows = [
        (
            row["name"],
            *(f"{row[key]:,.4g}" for key in ("before", "after")),
            f"{row['low']:+,.3g} to {row['high']:+,.3g}",
            "differs" if row["differs"] else "may be chance",
        )
        for row in found["rows"]
    ]
    return [("", "before", "now", "difference", ""), *rows]


def _stubs(document: Document) -> list[str]:
    found = document.get("stubs")
    if found is None:
        return []
    note = (
        "What the handlers called instead of the real thing, from the start of the engine on, retries of "
        "their clients too. Observed from the whole request to the writing of the answer."
    )
    table = html_table(stub_rows(found), text_columns=2)
    return [section("Stubs", table, _checks(found["checks"]), note=note)]


def stub_rows(found: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The rows of a table of stubs, with their heading."""
    rows = [
        (
            one["name"],
            one["set"],
            *(f"{one[key]:,}" for key in ("requests", "errors", "throttled")),
            milliseconds(one["set_mean_ms"]),
            milliseconds(one["observed_mean_ms"]),
            *(milliseconds(one["observed_ms"].get(key, 0.0)) for key in ("p50", "p99")),
        )
        for one in found["stubs"]
    ]
    head = ("stub", "set", "requests", "errors", "throttled", "set mean, ms", "observed mean", "p50", "p99")
    return [head, *rows]


def _prometheus(document: Document) -> list[str]:
    if document["prometheus"] is None:
        return []
    rows = [
        (name, "nothing" if value is None else f"{value:,.6g}")
        for name, value in document["prometheus"].items()
    ]
    note = "The same run as a Prometheus saw it that scraped engine and generator once a second."
    return [section("Prometheus", html_table([("query", "answer"), *rows], text_columns=1), note=note)]


def _settings(document: Document) -> str:
    rows = [
        (name, str(value))
        for name, value in (*document["machine"].items(), *document["settings"].items())
        if value is not None
    ]
    return html_table([("", ""), *rows], text_columns=2)


def _checks(checks: Sequence[Mapping[str, Any]]) -> str:
    return str(kit.check_list((one["held"], one["check"], one["saw"]) for one in checks))
