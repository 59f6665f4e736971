"""The platform's log, as text lines or JSON events, in the order in which things happened."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any, Literal, Protocol

import orjson

from engine.core.engine_events import (
    Confined,
    CpuLimited,
    CpuMeasured,
    DeliveryFailed,
    EndedForMemory,
    EngineEvent,
    EventDropped,
    EventsAbandoned,
    Held,
    Initialised,
    InitsLimit,
    LoopBlocked,
    LoopReleased,
    NodeJoined,
    NodeLost,
    ThreadAbandoned,
)
from engine.core.event import Event
from engine.core.function import Function
from engine.core.invocation import Invocation
from engine.core.outcome import Outcome, StreamedOutcome
from engine.ports import Clock
from engine.telemetry.async_lines import async_line, async_record
from engine.telemetry.machine_lines import machine_line, machine_record
from engine.telemetry.node_lines import (
    crash_line,
    node_line,
    node_member,
    node_record,
    on_node,
)
from engine.telemetry.report_lines import (
    end_line,
    failure_lines,
    init_report_line,
    iso_utc,
    report_line,
    start_line,
    status_and_type,
    version,
)


class _Style(Protocol):
    """How things are worded. Each method returns whole lines, or nothing."""

    def began(self, invocation: Invocation, wall_s: float) -> str: ...
    def ended(
        self, invocation: Invocation, outcome: Outcome, error_type: str | None, memory_mb: int, wall_s: float
    ) -> str: ...
    def noticed(self, notice: EngineEvent, wall_s: float) -> str: ...
    def said(self, text: str, wall_s: float) -> str: ...


class PlatformLog:
    """An `Observer` that writes what AWS would write to CloudWatch Logs.

    Lines are collected and written together, at the loop's next turn, however many there are.

    Args:
        style: `text` (START, END, REPORT) or `json` (platform events).
        clock: For the time of day.
        write: Gets many lines at once, on the loop's thread or the watchdog's. It must not block
            (`runtime.output.OutputWriter` does not).
        schedule: Calls what it is given soon, on one thread. It must be thread-safe
            (`loop.call_soon_threadsafe`), because handler threads write too.
    """

    def __init__(
        self,
        style: Literal["text", "json"],
        clock: Clock,
        write: Callable[[str], object],
        schedule: Callable[[Callable[[], None]], object],
    ) -> None:
        self._style: _Style = _Text() if style == "text" else _Json()
        self._clock = clock
        self._write = write
        self._schedule = schedule
        self._memory_mb: dict[tuple[str, str], int] = {}  # by name and version
        self._lines: list[str] = []
        self._scheduled = False
        self._flushing = threading.Lock()

    def register(self, function: Function) -> None:
        """Learn a function's memory size; needed before its first invocation."""
        self._memory_mb[function.name, function.version] = function.memory_mb

    def line(self, invocation: Invocation | None, text: str, /) -> None:
        """A line that a handler wrote, as it is: it takes its place among the others. Thread-safe."""
        self._add(text if text.endswith("\n") else f"{text}\n")

    def say(self, text: str) -> None:
        """A line, without its newline, for whoever runs the engine: what a source has to tell."""
        self._add(self._style.said(text, self._clock.wall()))

    def flush(self) -> None:
        """Write what is there. Called by `schedule`, by the watchdog, and once more at the very end."""
        self._scheduled = False  # first: a line that comes from now on asks for a flush of its own
        with self._flushing:
            lines = self._lines.copy()
            del self._lines[: len(lines)]
            if lines:
                self._write("".join(lines))

    # ---------------------------------------------------------------- Observer

    def began(self, invocation: Invocation, /) -> None:
        """START."""
        self._add(self._style.began(invocation, self._clock.wall()))

    def ended(self, invocation: Invocation, outcome: Outcome, error_type: str | None, /) -> None:
        """END and REPORT."""
        event = invocation.event
        memory_mb = self._memory_mb[event.function, event.version]
        self._add(self._style.ended(invocation, outcome, error_type, memory_mb, self._clock.wall()))

    def refused(self, event: Event, outcome: Outcome, reason: str, /) -> None:
        """Nothing: what never ran has no log, as on AWS. Throttles are metrics."""

    def noticed(self, notice: EngineEvent, /) -> None:
        """What an operator should know; nothing for an initialisation that went well, in text."""
        if text := self._style.noticed(notice, self._clock.wall()):
            self._add(text)

    def _add(self, text: str) -> None:
        self._lines.append(text)
        if not self._scheduled:
            self._scheduled = True
            self._schedule(self.flush)


def gap_line(style: Literal["text", "json", "off"], clock: Clock, stream: str, count: int) -> str:
    """What stands in the log where `count` lines for `stream` were dropped because nobody read them."""
    if style == "json":
        return json_line(iso_utc(clock.wall()), "engine.linesDropped", {"stream": stream, "lines": count})
    return f"[engine] {count} lines for {stream} were dropped: its reader was slow or gone\n"


