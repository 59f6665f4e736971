"""A server around an engine: opens the listeners and sources, runs until told to stop, then drains."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import anyio
import anyio.lowlevel

from engine.app.aws_client import AwsClient
from engine.app.engine import Engine
from engine.app.hosting import gate_of, host_of, http_source, may_wait_for_clients
from engine.app.http_listener import HttpListener, url_from_here, url_of
from engine.config import Config
from engine.core.late_dataclass import dataclass
from engine.core.payload_limits import MAX_EVENT_BYTES
from engine.errors import EngineError
from engine.machine.temporary import remove_leftovers
from engine.packages.state_folder import DURABLE
from engine.packages.store import PackageStore
from engine.ports import Observer
from engine.protocols.http.server import Request, listening_sockets, named_listener
from engine.runtime.clock import SystemClock
from engine.runtime.gc_tuning import paused_collector
from engine.runtime.platform import Platform
from engine.runtime.signals import StopSignals
from engine.runtime.spawner import Spawner
from engine.telemetry.admin import Admin

_SERVICE_MODULES: Final = (
    "engine.protocols.aws.rest_json",
    "engine.services.lambda_api.routes",
    "engine.services.lambda_api.control_plane",
    "engine.services.lambda_api.service",
    "engine.services.sqs.message_content",
    "engine.services.sqs.service",
    "engine.services.s3.notifier",
    "engine.services.s3.api",
    "engine.services.s3.service",
    "engine.sources.sqs.settings",
    "engine.sources.sqs.remote_source",
    "engine.sources.s3.webhooks",
    "engine.app.services",
)
"""What AWS clients talk to, in an order in which none brings much."""
_PAGE_MODULES: Final = ("prometheus_client", "engine.telemetry.exposition")
"""What the metrics page needs, where handlers in this process could keep it from being imported later."""
_IMPORTED_AGAIN_S: Final = 1.0
"""How long after an import that failed, for want of descriptors or because files are being replaced."""
AdminPages = Callable[[Engine, AwsClient], Mapping[bytes, Callable[[Request], None]]]
"""Makes further pages of the admin listener, by path: the console."""

_LAST_ANSWERS_S: Final = 1.0
"""After all invocations have ended, sources get the rest of the grace period to tell of it, or this long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """Where a running server listens, as URLs; None for a listener that nothing needs.

    `cluster` is HOST:PORT, as `engine agent` takes it.
    """

    http: str | None = None
    aws: str | None = None
    admin: str | None = None
    cluster: str | None = None


async def serve(
    config: Config,
    *,
    announce: Callable[[Announcement], None],
    write_log: Callable[[str], object],
    lines_dropped: Callable[[], Mapping[str, int]] | None = None,
    signals: StopSignals | None = None,
    reloads: bool = False,
    pages: AdminPages = lambda _engine, _client: {},
    started: Mapping[str, Any] = MappingProxyType({}),
) -> bool:
    """Run `config` until a stop signal; returns whether all that was accepted ended by itself.

    `started` is what `started_early` gave.

    Order of start: the address for AWS clients is taken, so that handlers can be told of it; functions, the
    admin listener, the sources, the listener for AWS clients. Of stop: sources take nothing new, and nothing
    is invoked any more; asynchronous events that wait for another attempt are given up; what runs ends and is
    answered, all within the grace period; then the listener for AWS clients, which handlers still needed, and
    the environments go; the admin listener is last. A second signal ends the grace period.

    Raises:
        EngineError: A source or the state folder cannot be used as configured.
        OSError: A listener's address cannot be had; its message names the address.
    """
    signals = signals or StopSignals(asyncio.get_running_loop(), SystemClock(), config.grace_s)
    with signals:
        return await serve_until(
            signals,
            config,
            lambda addresses, _engine: announce(addresses),
            write_log=write_log,
            lines_dropped=lines_dropped,
            pages=pages,
            reloads=reloads,
            started=started,
        )


