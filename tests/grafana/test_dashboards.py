"""Dashboards and rules as files: up to date, well made, and only about metrics that there are."""

import json
import re
from pathlib import Path

import pytest

pytest.importorskip("grafana_foundation_sdk", reason="grafana-foundation-sdk is not installed")
pytest.importorskip("promql_parser", reason="promql-parser is not installed")

import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from engine.config import EngineSettings
from engine.load.metric_catalogue import LOAD_METRICS
from engine.telemetry.metric_catalogue import CATALOGUE
from grafana.src.build import BOARDS, ROOT, generated
from grafana.src.lint import (
    KNOWN,
    metrics_of,
    problems_of_dashboard,
    problems_of_query,
    problems_of_rule,
)
from grafana.src.promql import level, mean, quantile, rate, selector
from grafana.src.rules import documents
from grafana.src.variables import ALL, filled

DASHBOARDS = sorted((ROOT / "dashboards").glob("*.json"))
OPERATIONS = ROOT.parent / "docs" / "operations.md"

# An overflow never falls, so that it happened at all is what counts.
BARE = frozenset({"engine_label_overflow_total"})


def loaded(file: Path):
    return json.loads(file.read_text(encoding="utf-8"))


def queries():
    """Every query of every dashboard, its variables replaced."""
    return [
        filled(query.expr, rate_interval_s=60, range_s=900)
        for board in BOARDS
        for panel in board.panels
        for query in panel.queries
    ]


def rule_queries():
    return [
        rule["expr"] for one in documents().values() for group in one["groups"] for rule in group["rules"]
    ]


def test_what_is_generated_is_up_to_date():
    """`make dashboards` was run after the last change."""
    written = {path: path.read_text(encoding="utf-8") for path in generated()}

    assert generated() == written
    assert set(DASHBOARDS) == {path for path in generated() if path.suffix == ".json"}


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_dashboards_have_no_findings(file):
    """The rules of Grafana's dashboard-linter, and queries by the types of their metrics."""
    assert [] == problems_of_dashboard(loaded(file))


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_the_sdk_reads_what_it_wrote(file):
    """Nothing is lost on the way: no key that Grafana's schema does not have."""
    document = loaded(file)

    assert json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(document))) == document
    assert document["schemaVersion"] >= 40


def test_uids_are_stable_and_titles_differ():
    """Links and bookmarks go by them."""
    assert [
        "engine-scaling",
        "engine-handlers",
        "engine-cost",
        "engine-loadtest",
    ] == [board.uid for board in BOARDS]
    for board in BOARDS:
        titles = [panel.title for panel in board.panels]
        assert len(titles) == len(set(titles))


@pytest.mark.parametrize("expr", rule_queries())
def test_rules_have_no_findings(expr):
    """The same types hold for alerts, and several engines in one Prometheus are kept apart."""
    assert [] == problems_of_rule(expr, BARE)


@pytest.mark.parametrize(
    ("expr", "finding"),
    [
        ("sum(engine_environments)", "cluster is not kept apart"),
        ("sum by(cluster,instance)(engine_environments)", "job is not kept apart"),
        ("engine_environments > on(cluster,job) engine_concurrency_ready", "instance is not kept apart"),
        ("abs(sum by(cluster,job)(engine_environments))", "instance is not kept apart"),
    ],
)
def test_the_lint_finds_rules_that_mix_engines(expr, finding):
    """Two engines that serve a function of the same name, or two clusters with the same addresses."""
    assert any(finding in problem for problem in problems_of_rule(expr)), problems_of_rule(expr)


def test_every_metric_is_used():
    """By a dashboard or a rule; what nobody looks at should not be exported."""
    used = set().union(*map(metrics_of, [*queries(), *rule_queries()]))
    ours = {metric.name for metric in (*CATALOGUE, *LOAD_METRICS)}

    assert set() == ours - used
    assert set() == {name for name in used if name not in KNOWN}


def test_every_metric_is_in_the_documentation():
    """docs/operations.md has the whole table."""
    text = OPERATIONS.read_text(encoding="utf-8")

    assert [] == [metric.name for metric in CATALOGUE if f"| `{metric.name}` |" not in text]
    assert [] == [metric.name for metric in LOAD_METRICS if f"`{metric.name}`" not in text]


def test_recorded_names_are_those_that_alerts_read():
    """An alert about a series that nobody records never fires."""
    recorded = {rule["record"] for group in documents()["recording.yml"]["groups"] for rule in group["rules"]}
    read = set(re.findall(r"[a-z]+:[a-z_0-9]+:[a-z_0-9]+", json.dumps(documents()["alerts.yml"])))

    assert set() == read - recorded


@pytest.mark.parametrize(
    ("expr", "finding"),
    [
        ("engine_cold_starts_total", "only rises"),
        ("rate(engine_environments[1m])", "is a gauge"),
        ("deriv(engine_cold_starts_total[1m])", "only rises"),
        ("rate(engine_cold_starts_total)", "not PromQL"),
        ("rate(engine_cold_starts[1m])", "is in no catalogue"),
        ('rate(engine_cold_starts_total{trigger="invoke"}[1m])', "has no label trigger"),
        ("sum by(colour)(rate(engine_cold_starts_total[1m]))", "no label colour to group by"),
        ("histogram_quantile(0.9, rate(engine_init_duration_seconds_bucket[1m]))", "added up by le"),
        ("histogram_quantile(0.9, sum by(le)(rate(engine_init_duration_seconds_sum[1m])))", "buckets of"),
        ("rate(engine_init_duration_seconds[1m])", "is a histogram"),
        ("sum(", "not PromQL"),
    ],
)
def test_the_lint_finds_what_is_wrong(expr, finding):
    """A lint that finds nothing must be able to."""
    assert any(finding in problem for problem in problems_of_query(expr)), problems_of_query(expr)


