"""`engine serve` from Python: a server inside a program, between the ends of an `async with`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from engine.app.engine import Engine
from engine.app.executor_choice import refuse_clashes
from engine.app.python_choice import with_pythons
from engine.app.serving import Announcement, serve_until
from engine.config import Config, load_config, served_functions
from engine.core.function import Function
from engine.core.late_dataclass import dataclass
from engine.errors import ConfigError
from engine.ports import Observer
from engine.runtime.clock import SystemClock
from engine.runtime.platform import Platform
from engine.runtime.signals import StopSignals


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A server that runs.

    Attributes:
        http: Where it takes HTTP events, as a URL; None if no function has any.
        aws: What AWS clients are given as endpoint.
        admin: Metrics and status.
        engine: The engine itself: `invoke`, `submit`, `stats`.
    """

    http: str | None
    aws: str
    admin: str
    engine: Engine


@asynccontextmanager
async def serve(
    what: Config | str | os.PathLike[str] | Iterable[Function],
    *,
    write_log: Callable[[str], object] | None = None,
    observers: Iterable[str | Observer] = (),
    **settings: Any,
) -> AsyncIterator[Served]:
    """Serve functions inside a program as `engine serve` does, between the ends of an `async with` block.

    The three listeners are open inside the block, at the addresses of `engine serve` unless `settings` name
    others; the end of the block is what a stop signal is to `engine serve`: nothing new is taken, what was
    accepted ends within the grace period. Signals are left to the program, and the console is not served.

    Args:
        what: An engine.toml or template, functions, or a `Config`. One function without events gets every
            HTTP request.
        write_log: Takes log lines; None: there is no log.
        observers: What else sees every invocation: names, or instances, which are the caller's to close.
        settings: Keys of `[engine]`: `http`, `aws`, `admin`, `concurrency_limit`, ...; none with a `Config`.

    Raises:
        ConfigError: With every problem, if it cannot be served.
        EngineError: A source or the state folder cannot be used as configured.
        OSError: A listener's address cannot be had; the message names the address.
    """
    config = _config_of(what, settings)
    loop = asyncio.get_running_loop()
    signals = StopSignals(loop, SystemClock(), config.grace_s)  # asked from here alone
    ready: asyncio.Future[Served] = loop.create_future()

    def announce(addresses: Announcement, engine: Engine) -> None:
        assert addresses.aws is not None  # a Config for serving has these two
        assert addresses.admin is not None
        ready.set_result(Served(http=addresses.http, aws=addresses.aws, admin=addresses.admin, engine=engine))

    # A task of its own: what opens the block and what ends it may be two tasks, as in fixtures.
    serving = loop.create_task(
        serve_until(signals, config, announce, write_log=write_log, observers=observers)
    )
    either: set[asyncio.Future[Any]] = {ready, serving}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    except BaseException:
        serving.cancel()
        raise
    if serving.done():
        serving.result()
    try:
        yield ready.result()
    finally:
        signals.ask()
        await serving


def _config_of(
    what: Config | str | os.PathLike[str] | Iterable[Function], settings: dict[str, Any]
) -> Config:
    if isinstance(what, Config):
        if settings:
            raise ConfigError((f"a Config has all settings: {', '.join(settings)} cannot be given",))
        if missing := {"aws", "admin"} - what.listeners.keys():
            raise ConfigError(
                (f"a Config that is served has all listeners: {', '.join(missing)} is missing",)
            )
        config = what
    elif isinstance(what, str | os.PathLike):
        config = load_config(what, settings)
    else:
        config = served_functions(what, **settings)
    config = with_pythons(config)
    refuse_clashes(config.functions, Platform())
    return config