@contextmanager
def plain_errors() -> Iterator[None]:
    """What cannot be had is one plain error, and not the task groups' `BaseExceptionGroup`."""
    try:
        yield
    except BaseExceptionGroup as group:
        errors = _leaves(group)
        if all(isinstance(error, OSError | EngineError) for error in errors):
            raise errors[0] from None
        raise


def _leaves(error: BaseException) -> list[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for inner in error.exceptions for leaf in _leaves(inner)]


async def serve_until(
    signals: StopSignals,
    config: Config,
    announce: Callable[[Announcement, Engine], None],
    *,
    write_log: Callable[[str], object] | None = None,
    lines_dropped: Callable[[], Mapping[str, int]] | None = None,
    observers: Iterable[str | Observer] = (),
    pages: AdminPages = lambda _engine, _client: {},
    reloads: bool = False,
    started: Mapping[str, Any] = MappingProxyType({}),
) -> bool:
    """As `serve`, until `signals` are asked to stop: no signal is caught here."""
    with plain_errors(), ExitStack() as kept:
        shelf = kept.enter_context(PackageStore(Path(config.state_dir) if config.state_dir else None))
        # First of all: an environment that initialises knows the address, and what it sends there waits.
        with named_listener("engine.aws"):
            at_aws = listening_sockets(*config.listeners["aws"])
        for listening in at_aws:
            kept.enter_context(listening)
        endpoint_url = url_from_here(at_aws[0])
        async with Engine.from_config(
            config,
            platform=Platform(imported_module_for="none", started=started),
            write_log=write_log,
            endpoint_url=endpoint_url,
            observers=observers,
        ) as engine:
            if lines_dropped is not None:
                engine.stats.watch_output(lines_dropped)
            signals.on_signal(engine.end_by)
            if signals.asked.is_set():
                return True
            closing = anyio.Event()
            async with anyio.create_task_group() as outer:
                outer.start_soon(engine.platform.offload, remove_leftovers)
                client = AwsClient(engine.platform.clock)
                with paused_collector():
                    listener = admin_listener(engine, signals, pages(engine, client))
                admin_url = await outer.start(listener.serve, closing)
                if reloads and config.functions:
                    outer.start_soon(_reload, config, engine, closing)

                def ready(urls: Mapping[str, str | None]) -> None:
                    announce(announced(engine, urls, admin_url), engine)

                drained = await serve_clients(engine, shelf, at_aws, signals, ready, client)
                closing.set()
            return drained


def announced(engine: Engine, urls: Mapping[str, str | None], admin_url: str | None) -> Announcement:
    """Where `engine` listens, which its status tells from now on."""
    at_cluster = engine.stats.listeners.get("cluster")
    found = Announcement(http=urls.get("http"), aws=urls.get("aws"), admin=admin_url, cluster=at_cluster)
    engine.stats.listeners.update((name, url) for name, url in asdict(found).items() if url is not None)
    return found


def admin_listener(
    engine: Engine,
    signals: StopSignals,
    pages: Mapping[bytes, Callable[[Request], None]] = MappingProxyType({}),
) -> HttpListener:
    """Metrics and status of `engine`, which is open, and further `pages` by path."""
    admin = Admin(
        engine.stats,
        engine.platform.clock,
        is_ready=lambda: not signals.asked.is_set(),
        gate=gate_of("admin", engine.config, navigations=True),
        shows_logs=engine.config.console_is_full,
        pages=pages,
    )
    body_bytes = MAX_EVENT_BYTES if pages and engine.config.console_is_full else 0
    address = engine.config.listeners["admin"]
    return HttpListener("admin", admin.handle, engine.platform.clock, address, body_bytes, engine.say)


async def _reload(config: Config, engine: Engine, closing: anyio.Event) -> None:
    """Renew all functions whenever their code changes, until `closing`."""
    from engine.app.reloading import Reloader

    reloader = Reloader(
        {path for function in config.functions for path in (function.code, *function.layers)},
        config.reload_patterns,
        renew=engine.renew,
        say=engine.say,
        offload=engine.platform.offload,
    )
    await reloader.run(closing)


