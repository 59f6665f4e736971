"""The states of an environment's process, and what moves it from one to the next.

Two things happen to a process independently: the fork server reports its exit status, and its socket reports
end of file. Either may come first. The last frames of a process (its result, or why its init failed) may
still be in the socket when the exit status is known, so the end of a process is reported only when both have
come, or `DRAINED` says that the socket has had time enough. What is reported then depends on how far it got:
an init that failed, an invocation that crashed, or an idle environment that died.

    WAITING ──SPAWNED──► RUNNING ──DISCONNECTED──► DISCONNECTED ──EXITED──► CLOSED, end reported
                            │ │
                            │ └─────EXITED───────► EXITED ──DISCONNECTED or DRAINED──► CLOSED, end reported
                            │
                            └──EXIT_REQUESTED────► EXITING ──EXITED──► CLOSED, nothing reported

`CLOSED` leads from every state to CLOSED, and nothing leads out of it. The table below has every pair of
state and fact that does something; any other pair is ignored.

Three facts are kept beside the state because they are independent of it: whether the init has finished
(`READY` may be read from the socket of a process that has already exited), whether the driver was told that
the environment is ready, and which invocations it was given.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final


class ProcessState(Enum):
    """How far the process of one environment has come."""

    WAITING = auto()
    """There is no process yet: the machine has no room for it, or the fork server is about to fork it."""

    RUNNING = auto()
    """The process is there, and both it and its socket are open."""

    EXITING = auto()
    """It was idle and got SIGTERM; nothing that happens to it now is reported."""

    DISCONNECTED = auto()
    """Its socket has ended. It was killed, and its exit status is on the way."""

    EXITED = auto()
    """Its exit status is known. Frames that it sent before may still be in the socket."""

    CLOSED = auto()
    """All descriptors are closed, and nothing is reported any more."""


class ProcessFact(Enum):
    """What can happen to it."""

    SPAWNED = auto()
    """The fork server has forked it."""

    SPAWN_FAILED = auto()
    """The fork server could not fork it, and it is not tried again."""

    EXIT_REQUESTED = auto()
    """It is idle, and not needed any more."""

    DISCONNECTED = auto()
    """Its end of the socket is closed."""

    EXITED = auto()
    """The fork server has reaped it."""

    DRAINED = auto()
    """Its socket has been open for a while since it exited: some descendant has inherited it."""

    CLOSED = auto()
    """The executor lets go of it."""


_State, _Fact = ProcessState, ProcessFact

TRANSITIONS: Final[Mapping[tuple[ProcessState, ProcessFact], ProcessState]] = {
    (_State.WAITING, _Fact.SPAWNED): _State.RUNNING,
    (_State.WAITING, _Fact.SPAWN_FAILED): _State.CLOSED,
    (_State.RUNNING, _Fact.EXIT_REQUESTED): _State.EXITING,
    (_State.RUNNING, _Fact.DISCONNECTED): _State.DISCONNECTED,
    (_State.RUNNING, _Fact.EXITED): _State.EXITED,
    (_State.EXITING, _Fact.DISCONNECTED): _State.EXITING,
    (_State.EXITING, _Fact.EXITED): _State.CLOSED,
    (_State.DISCONNECTED, _Fact.EXIT_REQUESTED): _State.EXITING,
    (_State.DISCONNECTED, _Fact.EXITED): _State.CLOSED,
    (_State.EXITED, _Fact.DISCONNECTED): _State.CLOSED,
    (_State.EXITED, _Fact.DRAINED): _State.CLOSED,
    **{(state, _Fact.CLOSED): _State.CLOSED for state in _State if state is not _State.CLOSED},
}
