"""Names of limits, and the figures by which they are found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Final

from engine.core.late_dataclass import dataclass

ENGINE_CPU: Final = "engine CPU"
EVENT_LOOP: Final = "event loop"
CONCURRENCY: Final = "function concurrency"
INITS: Final = "inits"
HOST_MEMORY: Final = "host memory"
HOST_CPU: Final = "host CPU"
GENERATOR: Final = "generator"
UPSTREAM: Final = "upstream"
SERVER: Final = "server"
UNKNOWN: Final = "unknown"

_FULL: Final = 0.9
"""Share of the cores that ours must want before the machine counts as full."""

_GREW_MS: Final = 20.0
"""By how much a handler's mean duration has to grow to count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitFigures:
    """What was measured in the stage that went worst; None is not known.

    Attributes:
        seconds: How long that stage lasted.
        offered, refused, failed: Requests, the last two by when they were over.
        never_sent: Those of the failed that were not sent, because too many were open.
        behind_s: What was open at its end and in no handler, as seconds of its load.
        late_ms: p99 of the answers, less p99 of the handlers.
        lag_ms: p99 of how late requests were sent.
        generator_cpu, generator_wait: Shares of the time for which the busiest process of the generator ran,
            and was ready without a core.
        is_engine: Whether the target is an engine, which tells of itself.
        engine_cpu, engine_wait: The same of the engine's own process, or the server's.
        loop_lag_ms: p99 of how late the engine's event loop woke.
        handlers_cpu, handlers_wait: Cores that the processes of handlers used on average, and waited for.
        cores: Of the machine.
        busy_cores: Cores that all its programs used.
        memory_left: Share of the memory that is free, at the lowest.
        held_by_memory: Environments that were not started at once, for want of memory.
        out_of_memory: Invocations that ended so.
        throttles: Refusals of the engine by reason.
        concurrency_limit: Highest concurrency of the functions that were refused.
        in_flight: Invocations that ran, on average.
        busy, starting, pending: Environments that worked, initialised, waited to, on average.
        shortfall: Share of the time with fewer environments ready than desired.
        init_s: Mean duration of an init.
        handler_ms, handler_best_ms: Mean duration of a handler at the end, and in its best second.
        environments_wanted: That Lambda would have made in the whole run.
        memory_mb: Configured memory of the functions, the largest.
        unread: Connections with a request that the engine has not read, at the most.
        executors: What runs the functions that are driven.
    """

    seconds: float
    offered: int
    refused: int = 0
    failed: int = 0
    never_sent: int = 0
    behind_s: float = 0.0
    late_ms: float = 0.0
    lag_ms: float = 0.0
    generator_cpu: float | None = None
    generator_wait: float | None = None
    is_engine: bool = True
    engine_cpu: float | None = None
    engine_wait: float | None = None
    loop_lag_ms: float | None = None
    handlers_cpu: float | None = None
    handlers_wait: float | None = None
    cores: int = 1
    busy_cores: float | None = None
    memory_left: float | None = None
    held_by_memory: int = 0
    out_of_memory: int = 0
    throttles: Mapping[str, int] = field(default_factory=dict)
    concurrency_limit: int | None = None
    in_flight: float = 0.0
    busy: float = 0.0
    starting: float = 0.0
    pending: float = 0.0
    shortfall: float = 0.0
    init_s: float | None = None
    handler_ms: float | None = None
    handler_best_ms: float | None = None
    environments_wanted: int = 0
    memory_mb: int | None = None
    unread: int = 0
    executors: tuple[str, ...] = ()

    @property
    def engine_wanted(self) -> float:
        """Share of the time for which the engine ran or waited for a core."""
        return (self.engine_cpu or 0.0) + (self.engine_wait or 0.0)

    @property
    def generator_wanted(self) -> float:
        """The same of the generator's busiest process."""
        return (self.generator_cpu or 0.0) + (self.generator_wait or 0.0)

    @property
    def handlers_wanted(self) -> float:
        """Cores that handlers in processes of their own used or waited for."""
        return (self.handlers_cpu or 0.0) + (self.handlers_wait or 0.0)

    @property
    def wanted(self) -> float:
        """Cores that engine, handlers and the busiest generator used or waited for."""
        return self.engine_wanted + self.generator_wanted + self.handlers_wanted

    @property
    def handlers_fill_the_host(self) -> bool:
        """Whether more cores are wanted than there are, most of them by handlers."""
        return self.wanted >= _FULL * self.cores and self.handlers_wanted >= self.wanted / 2

    @property
    def growth(self) -> float:
        """How many times as long handlers took at the end as in their best second; 1 if by little."""
        if self.handler_ms is None or not self.handler_best_ms:
            return 1.0
        if self.handler_ms - self.handler_best_ms < _GREW_MS:
            return 1.0
        return self.handler_ms / self.handler_best_ms

    @property
    def busy_computes(self) -> float:
        """Cores that a busy environment used or waited for; those that initialise may have had one each."""
        return max(0.0, self.handlers_wanted - self.starting) / self.busy if self.busy else 0.0

    @property
    def init_share(self) -> float:
        """Of the environments that initialise or work, the share that initialises."""
        return self.starting / (self.starting + self.busy) if self.starting else 0.0