def faulty(change):
    document = loaded(DASHBOARDS[0])
    change(document, next(panel for panel in document["panels"] if panel["type"] == "timeseries"))
    return problems_of_dashboard(document)


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("uneditable-dashboard", lambda board, _: board.update(editable=True)),
        ("panel-title-description", lambda _, panel: panel.update(description="")),
        ("panel-datasource", lambda _, panel: panel.update(datasource={"uid": "mine"})),
        ("panel-units", lambda _, panel: panel["fieldConfig"]["defaults"].update(unit="furlongs")),
        ("panel-no-targets", lambda _, panel: panel.update(targets=[])),
        ("target-ref-id", lambda _, panel: panel["targets"].append(panel["targets"][0])),
        ("target-job", lambda _, panel: panel["targets"][0].update(expr='up{instance=~"$instance"}')),
        ("target-instance", lambda _, panel: panel["targets"][0].update(expr='up{job=~"$job"}')),
        (
            "target-rate-interval",
            lambda _, panel: panel["targets"][0].update(expr="rate(engine_cold_starts_total{}[3m])"),
        ),
        (
            "target-counter-agg",
            lambda _, panel: panel["targets"][0].update(expr="engine_cold_starts_total{}"),
        ),
        ("target-promql", lambda _, panel: panel["targets"][0].update(expr="up{")),
        ("template-datasource", lambda board, _: board["templating"]["list"].pop(0)),
        ("template-job", lambda board, _: board["templating"]["list"].pop(2)),
        ("template-cluster", lambda board, _: board["templating"]["list"].pop(1)),
        ("template-on-time-change-reload", lambda board, _: board["templating"]["list"][1].update(refresh=1)),
        (
            "template-label-promql",
            lambda board, _: board["templating"]["list"][1].update(query={"query": "label_values(up{, job)"}),
        ),
        ("layout", lambda _, panel: panel["gridPos"].update(w=25)),
        ("layout", lambda _, panel: panel.update(id=2)),
        ("layout", lambda _, panel: panel["gridPos"].update(y=panel["gridPos"]["y"] - 1)),
    ],
)
def test_each_rule_of_the_dashboard_lint_can_be_broken(rule, change):
    """By its name."""
    assert [finding for finding in faulty(change) if finding.startswith(rule)]


def test_queries_choose_job_instance_and_function():
    """What is written by hand in one place holds for all."""
    assert (
        'engine_cold_starts_total{cluster=~"$cluster",job=~"$job",instance=~"$instance",function=~"$function"}'
    ) == selector("engine_cold_starts_total")
    assert 'max(engine_build_info{cluster=~"$cluster",job=~"$job",instance=~"$instance"})' == level(
        "engine_build_info", how="max"
    )
    assert rate("engine_cold_starts_total", by="function", over="5m").startswith("sum by(function)(rate(")
    assert quantile(0.5, "engine_init_duration_seconds", by="function").startswith(
        "histogram_quantile(0.5, sum by(le,function)(rate(engine_init_duration_seconds_bucket{"
    )
    assert "_sum{" in mean("engine_init_duration_seconds")


def test_a_variable_that_nobody_defines_is_an_error():
    """It would be an empty panel."""
    assert "x[2000ms] .+" == filled("x[$__rate_interval] ${job}", rate_interval_s=2, range_s=9, values=ALL)
    with pytest.raises(KeyError):
        filled("$nonsense", rate_interval_s=1, range_s=1)


@pytest.mark.parametrize("file", [*sorted((ROOT / "provisioning").rglob("*.yaml")), ROOT / "compose.yaml"])
def test_what_grafana_and_docker_read_is_yaml_and_names_what_is_there(file):
    """Mounted files exist."""
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    mounted = [
        volume.partition(":")[0]
        for service in document.get("services", {}).values()
        for volume in service.get("volumes", ())
    ]

    assert [] == [path for path in mounted if not (ROOT / path).exists()]


def test_addresses_are_those_at_which_things_listen():
    """Prometheus finds the engine's admin listener, and Grafana finds Prometheus."""
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    scraped = yaml.safe_load((ROOT / "prometheus" / "prometheus.yml").read_text())
    sources = yaml.safe_load((ROOT / "provisioning" / "datasources" / "prometheus.yaml").read_text())
    jobs = {job["job_name"]: job["static_configs"][0]["targets"] for job in scraped["scrape_configs"]}
    address = sources["datasources"][0]["url"].removeprefix("http://")

    assert [str(EngineSettings().admin)] == jobs["engine"]
    assert f"--web.listen-address={address}" in compose["prometheus"]["command"]


def test_grafana_is_told_the_scrape_interval():
    """`$__rate_interval` goes by it: with Grafana's default of 15 s bursts vanish."""
    scraped = yaml.safe_load((ROOT / "prometheus" / "prometheus.yml").read_text())
    sources = yaml.safe_load((ROOT / "provisioning" / "datasources" / "prometheus.yaml").read_text())
    (source,) = sources["datasources"]

    assert source["jsonData"]["timeInterval"] == scraped["global"]["scrape_interval"]
