"""Predictions and bills as rows and lines of text, for a terminal and for the page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

from engine.model.cost.bill import AS_GIVEN, Bill, cents, plain
from engine.model.cost.commitments import PlanOffer
from engine.model.cost.containers import ContainerComparison
from engine.model.queueing.comparison import ComparisonRow
from engine.model.queueing.objectives import UNASKED, ObjectiveCheck
from engine.model.queueing.prediction import Prediction
from engine.model.simulation.run_statistics import Times

_CENT: Final = Decimal("0.01")
_FEW: Final = 30
"""Requests below which their number is said beside a share of them."""

_SHOWN: Final = ((50.0, "p50"), (90.0, "p90"), (95.0, "p95"), (99.0, "p99"), (99.9, "p99.9"), (100.0, "max"))


class NotedTable(NamedTuple):
    """Rows under their first one, which is the heading, and a sentence about them."""

    rows: Sequence[Sequence[str]]
    note: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing under the heading."""
        return len(self.rows) < 2


def dollars(usd: Decimal) -> str:
    """Cents, or as many digits as it takes to see anything."""
    if not usd or usd >= Decimal("0.01"):
        return f"${cents(usd):,}"
    return f"${usd:.3g}"


_TABLES: Final = ("durable", "stream")


def count(value: float) -> str:
    """A count, with separators; small ones with what is behind the point."""
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def percent(share: float) -> str:
    """Three digits; what is less than one in a billion is said to be that."""
    if 0 < share < 1e-9:
        return "less than 1e-07 %"
    return f"{100 * share:.3g} %" if share else "0 %"


def counted_percent(share: float, interval: tuple[float, float], of: float) -> str:
    """A share that was counted, and the interval around it."""
    low, high = interval
    if not share:
        return f"0 % (at most {_digits(high)} %)"
    few = f"; {'one request' if of == 1 else f'{of:.0f} requests'}" if of < _FEW else ""
    return f"{_digits(share)} % ({_digits(low)} to {_digits(high)} %{few})"


def seconds(value_s: float) -> str:
    """Milliseconds, or seconds from ten of them on; what is infinite timed out."""
    if value_s == math.inf:
        return "timed out"
    return f"{value_s:.4g} s" if value_s >= 10 else f"{1000 * value_s:.4g} ms"


def bill_rows(bill: Bill) -> list[Sequence[str]]:
    """A line a meter, dearest first."""
    lines = sorted(bill.lines, key=lambda line: -line.usd)
    rows: list[Sequence[str]] = [("", "quantity", "free", "US dollars")]
    rows += [
        (
            f"{line.meter} (assumed)" if line.meter in bill.book.assumed else line.meter,
            f"{_quantity(line.quantity)} {line.unit}s" if line.unit != AS_GIVEN else line.unit,
            _quantity(line.free),
            dollars(line.usd),
        )
        for line in lines
    ]
    return [*rows, ("total", "", "", dollars(bill.usd))]


def container_rows(compared: Sequence[ContainerComparison]) -> list[Sequence[str]]:
    """What the load takes on containers instead, a row each."""
    rows: list[Sequence[str]] = [("instead of Lambda", "needed", "US dollars", "cheaper above", "busy there")]
    for one in compared:
        cheaper = f"{one.even_per_s:.3g} requests/s each" if one.within_reach else "never"
        rows.append(
            (one.container.name, count(one.containers), dollars(one.usd), cheaper, f"{one.even_busy:.3g}")
        )
    return rows


