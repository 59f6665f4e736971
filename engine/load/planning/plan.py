"""The plan of one run, in absolute numbers: what the runner writes and every Locust process reads."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field

from engine.load.planning.frozen_table import FrozenTable
from engine.load.planning.objectives import CallerObjectives
from engine.model.traffic.shapes import parse_shape

Send = Literal["invoke", "http", "event", "sqs", "s3"]

PLAN_VARIABLE: Final = "LOADTEST_PLAN"
"""Environment variable with the path of the plan."""


PROGRESS: Final = "progress "
"""How a Locust process begins a line of progress on stdout; one line of JSON follows."""


class Mix(FrozenTable):
    """One kind of event of a stream.

    Attributes:
        event: The payload, as a JSON value.
        file: Path of a file whose bytes are the payload instead.
        source: Name of a source, as `engine events` lists them: each request has an event of its own of it.
        fields: What is set of that event, by name.
        weight: Its share is this divided by the sum of all weights.
        fails: The function is to fail at it. An answer that is none is what is wrong then.
    """

    event: Any = Field(default_factory=dict)
    file: str = ""
    source: str = ""
    fields: dict[str, Any] = Field(default_factory=dict)
    weight: int = Field(default=1, ge=1)
    fails: bool = False


class Stream(FrozenTable):
    """Requests of one kind.

    Attributes:
        send: By the Invoke API, as an HTTP event, as an asynchronous invocation, to a queue, into a bucket.
        function: Which function they end at.
        events: What is sent with invoke and http. The other kinds send numbered records, so that each can be
            told to have arrived: see `loadtests/functions.py`.
        is_users: The function is the user's. Every kind sends `events`, as bodies of messages or content of
            objects too; and others may call it meanwhile.
        method, target, headers: Of HTTP requests; the target is path and query.
        queue, bucket, dead_letter_queue: Names, for the kinds that need them.
        records: Messages of one request to a queue.
        poison: Share of the records that the function never takes.
        pace_per_s: Requests a second of each user of a closed model; 0 does not pause.
        keeps_function: A function that the user names does not take the place of this one.
        tells_begin: The function answers with `began_s`, the monotonic time at which it began, and with the
            name of its `environment`.
    """

    send: Send
    function: str
    events: tuple[Mix, ...] = Field(default=(Mix(),), min_length=1, strict=False)
    is_users: bool = False
    method: str = "POST"
    target: str = "/"
    headers: dict[str, str] = Field(default_factory=dict)
    queue: str = ""
    bucket: str = ""
    dead_letter_queue: str = ""
    records: int = Field(default=1, ge=1, le=10)
    poison: float = Field(default=0.0, ge=0, lt=1)
    pace_per_s: float = Field(default=0.0, ge=0)
    keeps_function: bool = False
    tells_begin: bool = False

    @property
    def numbered(self) -> bool:
        """Whether its records are looked for in the result channel."""
        return self.is_sent_on and not self.is_users

    @property
    def is_sent_on(self) -> bool:
        """Whether the answer comes before the function has run: it says that the request was accepted."""
        return self.send not in ("invoke", "http")


class LoadStage(FrozenTable):
    """A stretch of time with a constant load.

    Attributes:
        name: For people.
        seconds: How long it lasts.
        per_s: Arrivals a second, by stream (open model).
        at_once: Arrivals at the beginning of the stage, all at the same time, by stream (open model).
        users: Users, by stream (closed model).
        warmup: Its answers are no part of percentiles and objectives.
    """

    name: str
    seconds: float = Field(gt=0)
    per_s: dict[str, float] = Field(default_factory=dict)
    at_once: dict[str, int] = Field(default_factory=dict)
    users: dict[str, int] = Field(default_factory=dict)
    warmup: bool = False


class Breaks(FrozenTable):
    """When a stage no longer holds, which ends a search for the knee.

    Attributes:
        stream: Whose answers are looked at.
        p99_ms: Longest p99 that holds.
        refused: Highest share of refused, failed and dropped requests that holds.
    """

    stream: str
    p99_ms: float = Field(gt=0)
    refused: float = Field(default=0.01, ge=0, lt=1)


class Plan(FrozenTable):
    """Everything a Locust process has to know.

    Attributes:
        run_id, scenario, commit: What the metrics are labelled with.
        urls: Of the engine, by listener: http, aws, admin.
        streams, stages: The load.
        profiles: Arrivals of a stream after the warm-up, by stream, in the words of
            `engine.model.traffic.shapes`.
        moments: The same as seconds from the end of the warm-up: paths of files, a JSON list each.
        objectives: What the callers have to see; None asks for nothing.
        stop_on_breach: End early when an objective is missed.
        breaks: End early when this is met.
        spacing: Arrivals of a stage are random (as independent callers are), or evenly spaced.
        seed: Same seed, same arrivals.
        workers: Locust processes that share the load.
        most_in_flight: Unanswered requests of one process; arrivals beyond it are dropped, and counted.
        result: Where the findings are written.
        metrics_port: Of the live metrics; 0 serves none.
    """

    run_id: str
    scenario: str
    commit: str = "unknown"
    urls: dict[str, str]
    streams: dict[str, Stream]
    stages: tuple[LoadStage, ...] = Field(min_length=1, strict=False)
    profiles: dict[str, str] = Field(default_factory=dict)
    moments: dict[str, str] = Field(default_factory=dict)
    objectives: CallerObjectives | None = None
    stop_on_breach: bool = False
    breaks: Breaks | None = None
    spacing: Literal["poisson", "constant"] = "poisson"
    seed: int = 1
    workers: int = Field(default=1, ge=1)
    most_in_flight: int = Field(default=4000, ge=1)
    result: str
    metrics_port: int = Field(default=0, ge=0, le=65535)

    @classmethod
    def from_environment(cls) -> Plan:
        """The plan that `LOADTEST_PLAN` points to."""
        return cls.model_validate_json(Path(os.environ[PLAN_VARIABLE]).read_text(encoding="utf-8"))

    @property
    def seconds(self) -> float:
        """How long the load lasts, if it does not end early."""
        return sum(stage.seconds for stage in self.stages)

    @property
    def warmup_s(self) -> float:
        """How long the warm-up lasts, which is the first stages or none."""
        return sum(stage.seconds for stage in self.stages if stage.warmup)

    def begins(self) -> list[float]:
        """Seconds from the beginning of the load to that of each stage."""
        begins, at_s = [], 0.0
        for stage in self.stages:
            begins.append(at_s)
            at_s += stage.seconds
        return begins

    def stage_at(self, at_s: float) -> int:
        """The index of the stage `at_s` seconds after the beginning; the last one from then on."""
        begun = [index for index, begin_s in enumerate(self.begins()) if begin_s <= at_s]
        return begun[-1] if begun else 0

    def rate_at(self, at_s: float) -> float:
        """Arrivals a second that are planned at that time, over all streams."""
        if not 0 <= at_s < self.seconds:
            return 0.0
        after_s = at_s - self.warmup_s
        shaped = [parse_shape(words).rate_per_s(after_s) for words in self.profiles.values() if after_s >= 0]
        return sum(self.stages[self.stage_at(at_s)].per_s.values()) + sum(shaped)
