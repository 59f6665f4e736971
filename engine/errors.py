"""Every error the engine raises deliberately, as one tree.

    EngineError
    ├── ConfigError           what was asked for cannot be run (all problems at once)
    ├── UnknownName           a source, executor or policy that is not registered
    ├── FunctionNotFound      no function of that name
    ├── PayloadError          a payload that is not JSON, or is too large
    ├── NotAccepting          the engine is not started yet, or is draining
    └── IllegalMove           an environment was sent a signal its state does not know: a bug of ours

A handler that fails raises nothing here: its failure is an `Outcome` value. Subclasses pass their
constructor arguments, all positional, to `super()`, so that they survive pickling.
"""

from __future__ import annotations


class EngineError(Exception):
    """Root: `except EngineError` is everything raised deliberately."""


class ConfigError(EngineError):
    """The configuration cannot be run. `problems` holds one line for each thing wrong."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(self.problems)


class UnknownName(EngineError):
    """A source, executor or policy that is neither registered nor importable."""

    def __init__(self, kind: str, name: str, reason: str) -> None:
        super().__init__(kind, name, reason)
        self.kind, self.name, self.reason = kind, name, reason

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r}: {self.reason}"


class FunctionNotFound(EngineError):
    """No function of that name runs in this engine."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"function {self.name!r} is not configured"


class ExecutionAlreadyStarted(EngineError):
    """There is a durable execution of that name, which was given another payload."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"Durable execution already started with a different payload: {self.name}"


class PayloadError(EngineError):
    """A payload that cannot become an event: not JSON, or over the limit."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class NotAccepting(EngineError):
    """The engine takes no event: it has not started, or it is draining."""

    def __init__(self, state: str) -> None:
        super().__init__(state)
        self.state = state

    def __str__(self) -> str:
        return f"the engine is {self.state} and takes no events"


class IllegalMove(EngineError):
    """An environment was sent a signal that its state does not know. Always a bug of ours."""

    def __init__(self, environment: str, signal: str) -> None:
        super().__init__(environment, signal)
        self.environment, self.signal = environment, signal

    def __str__(self) -> str:
        return f"{self.environment} cannot take {self.signal!r}"