class _Text:
    """AWS's lines; what AWS has no line for begins with `[engine]`."""

    def began(self, invocation: Invocation, wall_s: float) -> str:
        return start_line(invocation.event)

    def ended(
        self, invocation: Invocation, outcome: Outcome, error_type: str | None, memory_mb: int, wall_s: float
    ) -> str:
        return (
            failure_lines(outcome, error_type, wall_s)
            + crash_line(invocation, outcome)
            + end_line(outcome.request_id)
            + report_line(outcome, memory_mb, error_type)
        )

    def said(self, text: str, wall_s: float) -> str:
        return f"[engine] {text}\n"

    def noticed(self, notice: EngineEvent, wall_s: float) -> str:
        match notice:
            case Initialised(error_type=None):
                return ""
            case Initialised(function=function, error_type=error_type, error_message=message, node=node):
                return (
                    f"[engine] {function}{on_node(node)}: {error_type}: {message}\n{init_report_line(notice)}"
                )
            case LoopBlocked(stack=stack):
                where = "".join(f"    {line}\n" for line in stack.splitlines())
                return (
                    f"[engine] {notice.function}: {notice.request_id} has held the event loop for "
                    f"{notice.blocked_s:.3f} s, and nothing else runs meanwhile. It is here:\n{where}"
                )
            case LoopReleased():
                return (
                    f"[engine] {notice.function}: {notice.request_id} let go of the event loop after "
                    f"{notice.blocked_s:.3f} s{', interrupted' if notice.interrupted else ''}\n"
                )
            case Confined():
                return _confined_line(notice)
            case CpuLimited() | CpuMeasured() | EndedForMemory() | Held():
                return machine_line(notice)
            case InitsLimit():
                return _inits_limit_line(notice)
            case DeliveryFailed() | EventDropped() | EventsAbandoned():
                return async_line(notice)
            case NodeJoined() | NodeLost():
                return node_line(notice)
            case ThreadAbandoned():
                return (
                    f"[engine] {notice.function}: {notice.request_id} ignored its deadline; its thread "
                    "could not be stopped and lives on\n"
                )


class _Json:
    """Events of AWS's Telemetry API, one to a line; what is ours stands under the key `engine`.

    Source: Lambda Developer Guide, "Lambda Telemetry API Event schema reference".
    """

    def began(self, invocation: Invocation, wall_s: float) -> str:
        event = invocation.event
        record: dict[str, Any] = {"requestId": event.request_id, "version": version(event)}
        if event.trace_id is not None:
            record["tracing"] = {"type": "X-Amzn-Trace-Id", "value": event.trace_id}
        record["engine"] = {
            "function": event.function,
            "trigger": event.trigger,
            **node_member(invocation.node),
            **_execution(event),
        }
        return json_line(iso_utc(wall_s), "platform.start", record)

    def ended(
        self, invocation: Invocation, outcome: Outcome, error_type: str | None, memory_mb: int, wall_s: float
    ) -> str:
        time = iso_utc(wall_s)
        status, named = status_and_type(outcome, error_type)
        ending = {"status": status} if named is None else {"status": status, "errorType": named}
        duration_ms = _ms(outcome.duration_s)
        done: dict[str, Any] = {
            "requestId": outcome.request_id,
            **ending,
            "metrics": {"durationMs": duration_ms, "producedBytes": outcome.produced_bytes},
        }
        if isinstance(outcome, StreamedOutcome):
            done["spans"] = _response_spans(outcome, wall_s)
        ours = {
            "function": invocation.event.function,
            "outcome": outcome.status.value,
            "coldStart": outcome.cold_start,
            "queueWaitMs": _ms(outcome.queue_wait_s),
            "costDollars": float(outcome.cost_usd),
            **node_member(invocation.node),
            **_execution(invocation.event),
        }
        report = {**report_record(outcome, error_type, memory_mb), "engine": ours}
        return json_line(time, "platform.runtimeDone", done) + json_line(time, "platform.report", report)

    def said(self, text: str, wall_s: float) -> str:
        return json_line(iso_utc(wall_s), "engine.said", {"message": text})

    def noticed(self, notice: EngineEvent, wall_s: float) -> str:
        time = iso_utc(wall_s)
        match notice:
            case Initialised():
                return _init_lines(notice, wall_s)
            case LoopBlocked() | LoopReleased():
                record: dict[str, Any] = {
                    "function": notice.function,
                    "requestId": notice.request_id,
                    "blockedMs": _ms(notice.blocked_s),
                }
                if isinstance(notice, LoopBlocked):
                    return json_line(time, "engine.loopBlocked", {**record, "stack": notice.stack})
                return json_line(time, "engine.loopReleased", {**record, "interrupted": notice.interrupted})
            case CpuLimited() | CpuMeasured() | EndedForMemory() | Held():
                record = machine_record(notice)
                return json_line(time, "engine.shortage", record) if record else ""
            case InitsLimit():
                record = {
                    "function": notice.function,
                    "cpuSeconds": notice.cpu_s,
                    "startsPerSecond": notice.per_s,
                    "waiting": notice.waiting,
                    "startsPerSecondPreloaded": notice.preloaded_per_s,
                }
                return json_line(time, "engine.initsLimit", record)
            case Confined():
                record = {
                    "memoryBy": notice.memory_by,
                    "ownTmp": notice.own_tmp,
                    **node_member(notice.node),
                }
                return json_line(time, "engine.confined", record)
            case DeliveryFailed() | EventDropped() | EventsAbandoned():
                return json_line(time, *async_record(notice))
            case NodeJoined() | NodeLost():
                return json_line(time, *node_record(notice))
            case ThreadAbandoned():
                record = {"function": notice.function, "requestId": notice.request_id}
                return json_line(time, "engine.threadAbandoned", record)


