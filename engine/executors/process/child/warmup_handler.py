"""The handler that `warmup` runs. It imports nothing."""


def handler(event: object, context: object) -> object:
    """Return the event."""
    return event
