"""The platform's words about one invocation, exactly as AWS Lambda prints them: START, END, REPORT.

Source: recorded logs of AWS Lambda; Lambda Developer Guide, "Working with Lambda function logs".
"""

from __future__ import annotations

import json
from datetime import UTC, datetime

from engine.core.engine_events import Initialised
from engine.core.event import Event
from engine.core.invocation import LOG_TAIL_BYTES, Invocation
from engine.core.outcome import Outcome, Status


def version(event: Event) -> str:
    """What runs: the version the dispatcher chose, else the number the caller named, else `$LATEST`."""
    return version_of(event.version, event.qualifier)


def start_line(event: Event) -> str:
    """`START RequestId: <id> Version: $LATEST`, with its newline."""
    return start_line_of(event.request_id, event.version, event.qualifier)


def start_line_of(request_id: str, chosen: str, qualifier: str | None) -> str:
    """The same from the parts of an event: `chosen` is its `version`."""
    return f"START RequestId: {request_id} Version: {version_of(chosen, qualifier)}\n"


def version_of(chosen: str, qualifier: str | None) -> str:
    """What runs, from an event's `version` and qualifier."""
    if chosen != "$LATEST":
        return chosen
    return qualifier if qualifier and qualifier.isdecimal() else "$LATEST"


def end_line(request_id: str) -> str:
    """`END RequestId: <id>`, with its newline."""
    return f"END RequestId: {request_id}\n"


def report_line(outcome: Outcome, memory_mb: int, error_type: str | None = None) -> str:
    r"""The REPORT line with its newline: fields end with tabs, as AWS's do.

    `Max Memory Used` is there only if the executor could measure it (loop and thread executors share
    one process: they cannot). `Init Duration` is there only for the first invocation of an environment.
    `Status` is left out after a success and after an exception that the handler raised.

    Args:
        outcome: How it ended.
        memory_mb: Configured memory.
        error_type: Set if the platform, not the handler, names the error.
    """
    billed_ms = outcome.billed_ms if outcome.ran else 0
    line = (
        f"REPORT RequestId: {outcome.request_id}\tDuration: {outcome.duration_s * 1000:.2f} ms\t"
        f"Billed Duration: {billed_ms} ms\tMemory Size: {memory_mb} MB\t"
    )
    if outcome.max_memory_mb is not None:
        line += f"Max Memory Used: {outcome.max_memory_mb} MB\t"
    if outcome.init_s is not None:
        line += f"Init Duration: {outcome.init_s * 1000:.2f} ms\t"
    word, named = status_and_type(outcome, error_type)
    if word == "timeout":
        line += "Status: timeout"
    elif named is not None:
        line += f"Status: {word}\tError Type: {named}"
    return line + "\n"


def init_report_line(notice: Initialised) -> str:
    """`INIT_REPORT`, which AWS prints on demand only for an initialisation that failed."""
    line = f"INIT_REPORT Init Duration: {notice.init_s * 1000:.2f} ms\tPhase: init\t"
    if notice.error_type == "Sandbox.Timedout":
        return line + "Status: timeout\n"
    return line + f"Status: error\tError Type: {notice.error_type}\n"


def failure_lines(outcome: Outcome, error_type: str | None, wall_s: float) -> str:
    """What the platform says between the handler's own lines and END; empty after an ordinary end.

    `wall_s` is the time of the end, seconds since the Unix epoch.
    """
    if outcome.status is Status.TIMEOUT:
        text = f"Task timed out after {outcome.duration_s:.2f} seconds"
        return f"{iso_utc(wall_s)} {outcome.request_id} {text}\n\n"
    if outcome.status in (Status.CRASH, Status.OOM, Status.CANCELLED):
        return f"{_error(outcome).get('errorMessage', '')}\n{status_and_type(outcome, error_type)[1]}\n"
    return ""


def status_and_type(outcome: Outcome, error_type: str | None) -> tuple[str, str | None]:
    """AWS's word for the end (success, error, timeout, failure), and the platform's name of the error."""
    match outcome.status:
        case Status.SUCCESS:
            return "success", None
        case Status.TIMEOUT:
            return "timeout", error_type
        case Status.ERROR:
            return "error", error_type
        case Status.CANCELLED:
            return "failure", error_type or _error(outcome).get("errorType")
        case _:
            return "error", error_type or _error(outcome).get("errorType", "Runtime.Unknown")


def log_tail(
    invocation: Invocation, outcome: Outcome, error_type: str | None, *, memory_mb: int, wall_s: float
) -> bytes:
    """The last 4096 bytes of an invocation's log, START to REPORT, before the base64 of `X-Amz-Log-Result`.

    Source: Lambda API Reference, Invoke, "X-Amz-Log-Result". A character that the cut would split is
    left out.
    """
    written = "".join(invocation.log or ())
    if written and not written.endswith("\n"):
        written += "\n"
    text = "".join(
        (
            start_line(invocation.event),
            written,
            failure_lines(outcome, error_type, wall_s),
            end_line(outcome.request_id),
            report_line(outcome, memory_mb, error_type),
        )
    )
    tail = text.encode(errors="replace")[-LOG_TAIL_BYTES:]
    return tail.decode(errors="ignore").encode()


def iso_utc(wall_s: float) -> str:
    """Seconds since the Unix epoch as `2026-01-01T00:00:00.000Z`."""
    return datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _error(outcome: Outcome) -> dict[str, str]:
    """The error object, or nothing if the body is none."""
    try:
        document = json.loads(outcome.body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
