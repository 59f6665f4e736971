"""Finds what is wrong with dashboards and rules without a Grafana: queries by type, and how panels are made.

The rules on panels and variables are those of Grafana's dashboard-linter, by its names; those on logs are
left out, because no panel shows logs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import promql_parser as promql
from grafana_foundation_sdk.models import units

from engine.load.metric_catalogue import LOAD_METRICS
from engine.telemetry.metric_catalogue import CATALOGUE
from grafana.src.variables import ALL, filled


class MetricKind(NamedTuple):
    """What is known of a metric: its type, and its labels but for those that Prometheus adds."""

    type: str
    labels: frozenset[str]


_STOCK: Final = {
    "process_cpu_seconds_total": MetricKind("counter", frozenset()),
    "process_resident_memory_bytes": MetricKind("gauge", frozenset()),
    "process_start_time_seconds": MetricKind("gauge", frozenset()),
    "up": MetricKind("gauge", frozenset()),
}
KNOWN: Final[Mapping[str, MetricKind]] = {
    **{metric.name: MetricKind(metric.kind, frozenset(metric.labels)) for metric in CATALOGUE},
    **{metric.name: MetricKind(metric.kind, frozenset(metric.labels)) for metric in LOAD_METRICS},
    **_STOCK,
}
_ENGINE: Final = frozenset({"cluster", "job", "instance"})
_EVERYWHERE: Final = frozenset({*_ENGINE, "le"})
_PARTS: Final = ("_bucket", "_sum", "_count")
_OF_COUNTERS: Final = frozenset({"rate", "increase", "irate"})
_OF_GAUGES: Final = frozenset({"deriv", "delta", "idelta", "predict_linear", "changes"})
_UNITS: Final = frozenset(value for name, value in vars(units).items() if not name.startswith("_"))
_KEPT: Final = {name: f"${name}" for name in ALL}

WINDOWS: Final = {
    "$__range": "a total of what is shown",
    "1h": "a run-rate needs a longer window than a panel's step",
    "6h": "a run-rate needs a longer window than a panel's step",
    "1m": "growth is smoothed over a minute, restarts are looked for in one",
}
"""Windows besides `$__rate_interval`, with the reason."""


def problems_of_query(expr: str, exempt: frozenset[str] = frozenset()) -> list[str]:
    """What is wrong with a query, by the types of the metrics in it. `exempt` counters may stand bare."""
    try:
        tree = promql.parse(expr)
    except ValueError as error:
        return [f"not PromQL: {error}"]
    return list(_walk(tree, (), frozenset(), exempt))


def problems_of_rule(expr: str, exempt: frozenset[str] = frozenset()) -> list[str]:
    """What is wrong with the query of a rule: it also keeps the engines of one Prometheus apart."""
    found = problems_of_query(expr, exempt)
    return found or list(_mixing(promql.parse(expr)))


def _mixing(node: Any) -> Iterator[str]:
    """Where engines are added up, or numbers of one are compared with another's."""
    match type(node).__name__:
        case "AggregateExpr":
            yield from _not_kept(node.modifier, node)
            yield from _mixing(node.expr)
        case "BinaryExpr":
            if node.modifier is not None and node.modifier.matching is not None:
                yield from _not_kept(node.modifier.matching, node)
            yield from _mixing(node.lhs)
            yield from _mixing(node.rhs)
        case "Call" if node.func.name != "absent":
            for argument in node.args:
                yield from _mixing(argument)
        case "ParenExpr" | "SubqueryExpr" | "UnaryExpr":
            yield from _mixing(node.expr)


def _not_kept(modifier: Any, node: Any) -> Iterator[str]:
    kept = frozenset(modifier.labels) if modifier is not None else frozenset()
    yield from (f"{label} is not kept apart: {node}" for label in sorted(_ENGINE - kept))


