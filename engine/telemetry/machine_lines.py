"""The words for what a machine is short of: one line that says what waits, and what would help."""

from __future__ import annotations

from typing import Any

from engine.core.engine_events import CpuLimited, CpuMeasured, EndedForMemory, Held
from engine.telemetry.node_lines import node_member, on_node

MachineEvent = CpuLimited | CpuMeasured | EndedForMemory | Held


def machine_line(notice: MachineEvent) -> str:
    """With its newline; nothing for a repetition."""
    text = _text(notice)
    return f"[engine] {notice.function}{on_node(notice.node)}: {text}\n" if text else ""


def machine_record(notice: MachineEvent) -> dict[str, Any]:
    """The same as members of a JSON object; none for a repetition."""
    text = _text(notice)
    if not text:
        return {}
    record: dict[str, Any] = {"function": notice.function, "message": text, **node_member(notice.node)}
    match notice:
        case Held():
            record |= {"by": notice.by, "environmentMB": notice.environment_mb, "fit": notice.fit}
        case EndedForMemory():
            record["residentMB"] = notice.resident_mb
        case CpuLimited():
            record |= {"mechanism": notice.mechanism, "cores": notice.cores, "fit": notice.fit}
        case CpuMeasured():
            record |= {"share": round(notice.got_s / notice.promised_s, 3), "fit": notice.fit}
    return record


def _text(notice: MachineEvent) -> str:
    match notice:
        case EndedForMemory():
            return (
                f"invocations have taken all memory; the largest environment "
                f"({notice.resident_mb} MB) was ended so that the others can go on. A smaller "
                "concurrency_limit keeps that from happening"
            )
        case CpuLimited():
            return (
                f"CPU as on Lambda, by {notice.mechanism}: {notice.fit} environments of {notice.memory_mb} "
                f"MB can be at work at once on {notice.cores} cores"
            )
        case Held(first=False) | CpuMeasured(worse=False):
            return ""
        case CpuMeasured():
            why = "other programs use it"
            if notice.environments > notice.fit:
                why = (
                    f"{notice.environments} environments of {notice.memory_mb} MB are at work, "
                    f"and {notice.fit} can be"
                )
            return (
                f"this machine gives {notice.got_s / notice.promised_s:.0%} of the CPU that Lambda would "
                f"give: {why}; durations are that much longer"
            )
        case Held(by="memory"):
            measured = "takes" if notice.measured else "may take"
            return (
                f"memory runs short ({notice.limit} MB in all): an environment {measured} "
                f"{notice.environment_mb} MB, {notice.fit} fit, and new ones wait until others end. "
                "`preload` lets environments share what they import"
            )
        case Held(by="descriptors"):
            return (
                f"file descriptors run short (the limit, ulimit -n, is {notice.limit}): new environments "
                "wait until others end"
            )
        case Held(by="disk"):
            return "no space is left for the /tmp of another environment: new ones wait until there is some"
        case Held():
            return (
                "no more processes can be started (ulimit -u, or the pids limit of a control group): new "
                "environments wait until others end"
            )
