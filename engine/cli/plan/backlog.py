"""`engine plan --backlog`: when the messages that wait in a queue are drained, and what that costs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from engine.cli.mapping_options import policy_of
from engine.cli.model_options import book_of, function_of, refuse, refuse_unused, write
from engine.cli.plan.page import cost_section
from engine.cli.prediction_tables import assumption_lines, bill_rows, count, percent, price_line, span
from engine.model.cost.bill import Bill, bill
from engine.model.distributions import Capped
from engine.model.queueing.backlog import Backlog, Drain, drain
from engine.model.traffic.shapes import Shape
from engine.report import charts
from engine.report import page as kit
from engine.report.tables import html_table, text_table

_ANSWERED: Final = frozenset(
    {"backlog", "traffic", "maximum_concurrency", "provisioned_pollers", "sqs_batch", "sqs_send_batch"}
    | {"service", "init", "memory_mb", "architecture", "timeout_s", "reserved"}
    | {"concurrency_limit", "scaling_rate"}
    | {"region", "prices", "free_tier", "savings_plan", "plan_years", "as_json", "html"}
)
"""Options that change what becomes of a backlog."""

_LATE: Final = 0.001
"""Share of batches that time out from which an answer without them would be wrong."""


def drain_of(
    context: click.Context,
    messages: int,
    traffic: Shape | None,
    options: dict[str, Any],
    *,
    as_json: bool,
    html: str | None,
) -> None:
    """Answer for that many messages; `options` are those of `engine plan`."""
    others = sorted({one.name for one in context.command.params if one.name} - _ANSWERED)
    refuse_unused(context, "--backlog asks for a drain alone (engine simulate --backlog knows more)", *others)
    if options["savings_plan"] is None:
        refuse_unused(context, "needs --savings-plan", "plan_years")
    function, account, service, init = function_of(options)
    book, free_tier, _ = book_of(options)
    capped = Capped(service, function.timeout_s)
    if capped.late_share > _LATE:
        late = percent(capped.late_share)
        refuse([f"--backlog: {late} of the batches time out and come again: see engine simulate --backlog"])
    try:
        found = drain(
            Backlog(
                function=function,
                account=account,
                messages=messages,
                arrivals_per_s=0.0 if traffic is None else _steady(traffic),
                batch_size=options["sqs_batch"],
                send_batch=options["sqs_send_batch"],
                policy=policy_of(options),
                service=capped,
                init=init,
            )
        )
    except ValueError as error:
        refuse([f"--backlog {messages}: {error}"])
    priced = bill(found.usage(), book, free_tier=free_tier)
    document = {**found.document(), "cost": {**priced.document(), "of": "backlog"}}
    document["assumptions"] += priced.book.assumptions
    if html is not None:
        write(html, _page(found, priced, document))
    click.echo(json.dumps(document, indent=2) if as_json else "\n".join(_lines(found, priced, document)))


def _steady(traffic: Shape) -> float:
    if not traffic.is_steady:
        refuse(
            [f"--traffic {traffic}: beside --backlog a steady rate; engine simulate --backlog plays others"]
        )
    return traffic.rate_per_s(0.0)


def _lines(found: Drain, priced: Bill, document: Mapping[str, Any]) -> list[str]:
    return [
        *text_table(_rows(found, document), text_columns=2),
        "",
        f"{document['method']}: {document['error']}; nothing is drawn",
        "",
        "this backlog",
        *text_table(bill_rows(priced)),
        price_line(priced),
        "",
        *(f"* {one}" for one in document["to_check"]),
        "",
        *assumption_lines(document["assumptions"]),
    ]


def _rows(found: Drain, document: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    drained_if = [(f"  if {name}", _seconds(s)) for name, s in document["drained_s_if"].items()]
    return [
        ("drained after", _seconds(found.drained_s)),
        *drained_if,
        ("messages", f"{found.messages:,}"),
        ("invocations", f"{found.invocations:,} of up to {found.backlog.batch_size:,} messages"),
        ("in flight", f"{found.in_flight:,.4g} mean, {found.peak:,} peak"),
        ("environments", f"{found.peak:,}, each with a cold start"),
        ("billed", f"{document['gb_seconds']:,.6g} GB-seconds"),
    ]


def _seconds(value_s: float) -> str:
    words = f"{value_s:,.4g} s"
    return words if span(value_s).endswith(" s") else f"{words} ({span(value_s)})"


def _page(found: Drain, priced: Bill, document: Mapping[str, Any]) -> str:
    levels = found.levels()
    title = f"A backlog of {count(found.backlog.messages)} messages"
    curves = "".join(
        charts.lines({name: list(zip(levels["at_s"], levels[key], strict=True))}, "seconds", name, label=name)
        for key, name in (("batches_at_a_time", "batches at a time"), ("messages_waiting", "messages"))
    )
    return kit.page(
        f"Invocation engine: {title}",
        kit.section("In numbers", html_table([("", ""), *_rows(found, document)], text_columns=2)),
        kit.section("Over time", curves),
        kit.section("Cost of this backlog", cost_section(priced)),
        kit.section("To check", kit.bullet_list(document["to_check"])),
        kit.section("What this takes for granted", kit.bullet_list(document["assumptions"])),
        heading=title,
        header=f"<p>{document['method']}: {document['error']}</p>",
        document=document,
    )