def fact_rows(prediction: Prediction) -> list[tuple[str, str]]:
    """The figures, by name."""
    cold = percent(prediction.cold_share)
    if prediction.cold_interval is not None:
        cold = counted_percent(prediction.cold_share, prediction.cold_interval, prediction.ran)
    refused = ", ".join(f"{name} {count(number)}" for name, number in prediction.refusals.items())
    in_flight = f"{prediction.concurrency:,.4g} mean, {count(prediction.concurrency_p99)} for 99 % of time"
    environments = f"{prediction.environments:,.4g} mean, {count(prediction.environments_peak)} peak"
    requests = f"{count(prediction.requests)} in {span(prediction.horizon_s)}"
    if round(prediction.ran) > round(prediction.requests):
        requests += f"; {count(prediction.ran)} attempts, each of them billed"
    rows = [
        ("requests", requests),
        ("requests/s", f"{prediction.mean_per_s:,.4g} mean, {prediction.peak_per_s:,.4g} peak"),
        ("in flight", f"{in_flight}, {count(prediction.concurrency_peak)} peak"),
        (
            "environments",
            f"{environments}, {count(prediction.created)} started, {percent(prediction.utilisation)} used",
        ),
        ("cold starts", f"{cold}; they show from percentile {100 * (1 - prediction.cold_share):.6g}"),
        ("throttles", percent(prediction.throttled_share) + (f" ({refused})" if refused else "")),
    ]
    if prediction.on_engine is not None:
        there = prediction.on_engine
        started = f"{count(there.created)} environments started"
        rows.insert(5, ("cold on this engine", f"{percent(there.cold_share)}, {started}"))
    if prediction.failed_share or prediction.lost_share:
        rows.append(
            (
                "failures",
                ", ".join(
                    (
                        f"{percent(prediction.failed_share)} of what ran",
                        f"{percent(prediction.timeout_share)} timed out",
                        f"{percent(prediction.lost_share)} of the events never succeed",
                    )
                ),
            )
        )
    if prediction.inside_share:
        rows.append(("inside provisioned", percent(prediction.inside_share)))
    return rows


def method_line(prediction: Prediction) -> str:
    """How it was answered, how exact that is, for how long, and what was drawn."""
    drawn = "nothing is drawn" if prediction.seed is None else f"seed {prediction.seed}"
    return f"{prediction.method}: {prediction.error}; {span(prediction.horizon_s)}; {drawn}"


def more_rows(prediction: Prediction) -> list[tuple[str, str]]:
    """Further facts of the method, by name; durable executions and streams have tables of their own."""
    others = ((name, value) for name, value in prediction.more.items() if name not in _TABLES)
    return [(name.replace("_", " "), str(value)) for name, value in others]


def durable_table(prediction: Prediction) -> NotedTable:
    """The executions whose invocations were predicted; empty if there are none."""
    found: Mapping[str, Any] | None = prediction.more.get("durable")
    if found is None:
        return NotedTable(())
    ended = ", ".join(f"{percent(share)} {status}" for status, share in found["shares"].items())
    took, levels = found["took"], found["open"]
    peak = f", {count(levels['peak'])} peak" if "peak" in levels else ""
    return NotedTable(
        [
            ("executions", f"{count(found['executions'])}: {ended}"),
            ("each has", f"{found['invocations_each']:.4g} invocations"),
            ("", f"{found['operations_each']:.4g} operations"),
            ("", f"{found['written_bytes_each']:,.5g} bytes written"),
            ("each takes", f"{span(took['mean_ms'] / 1000)} mean, {span(took.get('p99', 0) / 1000)} p99"),
            ("open at a time", f"{count(levels['mean'])} mean{peak}, suspended ones included"),
        ]
    )


def time_rows(prediction: Prediction) -> list[Sequence[str]]:
    """Response times by percentile."""
    rows: list[Sequence[str]] = [("response", "requests", "mean", *(name for _, name in _SHOWN))]
    for name, one in (
        ("all", prediction.all_times),
        ("warm", prediction.warm_times),
        ("cold", prediction.cold_times),
    ):
        if one.count:
            rows.append((name, count(one.count), seconds(one.mean_s), *_percentiles(one)))
    return rows


def check_lines(checks: Sequence[ObjectiveCheck]) -> list[str]:
    """What was asked, and the verdict."""
    return [
        f"{check.verdict.value.upper():8} {check.name}: {check.value:.4g}, at most {check.bound:g}"
        + ("" if check.name.endswith(UNASKED) else " asked for")
        for check in checks
    ]


def span(value_s: float) -> str:
    """A length of time in words."""
    for name, length_s in (("d", 86_400), ("h", 3600), ("min", 60)):
        if value_s >= 2 * length_s:
            return f"{value_s / length_s:.4g} {name}"
    return f"{value_s:.4g} s"


