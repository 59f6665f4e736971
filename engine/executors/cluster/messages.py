"""Values that cross between an engine and an agent as JSON: functions, failures, engine events."""

from __future__ import annotations

import base64
import dataclasses
import json
import sys
from typing import Any, Final, NamedTuple

from engine.core.cpu_law import CpuLaw
from engine.core.engine_events import Confined, CpuLimited, CpuMeasured, EndedForMemory, EngineEvent, Held
from engine.core.error_bodies import InitFailure
from engine.core.function import Account, Function
from engine.core.python_interpreter import PythonInterpreter

_EVENTS: Final[dict[str, type[Any]]] = {
    kind.__name__: kind for kind in (Confined, CpuLimited, CpuMeasured, EndedForMemory, Held)
}
"""What happens on a node."""

_STAYS: Final = frozenset({"durable", "events", "tags", "aliases", "layers", "inline"})
"""Of a function, what environments do not need."""


OWN_SERIES: Final = f"{sys.version_info.major}.{sys.version_info.minor}"


class FunctionMessage(NamedTuple):
    """What a node needs of a function besides its code.

    Attributes:
        function: Its `code` is the engine's path; on the node it is another.
        account: For ARNs and variables.
        digest: Of its code.
        logs_json, is_async, cpu, python: As in the engine's `Workshop`.
        series: Of the Python that it runs in, as `3.12`, whether that is the engine's own or not.
        endpoint_url: Where AWS clients in the handler find the engine, or None.
        is_tunnelled: They find it by way of the agent instead: the engine listens where no node can reach it.
    """

    function: Function
    account: Account
    digest: bytes
    logs_json: bool
    is_async: bool | None
    cpu: CpuLaw
    python: PythonInterpreter | None
    series: str
    endpoint_url: str | None
    is_tunnelled: bool

    def encode(self) -> bytes:
        """As JSON."""
        function = {
            field.name: getattr(self.function, field.name)
            for field in dataclasses.fields(self.function)
            if field.name not in _STAYS
        }
        document = {
            **self._asdict(),
            "function": function,
            "account": dataclasses.asdict(self.account),
            "digest": self.digest.hex(),
        }
        return json.dumps(document, default=dict).encode()

    @classmethod
    def decode(cls, text: bytes) -> FunctionMessage:
        """Read what `encode` has made."""
        document: dict[str, Any] = json.loads(text)
        function: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in document["function"].items()
        }
        python = document["python"]
        if python is not None:
            executable, version, prefix = python
            document["python"] = PythonInterpreter(executable, tuple(version), prefix)
        return cls(
            **{
                **document,
                "function": Function(function.pop("name"), **function),
                "account": Account(**document["account"]),
                "digest": bytes.fromhex(document["digest"]),
            }
        )


def write_failure(failure: InitFailure) -> bytes:
    """As JSON."""
    body = None if failure.body is None else base64.b64encode(failure.body).decode()
    return json.dumps([failure.error_type, failure.error_message, failure.stack_trace, body]).encode()


def read_failure(text: bytes) -> InitFailure:
    """Read what `write_failure` has made."""
    error_type, message, stack, body = json.loads(text)
    return InitFailure(
        error_type,
        message,
        None if stack is None else tuple(stack),
        None if body is None else base64.b64decode(body),
    )


def write_event(event: EngineEvent) -> bytes | None:
    """As JSON; None for one that does not concern a node."""
    name = type(event).__name__
    if name not in _EVENTS:
        return None
    return json.dumps([name, dataclasses.asdict(event)]).encode()


def read_event(text: bytes, node: str) -> EngineEvent | None:
    """Read what `write_event` has made on that node."""
    name, fields = json.loads(text)
    kind = _EVENTS.get(name)
    event: EngineEvent | None = None if kind is None else kind(**{**fields, "node": node})
    return event