def report_record(outcome: Outcome, error_type: str | None, memory_mb: int) -> dict[str, Any]:
    """The record of `platform.report`, as AWS has it."""
    metrics: dict[str, Any] = {
        "durationMs": _ms(outcome.duration_s),
        "billedDurationMs": outcome.billed_ms if outcome.ran else 0,
        "memorySizeMB": memory_mb,
    }
    if outcome.max_memory_mb is not None:
        metrics["maxMemoryUsedMB"] = outcome.max_memory_mb
    if outcome.init_s is not None:
        metrics["initDurationMs"] = _ms(outcome.init_s)
    status, named = status_and_type(outcome, error_type)
    ending = {"status": status} if named is None else {"status": status, "errorType": named}
    return {"requestId": outcome.request_id, "metrics": metrics, **ending}


def _confined_line(notice: Confined) -> str:
    memory = "control groups cap memory"
    if notice.memory_by == "watch":
        memory = "no cgroup v2 that can be written: the engine watches memory itself"
    tmp = "each environment has a /tmp of its own"
    if not notice.own_tmp:
        tmp = "mounting is not allowed, so /tmp is shared, and TMPDIR names each environment's own folder"
    return f"[engine] processes{on_node(notice.node)}: {memory}; {tmp}\n"


def _rounded(number: float) -> str:
    """Two digits are all that one measurement is good for."""
    return f"{float(f'{number:.2g}'):,g}"


def _inits_limit_line(notice: InitsLimit) -> str:
    who = "all nodes together start" if notice.on_nodes else "this machine starts"
    preload = ""
    if notice.preloaded_per_s is not None:
        preload = (
            '; preload = "auto" imports what lies outside the code folder once, not in each: '
            f"up to {notice.preloaded_per_s:.0f} a second then"
        )
    return (
        f"[engine] {notice.function}: inits limit it: each takes {notice.cpu_s:.2g} s of a CPU, so {who} "
        f"{_rounded(notice.per_s)} environments a second; {notice.waiting} wait{preload}\n"
    )


def _init_lines(notice: Initialised, wall_s: float) -> str:
    """Its begin, which nobody told of at the time, its end, and what it took."""
    phase = {
        "initializationType": "provisioned-concurrency" if notice.provisioned else "on-demand",
        "phase": "init",
    }
    status, ours = {"status": "success"}, {"function": notice.function, **node_member(notice.node)}
    if notice.error_type is not None:
        word = "timeout" if notice.error_type == "Sandbox.Timedout" else "error"
        status = {"status": word, "errorType": notice.error_type}
        ours["errorMessage"] = notice.error_message or ""
    metrics = {"durationMs": _ms(notice.init_s)}
    time = iso_utc(wall_s)
    return (
        json_line(
            iso_utc(wall_s - notice.init_s), "platform.initStart", {**phase, "functionName": notice.function}
        )
        + json_line(time, "platform.initRuntimeDone", {**phase, **status})
        + json_line(time, "platform.initReport", {**phase, **status, "metrics": metrics, "engine": ours})
    )


def json_line(time: str, kind: str, record: dict[str, Any]) -> str:
    """One event of the Telemetry API, with its newline."""
    document = {"time": time, "type": kind, "record": record}
    try:
        return orjson.dumps(document).decode() + "\n"
    except TypeError:  # a lone surrogate in a handler's words: JSON can escape it, UTF-8 cannot hold it
        return json.dumps(document, separators=(",", ":")) + "\n"


def _execution(event: Event) -> dict[str, str]:
    """The durable execution that an invocation is one of, by the name that AWS's SDK logs it under."""
    return {} if event.execution_arn is None else {"executionArn": event.execution_arn}


def _response_spans(outcome: StreamedOutcome, wall_s: float) -> list[dict[str, Any]]:
    """When the response began, and how long it went on, of an invocation that ends now."""
    latency_s = outcome.first_byte_s
    spans = (
        ("responseLatency", outcome.duration_s, latency_s),
        ("responseDuration", outcome.duration_s - latency_s, outcome.duration_s - latency_s),
    )
    return [
        {"name": name, "start": iso_utc(wall_s - ago_s), "durationMs": _ms(took_s)}
        for name, ago_s, took_s in spans
    ]


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)
