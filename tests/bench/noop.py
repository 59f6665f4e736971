"""Handlers that do nothing: what is left is the engine."""


async def on_loop(event, context):
    """A coroutine, for the loop executor."""


def on_thread(event, context):
    """A function, for the thread executor."""
