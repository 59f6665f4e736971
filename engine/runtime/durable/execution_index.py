"""Where executions are found: by ARN, by name, by what calls back, and all of one function."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from types import MappingProxyType
from typing import Final

from engine.core.durable.callback_ids import read_callback_id
from engine.core.durable.execution import Execution
from engine.core.durable.refusals import CallbackUnknown
from engine.runtime.durable.live_execution import LiveExecution

_PARTS_OF_ARN: Final = 8
"""Between colons."""
_NONE: Final[Mapping[str, LiveExecution]] = MappingProxyType({})


class ExecutionIndex:
    """All executions of one engine; iterated over function by function, the oldest first."""

    def __init__(self) -> None:
        self._by_id: dict[str, dict[str, LiveExecution]] = {}  # of each function, oldest first
        self._by_name: dict[tuple[str, str], LiveExecution] = {}  # by function and name, if it was given one

    def __iter__(self) -> Iterator[LiveExecution]:
        return chain.from_iterable(of_function.values() for of_function in self._by_id.values())

    def add(self, live: LiveExecution) -> None:
        """It is there."""
        execution = live.execution
        self._by_id.setdefault(execution.function, {})[execution.execution_id] = live
        if execution.name is not execution.execution_id:
            self._by_name[execution.function, execution.name] = live

    def remove(self, live: LiveExecution) -> bool:
        """It is there no more; returns whether it was."""
        execution = live.execution
        of_function = self._by_id.get(execution.function, {})
        if of_function.pop(execution.execution_id, None) is None:
            return False
        if not of_function:
            del self._by_id[execution.function]
        self._by_name.pop((execution.function, execution.name), None)
        return True

    def __contains__(self, live: LiveExecution) -> bool:
        execution = live.execution
        return self._of(execution.function).get(execution.execution_id) is live

    def find(self, arn: str) -> LiveExecution | None:
        """The execution of that ARN, None if there is none."""
        parts = arn.split(":", 7)
        if len(parts) != _PARTS_OF_ARN:
            return None
        live = self._of(parts[6]).get(arn.rpartition("/")[2])
        return live if live is not None and live.execution.arn == arn else None

    def named(self, function: str, name: str) -> LiveExecution | None:
        """The execution of a function with that name, given or generated."""
        return self._by_name.get((function, name)) or self._of(function).get(name)

    def of_function(self, function: str) -> list[LiveExecution]:
        """Those of one function, the oldest first."""
        return list(self._of(function).values())

    def live(self, execution: Execution) -> LiveExecution:
        """What the engine knows of an execution that is there. Raises KeyError."""
        return self._by_id[execution.function][execution.execution_id]

    def waiting_for(self, callback_id: str) -> LiveExecution:
        """The execution that a callback belongs to. Raises CallbackUnknown."""
        address = read_callback_id(callback_id)
        if address is not None:
            for of_function in self._by_id.values():
                if (live := of_function.get(address.execution_id)) is not None:
                    return live
        raise CallbackUnknown("Callback does not exist")

    def _of(self, function: str) -> Mapping[str, LiveExecution]:
        return self._by_id.get(function, _NONE)
