"""Built from `_json_writer.c` into the compiled wheel alone."""

def write(value: object, max_bytes: int, /) -> bytes | None:
    """The JSON text of `value`; None if it is longer than `max_bytes`, or for the writers in Python.

    Those write the same text, and all others.
    """
