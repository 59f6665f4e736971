"""An engine under mixed load with a real Prometheus that scrapes it: what the dashboards are tried on.

Everything listens on loopback, on free ports, is bounded in time, and ends with the rig.
"""

from __future__ import annotations

import http.client
import json
import selectors
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from grafana.src.generator import Generator

ROOT: Final = Path(__file__).parents[2]
RULES: Final = ROOT / "grafana" / "prometheus" / "rules"
PROMETHEUS: Final = shutil.which("prometheus")

_READY_S: Final = 30.0
_STOP_S: Final = 20.0

_HANDLERS: Final = '''
"""Handlers that give every metric something to show."""
import asyncio, json, os, random, time
from urllib.parse import quote
from urllib.request import Request, urlopen

async def quick(event, context):
    await asyncio.sleep(random.choice((0.002, 0.004, 0.02, 0.08)))
    return {"ok": True}

def steady(event, context):
    time.sleep(0.05)
    return {"ok": True}

async def faulty(event, context):
    if random.random() < 0.3:
        raise ValueError("as asked")
    await asyncio.sleep(1.0 if random.random() < 0.1 else 0.01)

async def near(event, context):
    await asyncio.sleep(0.92)

async def held(event, context):
    time.sleep(0.15)

def heavy(event, context):
    return len(bytearray(50_000_000))

async def work(event, context):
    await asyncio.sleep(0.06 * len(event["Records"]))

async def pieces(event, context):
    for _ in range(random.randint(1, 9)):
        await asyncio.sleep(random.choice((0.002, 0.02)))
        yield "a piece of it; "

async def read(event, context):
    if random.random() < 0.4:
        raise ValueError("a record that nobody can read")
    await asyncio.sleep(0.02)

async def lost(event, context):
    raise ValueError("nobody waits for this")

def saga(event, context):  # one step, as AWS's SDK checkpoints it
    endpoint, arn = os.environ["AWS_ENDPOINT_URL"], quote(event["DurableExecutionArn"], safe="")
    step = {"Id": "1", "Type": "STEP"}
    updates = [step | {"Action": "START"}, step | {"Action": "SUCCEED", "Payload": "1"}]
    body = json.dumps({"CheckpointToken": event["CheckpointToken"], "Updates": updates}).encode()
    urlopen(Request(f"{endpoint}/2025-12-01/durable-executions/{arn}/checkpoint", body)).close()
    time.sleep(0.3)
    return {"Status": "SUCCEEDED", "Result": "1"}

async def counting(event, context):
    metrics = [
        {"Name": "OrdersPlaced", "Unit": "Count"}, {"Name": "Checkout", "Unit": "Milliseconds"},
        {"Name": "Basket", "Unit": "Bytes"}, {"Name": "Discount", "Unit": "Percent"},
    ]
    directive = {"Namespace": "shop", "Dimensions": [["service"]], "Metrics": metrics}
    print(json.dumps({
        "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]},
        "service": "orders", "OrdersPlaced": [1.0, 2.0], "Checkout": [random.uniform(5, 80)],
        "Basket": [random.randint(100, 9000)], "Discount": [random.uniform(0, 30)],
    }))
'''

_BROKEN: Final = """
raise ConnectionError("no database")

def handler(event, context): ...
"""

_CONFIG: Final = """
[engine]
concurrency_limit = 60
monthly_budget_usd = 2.5
log_format = "off"

[functions.quick]
handler = "rig_handlers.quick"
keep_alive_s = 1

[functions.steady]
handler = "rig_handlers.steady"
memory_mb = 512
reserved_concurrency = 3
keep_alive_s = 4

[functions.faulty]
handler = "rig_handlers.faulty"
timeout_s = 0.3
keep_alive_s = 10

[functions.near]
handler = "rig_handlers.near"
timeout_s = 1

[functions.held]
handler = "rig_handlers.held"

[functions.heavy]
handler = "rig_handlers.heavy"
executor = "process"
cpu = "lambda"
memory_mb = 256

[functions.counting]
handler = "rig_handlers.counting"
memory_mb = 256

[functions.saga]
handler = "rig_handlers.saga"
executor = "process"
durable = { execution_timeout_s = 60 }

[functions.queued]
handler = "rig_handlers.steady"
reserved_concurrency = 1
overflow = "queue"
timeout_s = 10

[functions.broken]
handler = "rig_broken.handler"
executor = "thread"

[functions.warm]
handler = "rig_handlers.steady"
provisioned_concurrency = 2

[functions.worker]
handler = "rig_handlers.work"

[[functions.worker.events]]
type = "sqs"
queue = "jobs"
batch_size = 5
maximum_batching_window_s = 1

[functions.pieces]
handler = "rig_handlers.pieces"
streaming = "generator"

[functions.listener]
handler = "rig_handlers.quick"
events = [{ type = "sns", topic = "news" }]

[topics.news]
subscriptions = [{ url = "http://127.0.0.1:1/" }]

[functions.reader]
handler = "rig_handlers.read"

[[functions.reader.events]]
type = "kinesis"
stream = "clicks"
batch_size = 5
bisect_batch_on_function_error = true
maximum_retry_attempts = 1
on_failure = "failed"
poll_interval_s = 0.2

[functions.lost]
handler = "rig_handlers.lost"
maximum_retry_attempts = 0
dead_letter_queue = "dead"
on_failure = "failed"

[queues.dead]

[queues.failed]
"""


class QueryResult(NamedTuple):
    """One series that Prometheus gave: its labels and its samples."""

    labels: Mapping[str, str]
    samples: tuple[tuple[float, float], ...]


class Target(NamedTuple):
    """What is scraped: host and port, and the labels that its series get, `job` among them."""

    address: str
    labels: Mapping[str, str]


