"""What is there before all services are: the host they are built with, HTTP events, rules of listeners."""

from __future__ import annotations

from typing import Final

from engine.app.engine import Engine
from engine.config import Config
from engine.core.function import Function
from engine.ports import EventSource, Host
from engine.protocols.http.request_gate import RequestGate
from engine.registry import resolve
from engine.sources.http.payload import GatewayIdentity
from engine.sources.http.source import HttpSource

_OF_THEIR_OWN: Final = frozenset({"process", "runtime"})
"""Executors whose environments are processes of their own."""


def host_of(engine: Engine) -> Host:
    """What all sources and services of `engine`, which is open, are built with."""
    config = engine.config
    return Host(
        account=config.account,
        clock=engine.platform.clock,
        new_request_id=engine.new_request_id,
        listen=config.listeners,
        hosts=config.hosts,
        allowed_origins=config.allowed_origins,
        reject=engine.stats.reject,
        say=engine.say,
        tracer=engine.parts.tracer,
        recursion=engine.parts.recursion,
    )


def http_source(config: Config, host: Host) -> EventSource | None:
    """The source of HTTP events, also if there may only come function URLs.

    None in an engine that was told of no address, and if a source of another kind may be one of HTTP events.

    Raises:
        ConfigError: It cannot be built as configured.
    """
    if "http" not in host.listen:
        return None
    if "http" in config.bindings:
        return resolve("source", "http").build(config.bindings["http"], host)  # type: ignore[no-any-return]
    if config.bindings:
        return None
    return HttpSource([], host, GatewayIdentity(host.account, host.listen["http"][1], host.say))


def may_wait_for_clients(engine: Engine) -> bool:
    """Whether nothing needs a service before a client asks for it, and none can be kept from being imported.

    Handlers in this process can: they may take every descriptor, and their files names of modules.
    """
    config = engine.config
    resources = config.resources
    others = config.bindings.keys() - {"http"} or resources.queues or resources.topics or resources.buckets
    others = others or resources.buses or resources.rules
    senders = any(map(_has_destination, config.functions))
    return not (others or senders or config.state_dir) and _OF_THEIR_OWN.issuperset(engine.chosen.values())


def _has_destination(function: Function) -> bool:
    """Whether records of its events may go to a queue or a bucket, which client or not."""
    return bool(function.on_success or function.on_failure or function.dead_letter_queue)


def gate_of(name: str, config: Config, *, navigations: bool = False) -> RequestGate:
    """The rule for the listener of that name."""
    listener = config.listeners.get(name)
    return RequestGate(
        listener.host if listener is not None else "localhost",
        hosts=config.hosts,
        allowed_origins=config.allowed_origins,
        navigations=navigations,
    )
