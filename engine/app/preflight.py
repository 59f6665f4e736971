"""Whether a configuration can be served on this machine, found out without changing anything.

What depends on the moment (a port that is in use, a state folder that another engine has) is found when
the configuration is served.
"""

from __future__ import annotations

import errno
from pathlib import Path

from engine.config import Config
from engine.packages.state_folder import StateError
from engine.packages.store import PackageStore
from engine.protocols.http.server import listening_sockets, named_listener
from engine.services.sqs.settings import QueueSettings
from engine.sources.sqs.settings import SqsEvent, visibility_warning


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