class Prometheus:
    """Asks a Prometheus server."""

    def __init__(self, url: str) -> None:
        self.url = url

    def instant(self, query: str, at_s: float) -> list[QueryResult]:
        """The series of `query` at one moment, seconds since the epoch."""
        found = self._get("query", query=query, time=f"{at_s:.3f}")["result"]
        return [QueryResult(one["metric"], (_sample(one["value"]),)) for one in found]

    def range(self, query: str, start_s: float, end_s: float, step_s: float) -> list[QueryResult]:
        """The series of `query` between two moments."""
        found = self._get("query_range", query=query, start=start_s, end=end_s, step=step_s)["result"]
        return [QueryResult(one["metric"], tuple(map(_sample, one["values"]))) for one in found]

    def exemplars(self, query: str, start_s: float, end_s: float) -> list[Any]:
        """The exemplars of the series that `query` selects."""
        found: list[Any] = self._get("query_exemplars", query=query, start=start_s, end=end_s)
        return found

    def metadata(self) -> dict[str, str]:
        """Name to type of every metric that was scraped."""
        return {name: rows[0]["type"] for name, rows in self._get("metadata").items()}

    def targets_up(self) -> int:
        """How many targets answer."""
        return sum(one["health"] == "up" for one in self._get("targets")["activeTargets"])

    def _get(self, path: str, **parameters: Any) -> Any:
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=20) as answer:  # noqa: S310
            return json.load(answer)["data"]


class Rig:
    """`with Rig(folder) as rig`: the engine serves, Prometheus scrapes it and the generator.

    Attributes:
        prometheus: To ask.
        began_s: When the load began, seconds since the epoch.
        ended_s: When it ended.
        admin: URL of the engine's admin listener.
    """

    prometheus: Prometheus
    admin: str
    began_s: float
    ended_s: float

    def __init__(self, folder: Path, scrape_s: float = 1.0) -> None:
        self._folder = folder
        self._scrape_s = scrape_s
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            urls = opening.enter_context(_engine(self._folder))
            self.admin = urls["admin"]
            self._generator = Generator(urls["aws"])
            target = opening.enter_context(self._generator)
            engine = urllib.parse.urlsplit(self.admin).netloc
            targets = [Target(engine, {"job": "engine"}), Target(target, {"job": "loadtest"})]
            self.prometheus = opening.enter_context(scraping(self._folder, targets, self._scrape_s))
            self._open = opening.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def drive(self, seconds: float) -> None:
        """Load everything for so long, with a pause in the middle in which functions scale to zero."""
        self.began_s = time.time()
        self._generator.run(seconds)
        self.ended_s = time.time()
        time.sleep(2 * self._scrape_s)  # so that the last of it was scraped


@contextmanager
def _engine(folder: Path) -> Iterator[dict[str, str]]:
    (folder / "rig_handlers.py").write_text(_HANDLERS, encoding="utf-8")
    (folder / "rig_broken.py").write_text(_BROKEN, encoding="utf-8")
    (folder / "engine.toml").write_text(_CONFIG, encoding="utf-8")
    command = [sys.executable, "-m", "engine", "serve", "--config", str(folder / "engine.toml")]
    for listener in ("http", "aws", "admin"):
        command += [f"--{listener}", "127.0.0.1:0"]
    with (
        (folder / "engine.log").open("wb") as log,
        _process(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log) as process,
    ):
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            if not selector.select(_READY_S):
                raise TimeoutError("the engine was not ready in time")
        line = process.stdout.readline()
        if not line:
            raise RuntimeError((folder / "engine.log").read_text(errors="replace"))
        yield json.loads(line)


@contextmanager
def scraping(
    folder: Path, targets: Sequence[Target], scrape_s: float, *features: str
) -> Iterator[Prometheus]:
    """A Prometheus that sees all `targets`, with these features enabled; its files are in `folder`."""
    if PROMETHEUS is None:
        raise FileNotFoundError("prometheus is not installed")
    jobs = "\n".join(
        f"  - job_name: target-{number}\n    static_configs: "
        f"{json.dumps([{'targets': [target.address], 'labels': target.labels}])}"
        for number, target in enumerate(targets)
    )
    interval = f"{scrape_s * 1000:.0f}ms"
    config = (
        f"global: {{scrape_interval: {interval}, evaluation_interval: {interval}}}\n"
        f"rule_files: ['{RULES}/*.yml']\nscrape_configs:\n{jobs}\n"
    )
    (folder / "prometheus.yml").write_text(config, encoding="utf-8")
    url = f"http://127.0.0.1:{_free_port()}"
    command = [
        PROMETHEUS,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address={urllib.parse.urlsplit(url).netloc}",
        f"--enable-feature={','.join(('exemplar-storage', *features))}",
        "--log.level=warn",
    ]
    with (
        (folder / "prometheus.log").open("wb") as log,
        _process(command, cwd=folder, stdout=log, stderr=log) as process,
    ):
        prometheus = Prometheus(url)
        until_s = time.monotonic() + _READY_S
        while not _answers(prometheus, len(targets)):
            if process.poll() is not None or time.monotonic() > until_s:
                raise TimeoutError((folder / "prometheus.log").read_text(errors="replace"))
            time.sleep(0.1)
        yield prometheus


def _answers(prometheus: Prometheus, targets: int) -> bool:
    try:
        return prometheus.targets_up() == targets
    except (OSError, http.client.HTTPException, ValueError):
        return False


@contextmanager
def _process(command: list[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **options)  # noqa: S603
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _sample(pair: list[Any]) -> tuple[float, float]:
    return float(pair[0]), float(pair[1])
