"""The built wheel, installed in an empty folder beside its dependencies: it needs nothing of the clone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.real_time, pytest.mark.slow]


def run(*command: str | Path, cwd: Path) -> str:
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=280, check=False)
    assert 0 == result.returncode, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The one that the whole suite runs on, if it runs on one, else one that is built here."""
    if (ROOT / "engine").is_symlink():
        [tested] = (ROOT.parent / "wheels").glob("*.whl")
        return tested
    out = tmp_path_factory.mktemp("wheel")
    run(
        *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"),
        *("--wheel-dir", out, ROOT),
        cwd=out,
    )
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def engine(wheel, tmp_path_factory) -> Path:
    """The console script of an environment that has the wheel; its dependencies are those of the suite."""
    place = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", place, cwd=place)
    packages = next(place.glob("lib/python*/site-packages"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    dependencies = next(path for path in sys.path if path.endswith("site-packages"))
    (packages / "dependencies.pth").write_text(dependencies)
    script = place / "bin" / "engine"
    script.write_text(f"#!{place}/bin/python\nfrom engine.__main__ import main\nmain()\n")
    script.chmod(0o755)
    return script


def test_the_engine_that_runs_is_the_wheels(engine, tmp_path):
    found = run(engine.parent / "python", "-c", "import engine; print(engine.__file__)", cwd=tmp_path)

    assert str(engine.parents[1]) in found


def test_the_wheel_has_no_compiled_or_test_files(wheel):
    names = zipfile.ZipFile(wheel).namelist()

    assert [] == [name for name in names if name.endswith(".pyc") or name.startswith(("tests/", "grafana/"))]


def test_dashboards_and_rules_are_those_of_the_project(engine, tmp_path):
    run(engine, "dashboards", "--out", "watch", cwd=tmp_path)

    boards = [path.name for path in (tmp_path / "watch" / "dashboards").iterdir()]
    assert sorted(path.name for path in (ROOT / "grafana" / "dashboards").iterdir()) == sorted(boards)
    assert "engine-alerts" in run(engine, "rules", cwd=tmp_path)


def test_a_plan_is_answered(engine, tmp_path):
    assert '"verdict"' in run(
        *(engine, "plan", "--traffic", "50", "--duration-ms", "100", "--json"), cwd=tmp_path
    )


APP = """
import asyncio

async def handler(event, context):
    await asyncio.sleep(0.01)
    return {"statusCode": 200, "body": event["rawPath"]}
"""
TEMPLATE = f"""
Transform: AWS::Serverless-2016-10-31
Resources:
  Orders:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.handler
      Runtime: python3.{sys.version_info.minor}
      Events: {{Api: {{Type: HttpApi, Properties: {{Path: /orders, Method: post}}}}}}
"""


class Quiet(SimpleHTTPRequestHandler):
    """A server of files."""

    def log_message(self, *_: object) -> None:
        pass


def loaded(engine, cwd, *words: str) -> dict:
    """The document of a second of load. Whether the generator kept up depends on the machine."""
    options = ("--rate", "30", "--duration", "1", "--warmup", "0.5", "--no-prometheus", "--out", "out")
    command = [engine, "load", *words, *options]
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=280, check=False, env=environment
    )
    assert done.returncode in (0, 3), done.stdout + done.stderr
    assert "Load test: " in (cwd / "out" / "report.html").read_text()
    document: dict = json.loads((cwd / "out" / "run.json").read_text())
    return document


def test_a_handler_is_loaded_from_a_template_in_an_empty_folder(engine, tmp_path):
    """Over HTTP, by its route: a verdict, a report, and not one request lost."""
    pytest.importorskip("hdrh", reason="hdrhistogram is not installed")
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "template.yaml").write_text(TEMPLATE)

    found = loaded(engine, tmp_path, "--config", "template.yaml", "--via", "http")

    assert found["totals"]["offered"] == found["totals"]["answered"] == found["engine"]["invocations"] > 20
    assert [True, True] == [one["agrees"] for one in found["conservation"]]
    assert {"Orders": "loop"} == found["settings"]["executors"]


def test_any_server_is_loaded_by_its_url(engine, tmp_path):
    """Without an engine: what callers saw is all there is."""
    pytest.importorskip("hdrh", reason="hdrhistogram is not installed")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        found = loaded(engine, tmp_path, "--url", f"http://127.0.0.1:{server.server_address[1]}/?a=1")
    finally:
        server.shutdown()
        server.server_close()

    assert found["totals"]["offered"] == found["totals"]["answered"] > 20
    assert [None, None] == [found["engine"], found["cost"]]
