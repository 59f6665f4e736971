"""What the engine of `served.py` runs."""


def public(value):
    """Names of its members."""
    return sorted(name for name in dir(value) if not name.startswith("_"))


def seen(event, context):
    """The members of the context, and of what is in it."""
    if context.client_context is None:
        return []
    inner = {
        "identity": context.identity,
        "client_context": context.client_context,
        "client_context.client": context.client_context.client,
    }
    inside = [f"{name}.{member}" for name, value in inner.items() for member in public(value)]
    return public(context) + inside


def fails(event, context):
    """Raises."""
    raise ValueError("as it is meant to")
