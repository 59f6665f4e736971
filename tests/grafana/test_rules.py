"""Alerting rules by Prometheus's own tests: each alert fires when it should, and stays silent else."""

import shutil
import subprocess

import pytest
import yaml

from grafana.src.build import ROOT
from grafana.src.rules import documents

pytestmark = [
    pytest.mark.real_time,
    pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed"),
]

RULES = sorted((ROOT / "prometheus" / "rules").glob("*.yml"))
TESTS = sorted((ROOT / "prometheus" / "tests").glob("*.yml"))


def promtool(*arguments):
    command = ["promtool", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)


def test_rules_and_configuration_are_valid():
    """What Prometheus says of them."""
    rules = promtool("check", "rules", *RULES)
    scraping = promtool("check", "config", "--syntax-only", ROOT / "prometheus" / "prometheus.yml")

    assert (0, "") == (rules.returncode, rules.stderr)
    assert (0, "") == (scraping.returncode, scraping.stderr)


def test_alerts_fire_when_they_should():
    """Healthy, burning, only failing, without traffic, after a reset, over budget, new."""
    tested = promtool("test", "rules", *TESTS)

    assert 0 == tested.returncode, tested.stderr


def test_every_alert_is_seen_to_fire():
    """One that nobody saw fire may never."""
    alerts = {rule["alert"] for group in documents()["alerts.yml"]["groups"] for rule in group["rules"]}
    fired = {
        one["alertname"]
        for file in TESTS
        for test in yaml.safe_load(file.read_text())["tests"]
        for one in test["alert_rule_test"]
        if one.get("exp_alerts")
    }

    assert alerts == fired
