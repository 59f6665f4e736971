"""The engine's own variables, whatever `os.environ` shows to the code that runs."""

from __future__ import annotations

import os


def host_data() -> dict[bytes, bytes]:
    """The engine's own variables, whoever asks, by their encoded names."""
    data: dict[bytes, bytes] = vars(os.environ)["_data"]
    return data


def host_variables() -> dict[str, str]:
    """The same as text: for what the engine starts, which may be at a moment when a function's code runs."""
    return {os.fsdecode(name): os.fsdecode(value) for name, value in host_data().items()}
