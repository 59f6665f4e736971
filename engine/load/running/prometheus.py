"""A Prometheus that scrapes engine and generator during a run, where the program is installed."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit
from urllib.request import urlopen

from engine.load.errors import LoadTestError

PROMETHEUS: Final = shutil.which("prometheus")

QUERIES: Final = {
    "target, per s, highest": "max_over_time(sum(loadtest_target_rate)[{range}:1s])",
    "requests that callers saw answered": "sum(max_over_time(loadtest_requests_total[{range}]))",
    "requests that the engine received": "sum(max_over_time(engine_requests_received_total[{range}]))",
    "concurrency, highest": "max_over_time(sum(engine_concurrency_in_use)[{range}:1s])",
    "cold starts": "sum(max_over_time(engine_cold_starts_total[{range}]))",
    "cost, dollars": "sum(max_over_time(engine_cost_dollars_total[{range}]))",
}
"""What is asked at the end: the numbers of the Load test dashboard, over the whole run."""

_STOP_S: Final = 15.0


def free_port() -> int:
    """A port of loopback that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@contextmanager
def running_prometheus(folder: Path, targets: Mapping[str, str]) -> Iterator[str]:
    """Scrapes `targets` (URL by job) once a second into `folder`; gives its own URL.

    Raises:
        LoadTestError: It could not be started.
    """
    if PROMETHEUS is None:
        raise LoadTestError("prometheus is not installed")
    folder.mkdir()
    jobs = "\n".join(
        f"  - {{job_name: {job}, static_configs: [{{targets: ['{urlsplit(url).netloc}']}}]}}"
        for job, url in targets.items()
    )
    config = folder / "prometheus.yml"
    config.write_text(f"global: {{scrape_interval: 1s}}\nscrape_configs:\n{jobs}\n", encoding="utf-8")
    address = f"127.0.0.1:{free_port()}"
    command = [PROMETHEUS, f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"]
    command += [f"--web.listen-address={address}", "--log.level=warn"]
    with (
        (folder / "prometheus.log").open("wb") as log,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log) as process,  # noqa: S603
    ):
        try:
            yield f"http://{address}"
        finally:
            process.terminate()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


def answers(url: str, since_s: float) -> dict[str, float | None]:
    """What `QUERIES` give over the time since `since_s`, monotonic; None where there was nothing."""
    window = f"{max(1, round(time.monotonic() - since_s))}s"
    return {name: _ask(url, query.replace("{range}", window)) for name, query in QUERIES.items()}


def _ask(url: str, query: str) -> float | None:
    try:
        with urlopen(f"{url}/api/v1/query?{urlencode({'query': query})}", timeout=10) as answer:  # noqa: S310
            document: dict[str, Any] = json.load(answer)
    except (OSError, ValueError):
        return None
    found = document["data"]["result"]
    return float(found[0]["value"][1]) if found else None
