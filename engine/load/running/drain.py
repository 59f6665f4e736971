"""Waits, after the load, until nothing is on its way any more."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from engine.load.planning.plan import Plan
from engine.load.running.deliveries import Channel, dead_letters
from engine.load.running.sampling import fetch_json
from engine.load.running.wiring import messages_in

_POLL_S: Final = 0.25
_SAY_S: Final = 2.0


class RecordsLeft(NamedTuple):
    """Records that no function has taken, by stream.

    Attributes:
        dead: In dead-letter queues.
        waiting: Of the user's functions, in the queue or in the function's asynchronous queue.
    """

    dead: dict[str, int]
    waiting: dict[str, int]


def drained(
    plan: Plan,
    client: Mapping[str, Any],
    channel: Channel,
    admin_url: str | None,
    limit_s: float,
    tell: Callable[[str], None],
) -> RecordsLeft:
    """Wait until engine and queues are idle and every numbered record was told of, `limit_s` at most."""
    if admin_url is None:
        return RecordsLeft({}, {})
    until_s = time.monotonic() + limit_s
    said_s = time.monotonic()
    while True:
        status = fetch_json(f"{admin_url}/status.json")
        left = RecordsLeft(dead_letters(plan), _waiting(plan, status))
        missing = {
            name: client["streams"][name]["records"] - one.delivered - left.dead.get(name, 0)
            for name, one in channel.read().items()
        }
        functions = {one.function for one in plan.streams.values()}
        driven = [one for name, one in status["functions"].items() if name in functions]
        idle = not any(one["in_flight"] or one["queued"] for one in driven)
        under_way = sum(missing.values()) + sum(left.waiting.values())
        if (idle and not under_way) or time.monotonic() > until_s:
            return left
        if time.monotonic() - said_s >= _SAY_S:
            said_s = time.monotonic()
            tell(f"drain: {under_way:,} records on their way, for {until_s - said_s:.0f} s at most")
        time.sleep(_POLL_S)


def _waiting(plan: Plan, status: Mapping[str, Any]) -> dict[str, int]:
    waiting = {}
    for name, stream in plan.streams.items():
        if not (stream.is_users and stream.is_sent_on):
            continue
        if stream.send == "sqs":
            waiting[name] = messages_in(plan.urls["aws"], stream.queue).total()
        else:
            one = status["functions"][stream.function]
            waiting[name] = one["queued"] + one["in_flight"]
    return waiting