async def _import(modules: Sequence[str]) -> None:
    """Import them, each with what it brings in a turn of the loop: others go on meanwhile."""
    for module in modules:
        with paused_collector():
            import_module(module)
        await anyio.lowlevel.checkpoint()


async def _import_while_serving(modules: Sequence[str], say: Callable[[str], object]) -> None:
    """As `_import`; what is wrong for the moment costs no more than time."""
    while True:
        try:
            return await _import(modules)
        except (OSError, ImportError) as error:
            say(f"what AWS clients talk to cannot be imported, tried again each second: {error}")
        await anyio.sleep(_IMPORTED_AGAIN_S)


async def serve_clients(
    engine: Engine,
    shelf: PackageStore,
    at_aws: Sequence[socket.socket],
    signals: StopSignals,
    ready: Callable[[Mapping[str, str | None]], None],
    client: AwsClient | None = None,
) -> bool:
    """Serve the sources and the listener for AWS clients until a stop signal, and then to their end.

    Args:
        engine: Is open.
        shelf: Where packages of code lie.
        at_aws: Where that listener listens; empty for none.
        signals: Say when to stop.
        ready: Is told where all listen.
        client: The engine's own. With one, what AWS clients talk to is imported when it or another of them
            asks first, if nothing else needs that; until then they wait at the listener's socket, a tenth
            of a second.
    """
    state, stopping, ended, drained = shelf.load(), signals.asked, anyio.Event(), False
    asking = anyio.CancelScope()
    with ExitStack() as kept, anyio.CancelScope() as life:
        async with Spawner() as spawn, anyio.create_task_group() as group:
            host = host_of(engine)
            http = http_source(engine.config, host)
            urls: dict[str, str | None] = {}
            if http is not None:
                urls["http"] = await group.start(http.serve, engine.sink, stopping)

            async def open_services() -> None:
                from engine.app.services import Services

                with paused_collector():
                    services = Services(engine, host, http, shelf, spawn)
                kept.callback(services.close)
                shelf.begin(state)
                await services.restore(state)
                await _keep_durable(engine)
                if client is not None:
                    client.connect(services.handle)
                await services.serve(group.start, at_aws, urls, stopping, ended)

            async def open_when_asked(client: AwsClient) -> None:
                with asking:
                    await client.first_of_all(at_aws)
                    await _import_while_serving(_SERVICE_MODULES, engine.say)
                    await open_services()

            if client is None or not may_wait_for_clients(engine):
                await _import((*_SERVICE_MODULES, *_PAGE_MODULES))
                await open_services()
                ready(urls)
            else:
                ready({**urls, "aws": url_of(at_aws[0])})
                group.start_soon(open_when_asked, client)
            await stopping.wait()
            drained = await _drain(engine, signals, life)
            asking.cancel()  # whoever might have asked has ended
            ended.set()
    return drained and not life.cancelled_caught


async def _keep_durable(engine: Engine) -> None:
    """With a state folder, keep durable executions there, and go on with those that are."""
    folder, platform = engine.config.state_dir, engine.platform
    if folder is not None:
        from engine.runtime.durable.journal import FileJournal

        journal = FileJournal(
            Path(folder) / DURABLE, asyncio.get_running_loop(), platform.offload, engine.say
        )
        await engine.parts.durable.keep_in(journal, platform.offload)


async def _drain(engine: Engine, signals: StopSignals, life: anyio.CancelScope) -> bool:
    """Let all end that was accepted, within the grace period, and say when `life` ends.

    Returns whether it ended by itself. A further signal ends the wait for it, and then the last answers.
    """
    now_s = engine.platform.clock.now()
    left_s = max(0.0, (signals.ends_s or now_s) - now_s)
    grace_ends_s = anyio.current_time() + left_s
    drained = False
    with anyio.CancelScope() as patience:
        signals.on_force(patience.cancel)
        drained = await engine.drain(left_s)
    signals.on_force(life.cancel)
    life.deadline = max(grace_ends_s, anyio.current_time() + _LAST_ANSWERS_S)
    if patience.cancelled_caught:
        life.cancel()
    return drained
