"""Waits for `seconds`: as a coroutine without blocking the loop, and as a plain function."""

import time


async def handler(event, context):
    """Return the event after the wait."""
    import asyncio  # of which an environment of `blocking` must not import the whole

    await asyncio.sleep(event["seconds"])
    return event


def blocking(event, context):
    """The same as a plain function."""
    time.sleep(event["seconds"])
    return event
