"""Stream mappings that are imported and made when the first of them is asked for: few engines have any."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final

import anyio

from engine.ports import Sink, StreamMapping, StreamMappings, StreamMappingSettings

KINDS: Final = ("kinesis", "dynamodb")
"""Types of events that streams make."""


class LateStreamMappings:
    """Implements `StreamMappings` by those that `make` makes, once.

    They are served from when `serve` was called; kinds that have a source of the configuration by that.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        """`make` returns `LiveStreamMappings`."""
        self._make = make
        self._made: Any = None
        self._start: Callable[[str], Awaitable[Any]] | None = None
        self._served: set[str] = set()

    def get(self) -> StreamMappings:
        """They, made now if they were not."""
        if self._made is None:
            self._made = self._make()
        found: StreamMappings = self._made
        return found

    async def serve(
        self, start: Callable[..., Awaitable[Any]], sink: Sink, stopping: anyio.Event, others: frozenset[str]
    ) -> None:
        """Serve all kinds but `others`, which are served: now if there are mappings, else with the first."""
        self._served |= others

        async def start_kind(kind: str) -> None:
            await start(partial(self._made.serve, kind), sink, stopping)

        self._start = start_kind
        if self._made is not None:
            await self._serve_all()

    async def _serve_all(self) -> None:
        for kind in KINDS:
            if self._start is not None and kind not in self._served:
                self._served.add(kind)
                await self._start(kind)

    # --- the port

    def __iter__(self) -> Iterator[StreamMapping]:
        return iter(()) if self._made is None else iter(self.get())

    def find(self, uuid: str) -> StreamMapping | None:
        """The mapping of that UUID."""
        return None if self._made is None else self.get().find(uuid)

    @property
    def max_filters(self) -> int:
        """Filters of one mapping, at most."""
        return self.get().max_filters

    def is_filter(self, service: str, pattern: str) -> bool:
        """Whether the text is an EventBridge pattern that can filter records."""
        return self.get().is_filter(service, pattern)

    def settings_from(
        self, service: str, values: Mapping[str, Any], base: Any = None
    ) -> StreamMappingSettings:
        """Settings from the keys of an event. Raises ValueError."""
        return self.get().settings_from(service, values, base)

    def arn(self, settings: Any) -> str:
        """ARN of the stream that the settings name."""
        return self.get().arn(settings)

    async def exists(self, settings: Any) -> bool:
        """Whether the stream is there."""
        return await self.get().exists(settings)

    async def open(
        self,
        function: str,
        qualifier: str | None,
        settings: Any,
        *,
        uuid: str | None = None,
        modified_s: float | None = None,
    ) -> StreamMapping:
        """Add a mapping and read for it."""
        mappings = self.get()
        await self._serve_all()
        return await mappings.open(function, qualifier, settings, uuid=uuid, modified_s=modified_s)

    def change(self, mapping: Any, function: str, qualifier: str | None, settings: Any) -> None:
        """Apply new settings."""
        self.get().change(mapping, function, qualifier, settings)

    async def begun(self, mapping: Any) -> None:
        """Return when it is known where it begins."""
        await self.get().begun(mapping)

    def close(self, mapping: Any) -> None:
        """Remove a mapping."""
        self.get().close(mapping)