def price_line(bill: Bill) -> str:
    """Where the prices are from."""
    free = "no free tier" if bill.free_tier == "none" else "free tier taken off"
    return f"prices: {bill.book.region}, {bill.book.source} of {bill.book.published}; {free}"


def found_lines(document: Mapping[str, Any]) -> list[str]:
    """The number that was looked for."""
    return [
        f"memory: {number:,} MB" if wanted == "memory" else f"{wanted} concurrency: {number:,}"
        for wanted, number in document.get("found", {}).items()
    ]


def assumption_lines(assumptions: Iterable[str]) -> list[str]:
    """What is taken for granted."""
    return [f"- {one}" for one in assumptions]


def _digits(share: float) -> str:
    """As percent, two digits; 100 where it is all."""
    return f"{100 * share:.4g}" if share > 0.1 else f"{100 * share:.2g}"


def _percentiles(times: Times) -> list[str]:
    return [seconds(times.percentiles_s.get(p, 0.0)) for p, _ in _SHOWN]


def _quantity(value: Decimal) -> str:
    return f"{value:,.0f}" if value == value.to_integral_value() or value >= 1000 else plain(round(value, 6))


def comparison_rows(compared: Sequence[ComparisonRow]) -> list[Sequence[str]]:
    """Each figure as predicted and as observed."""
    rows: list[Sequence[str]] = [("", "predicted", "observed", "difference")]
    rows += [
        (
            row.name.replace("_", " "),
            f"{row.predicted:,.6g}",
            f"{row.observed:,.6g}",
            f"{100 * row.difference:+.1f} %",
        )
        for row in compared
    ]
    return rows


def scaled_table(document: Mapping[str, Any]) -> NotedTable:
    """Other amounts of the same traffic, and where its limit is met."""
    rows: list[Sequence[str]] = [
        ("traffic", "requests/s", "in flight", "concurrency needed", "refused", "cold", "US dollars")
    ]
    rows += [
        (
            f"x {one['factor']}",
            count(one["rate_per_s"]),
            count(one["in_flight"]),
            count(one["quota"]),
            percent(one["throttled_share"]),
            percent(one["cold_share"]),
            f"${float(one['usd_per_month']):,.2f}",
        )
        for one in document["traffic_times"]
    ]
    return NotedTable(
        rows, f"1 % is refused from {count(document['limit_crossed_at_requests_per_s'])} requests/s on"
    )


def provision_rows(provided: Sequence[Mapping[str, Any]]) -> list[Sequence[str]]:
    """Numbers of provisioned environments and what each is good for."""
    rows: list[Sequence[str]] = [("provisioned", "environments", "outside", "the last is used", "US dollars")]
    rows += [
        (
            one["purpose"],
            count(one["environments"]),
            percent(one["spill_share"]),
            percent(one["last_utilisation"]),
            f"${float(one['usd_per_month']):,.2f}",
        )
        for one in provided
    ]
    return rows


def plan_rows(offers: Sequence[PlanOffer]) -> list[Sequence[str]]:
    """Savings Plans, each with the commitment that costs least."""
    rows: list[Sequence[str]] = [("Compute Savings Plan", "best commitment", "US dollars", "saved")]
    for one in offers:
        years = " or ".join(map(str, one.years))
        term = f"{one.payment}, {years} year{'' if years == '1' else 's'}"
        share = percent(float(one.saved_usd / (one.usd + one.saved_usd))) if one.saved_usd else "0 %"
        saved = f"{dollars(one.saved_usd)} ({share})"
        hourly = f"{one.commitment_usd:,.4f}" if one.commitment_usd >= _CENT else f"{one.commitment_usd:.3g}"
        rows.append((term, f"{hourly} dollars an hour", dollars(one.usd), saved))
    return rows


def keep_alive_rows(kept: Sequence[Mapping[str, Any]]) -> list[Sequence[str]]:
    """What other keep-alives would change."""
    rows: list[Sequence[str]] = [("an idle environment lives", "cold", "environments")]
    rows += [
        (span(one["keep_alive_s"]), percent(one["cold_share"]), f"{one['environments']:.4g}") for one in kept
    ]
    return rows
