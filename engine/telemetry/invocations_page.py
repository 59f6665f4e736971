"""`/invocations.json` of the admin listener: the last invocations of one function, with their logs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs

import orjson

from engine.core.invocation import LOG_KEPT_CHARACTERS
from engine.core.json_pieces import Steps
from engine.core.spelling import did_you_mean
from engine.protocols.http.message import Request, header_block
from engine.protocols.http.stepwise_answers import answer_in_turns
from engine.telemetry.recent_invocations import KEPT, KEPT_FAILURES, KEPT_PER_S
from engine.telemetry.stats import Stats

_HEAD: Final = header_block(
    [
        ("content-type", "application/json"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
    ]
)
_NOT_HERE: Final = (
    'invocations and their logs are shown on loopback addresses, or with engine.console = "full"'
)
_STEP: Final = 25
"""Invocations of one step: about a millisecond with the longest logs."""


def answer_invocations(request: Request, stats: Stats, *, is_shown: bool) -> None:
    """Answer for `?function=NAME`, oldest first, and how to ask for what comes later.

    In the query besides: `after`, an answer's `next`, for later ones only; `request_id`, for the attempts of
    one request; `execution`, for the invocations of one durable execution, by ARN or name; `since_s`, for
    what ended in so many last seconds; `log=0`, to leave the lines out. `next` begins anew with the engine.
    `left_out` says how many more ended after `after`, and perhaps in the last `since_s`, that are not kept.
    """
    query = query_of(request)
    name = query.get("function", "")
    try:
        after, since_s = int(query.get("after", 0)), float(query.get("since_s", "inf"))
    except ValueError:
        _refuse(request, 400, "after and since_s are numbers")
        return
    if not is_shown:
        _refuse(request, 403, _NOT_HERE)
    elif name not in stats.functions:
        _refuse(request, 404, f"there is no function {name!r}{did_you_mean(name, stats.functions)}")
    else:
        answer_in_turns(request, _answer(request, stats, name, after, since_s, query))


def query_of(request: Request) -> dict[str, str]:
    """The fields of the target's query; of one that comes twice, the last."""
    text = request.target.partition(b"?")[2].decode("latin-1")
    return {name: values[-1] for name, values in parse_qs(text).items()}


def _answer(
    request: Request, stats: Stats, name: str, after: int, since_s: float, query: Mapping[str, str]
) -> Steps[None]:
    recent, numbers, with_log = stats.recent, stats.functions[name].numbers, query.get("log") != "0"
    found = recent.of(
        name,
        after=after,
        request_id=query.get("request_id"),
        since_s=since_s,
        execution=query.get("execution"),
    )
    document = {
        "function": name,
        "next": numbers.stop - 1,
        "left_out": recent.left_out(name, numbers, after=after, since_s=since_s),
        "kept": {
            "last": KEPT,
            "per_s": KEPT_PER_S,
            "failures": KEPT_FAILURES,
            "log_characters": LOG_KEPT_CHARACTERS,
        },
    }
    stats.keep_successes(name)
    shown = []
    for count, one in enumerate(found, 1):
        shown.append(orjson.dumps(recent.shown(one, with_log=with_log)))
        if count % _STEP == 0:
            yield
    body = orjson.dumps(document)[:-1] + b',"invocations":[' + b",".join(shown) + b"]}"
    request.respond(200, _HEAD, body)


def _refuse(request: Request, status: int, message: str) -> None:
    request.respond(status, _HEAD, orjson.dumps({"message": message}))
