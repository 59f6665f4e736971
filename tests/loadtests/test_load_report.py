"""The report of a recorded run: one file, no network, the numbers of run.json."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

pytest.importorskip("hdrh", reason="hdrhistogram is not installed")

from engine.load.results.checks import FAILED, GENERATOR_LIMITED
from engine.load.results.limit_rules import limit_of
from engine.load.results.measured_figures import MetricFigures, limit_figures
from engine.load.results.report import facts, page
from engine.load.results.text import as_text
from engine.report.page import DATA_ID

RECORDED = Path(__file__).with_name("test_load_sample.json").read_text(encoding="utf-8")
EVIL = "</script><script>alert(1)</script>"


class Reader(HTMLParser):
    """Tags with their attributes, and the text of the data script."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.data, self._in_script = [], "", False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._in_script = tag == "script"

    def handle_endtag(self, tag):
        self._in_script = False

    def handle_data(self, data):
        if self._in_script:
            self.data += data


@pytest.fixture
def document():
    """A fresh copy of a recorded run of `step`."""
    return json.loads(RECORDED)


def headings(text):
    """The titles of the sections."""
    return re.findall(r"<h2[^>]*>([^<]*)</h2>", text)


def test_the_report_holds_the_document(document):
    """The JSON in the page is run.json."""
    reader = Reader(page(document))

    assert document == json.loads(reader.data)
    assert [{"type": "application/json", "id": DATA_ID}] == [
        attrs for tag, attrs in reader.tags if tag == "script"
    ]


def test_the_report_needs_no_network(document):
    """No address but the namespaces of SVG, and nothing that is loaded."""
    text = page(document)
    tags = Reader(text).tags

    assert [] == re.findall(r"https?://(?!www\.w3\.org/)[^\s\"'<]*", text)
    assert [] == [name for tag, attrs in tags for name in ("src", "href", "xlink:href") if name in attrs]
    assert "@import" not in text
    assert "url(" not in text


def test_the_report_has_what_a_load_test_is_made_for(document):
    """Verdict, offered and served, knee, percentiles, environments, cold starts, throttles, cost, sums."""
    text = page(document)
    labels = [attrs["aria-label"] for tag, attrs in Reader(text).tags if tag == "svg"]

    assert [
        "Passed",
        "The limit: engine CPU",
        "Offered and served",
        "Knee",
        "Response time",
        "Response time over time",
        "Concurrency and environments",
        "Cold starts",
        "Throttles and failures",
        "Cost",
        "Conservation",
        "Prometheus",
        "CPU, waits and backlog",
        "The load generator",
        "Machine and settings",
    ] == headings(text)
    assert [
        "Requests a second: target, offered, served",
        "p99 of each stage against its target",
        "Response time by percentile",
        "Response time by the second in which requests were due",
        "Invocations in flight and environments over time",
        "Cold starts since the beginning",
        "Throttles and failures a second",
        "Cost by function and component, US dollars",
        "Cores in use",
        "What waited",
        "Event-loop lag, p99",
    ] == labels


def test_the_report_shows_the_facts(document):
    """The few numbers to look at first, and every check with what was seen."""
    text = page(document)

    assert all(f"<b>{value}</b><span>{name}</span>" in text for name, value in facts(document))
    assert all(one["saw"] in text for one in (*document["checks"], *document["generator"]))
    assert "engines like this one" in text


def test_the_report_says_how_many_environments_lambda_would_have_made(document):
    """Beside those that were made here, where inits take turns."""
    document["engine"] |= {"environments_made": 7, "environments_wanted": 1_234}

    assert "7 environments were made; Lambda would have made 1,234," in page(document)


@pytest.mark.parametrize(
    ("verdict", "heading"),
    [
        (FAILED, "Failed"),
        (
            GENERATOR_LIMITED,
            "Generator-limited: the generator did not keep up, so this says little of the engine",
        ),
    ],
)
def test_a_verdict_that_is_not_good_comes_first(document, verdict, heading):
    """Before any number."""
    document["verdict"] = verdict
    document["checks"][0]["held"] = False
    text = page(document)

    assert heading == headings(text)[0]
    assert "✗" in text


def test_environments_from_zero_have_a_table(document):
    """How many, and when the first, half of them and all were ready."""
    document["ready"] = [
        {
            "stage": "1,000 at once",
            "environments": 1000,
            "first_ms": 12.5,
            "half_ms": 512.0,
            "last_ms": 1234.0,
            "sent_within_ms": 300.0,
            "per_s": 810.4,
        }
    ]
    text = page(document)

    assert "Time to N environments from zero" in headings(text)
    assert "<td class=n>1,000</td><td class=n>12.5</td><td class=n>512</td><td class=n>1,234</td>" in text
    assert "0 to 1,000 ready        1,234 ms (810 per s)" in as_text(document, Path("out"))


def test_records_have_a_table(document):
    """What was sent, and where all of it went."""
    spread = {"p50": 12.0, "p99": 340.0}
    document["deliveries"] = {
        "flood": {
            "sent": 1000,
            "delivered": 990,
            "dead_letters": 10,
            "duplicates": 2,
            "attempts": 1022,
            "attempts_per_record": 1.022,
            "drained_after_s": 4.2,
            "per_s": 235.7,
            "sent_to_done_ms": spread,
            "curve": [[1.0, 400], [4.2, 990]],
        }
    }
    text = page(document)

    assert "<td>flood</td><td class=n>1,000</td><td class=n>990</td><td class=n>10</td>" in text
    assert 'aria-label="Records delivered since the beginning"' in text


def test_a_run_in_which_nothing_was_answered_has_a_report_too(document):
    """Then, above all, it is looked at."""
    client = document["client"]
    document.update(series=[], functions={}, knee=None, prometheus=None, verdict=FAILED)
    client["stages"] = []
    for stream in client["streams"].values():
        stream.update(success=0, latency_ms={})

    assert "Failed" == headings(page(document))[0]


def test_text_of_others_cannot_become_markup(document):
    """An error type is the handler's own."""
    document["client"]["errors"] = {EVIL: 1}
    document["checks"][0]["saw"] = EVIL

    reader = Reader(page(document))

    assert 1 == [tag for tag, _ in reader.tags].count("script")
    assert document == json.loads(reader.data)


def test_the_limit_is_found_in_the_document_alone(document):
    """Whoever has a run.json can judge it again."""
    figures = limit_figures(document, MetricFigures("", ""))

    assert tuple(document["limit"]["names"]) == limit_of(figures).names


def test_a_run_whose_machine_tells_nothing_has_a_report_too(document):
    """No chart of CPU then, and the limit says what is not known."""
    document["host"] = {name: [] for name in document["host"]}
    document["loop_lag"] = {"at_s": [], "p99_ms": []}

    assert "CPU, waits and backlog" not in headings(page(document))
    assert ("unknown",) == limit_of(limit_figures(document, MetricFigures("", ""))).names


def test_what_a_failure_said_is_text_in_the_report(document):
    """It is somebody else's."""
    document["stages"][0]["first_error"] = {"at_s": 0.5, "stream": "work", "text": EVIL}

    assert EVIL not in page(document)
    assert "First failure of each stage" in headings(page(document))
