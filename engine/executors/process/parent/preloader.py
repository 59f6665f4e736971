"""`preload = "auto"`: a zygote of the function's own imports what its first environment has imported."""

from __future__ import annotations

import json
from typing import Final, Protocol

from engine.core.error_bodies import InitFailure
from engine.core.function import Function
from engine.executors.process.parent.fork_server_client import ForkServerClient, TemplateClient
from engine.executors.process.parent.snapshot_template import SnapshotTemplate
from engine.executors.process.protocol import NOT_PRELOADABLE, PreloadRefusal

_ATTEMPTS: Final = 8
"""Zygotes that are tried: each one that fails names a module that must not be imported beforehand."""


_FORKED_S: Final = 0.0035
"""CPU seconds of an environment that imports nothing but its handler (docs/decisions/0008)."""


def preloaded_init_s(function: Function) -> float | None:
    """CPU seconds of an init of the function with `preload`; None if it is used already."""
    return None if function.preload or function.snapstart else _FORKED_S


class PreloadOwner(Protocol):
    """The executor, as far as its preloader knows it."""

    def start_zygote(self, imports: tuple[str, ...]) -> SnapshotTemplate:
        """Start a process that imports these, to be forked from."""

    def retire(self, template: SnapshotTemplate) -> None:
        """Have it end with the last of its environments."""

    def wait_for_zygote(self, *, waits: bool) -> None:
        """Hold further inits (`waits`), or let them begin: the zygote is importing for all of them."""

    def say(self, text: str) -> None:
        """Log a line."""


class Preloader:
    """The zygote of one function. Until it is up, or if it never is, the common zygote is forked from."""

    def __init__(self, owner: PreloadOwner) -> None:
        self._owner = owner
        self._template: SnapshotTemplate | None = None
        self._imports: list[str] = []
        self._refusals: list[PreloadRefusal] = []
        self._learnt = False
        self._full_init_s: float | None = None

    @property
    def zygote(self) -> SnapshotTemplate | None:
        """The function's own zygote, if it is up."""
        template = self._template
        if template is None or not template.up.done():
            return None
        if template.is_over:
            self.renew()
            return None
        return template

    def learn(self, imports: list[str]) -> None:
        """Start a zygote with what an environment imported from outside its code, at the first call."""
        if not self._learnt:
            self._learnt = True
            self._imports = imports
            self._try()

    def init_s(self, fork_server: ForkServerClient | None, init_s: float) -> float:
        """Seconds an init counts as: those of a full one, measured once, if part was done beforehand."""
        if isinstance(fork_server, TemplateClient):
            return max(init_s, self._full_init_s or 0.0)
        if self._full_init_s is None:
            self._full_init_s = init_s
        return init_s

    def renew(self) -> None:
        """Start again from nothing: the code has changed, or the zygote has died."""
        template, self._template = self._template, None
        self._refusals, self._learnt, self._full_init_s = [], False, None
        self._owner.wait_for_zygote(waits=False)
        if template is not None:
            self._owner.retire(template)

    def _try(self) -> None:
        refused = {name for refusal in self._refusals for name in refusal.came}
        wanted = tuple(name for name in self._imports if name not in refused)
        self._owner.wait_for_zygote(waits=True)
        template = self._template = self._owner.start_zygote(wanted)
        template.up.add_done_callback(lambda up: self._up(template, len(wanted), up.result()))

    def _up(self, template: SnapshotTemplate, count: int, failure: InitFailure | None) -> None:
        if template is not self._template:
            return  # outdated
        self._owner.wait_for_zygote(waits=False)
        if failure is None:
            reasons = f"; not preloaded: {self._reasons()}" if self._refusals else ""
            self._owner.say(
                f"preload: {count} modules are imported beforehand from now on; Init Duration stays that of "
                f"the full init, {(self._full_init_s or 0.0) * 1000:.0f} ms, measured once{reasons}"
            )
            return
        self._template = None
        self._owner.retire(template)
        if failure.error_type != NOT_PRELOADABLE:
            self._owner.say(f"nothing is preloaded: {failure.error_type}: {failure.error_message}")
            return
        self._refusals.append(PreloadRefusal(*json.loads(failure.error_message)))
        if len(self._refusals) < _ATTEMPTS:
            self._try()
        else:
            self._owner.say(f"nothing is preloaded: {self._reasons()}")

    def _reasons(self) -> str:
        return ", ".join(f"{refusal.module} {refusal.why}" for refusal in self._refusals)
