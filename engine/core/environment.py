"""What runs handlers of one function: a state machine that is a table; what the table lacks is illegal."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

from engine.errors import IllegalMove


class State(IntEnum):
    """Where an environment is in its life."""

    STARTING = 0
    IDLE = 1
    BUSY = 2
    GONE = 3


class Signal(IntEnum):
    """What can happen to an environment."""

    READY = 0  # init finished
    RESERVE = 1  # given to an event: at placement, not at first use
    SHARE = 2  # given to a further event while it runs others
    YIELD = 3  # one of several handlers ended
    RELEASE = 4  # the last running handler ended
    RETIRE = 5  # scaled in while nothing runs in it
    CRASH = 6  # process died, init failed, or deadline kill


MOVES: Final[Mapping[tuple[State, Signal], State]] = {
    (State.STARTING, Signal.READY): State.IDLE,
    (State.STARTING, Signal.RETIRE): State.GONE,
    (State.STARTING, Signal.CRASH): State.GONE,
    (State.IDLE, Signal.RESERVE): State.BUSY,
    (State.IDLE, Signal.RETIRE): State.GONE,
    (State.IDLE, Signal.CRASH): State.GONE,
    (State.BUSY, Signal.SHARE): State.BUSY,
    (State.BUSY, Signal.YIELD): State.BUSY,
    (State.BUSY, Signal.RELEASE): State.IDLE,
    (State.BUSY, Signal.CRASH): State.GONE,
}

_TARGETS: Final = tuple(tuple(MOVES.get((state, signal)) for signal in Signal) for state in State)
"""`MOVES` as nested tuples: indexing costs a third of hashing a pair, and every invocation moves twice."""


class Environment:
    """One environment, as the kernel sees it.

    Attributes:
        id: Number, unique within the fleet, never reused.
        state: See `State`.
        since_s: When it took that state.
        generation: Which version of the code it was started for.
        provisioned: Started ahead, and not subject to idle expiry.
        in_flight: Handlers running in it.
        served: Handlers that ended in it.
        node: Which node of the cluster it is on; "" for the engine's own machine.
    """

    __slots__ = ("generation", "id", "in_flight", "node", "provisioned", "served", "since_s", "state")

    def __init__(self, env_id: int, since_s: float, generation: int, *, provisioned: bool) -> None:
        self.id = env_id
        self.state = State.STARTING
        self.since_s = since_s
        self.generation = generation
        self.provisioned = provisioned
        self.in_flight = 0
        self.served = 0
        self.node = ""

    def send(self, signal: Signal, now_s: float) -> None:
        """Move on. Raises `IllegalMove` if its state does not know the signal."""
        target = _TARGETS[self.state][signal]
        if target is None:
            raise IllegalMove(str(self), signal.name)
        self.state = target
        self.since_s = now_s

    def __str__(self) -> str:
        kind = "provisioned " if self.provisioned else ""
        return (
            f"{kind}environment {self.id} {self.state.name} ({self.in_flight} running, {self.served} served)"
        )
