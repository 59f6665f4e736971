"""The demo's report, from a recorded document: one file, no network, the same numbers."""

import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from engine.cli.demo.report import page
from engine.cli.demo.summary_tables import facts, print_summary, sentences
from engine.report.page import DATA_ID
from engine.report.run_charts import rates

RECORDED = Path(__file__).with_name("test_demo_sample.json").read_text(encoding="utf-8")
VOID = {"meta", "link", "br", "img", "input", "hr"}


class Reader(HTMLParser):
    """Tags with attributes, the text of the data script, and whether every tag is closed in order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self._open, self.data = [], [], ""
        self.feed(text)
        self.close()
        self.left_open = list(self._open)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert tag == self._open.pop()

    def handle_data(self, data):
        if self._open and self._open[-1] == "script":
            self.data += data


@pytest.fixture
def document():
    """A fresh copy of a recorded run."""
    return json.loads(RECORDED)


def test_the_report_needs_no_network(document):
    """No address but the namespaces of SVG, nothing loaded, no script that runs."""
    text = page(document)
    tags = Reader(text).tags

    assert [] == re.findall(r"https?://(?!www\.w3\.org/)[^\s\"'<]*", text)
    assert [] == [name for tag, attrs in tags for name in ("src", "href", "xlink:href") if name in attrs]
    assert [{"type": "application/json", "id": DATA_ID}] == [attrs for tag, attrs in tags if tag == "script"]
    assert "@import" not in text
    assert "url(" not in text


def test_the_report_is_well_formed(document):
    """Every element is closed, in order."""
    assert [] == Reader(page(document)).left_open


def test_the_report_holds_the_document(document):
    """The JSON in the page is what `--json` prints."""
    assert document == json.loads(Reader(page(document)).data)


def test_the_report_has_four_charts_with_labels(document):
    """Concurrency, throughput, latency, cost: each says what it is."""
    labels = [attrs["aria-label"] for tag, attrs in Reader(page(document)).tags if tag == "svg"]

    assert [
        "Invocations in flight and environments over time",
        "Invocations and throttles per second over time",
        "Latency by percentile",
        "Cost by function and component, US dollars",
    ] == labels


def test_the_report_is_the_same_each_time(document):
    """No random identifiers."""
    assert page(document) == page(document)


def test_the_report_shows_the_facts_and_the_verdict(document):
    """The few numbers to look at first, and the dated prices."""
    text = page(document)

    assert all(f"<b>{value}</b><span>{name}</span>" in text for name, value in facts(document))
    assert "Every promise held" in text
    assert document["cost"]["prices"] in text


def test_the_report_says_what_did_not_hold(document):
    """Not only in colour."""
    document["ok"] = False
    document["promises"][0]["held"] = False

    text = page(document)

    assert "Not every promise held" in text
    assert 1 == text.count("✗")


def test_text_of_others_cannot_become_markup(document):
    """An error name is the handler's own: it is escaped, in the tables and in the JSON."""
    evil = "</script><script>alert(1)</script>"
    document["failures"]["by_error"] = {evil: 1}
    document["notes"] = [evil]

    reader = Reader(page(document))

    assert 1 == [tag for tag, _ in reader.tags].count("script")
    assert document == json.loads(reader.data)


def test_a_run_that_measured_nothing_still_has_a_report(document):
    """Every series empty, no cost, one sample."""
    document["series"] = []
    document["functions"] = {}
    document["samples"] = {key: values[:1] for key, values in document["samples"].items()}

    assert [] == Reader(page(document)).left_open


def test_rates_come_from_counters():
    """Steps of at least half a second; the middle of each, and the rate in it."""
    assert [(0.25, 24.0), (0.75, 0.0)] == rates([0.0, 0.25, 0.5, 0.75, 1.0], [0, 2, 12, 12, 12])
    assert [] == rates([0.0], [5])


def test_the_printed_summary_is_plain_without_a_terminal(document):
    """No escape codes, and all the facts."""
    out = io.StringIO()

    print_summary(document, out, boxed=False)

    text = out.getvalue()
    assert "\x1b" not in text
    assert all(name in text and value in text for name, value in facts(document))
    assert 8 == len(re.findall("^ok ", text, re.MULTILINE))
    assert "prices of us-east-1 as of 2026-09-19" in text


def test_what_did_not_hold_is_a_line_each(document):
    """For the end of the run, on stderr."""
    assert [] == sentences(document)
    document["promises"][1].update(held=False, saw="at most 7")

    assert ["did not hold: concurrency reaches 1,000: at most 7"] == sentences(document)
