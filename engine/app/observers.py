"""Several observers as one: metrics and logs see the same, and those of users do no harm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from engine.core.engine_events import EngineEvent
from engine.core.event import Event
from engine.core.function import Account
from engine.core.invocation import Invocation
from engine.core.outcome import Outcome
from engine.errors import ConfigError, UnknownName
from engine.ports import Clock, Observer, Tracer
from engine.registry import resolve


class Observers:
    """Several observers as one; `finish` is called before they hear of an end."""

    def __init__(self, observers: Sequence[Observer], finish: Callable[[Invocation], object]) -> None:
        self._observers = observers
        self._finish = finish

    def began(self, invocation: Invocation, /) -> None:
        """Passed on."""
        for observer in self._observers:
            observer.began(invocation)

    def ended(self, invocation: Invocation, outcome: Outcome, error_type: str | None, /) -> None:
        """Passed on, after the handler's last line."""
        self._finish(invocation)
        for observer in self._observers:
            observer.ended(invocation, outcome, error_type)

    def refused(self, event: Event, outcome: Outcome, reason: str, /) -> None:
        """Passed on."""
        for observer in self._observers:
            observer.refused(event, outcome, reason)

    def noticed(self, notice: EngineEvent, /) -> None:
        """Passed on."""
        for observer in self._observers:
            observer.noticed(notice)


def observer_named(
    name: str,
    account: Account,
    clock: Clock,
    *,
    say: Callable[[str], object],
    count: Callable[[str], object],
) -> Contained:
    """The observer of that name. Raises ConfigError if it cannot be built."""
    try:
        built: Observer = resolve("observer", name).build(account, clock)
    except UnknownName as error:
        hint = "; `pip install invocation-engine[otel]`" if name == "otel" else ""
        raise ConfigError((f"engine.observers: {error}{hint}",)) from None
    except Exception as error:
        message = f"engine.observers: {name!r} cannot be built: {type(error).__name__}: {error}"
        raise ConfigError((" ".join(message.split()),)) from error
    return contained(name, built, say=say, count=count)


def contained(
    name: str, observer: Observer, *, say: Callable[[str], object], count: Callable[[str], object]
) -> Contained:
    """`observer`, which may also be a `Tracer`; log lines call it `name`."""
    kind = ContainedTracer if isinstance(observer, Tracer) else Contained
    return kind(name, observer, say=say, count=count)


_LONGEST: Final = 200
"""Characters of an observer's error that a log line shows."""


class Contained:
    """An observer of somebody else's: what it raises, of whatever kind, goes no further.

    Callers are answered and environments given back as if it had not raised. The first time is one line,
    every time is counted.
    """

    def __init__(
        self, name: str, observer: Observer, *, say: Callable[[str], object], count: Callable[[str], object]
    ) -> None:
        self._name = name
        self._observer = observer
        self._say = say
        self._count = count
        self._silent = True

    def began(self, invocation: Invocation, /) -> None:
        """Passed on."""
        self._tell("began", invocation)

    def ended(self, invocation: Invocation, outcome: Outcome, error_type: str | None, /) -> None:
        """Passed on."""
        self._tell("ended", invocation, outcome, error_type)

    def refused(self, event: Event, outcome: Outcome, reason: str, /) -> None:
        """Passed on."""
        self._tell("refused", event, outcome, reason)

    def noticed(self, notice: EngineEvent, /) -> None:
        """Passed on."""
        self._tell("noticed", notice)

    def close(self) -> None:
        """Passed on, if it has something to close."""
        if getattr(self._observer, "close", None) is not None:
            self._tell("close")

    def _tell(self, method: str, *facts: Any) -> None:
        try:
            getattr(self._observer, method)(*facts)
        except BaseException as error:  # noqa: BLE001  # SystemExit would end the engine
            self._count(method)
            if self._silent:
                self._silent = False
                self._say(
                    f"the observer {self._name} raised {_text_of(error)} in {method}(); from now on its "
                    "errors are counted in engine_observer_failures_total, and not logged"
                )


class ContainedTracer(Contained, Tracer):
    """The same of one that makes spans."""

    def awaits_answer(self, event: Event, /) -> None:
        """Passed on."""
        self._tell("awaits_answer", event)

    def answered(self, event: Event, status: int, /) -> None:
        """Passed on."""
        self._tell("answered", event, status)


def _text_of(error: BaseException) -> str:
    """Class and message, on one line, whatever its `__str__` does."""
    try:
        text = " ".join(str(error).split())[:_LONGEST]
    except Exception:  # noqa: BLE001  # it is somebody else's
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
