"""Keeps the state file equal to what came over the Lambda API."""

from __future__ import annotations

from functools import partial

import anyio

from engine.packages.records import StoredState
from engine.packages.store import PackageStore
from engine.ports import Offload
from engine.services.lambda_api.function_registry import FunctionRegistry


class StatePersistence:
    """Writes the registry's state to the state folder. Does nothing in an engine that has none."""

    def __init__(self, registry: FunctionRegistry, package_store: PackageStore, offload: Offload) -> None:
        self._registry = registry
        self._package_store = package_store
        self._offload = offload
        self._saved = b""
        self._lock = anyio.Lock()

    def restore(self, state: StoredState) -> None:
        """Take over `state`, which the state file has already."""
        self._registry.restore(state)
        if self._package_store.lasting:
            self._saved = self._text()

    async def save(self) -> None:
        """Write the state if it changed. Calls that wait for a write share the next one. Raises OSError."""
        if not self._package_store.lasting:
            return
        async with self._lock:
            text = self._text()
            if text != self._saved:
                await self._offload(partial(self._package_store.save, text))
                self._saved = text

    def _text(self) -> bytes:
        return self._registry.state.model_dump_json().encode()
