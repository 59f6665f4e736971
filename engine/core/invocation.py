"""One run of a handler for one event, and what an executor says of its end."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final, NamedTuple

from engine.core.event import Event
from engine.core.outcome import Outcome, Status

_ENDINGS: Final = frozenset((Status.CRASH, Status.OOM, Status.INIT_ERROR))

Reply = Callable[[Outcome], None]
"""Called once with the outcome, on the engine's loop. It must not block and must not raise."""


class Result(NamedTuple):
    """What an executor reports of one invocation: never of one whose deadline has struck.

    Attributes:
        status: SUCCESS, ERROR, CRASH or OOM; INIT_ERROR from an environment that initialises while it runs.
        body: JSON text (raw bytes if `raw`): what the caller gets.
        raw: The handler returned bytes.
        max_memory_mb: Peak resident memory in MB if the executor can measure it.
        error_type: `Runtime.ExitError` and the like, for the REPORT line; None for a caught exception.
    """

    status: Status
    body: bytes
    raw: bool = False
    max_memory_mb: int | None = None
    error_type: str | None = None

    @property
    def ends_environment(self) -> bool:
        """Whether nothing can run there any more."""
        return self.status in _ENDINGS


class Phase(Enum):
    """Where an invocation is in its life."""

    WAITING = "waiting"
    RUNNING = "running"
    ENDED = "ended"


_WAITING: Final = Phase.WAITING


class Invocation:
    """Accepted event to outcome. Owned by the driver; an executor reads it and never changes it.

    Attributes:
        event: What it is for.
        reply: Who wants the outcome.
        phase: WAITING, RUNNING, ENDED.
        env_id: The environment it runs in; 0 while it waits.
        started_s: Engine clock when it was handed to the environment.
        deadline_s: Engine clock when it is answered whatever the handler does.
        cold_start: It waited for an environment to initialise.
        init_s: Seconds of that environment's initialisation, if this is the first to run in it.
        node: Which node of the cluster it runs on; "" for the engine's own machine, and while it waits.
        log: The end of what the handler wrote, or None if it wrote nothing or nobody can ask for it.
    """

    __slots__ = (
        "cold_start",
        "deadline_s",
        "env_id",
        "event",
        "init_s",
        "log",
        "node",
        "phase",
        "reply",
        "started_s",
    )

    def __init__(self, event: Event, reply: Reply) -> None:
        self.event = event
        self.reply = reply
        self.phase = _WAITING
        self.env_id = 0
        self.started_s = 0.0
        self.deadline_s = 0.0
        self.cold_start = False
        self.init_s: float | None = None
        self.node = ""
        self.log: list[str] | None = None

    def __repr__(self) -> str:
        return f"Invocation({self.event.request_id} {self.phase.value})"


LOG_TAIL_BYTES: Final = 4096
"""Bytes of log the Invoke API returns (API reference, `X-Amz-Log-Result`)."""

LOG_KEPT_CHARACTERS: Final = 4 * LOG_TAIL_BYTES
"""The end of what a handler wrote, that is kept while it runs."""
