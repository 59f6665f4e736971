"""Matches of patterns in a second of CPU; each with an event that matches and one that does not.

Run: `python tests/bench/event_patterns.py`
"""

from __future__ import annotations

import json
import time

from engine.core.event_patterns.dialects import Dialect
from engine.core.event_patterns.filter_criteria import filter_criteria
from engine.core.event_patterns.pattern import compile_pattern

FOR_S = 0.3
EVENT = {
    "version": "0",
    "detail-type": "order.created",
    "source": "shop",
    "account": "000000000000",
    "resources": [],
    "detail": {"state": "open", "count": 7, "path": "/a/b/c.png", "lines": [{"sku": "x"}, {"sku": "y"}]},
}
OTHER = {**EVENT, "source": "bank", "detail": {"state": "shut", "count": 0, "path": "", "lines": []}}
PATTERNS = {
    "source": {"source": ["shop"]},
    "source and state": {"source": ["shop", "store"], "detail": {"state": ["open"]}},
    "numeric": {"detail": {"count": [{"numeric": [">", 0, "<=", 10]}]}},
    "wildcard": {"detail": {"path": [{"wildcard": "/a/*.png"}]}},
    "array of objects": {"detail": {"lines": {"sku": ["y"]}}},
    "or": {"$or": [{"source": ["none"]}, {"detail": {"state": [{"anything-but": "shut"}]}}]},
}


def per_second(once: object, *arguments: tuple[object, ...]) -> float:
    """Calls of `once` in a second of CPU; each of `arguments` in turn."""
    count, began_s = 0, time.process_time()
    while (took_s := time.process_time() - began_s) < FOR_S:
        for _ in range(1000):
            for given in arguments:
                once(*given)  # type: ignore[operator]
        count += 1000 * len(arguments)
    return count / took_s


def main() -> None:
    for name, pattern in PATTERNS.items():
        matches = compile_pattern(pattern, Dialect.EVENTBRIDGE).matches
        assert [True, False] == [matches(EVENT), matches(OTHER)]
        print(f"{name:<32} {per_second(matches, (EVENT,), (OTHER,)):>12,.0f}")
    body = json.dumps(EVENT)
    passes = filter_criteria([{"body": PATTERNS["source and state"]}], "body").passes
    print(f"{'criteria, body parsed':<32} {per_second(passes, (body, dict)):>12,.0f}")


if __name__ == "__main__":
    main()
