"""The echo that Granian serves, by its own interface RSGI: see `beside_granian`."""

from __future__ import annotations

import orjson


async def app(scope, protocol):
    """JSON in, the same value as JSON out."""
    value = orjson.loads(await protocol())
    protocol.response_bytes(200, [("content-type", "application/json")], orjson.dumps(value))
