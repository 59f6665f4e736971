"""Requests of several functions at the same time, and a handler that fails in every way."""

from __future__ import annotations

import json
from typing import Final, NamedTuple

from engine.cli.demo.load import OK, HttpCall, invocation

_SLEEP_S: Final = 4
"""How long the handler that is to time out sleeps: longer than its deadline, not longer than the demo."""


class TrafficClass(NamedTuple):
    """Requests that some clients send again and again.

    Attributes:
        name: Of the series in the summary.
        listener: Where the requests go: http or aws.
        calls: Sent in turn.
        expected: The kinds of answers that are right; see `kind_of`.
        clients: How many do this at a time.
        pause_s: What each waits between an answer and the next request.
    """

    name: str
    listener: str
    calls: tuple[HttpCall, ...]
    expected: frozenset[str]
    clients: int = 1
    pause_s: float = 0.02


def traffic_classes(*, thumbnails: bool) -> tuple[TrafficClass, ...]:
    """Return every class of traffic; thumbnails only where Pillow is installed."""
    ok = frozenset({OK})
    work = [
        TrafficClass("hello", "http", tuple(HttpCall("GET", f"/hello/{name}") for name in _NAMES), ok, 4),
        TrafficClass("orders", "http", tuple(map(_order, _ORDERS)), frozenset({"201", "400"}), 4),
        TrafficClass("primes", "http", (HttpCall("GET", "/primes?below=200000"),), ok, 1, 0.1),
    ]
    if thumbnails:
        work.append(
            TrafficClass("thumbnails", "http", (HttpCall("POST", "/thumbnails?edge=160"),), ok, 2, 0.05)
        )
    return (*work, *(_failing(how, kind) for how, kind in EXPECTED_FAILURES.items()), _MALFORMED)


_NAMES: Final = ("Ada", "Grace", "Edsger", "Barbara", "J%C3%BCrgen")

GOOD_ORDERS: Final = (
    {"id": "A-1", "items": [{"sku": "pen", "quantity": 2, "price": "1.20"}]},
    {
        "id": "A-2",
        "items": [{"sku": "ink", "quantity": 1, "price": "12.99"}, {"sku": "nib", "price": "0.85"}],
    },
    {"id": "A-3", "items": [{"sku": "desk", "quantity": 1, "price": 249}]},
)
_ORDERS: Final = (*GOOD_ORDERS, {"id": "A-4", "items": []})
"""The last cannot be taken: 400."""


def _order(order: object) -> HttpCall:
    return HttpCall("POST", "/orders", (("content-type", "application/json"),), json.dumps(order).encode())


EXPECTED_FAILURES: Final = {
    "raise": "200 OrderRejected",
    "chained": "200 OrderRejected",
    "exit": "200 Runtime.ExitError",
    "base_exception": "200 Runtime.ExitError",
    "marshal": "200 Runtime.MarshalError",
    "bad_json": OK,
    "too_large": "200 Function.ResponseSizeTooLarge",
    "recursion": "200 RecursionError",
    "memory_error": "200 MemoryError",
    "timeout": "200 Sandbox.Timedout",
    "os_exit": "200 Runtime.ExitError",
    "segfault": "200 Runtime.ExitError",
    "memory": "200 Runtime.OutOfMemory",
}
"""Way to fail -> answer of the Invoke API, as AWS gives it: a failed function is a 200 with an error.

Source: Lambda API reference, Invoke; the runtime interface client. NaN is passed on as it is.
"""


_SLOW_TO_FAIL: Final = ("too_large", "memory")
"""These fill megabytes first, and may come to their deadline before on a machine that is busy otherwise."""


def _failing(how: str, kind: str) -> TrafficClass:
    payload = {"how": how, "seconds": _SLEEP_S}
    pause_s = {"too_large": 1.0, "timeout": 2.0, "memory": 1.0}.get(how, 0.25)  # 6 MB each; once is enough
    kinds = {kind, EXPECTED_FAILURES["timeout"]} if how in _SLOW_TO_FAIL else {kind}
    return TrafficClass(
        f"faulty: {how}", "aws", (invocation("faulty", payload),), frozenset(kinds), pause_s=pause_s
    )


_MALFORMED: Final = TrafficClass(
    "faulty: malformed", "http", (HttpCall("GET", "/faulty/malformed"),), frozenset({"500"}), pause_s=0.25
)
"""A result that is no HTTP answer: for an HTTP API a 500."""
