"""Reads the engine's /status.json several times a second while the load goes on."""

from __future__ import annotations

import json
import threading
import time
from types import TracebackType
from typing import Any, Final, NamedTuple, Self
from urllib.request import urlopen

import psutil

from engine.cli.demo.sampling import sample_of
from loadtests.common.processes import LoadTestError, RunningEngine

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
    """`with RunSampler(engine) as sampler`: samples in a thread, oldest first, until it is left."""

    def __init__(self, engine: RunningEngine, every_s: float) -> None:
        self._url = f"{engine.urls['admin']}/status.json"
        self._process = psutil.Process(engine.pid)
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
        try:
            status = fetch_json(self._url)
            with self._process.oneshot():
                times, memory = self._process.cpu_times(), self._process.memory_info()
            files = self._process.num_fds()
        except psutil.NoSuchProcess:
            raise LoadTestError("the engine is gone") from None
        self.samples.append(_sample(status, times.user + times.system, memory.rss / _MEGABYTE, files))
        return status

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
