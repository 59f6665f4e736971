"""What an execution refuses. Nothing has changed when one of these is raised."""

from __future__ import annotations

from engine.errors import EngineError


class DurableRefusal(EngineError):
    """Root of the refusals. `message` is AWS's text."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return self.message


class CheckpointRefused(DurableRefusal):
    """A bad token, marker or update: InvalidParameterValueException, 400."""


class CallbackUnknown(DurableRefusal):
    """No operation has this callback id: ResourceNotFoundException, 404."""


class CallbackClosed(DurableRefusal):
    """The callback or its execution has ended: CallbackTimeoutException, 400."""


class StatusConflict(DurableRefusal):
    """Pause, resume or delete in a status that does not allow it: ResourceConflictException, 409."""
