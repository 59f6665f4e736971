"""Waits for `seconds` without blocking the loop."""

import asyncio


async def handler(event, context):
    """Return the event after the wait."""
    await asyncio.sleep(event["seconds"])
    return event
