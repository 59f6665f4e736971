"""Handlers of `response_stream.py`: one that goes on writing, and one that writes once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any


async def ticking(_event: Any, _context: Any) -> AsyncIterator[str]:
    """A line each second, for as long as it may run."""
    while True:
        yield "tick\n"
        await asyncio.sleep(1)


async def once(_event: Any, _context: Any) -> AsyncIterator[str]:
    """One piece."""
    yield "x"
