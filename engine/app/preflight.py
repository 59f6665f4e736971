"""Whether a configuration can be served on this machine, found out without changing anything.

What depends on the moment (a port that is in use, a state folder that another engine has) is found when
the configuration is served.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from engine.config import Config
from engine.packages.state_folder import StateError
from engine.packages.store import PackageStore
from engine.protocols.http.server import listening_sockets, named_listener
from engine.services.partner.service import NONE, is_installed
from engine.services.sqs.settings import QueueSettings
from engine.sources.sqs.settings import SqsEvent, visibility_warning

_STREAM_TYPES: Final = ("kinesis", "dynamodb")
_IN_FUTURE: Final = (
    "starting_position_timestamp_s is in the future, which AWS refuses: nothing is read until then"
)
_NO_PARTNER: Final[Mapping[bool, str]] = {
    False: "moto is not installed: pip install 'invocation-engine[aws]', or say where it is by endpoint_url",
    True: 'partner = "none": say where it is by endpoint_url',
}
"""By whether there is none because the configuration says so."""


def serving_problems(config: Config) -> list[str]:
    """What `engine serve` would end with, in its words; a line each."""
    found = []
    if config.state_dir is not None:
        try:
            PackageStore(Path(config.state_dir)).inspect()
        except StateError as error:
            found.append(str(error))
    for name, listener in config.listeners.items():
        try:
            with named_listener(f"engine.{name}"):
                for listening in listening_sockets(listener.host, 0):
                    listening.close()
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                found.append(str(error))
    return found


def queue_warnings(config: Config) -> list[str]:
    """What `engine serve` says of queues as it makes them, a line for each mapping."""
    found = []
    for bindings in config.bindings.values():
        for binding in bindings:
            if isinstance(binding.settings, SqsEvent):
                queue = config.resources.queues.get(binding.settings.queue_name, QueueSettings())
                visibility_s = queue.visibility_timeout_s
                warning = visibility_warning(binding.function, binding.settings, visibility_s)
                found += [f"functions.{binding.function.name}: {warning}"] if warning is not None else []
    return found


def stream_warnings(config: Config, now_s: float) -> list[str]:
    """What keeps mappings from reading until somebody does something about it, a line for each.

    `now_s` is wall time.
    """
    found = []
    has_partner = is_installed() if config.partner is None else config.partner != NONE
    for kind in _STREAM_TYPES:
        for binding in config.bindings.get(kind, ()):
            settings: Any = binding.settings
            name = settings.stream_name
            place = f"functions.{binding.function.name}: {kind} {name!r}"
            if (getattr(settings, "starting_position_timestamp_s", None) or 0.0) > now_s:
                found.append(f"{place}: {_IN_FUTURE}")
            if settings.endpoint_url is not None or not settings.enabled:
                continue
            if not has_partner:
                found.append(f"{place} cannot be read: {_NO_PARTNER[config.partner is not None]}")
            elif kind == "dynamodb" and name not in config.resources.tables:
                found.append(f"{place} is read once a client has made it: no [tables.{name}] describes it")
    return found
