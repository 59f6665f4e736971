"""Built from `_fast_json.c` into compiled wheels alone."""

def write(value: object, max_bytes: int, /) -> bytes | None:
    """The JSON text of `value`; None if it is longer than `max_bytes`, or for the writers in Python.

    Those write the same text, and all others.
    """

def has_short_numbers(payload: bytes, /) -> bool:
    """Whether orjson can be trusted with it: see `json_document`, which is where it is used."""
