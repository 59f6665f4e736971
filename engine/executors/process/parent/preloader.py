"""`preload = "auto"`: what a first environment imported, a zygote of its own imports for the next ones."""

from __future__ import annotations

import json
from typing import Final, Protocol

from engine.core.failure import InitFailure
from engine.executors.process.parent.fork_server_client import ForkServerClient, TemplateClient
from engine.executors.process.parent.snapshot_template import SnapshotTemplate
from engine.executors.process.protocol import NOT_PRELOADABLE, PreloadRefusal

_ATTEMPTS: Final = 8
"""Zygotes that may be given up, each for a module that must not be imported there."""


class PreloadOwner(Protocol):
    """What a preloader needs of its executor."""

    def start_zygote(self, imports: tuple[str, ...]) -> SnapshotTemplate:
        """Have a process started that imports these, to be forked from."""

    def retire(self, template: SnapshotTemplate) -> None:
        """It is to end with the last of its environments."""

    def wait_for_zygote(self, *, waits: bool) -> None:
        """Begin no further inits, or begin them again: they would import what is just imported for all."""

    def say(self, text: str) -> None:
        """Log a line."""


class Preloader:
    """For one function. Until its zygote is up, or if there can be none, the common one is forked from."""

    def __init__(self, owner: PreloadOwner) -> None:
        self._owner = owner
        self._template: SnapshotTemplate | None = None
        self._imports: list[str] = []
        self._refusals: list[PreloadRefusal] = []
        self._learnt = False
        self._full_init_s: float | None = None

    @property
    def zygote(self) -> SnapshotTemplate | None:
        """What environments are forked from, if it is up."""
        template = self._template
        if template is None or not template.up.done():
            return None
        if template.is_over:
            self.renew()
            return None
        return template

    def learn(self, imports: list[str]) -> None:
        """What an environment has imported from outside its code folder. The first one counts."""
        if not self._learnt:
            self._learnt = True
            self._imports = imports
            self._try()

    def init_s(self, fork_server: ForkServerClient | None, init_s: float) -> float:
        """What an init counts as: the full one, measured once, if some of it was done beforehand."""
        if isinstance(fork_server, TemplateClient):
            return max(init_s, self._full_init_s or 0.0)
        if self._full_init_s is None:
            self._full_init_s = init_s
        return init_s

    def renew(self) -> None:
        """Learn again: the code changed, or the zygote died."""
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
