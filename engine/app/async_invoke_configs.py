"""Configs of asynchronous events: a function's own keys, and the event-invoke configs of the API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from engine.core.destinations import expanded
from engine.core.event import Event
from engine.core.function import Account, Function
from engine.core.retry import AsyncInvokeConfig

InvokeConfig = Mapping[str, Any]
"""Members of an event-invoke config, as AWS names them."""

_GONE: Final = AsyncInvokeConfig()
_NONE: Final[InvokeConfig] = {}


class AsyncInvokeConfigs:
    """Finds the config of an event, and keeps what it made: it is asked at the end of every event."""

    def __init__(self, account: Account, find: Callable[[str], Function | None]) -> None:
        """`find` returns the function of a name as it is now, None if it is gone."""
        self._read: Callable[[str, str | None], InvokeConfig] = lambda _name, _qualifier: _NONE
        self._find = find
        self._expand = partial(expanded, account=account)
        self._made: dict[tuple[str, str | None], tuple[Function, InvokeConfig, AsyncInvokeConfig]] = {}

    def read_from(self, read: Callable[[str, str | None], InvokeConfig]) -> None:
        """Have `read` return the event-invoke config of a function and qualifier, `{}` for none."""
        self._read = read

    def config_of(self, event: Event) -> AsyncInvokeConfig:
        """The config that applies to `event` now; the defaults if its function is gone."""
        key = event.function, event.qualifier
        function = self._find(event.function)
        if function is None:
            self._made.pop(key, None)
            return _GONE
        config = self._read(*key)
        made = self._made.get(key)
        if made is None or made[0] is not function or made[1] is not config:
            known = AsyncInvokeConfig.of(function, config, expand=self._expand)
            made = self._made[key] = function, config, known
        return made[2]
