"""A server around an engine: opens the listeners and sources, runs until told to stop, then drains."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import anyio
import watchfiles
from anyio.abc import TaskStatus

from engine.app.engine import Engine
from engine.config import Config
from engine.packages.records import State
from engine.packages.shelf import Shelf
from engine.ports import EventSource, Host, Sink
from engine.registry import resolve
from engine.runtime.signals import StopSignals
from engine.sources.http.payload import Edge
from engine.sources.http.source import HttpSource
from engine.sources.invoke.catalogue import Catalogue
from engine.sources.invoke.source import LambdaApi
from engine.sources.invoke.works import BODY_LIMIT_BYTES, NoFronts, Spawn, Works
from engine.telemetry.admin import Admin
from engine.wire.aws import AwsEndpoint
from engine.wire.http import HttpLimits, HttpServer, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """Where a running server listens, as URLs; None for a listener that nothing needs."""

    http: str | None
    aws: str | None
    admin: str | None


class Served(Protocol):
    """Anything that serves until told to stop: a source, or a listener."""

    async def serve(self, sink: Sink, stopping: anyio.Event, *, task_status: TaskStatus[str | None]) -> None:
        """See `EventSource.serve`."""


class Endpoint:
    """An HTTP listener that is no event source: `handle` answers each request."""

    def __init__(
        self, handle: Callable[[Request], None], host: Host, listener: str, limits: HttpLimits
    ) -> None:
        self._server = HttpServer(handle, host.clock, limits)
        self._address = host.listen[listener]

    async def serve(self, _sink: Sink, stopping: anyio.Event, *, task_status: TaskStatus[str | None]) -> None:
        """Listen until `stopping`, then answer what was taken."""
        try:
            host, port = await self._server.start(*self._address)
            task_status.started(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")
            await stopping.wait()
            await self._server.drain()
        finally:
            self._server.close()


async def serve(
    config: Config,
    *,
    announce: Callable[[Announcement], None],
    write_log: Callable[[str], object],
    signals: StopSignals | None = None,
    reloads: bool = False,
) -> bool:
    """Run `config` until a stop signal; returns whether all that was accepted ended by itself.

    Order of start: functions, then the admin listener, then the sources. Of stop: the sources take
    nothing new and answer what they took, all within the grace period; then the environments go; the
    admin listener is last. A second signal ends the grace period.

    Raises:
        OSError: If a listener's address cannot be had; its message names the address.
    """
    signals = signals or StopSignals(asyncio.get_running_loop())
    try:
        return await _serve(config, announce, write_log, signals, reloads=reloads)
    except BaseExceptionGroup as group:  # the task groups': what cannot be listened at is one plain error
        errors = _leaves(group)
        if all(isinstance(error, OSError) for error in errors):
            raise errors[0] from None
        raise


def _leaves(error: BaseException) -> list[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for inner in error.exceptions for leaf in _leaves(inner)]


async def _serve(
    config: Config,
    announce: Callable[[Announcement], None],
    write_log: Callable[[str], object],
    signals: StopSignals,
    *,
    reloads: bool,
) -> bool:
    with Shelf(Path(config.state_dir) if config.state_dir else None) as shelf:
        state = shelf.load()
        return await _serve_packages(config, announce, write_log, signals, shelf, state, reloads=reloads)


async def _serve_packages(
    config: Config,
    announce: Callable[[Announcement], None],
    write_log: Callable[[str], object],
    signals: StopSignals,
    shelf: Shelf,
    state: State,
    *,
    reloads: bool,
) -> bool:
    async with Engine.from_config(config, write_log=write_log) as engine:
        host = Host(
            account=config.account,
            clock=engine.platform.clock,
            new_request_id=engine.new_request_id,
            listen=config.listeners,
            reject=engine.stats.reject,
        )
        admin = Admin(engine.stats, engine.platform.clock, is_ready=lambda: not signals.asked.is_set())
        closing = anyio.Event()
        async with anyio.create_task_group() as outer:
            listener = Endpoint(admin.handle, host, "admin", HttpLimits(max_body_bytes=0))
            admin_url = await outer.start(listener.serve, engine.sink, closing)
            if reloads and config.functions:
                outer.start_soon(_reload, config, engine, closing)
            with signals:
                sources = partial(_sources, config, engine, host, shelf, state)
                drained = await _serve_sources(config, engine, sources, signals, announce, admin_url)
            closing.set()
        return drained


async def _reload(config: Config, engine: Engine, closing: anyio.Event) -> None:
    """Renew all functions whenever Python files in one of their folders change."""
    folders = {function.code for function in config.functions}
    async for _ in watchfiles.awatch(*folders, watch_filter=watchfiles.PythonFilter(), stop_event=closing):
        engine.sink.renew()


async def _serve_sources(
    config: Config,
    engine: Engine,
    sources: Callable[[Spawn], Awaitable[dict[str, Served]]],
    signals: StopSignals,
    announce: Callable[[Announcement], None],
    admin_url: str | None,
) -> bool:
    async with anyio.create_task_group() as group:
        urls: dict[str, str | None] = {"http": None, "aws": None}
        for name, source in (await sources(group.start_soon)).items():
            urls[name] = await group.start(source.serve, engine.sink, signals.asked)
        announce(Announcement(http=urls["http"], aws=urls["aws"], admin=admin_url))
        await signals.asked.wait()
        async with asyncio.timeout(config.grace_s) as grace:
            signals.on_force(lambda: grace.reschedule(0))
            drained = await engine.drain()
        group.cancel_scope.cancel()
    return drained


async def _sources(
    config: Config, engine: Engine, host: Host, shelf: Shelf, state: State, spawn: Spawn
) -> dict[str, Served]:
    sources: dict[str, Served] = {}
    for kind, bindings in config.bindings.items():
        source: type[EventSource] = resolve("source", kind)
        sources[kind] = source.build(bindings, host)
    fronts = next((source for source in sources.values() if isinstance(source, HttpSource)), None)
    if fronts is None and "http" in config.listeners:  # function URLs may come
        fronts = sources["http"] = HttpSource([], host, Edge(host.account, config.listeners["http"].port))
    works = Works(
        Catalogue({function.name: function for function in config.functions}, host),
        shelf,
        engine.deployments,
        fronts or NoFronts(),
        offload=engine.platform.offload,
        spawn=spawn,
    )
    await works.restore(state)
    api = LambdaApi(works, host, engine.sink, spawn)
    endpoint = AwsEndpoint({"lambda": api.handle}, engine.new_request_id)
    limits = HttpLimits(max_body_bytes=BODY_LIMIT_BYTES)
    return {"aws": Endpoint(endpoint.handle, host, "aws", limits), **sources}
