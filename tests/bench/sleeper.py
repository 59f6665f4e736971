"""Waits for `seconds`: as a coroutine without blocking the loop, and as a plain function."""

import asyncio
import time


async def handler(event, context):
    """Return the event after the wait."""
    await asyncio.sleep(event["seconds"])
    return event


def blocking(event, context):
    """The same as a plain function."""
    time.sleep(event["seconds"])
    return event
