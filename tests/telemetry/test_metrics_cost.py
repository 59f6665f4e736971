"""The figures of what metrics cost, which `make bench` and docs/measured.md take from a script."""

import json

from tests.bench import metrics_cost


def test_it_measures_a_page_that_has_everything_on(capsys):
    metrics_cost.main(calls=10, scrapes=2)
    report = json.loads(capsys.readouterr().out)

    assert metrics_cost.FUNCTIONS == report["scrape_functions"]
    assert report["scrape_lines"] > 100 * metrics_cost.FUNCTIONS
    assert report["metrics_ns_per_invocation"] > 0
