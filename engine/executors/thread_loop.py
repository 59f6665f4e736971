"""The event loop of a thread that handlers run on, which `asyncio.get_event_loop` gives there."""

from __future__ import annotations

import asyncio
from typing import Any


class DeadlineStruck(BaseException):
    """Raised inside a handler whose deadline has passed. Its caller was answered; it can only clean up."""


class ThreadLoop(asyncio.SelectorEventLoop):
    """Takes no descriptor and no time until it is used, which few handlers do.

    On Lambda handlers run on the main thread, where asyncio makes a loop for whoever asks; on another
    thread it raises.
    """

    def __init__(self) -> None:
        """Do nothing yet: see `__getattr__`."""

    def __getattr__(self, name: str) -> Any:
        """Initialise the loop at the first attribute that is looked up."""
        if "_begun" in vars(self):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        self._begun = True
        super().__init__()
        return getattr(self, name)

    def __del__(self) -> None:
        """Do nothing for a loop that was never used: it has nothing open."""
        if "_begun" in vars(self):
            super().__del__()

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Do as every loop does, but let `DeadlineStruck` out of a callback: it ends the loop's run."""
        struck = isinstance(context.get("exception"), DeadlineStruck)
        if struck and "handle" in context:
            raise context["exception"]
        if not struck:  # else the exception of a task of the handler's, which nobody awaited
            super().call_exception_handler(context)

    @property
    def is_used(self) -> bool:
        """Whether there is anything to wake, or to close."""
        return vars(self).get("_csock") is not None  # made last and let go of first: another thread may ask
