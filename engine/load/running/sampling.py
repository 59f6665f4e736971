"""Reads the engine's /status.json several times a second while the load goes on."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Final, NamedTuple, Self
from urllib.request import urlopen

import psutil

from engine.load.errors import LoadTestError
from engine.telemetry.status_sample import sample_of

_ANSWER_S: Final = 10.0
_MEGABYTE: Final = 1024 * 1024
_LAG_EVERY_S: Final = 1.0
_LOOP_LAG: Final = 'engine_event_loop_lag_seconds_bucket{le="'


class EngineSample(NamedTuple):
    """The engine at one moment.

    Attributes:
        at_s: Monotonic seconds; later, seconds since the beginning of the load.
        in_flight: Invocations that run.
        environments: Starting, idle and busy ones.
        ready: Environments that are up.
        desired: What it takes to run all that is there, waiting events too.
        busy, starting, pending: Environments that work, initialise, wait for their turn to initialise.
        invocations, throttles, cold_starts: Since the start.
        cost_usd: Since the start.
        handled, handler_s: Invocations that a handler ended, and how long those took in all.
        inits, init_s: The same of initialisations.
        cpu_s: Of its process, children left out.
        rss_mb: Memory of its process.
        files: Open files of its process.
    """

    at_s: float
    in_flight: int
    environments: int
    ready: int
    desired: int
    busy: int
    starting: int
    pending: int
    invocations: int
    throttles: int
    cold_starts: int
    cost_usd: float
    handled: int
    handler_s: float
    inits: int
    init_s: float
    cpu_s: float
    rss_mb: float
    files: int


class LoopLagSample(NamedTuple):
    """How late the engine's event loop woke up until a moment (monotonic seconds), since its start.

    `upto`: by upper bound in seconds, how often it was no later.
    """

    at_s: float
    upto: Mapping[float, int]


class RunSampler:
    """`with RunSampler(url, pid, every_s) as sampler`: samples in a thread until it is left, oldest first."""

    def __init__(self, admin_url: str, pid: int | None, every_s: float) -> None:
        """Without `pid` there are no figures of the process: they are 0."""
        self._url = f"{admin_url}/status.json"
        self._metrics_url = f"{admin_url}/metrics"
        self._process = None if pid is None else psutil.Process(pid)
        self._every_s = every_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self._lag_due_s = 0.0
        self.samples: list[EngineSample] = []
        self.loop_lags: list[LoopLagSample] = []

    def __enter__(self) -> Self:
        self.take()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()

    def take(self) -> dict[str, Any]:
        """Take a sample now; gives the whole status. Raises `LoadTestError` if the engine gives none."""
        status = fetch_json(self._url)
        self.samples.append(_sample(status, *self._process_figures()))
        return status

    def _process_figures(self) -> tuple[float, float, int]:
        """Seconds of CPU, megabytes and open files of the engine's process."""
        if self._process is None:
            return 0.0, 0.0, 0
        try:
            with self._process.oneshot():
                times, memory = self._process.cpu_times(), self._process.memory_info()
            files = self._process.num_fds()
        except psutil.NoSuchProcess:
            raise LoadTestError("the engine is gone") from None
        return times.user + times.system, memory.rss / _MEGABYTE, files

    def _run(self) -> None:
        """Take a sample, if the engine answers; otherwise there is a gap."""
        while not self._stopping.wait(self._every_s):
            try:
                self.take()
                self._take_loop_lag()
            except LoadTestError:
                continue

    def _take_loop_lag(self) -> None:
        """Once a second: the page is larger than the status."""
        now_s = time.monotonic()
        if now_s >= self._lag_due_s:
            self._lag_due_s = now_s + _LAG_EVERY_S
            self.loop_lags.append(LoopLagSample(now_s, _loop_lag(fetch(self._metrics_url))))


def _sample(status: dict[str, Any], cpu_s: float, rss_mb: float, files: int) -> EngineSample:
    sums = sample_of(status, time.monotonic())
    functions = status["functions"].values()
    return EngineSample(
        **sums._asdict(),
        ready=sum(one["environments"]["idle"] + one["environments"]["busy"] for one in functions),
        desired=sum(one["in_flight"] + one["queued"] for one in functions),
        busy=sum(one["environments"]["busy"] for one in functions),
        starting=sum(one["environments"]["starting"] for one in functions),
        pending=sum(one["environments_pending"] for one in functions),
        cold_starts=sum(one["cold_starts"] for one in functions),
        handled=sum(one["duration_s"]["count"] for one in functions),
        handler_s=_total_s(one["duration_s"] for one in functions),
        inits=sum(one["init_s"]["count"] for one in functions),
        init_s=_total_s(one["init_s"] for one in functions),
        cpu_s=round(cpu_s, 3),
        rss_mb=round(rss_mb, 1),
        files=files,
    )


def _total_s(spreads: Iterable[Mapping[str, Any]]) -> float:
    """Seconds of all that was counted."""
    return round(float(sum(one["count"] * (one["mean"] or 0.0) for one in spreads)), 4)


def _loop_lag(metrics: str) -> dict[float, int]:
    """By upper bound in seconds, how often the event loop was no later; empty if it is not measured."""
    found = {}
    for line in metrics.splitlines():
        if line.startswith(_LOOP_LAG):
            bound, _, count = line.removeprefix(_LOOP_LAG).partition('"} ')
            found[float(bound)] = int(float(count))
    return found


def fetch(url: str) -> str:
    """A page of the engine. Raises `LoadTestError` if it cannot be had."""
    try:
        with urlopen(url, timeout=_ANSWER_S) as answer:  # noqa: S310  the engine's own address
            text: bytes = answer.read()
    except OSError as error:
        raise LoadTestError(f"{url}: {error}") from None
    return text.decode()


def fetch_json(url: str) -> dict[str, Any]:
    """The same, as JSON."""
    document: dict[str, Any] = json.loads(fetch(url))
    return document
