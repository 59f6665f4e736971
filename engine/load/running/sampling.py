"""Reads the engine's /status.json several times a second while the load goes on."""

from __future__ import annotations

import json
import threading
import time
from types import TracebackType
from typing import Any, Final, NamedTuple, Self
from urllib.request import urlopen

import psutil

from engine.load.errors import LoadTestError
from engine.telemetry.status_sample import sample_of

_ANSWER_S: Final = 10.0
_MEGABYTE: Final = 1024 * 1024


class EngineSample(NamedTuple):
    """The engine at one moment.

    Attributes:
        at_s: Monotonic seconds; later, seconds since the beginning of the load.
        in_flight: Invocations that run.
        environments: Starting, idle and busy ones.
        ready: Environments that are up.
        desired: What it takes to run all that is there, waiting events too.
        invocations, throttles, cold_starts: Since the start.
        cost_usd: Since the start.
        cpu_s: Of its process, children left out.
        rss_mb: Memory of its process.
        files: Open files of its process.
    """

    at_s: float
    in_flight: int
    environments: int
    ready: int
    desired: int
    invocations: int
    throttles: int
    cold_starts: int
    cost_usd: float
    cpu_s: float
    rss_mb: float
    files: int


class RunSampler:
    """`with RunSampler(url, pid, every_s) as sampler`: samples in a thread until it is left, oldest first."""

    def __init__(self, admin_url: str, pid: int | None, every_s: float) -> None:
        """Without `pid` there are no figures of the process: they are 0."""
        self._url = f"{admin_url}/status.json"
        self._process = None if pid is None else psutil.Process(pid)
        self._every_s = every_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self.samples: list[EngineSample] = []

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
            except LoadTestError:
                continue


def _sample(status: dict[str, Any], cpu_s: float, rss_mb: float, files: int) -> EngineSample:
    sums = sample_of(status, time.monotonic())
    functions = status["functions"].values()
    return EngineSample(
        **sums._asdict(),
        ready=sum(one["environments"]["idle"] + one["environments"]["busy"] for one in functions),
        desired=sum(one["in_flight"] + one["queued"] for one in functions),
        cold_starts=sum(one["cold_starts"] for one in functions),
        cpu_s=round(cpu_s, 3),
        rss_mb=round(rss_mb, 1),
        files=files,
    )


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
