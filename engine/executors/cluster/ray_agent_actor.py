"""The actor that Ray keeps on each node: it starts an agent there, and starts it again when it ends.

Nothing runs in the actor's own process: that has two dozen threads of Ray's, from which nothing may be
forked. Its class is sent to the node by value, so it must not need anything of the engine while it is made:
whether the node has the engine at all, and which version, is what it finds out.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import threading
from collections.abc import Mapping
from importlib import import_module
from typing import Final, NamedTuple

_START: Final = """
import os, sys
from engine.executors.process.linux import die_with_parent
die_with_parent(int(sys.argv.pop(1)))
try:
    os.setpriority(os.PRIO_PROCESS, 0, 0)
except PermissionError:
    pass
from engine.cli import main
main(prog_name="engine")
"""
"""`engine`, killed with the actor: a handler must not go on where nobody can stop it.

Ray's workers are nice (15) to all other processes, and an agent would be too; only root may take that back,
or `RAY_worker_niceness=0` on the node.
"""

_FIRST_PAUSE_S: Final = 0.25
_LONGEST_PAUSE_S: Final = 10.0
_GRACE_S: Final = "900"
_OF_RAY: Final = frozenset({"OMP_NUM_THREADS", "SPT_NOENV"})
"""What Ray sets in its workers besides its own variables."""


class Assignment(NamedTuple):
    """What an actor is to do.

    Attributes:
        owner: Drawn by the engine that has made it; another engine's actor is none of ours.
        engine: HOST:PORT that the agent connects to.
        secret: What the agent proves to know, as text.
        node: What the node is called.
        version: Version of the engine that the node must have.
    """

    owner: str
    engine: str
    secret: str
    node: str
    version: str


class Installed(NamedTuple):
    """What an actor has found on its node; `version` is empty where the engine is not installed."""

    owner: str
    version: str
    python: str


class AgentActor:
    """Starts the agent of one node, and restarts it. The methods are all that is called over Ray."""

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self._installed = Installed(assignment.owner, _engine_version(), platform.python_version())
        self._agent: subprocess.Popen[bytes] | None = None
        self._ends = threading.Event()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        if self._installed.version == assignment.version:
            self._keeper.start()

    def ping(self) -> bool:
        """Whether the agent's process runs."""
        return self._agent is not None and self._agent.poll() is None

    def version(self) -> Installed:
        """What is installed here. If it is another version of the engine, no agent was started."""
        return self._installed

    def drain(self, within_s: float) -> None:
        """Have the agent finish what it runs, and end it; after `within_s` by force, or if asked again."""
        self._ends.set()
        agent = self._agent
        if agent is None or agent.poll() is not None:
            return
        agent.terminate()
        try:
            agent.wait(within_s)
        except subprocess.TimeoutExpired:
            agent.kill()
            agent.wait()

    def _keep(self) -> None:
        """Run agents, one after the other.

        Each is killed when the thread that has started it ends, so it is this one which waits for it.
        """
        pause_s = _FIRST_PAUSE_S
        while not self._ends.is_set():
            self._agent = self._start()
            self._agent.wait()
            self._ends.wait(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _start(self) -> subprocess.Popen[bytes]:
        """Start one. The secret comes by a pipe: everybody may read arguments, and handlers variables."""
        ours, theirs = os.pipe()
        os.write(theirs, self._assignment.secret.encode())
        os.close(theirs)
        command = [sys.executable, "-P", "-c", _START, str(os.getpid()), "agent", self._assignment.engine]
        command += ["--name", self._assignment.node, "--secret-file", f"/dev/fd/{ours}"]
        command += ["--grace-s", _GRACE_S]  # whoever drains it says for how long
        try:
            return subprocess.Popen(  # noqa: S603  # our own interpreter
                command, stdin=subprocess.DEVNULL, pass_fds=(ours,), env=cleaned(os.environ)
            )
        finally:
            os.close(ours)


def cleaned(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables that the node had before Ray added its own: handlers can read those of an agent."""
    return {
        name: value
        for name, value in variables.items()
        if not name.startswith("RAY_")
        and name not in _OF_RAY
        and not (name == "PYTHONBREAKPOINT" and value.startswith("ray."))
    }


def _engine_version() -> str:
    try:
        version: str = import_module("engine.version").VERSION
    except (ImportError, AttributeError):
        return ""
    return version
