"""`engine dashboards` and `engine rules`: what they write is what the project holds, whole and readable."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from engine.cli import main
from engine.resources import folder

GRAFANA = Path(__file__).parents[2] / "grafana"


def called(*arguments: str) -> str:
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert 0 == result.exit_code, result.output
    return result.stdout


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_a_folder_has_all_that_grafana_and_prometheus_need(tmp_path):
    shown = called("dashboards", "--out", str(tmp_path / "a" / "b"))

    kept = {
        name
        for name in files(GRAFANA)
        if not name.endswith((".py", ".pyc", ".md")) and not name.startswith("prometheus/tests")
    }
    assert kept == files(tmp_path / "a" / "b")
    assert all(str(path) in shown for path in (tmp_path / "a" / "b" / "dashboards").iterdir())


def test_the_dashboards_are_the_projects_own_but_for_the_version_of_their_model(tmp_path):
    called("dashboards", "--out", str(tmp_path), "--grafana-major", "10")

    for path in (GRAFANA / "dashboards").iterdir():
        expected = json.loads(path.read_text())
        written = json.loads((tmp_path / "dashboards" / path.name).read_text())
        assert 38 == written["schemaVersion"]
        assert {**expected, "schemaVersion": 38} == written


def test_the_data_source_is_the_prometheus_that_is_named(tmp_path):
    called("dashboards", "--out", str(tmp_path), "--prometheus", "https://metrics.example:9999/prom")

    text = (tmp_path / "provisioning" / "datasources" / "prometheus.yaml").read_text()
    assert "https://metrics.example:9999/prom" == yaml.safe_load(text)["datasources"][0]["url"]


def test_written_twice_they_replace_themselves_and_leave_what_is_anothers(tmp_path):
    called("dashboards", "--out", str(tmp_path))
    before = files(tmp_path)
    own = tmp_path / "dashboards" / "mine.json"
    own.write_text("{}")

    called("dashboards", "--out", str(tmp_path))

    assert before | {"dashboards/mine.json"} == files(tmp_path)
    assert "{}" == own.read_text()


def test_the_rules_are_one_file_with_every_group():
    expected = [
        group
        for name in ("recording.yml", "alerts.yml")
        for group in yaml.safe_load((GRAFANA / "prometheus" / "rules" / name).read_text())["groups"]
    ]

    assert {"groups": expected} == yaml.safe_load(called("rules"))


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_prometheus_takes_the_rules(tmp_path):
    (tmp_path / "rules.yml").write_text(called("rules"))

    subprocess.run(["promtool", "check", "rules", "rules.yml"], cwd=tmp_path, check=True, timeout=100)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--out", "file"), "--out file: File exists"),
        (("--out", "file/below"), "--out file/below: Not a directory"),
        (("--out", "d", "--prometheus", "localhost:9090"), "--prometheus localhost:9090: not an address"),
        (("--out", "d", "--grafana-major", "9"), "'9' is not one of '10', '11', '12', '13'"),
        ((), "Missing option '--out'"),
    ],
    ids=str,
)
def test_a_mistake_is_one_line(arguments, problem, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()

    result = CliRunner().invoke(main, ("dashboards", *arguments))

    assert 2 == result.exit_code
    assert problem in result.stderr


def test_a_folder_that_no_build_carries_is_an_error():
    with pytest.raises(FileNotFoundError, match="no folder nowhere"):
        folder("nowhere")
