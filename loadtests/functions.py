"""The functions of the load tests. They report by means that do not go through the engine.

`holding` answers with the environment in which it ran and the time at which it began. `delivering` writes a
line for each record it gets into the file that `LOADTEST_DELIVERIES` names. Times are of the monotonic clock,
which processes of one machine share.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any
from urllib.parse import unquote_plus

Event = dict[str, Any]


class Poisoned(Exception):
    """A record that is never taken."""


def holding(event: Event, context: Any) -> dict[str, Any]:
    """`{"seconds": 2}`: holds its environment for so long, so that the next event needs another one."""
    began_s = time.monotonic()
    time.sleep(event["seconds"])
    return {"began_s": began_s, "environment": context.log_stream_name}


def stormy(event: Event, context: object) -> dict[str, bool]:
    """`{"how": "raise"}`, `"hang"` or `"die"`: fails in that way; anything else is fine."""
    match event.get("how"):
        case "raise":
            raise Poisoned("as asked")
        case "hang":
            time.sleep(3600)
        case "die":
            os._exit(1)  # needs an environment that is a process
    return {"ok": True}


def delivering(event: Event, context: object) -> dict[str, Any] | None:
    """Records of a queue, of a bucket, or the event itself; poisoned ones fail, alone where they can."""
    if "Records" not in event:
        _take([event])
        return None
    records = event["Records"]
    if "s3" in records[0]:
        _take([_of_object(record["s3"]["object"]["key"]) for record in records])
        return None
    bodies = [json.loads(record["body"]) for record in records]
    _write(bodies)
    failed = [record for record, body in zip(records, bodies, strict=True) if body["poison"]]
    return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in failed]}


def slowly_delivering(event: Event, context: object) -> dict[str, Any] | None:
    """The same after a tenth of a second, so that more comes than is taken."""
    time.sleep(0.1)
    return delivering(event, context)


def _of_object(key: str) -> dict[str, Any]:
    name, kind, sent_s, number = unquote_plus(key).rsplit("/", 3)
    return {"id": f"{name}/{number}", "sent_s": float(sent_s), "poison": kind == "poison"}


def _take(records: list[dict[str, Any]]) -> None:
    _write(records)
    if any(record["poison"] for record in records):
        raise Poisoned("as asked")


def _write(records: list[dict[str, Any]]) -> None:
    """A line for each: one write, so that lines of several environments do not mix."""
    now_s = time.monotonic()
    lines = [f"{one['id']} {int(one['poison'])} {one['sent_s']:.6f} {now_s:.6f}\n" for one in records]
    file = os.open(os.environ["LOADTEST_DELIVERIES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, "".join(lines).encode())
    finally:
        os.close(file)
