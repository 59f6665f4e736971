"""`engine dashboards`: what Grafana and Prometheus need to watch an engine."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import click

from engine.cli.options import complain, printable
from engine.resources import folder

_PROMETHEUS: Final = "http://127.0.0.1:9090"
_DATA_SOURCE: Final = Path("provisioning", "datasources", "prometheus.yaml")
_NOT_WRITTEN: Final = ("src", "tests", "__pycache__", "__init__.py", "README.md")
_WHAT_TO_DO: Final = """\
Import these into Grafana, or start Prometheus and Grafana with them: docker compose up, in {target}.
With a Prometheus of your own: {target}/prometheus has the scrape jobs, and the rules for its rule_files."""
SCHEMA_VERSIONS: Final = {"10": 38, "11": 39, "12": 41, "13": 42}
"""The newest dashboard schema that the first release of each Grafana reads (unverified).

The dashboards use nothing that a later version brought, so that the number is all that differs.
"""


@click.command("dashboards")
@click.option("--out", metavar="DIR", required=True, help="the folder to write to; it is made if need be")
@click.option(
    "--prometheus",
    "url",
    metavar="URL",
    default=_PROMETHEUS,
    show_default=True,
    help="where Grafana finds Prometheus",
)
@click.option(
    "--grafana-major",
    "major",
    type=click.Choice(list(SCHEMA_VERSIONS)),
    default="12",
    show_default=True,
    help="the Grafana that will read them",
)
def dashboards(out: str, url: str, major: str) -> None:
    """Write what Grafana and Prometheus need to watch an engine: dashboards, jobs, rules.

    The dashboards keep their uids: writing them again, or importing them again, replaces them.
    Files of the same names are overwritten; nothing else in the folder is touched.
    """
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        complain([f"--prometheus {url}: not an address such as {_PROMETHEUS}"])
    target = Path(out)
    try:
        source = folder("grafana")
        shutil.copytree(
            source,
            target,
            ignore=shutil.ignore_patterns(*_NOT_WRITTEN),
            copy_function=shutil.copyfile,
            dirs_exist_ok=True,
        )
        _set_data_source(target / _DATA_SOURCE, url)
        written = sorted((target / "dashboards").glob("engine-*.json"))
        for path in written:
            _set_schema_version(path, SCHEMA_VERSIONS[major])
    except OSError as error:
        complain([f"--out {out}: {error.strerror or error}"])
    for path in written:
        click.echo(printable(str(path)))
    click.echo(_WHAT_TO_DO.format(target=printable(str(target))))


def _set_data_source(path: Path, url: str) -> None:
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(_PROMETHEUS, url), encoding="utf-8")


def _set_schema_version(path: Path, version: int) -> None:
    board = json.loads(path.read_text(encoding="utf-8"))
    board["schemaVersion"] = version
    path.write_text(json.dumps(board, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
