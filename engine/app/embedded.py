"""`Engine` as Python programs get it: opens what its functions and settings tell it to."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Self

import anyio

from engine.app.engine import Engine
from engine.app.http_listener import url_from_here
from engine.app.serving import (
    Announcement,
    admin_listener,
    announced,
    plain_errors,
    serve_clients,
)
from engine.config import Config
from engine.core.function import Function
from engine.packages.store import PackageStore
from engine.ports import ExecutorFactory, Observer
from engine.protocols.http.server import listening_sockets, named_listener
from engine.runtime.platform import Platform
from engine.runtime.signals import StopSignals

_NOWHERE: Final = Announcement()


class EmbeddedEngine(Engine):
    """An `Engine` that also serves: `async with Engine([...], http="127.0.0.1:0") as engine`.

    Listeners that are named (`http`, `aws`, `admin`), the sources of the functions' `events` and the
    `state_dir` are open inside the block. HTTP events need `http`: without it no port is opened for them.

    Attributes:
        addresses: Where it listens, as URLs; None for a listener that was not named.

    Raises:
        ConfigError: As `Engine`.
        EngineError: When it is entered: a source or the state folder cannot be used as configured.
        OSError: When it is entered: a listener's address cannot be had; its message names the address.
    """

    addresses = _NOWHERE
    _served: asyncio.Task[None] | None = None

    def __init__(
        self,
        functions: Iterable[Function] | Config,
        *,
        platform: Platform | None = None,
        executor: ExecutorFactory | None = None,
        write_log: Callable[[str], object] | None = None,
        observers: Iterable[str | Observer] = (),
        **settings: Any,
    ) -> None:
        super().__init__(
            functions,
            platform=platform,
            executor=executor,
            write_log=write_log,
            observers=observers,
            **settings,
        )
        config = self.config
        sources = config.bindings.keys() - ({"http"} - config.listeners.keys())
        opens = bool(config.listeners or sources or config.state_dir)
        self._opens = opens and not isinstance(functions, Config)  # one `from_config` opens nothing

    @classmethod
    def with_listeners(cls, config: Config, *, write_log: Callable[[str], object] | None = None) -> Self:
        """An engine for a whole configuration that opens the listeners and sources in it."""
        engine = cls(config, write_log=write_log)
        engine._opens = True
        return engine

    async def __aenter__(self) -> Self:
        if not self._opens:
            return await super().__aenter__()
        loop = asyncio.get_running_loop()
        self._stop = StopSignals(loop, self.platform.clock, self.config.grace_s)  # asked from here alone
        ready: asyncio.Future[Announcement] = loop.create_future()
        # A task of its own: what opens the block and what ends it may be two tasks, as in fixtures.
        self._served = asyncio.create_task(self._serve(ready))
        either: set[asyncio.Future[Any]] = {ready, self._served}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        except BaseException:
            self._served.cancel()
            raise
        if self._served.done():
            self._served.result()
        self.addresses = ready.result()
        return self

    async def __aexit__(self, *error: object) -> None:
        served, self._served, self.addresses = self._served, None, _NOWHERE
        if served is None:
            await super().__aexit__(*error)
            return
        self._stop.ask()
        await served

    async def _serve(self, ready: asyncio.Future[Announcement]) -> None:
        listeners = self.config.listeners
        with plain_errors(), ExitStack() as kept:
            shelf = kept.enter_context(
                PackageStore(Path(self.config.state_dir) if self.config.state_dir else None)
            )
            with named_listener("engine.aws"):
                at_aws = listening_sockets(*listeners["aws"]) if "aws" in listeners else []
            for listening in at_aws:
                kept.enter_context(listening)
            if at_aws:
                self._endpoint_url = url_from_here(at_aws[0])
            await super().__aenter__()
            try:
                await self._serve_all(shelf, at_aws, ready)
            finally:
                await super().__aexit__()

    async def _serve_all(
        self, shelf: PackageStore, at_aws: Sequence[socket.socket], ready: asyncio.Future[Announcement]
    ) -> None:
        closing, admin_url = anyio.Event(), None
        async with anyio.create_task_group() as group:
            if "admin" in self.config.listeners:
                admin_url = await group.start(admin_listener(self, self._stop).serve, closing)

            def announce(urls: Mapping[str, str | None]) -> None:
                ready.set_result(announced(self, urls, admin_url))

            await serve_clients(self, shelf, at_aws, self._stop, announce)
            closing.set()
