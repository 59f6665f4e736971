"""What the platform's log says of asynchronous events: as a line of text, and as a JSON record."""

from __future__ import annotations

from typing import Any

from engine.core.engine_events import DeliveryFailed, EventDropped, EventsAbandoned

AsyncNotice = DeliveryFailed | EventDropped | EventsAbandoned


def async_line(notice: AsyncNotice) -> str:
    """One line for the text log."""
    match notice:
        case EventDropped():
            times = "once" if notice.runs == 1 else f"{notice.runs} times"
            where = "was handed over" if notice.handed_over else "nobody has it"
            return (
                f"[engine] {notice.function}: {notice.request_id} ran {times} and was given up "
                f"({notice.reason}); {where}\n"
            )
        case DeliveryFailed():
            return (
                f"[engine] {notice.function}: {notice.request_id} could not be handed to "
                f"{notice.destination}: {notice.reason}\n"
            )
        case EventsAbandoned():
            return (
                f"[engine] {notice.function}: {notice.count} asynchronous events still waited when the "
                f"engine stopped; {notice.handed_over} of them were handed over, the others are lost\n"
            )


def async_record(notice: AsyncNotice) -> tuple[str, dict[str, Any]]:
    """The type and the record for the JSON log."""
    match notice:
        case EventDropped():
            return "engine.eventDropped", {
                "function": notice.function,
                "requestId": notice.request_id,
                "reason": notice.reason,
                "runs": notice.runs,
                "handedOver": notice.handed_over,
            }
        case DeliveryFailed():
            return "engine.deliveryFailed", {
                "function": notice.function,
                "requestId": notice.request_id,
                "destination": notice.destination,
                "reason": notice.reason,
            }
        case EventsAbandoned():
            return "engine.eventsAbandoned", {
                "function": notice.function,
                "count": notice.count,
                "handedOver": notice.handed_over,
            }
