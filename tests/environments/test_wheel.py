"""The built wheel, installed in an empty folder beside its dependencies: it needs nothing of the clone."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.real_time, pytest.mark.slow]


def run(*command: str | Path, cwd: Path) -> str:
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=90, check=False)
    assert 0 == result.returncode, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
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