def metrics_of(expr: str) -> set[str]:
    """The metrics that a query reads, by their names in the catalogue."""
    names: set[str] = set()
    for found in re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*", re.sub(r'"[^"]*"', "", expr)):
        name = _family(found)
        if name in KNOWN:
            names.add(name)
    return names


def _family(name: str) -> str:
    for part in _PARTS:
        whole = name.removesuffix(part)
        if whole != name and KNOWN.get(whole, MetricKind("", frozenset())).type == "histogram":
            return whole
    return name


def _walk(
    node: Any, calls: tuple[str, ...], grouped: frozenset[str], exempt: frozenset[str]
) -> Iterator[str]:
    """Look at `node`, which stands inside `calls` and is grouped by `grouped`."""
    match type(node).__name__:
        case "VectorSelector":
            yield from _selector(node, calls, exempt)
        case "MatrixSelector":
            yield from _selector(node.vector_selector, calls, exempt)
        case "Call":
            yield from _call(node, calls, grouped, exempt)
        case "AggregateExpr":
            labels = frozenset(node.modifier.labels) if node.modifier is not None else frozenset()
            yield from _unknown_labels(labels, node.expr)
            yield from _walk(node.expr, calls, labels, exempt)
        case "BinaryExpr":
            for side in (node.lhs, node.rhs):
                yield from _walk(side, calls, grouped, exempt)
        case "ParenExpr" | "SubqueryExpr" | "UnaryExpr":
            yield from _walk(node.expr, calls, grouped, exempt)


def _call(
    node: Any, calls: tuple[str, ...], grouped: frozenset[str], exempt: frozenset[str]
) -> Iterator[str]:
    name = node.func.name
    if name == "histogram_quantile":
        inner = node.args[1]
        if type(inner).__name__ != "AggregateExpr" or "le" not in inner.modifier.labels:
            yield "histogram_quantile needs buckets that are added up by le"
        elif "_bucket" not in str(inner):
            yield "histogram_quantile needs the buckets of a histogram"
    for argument in node.args:
        yield from _walk(argument, (*calls, name), grouped, exempt)


def _selector(node: Any, calls: tuple[str, ...], exempt: frozenset[str]) -> Iterator[str]:
    name = node.name
    matchers = {matcher.name: matcher.value for matcher in node.matchers.matchers}
    if name is None:
        yield "a selector names its metric"
        return
    if ":" in name:
        return  # a recorded series
    family = _family(name)
    known = KNOWN.get(family)
    if known is None:
        yield f"{name} is in no catalogue"
        return
    if known.type == "histogram" and family == name:
        yield f"{name} is a histogram: it has _bucket, _sum and _count only"
    for label in matchers.keys() - known.labels - _EVERYWHERE:
        yield f"{name} has no label {label}"
    rises = known.type in ("counter", "histogram")
    outer = calls[-1] if calls else ""
    if rises and outer not in _OF_COUNTERS and family not in exempt and "absent" not in calls:
        yield f"{name} only rises: it belongs into rate or increase"
    if not rises and outer in _OF_COUNTERS:
        yield f"{name} is a gauge: {outer} is for counters"
    if rises and outer in _OF_GAUGES:
        yield f"{name} only rises: {outer} is for gauges"


def _unknown_labels(labels: frozenset[str], inner: Any) -> Iterator[str]:
    """Grouping by a label that none of the metrics inside has gives one series without it."""
    names = metrics_of(str(inner))
    have = frozenset[str]().union(*(KNOWN[name].labels for name in names))
    if names:
        yield from (f"no label {label} to group by" for label in sorted(labels - have - _EVERYWHERE))


# -------------------------------------------------------------------- dashboards


def problems_of_dashboard(document: Mapping[str, Any]) -> list[str]:
    """What is wrong with a dashboard, each with the name of the rule."""
    found = [*_of_variables(document), *_of_layout(document)]
    if document.get("editable") is not False:
        found.append("uneditable-dashboard: it can be edited, and the change is lost")
    for mark in document["annotations"]["list"]:
        found += [f"target-promql: {mark['name']}: {text}" for text in _of_expr(mark["expr"])]
    for panel in document["panels"]:
        if panel["type"] != "row":
            found += [f"{rule}: {panel.get('title')}: {text}" for rule, text in _of_panel(panel)]
    return found


def _of_panel(panel: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if not panel.get("title") or not panel.get("description"):
        yield "panel-title-description", "a panel has both"
    if panel.get("datasource", {}).get("uid") != "${datasource}":
        yield "panel-datasource", "the data source is the one that is chosen"
    if panel["fieldConfig"]["defaults"].get("unit") not in _UNITS:
        yield "panel-units", f"{panel['fieldConfig']['defaults'].get('unit')} is no unit of Grafana's"
    targets = panel.get("targets", [])
    if not targets:
        yield "panel-no-targets", "it asks nothing"
    if len({target["refId"] for target in targets}) != len(targets):
        yield "target-ref-id", "two queries have the same letter"
    for target in targets:
        if target.get("datasource", {}).get("uid") != "${datasource}":
            yield "panel-datasource", "a query's data source is the one that is chosen"
        yield from _of_target(target["expr"])


def _of_target(expr: str) -> Iterator[tuple[str, str]]:
    for text in _of_expr(expr):
        rule = "target-counter-agg" if "only rises" in text else "target-promql"
        yield rule, f"{text}: {expr}"
    for window in re.findall(r"\[([^\]]+)\]", expr):
        if window != "$__rate_interval" and window not in WINDOWS:
            yield "target-rate-interval", f"[{window}] has no reason in WINDOWS"
    for selector in re.findall(r"\{([^}]*)\}", expr):
        for label in sorted(_ENGINE):
            if f'{label}=~"${label}"' not in selector:
                yield f"target-{label}", f"{{{selector}}} does not choose its {label}"


def _of_expr(expr: str) -> list[str]:
    try:
        text = filled(expr, rate_interval_s=60, range_s=900, values=_KEPT)
    except KeyError as error:
        return [f"no variable {error}"]
    return problems_of_query(text)


def _of_variables(document: Mapping[str, Any]) -> Iterator[str]:
    variables = {one["name"]: one for one in document["templating"]["list"]}
    source = variables.get("datasource", {})
    if (source.get("type"), source.get("query")) != ("datasource", "prometheus"):
        yield "template-datasource: a variable datasource of Prometheus is missing"
    for name in sorted(_ENGINE):
        if name not in variables:
            yield f"template-{name}: it is missing"
    for name, one in variables.items():
        if one["type"] != "query":
            continue
        if (one.get("multi"), one.get("includeAll"), one.get("allValue")) != (True, True, ALL[name]):
            yield f"template-{name}: several values, or all as {ALL[name]}, can be chosen"
        if one.get("refresh") != 2:
            yield f"template-on-time-change-reload: {name} is read once only"
        if one.get("datasource", {}).get("uid") != "${datasource}":
            yield f"template-datasource: {name} has a data source of its own"
        yield from _of_label_query(name, one["query"]["query"])


def _of_label_query(name: str, query: str) -> Iterator[str]:
    found = re.fullmatch(r"label_values\((.+), (\w+)\)", query)
    if found is None:
        yield f"template-label-promql: {name}: {query} is no label_values(metric, label)"
        return
    try:
        promql.parse(found[1])
    except ValueError as error:
        yield f"template-label-promql: {name}: {error}"


def _of_layout(document: Mapping[str, Any]) -> Iterator[str]:
    ids = [panel["id"] for panel in document["panels"]]
    if len(set(ids)) != len(ids):
        yield "layout: two panels have the same id"
    taken: dict[tuple[int, int], str] = {}
    for panel in document["panels"]:
        place = panel["gridPos"]
        if place["x"] + place["w"] > 24:
            yield f"layout: {panel['title']} is wider than the page"
        for cell in _cells(place):
            if cell in taken:
                yield f"layout: {panel['title']} lies over {taken[cell]}"
                break
            taken[cell] = panel["title"]


def _cells(place: Mapping[str, int]) -> Iterator[tuple[int, int]]:
    for x in range(place["x"], place["x"] + place["w"]):
        for y in range(place["y"], place["y"] + place["h"]):
            yield x, y
