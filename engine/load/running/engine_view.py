"""What a run sees of the engine that it drives: samples, the last status, and pages of metrics."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from decimal import Decimal, InvalidOperation
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import psutil

from engine.load.running.engine_process import RunningEngine
from engine.load.running.host_sampling import HostSampler
from engine.load.running.sampling import EngineSample, LoopLagSample, RunSampler, fetch
from engine.telemetry.fine_classes import gained

_SAMPLE_S: Final = 0.2
_HOST_SAMPLE_S: Final = 0.5
_MAX_SAMPLES: Final = 1500
_THIS_MACHINE: Final = ("127.0.0.1", "localhost", "::1")


class EngineView:
    """`with EngineView(engine, seconds) as view`: samples meanwhile; of a server that is no engine, nothing.

    Attributes:
        host: Samples of the machine.
        metrics_before: The page of an engine that others use too, from before the run; else empty.
    """

    def __init__(self, engine: RunningEngine, seconds: float) -> None:
        self._engine = engine
        self._every_s = max(_SAMPLE_S, seconds / _MAX_SAMPLES)
        self._generator: int | None = None
        self._parts = ExitStack()
        ports = [port for url in engine.urls.values() if (port := urlsplit(url).port) is not None]
        self.host = HostSampler(
            _served_by(engine), lambda: self._generator, ports, max(_HOST_SAMPLE_S, seconds / _MAX_SAMPLES)
        )
        self._sampler: RunSampler | None = None
        self._status_before: Mapping[str, Any] = {}
        self.metrics_before = ""

    def __enter__(self) -> Self:
        self._parts.enter_context(self.host)
        admin = self._engine.admin
        if admin is None:
            return self
        self._sampler = RunSampler(admin, self._engine.pid, self._every_s)
        if self._engine.pid is None:
            self._status_before = self._sampler.take()
            self.metrics_before = self.metrics()
        self._parts.enter_context(self._sampler)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._parts.close()

    def generator_started(self, pid: int) -> None:
        """The generator's first process has this pid."""
        self._generator = pid

    @property
    def loop_lags(self) -> list[LoopLagSample]:
        """Oldest first."""
        return [] if self._sampler is None else self._sampler.loop_lags

    @property
    def samples(self) -> list[EngineSample]:
        """Oldest first."""
        return [] if self._sampler is None else self._sampler.samples

    def status(self) -> dict[str, Any] | None:
        """The status of now, its counters less what was before; None of a server that is no engine."""
        if self._sampler is None:
            return None
        status = self._sampler.take()
        before = self._status_before.get("functions", {})
        functions = {
            name: function_since(before[name], one) if name in before else one
            for name, one in status["functions"].items()
        }
        return {**status, "functions": functions}

    def metrics(self) -> str:
        """The page of metrics of now; empty of a server that is no engine."""
        return "" if self._engine.admin is None else fetch(f"{self._engine.admin}/metrics")


def _served_by(engine: RunningEngine) -> int | None:
    """The pid of the process that listens; None if it is on another machine, or another user's."""
    if engine.pid is not None:
        return engine.pid
    place = urlsplit(next(iter(engine.urls.values())))
    if place.hostname not in _THIS_MACHINE:
        return None
    try:
        sockets = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        return None
    listening = (one for one in sockets if one.status == psutil.CONN_LISTEN and one.pid is not None)
    return next((one.pid for one in listening if one.laddr.port == place.port), None)


def function_since(then: Mapping[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """What a function's part of the status says, less what it said then."""
    found: dict[str, Any] = less(now, then)
    # Pairs of a class and its count: the class is no counter, and one that is new has no place in `then`.
    classes = gained(dict(then["duration_s"]["classes"]), dict(now["duration_s"]["classes"]))
    found["duration_s"]["classes"] = [*classes.items()]
    return found


def less(now: Any, then: Any) -> Any:
    """Every number in `now`, also as decimal text, less the one in its place in `then`, if there is one."""
    if isinstance(now, dict) and isinstance(then, dict):
        return {key: less(value, then[key]) if key in then else value for key, value in now.items()}
    if isinstance(now, list) and isinstance(then, list) and len(now) == len(then):
        return [less(one, other) for one, other in zip(now, then, strict=True)]
    if isinstance(now, int | float) and isinstance(then, int | float):
        return now - then
    if isinstance(now, str) and isinstance(then, str):
        try:
            return f"{Decimal(now) - Decimal(then):f}"
        except InvalidOperation:
            return now
    return now
