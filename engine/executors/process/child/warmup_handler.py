"""What `rehearsal` runs. It imports nothing: it is loaded as a handler is."""


def handler(event: object, context: object) -> object:
    """Return what came."""
    return event
