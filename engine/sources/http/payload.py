"""What the three payload formats have in common: their protocol, and the gateway's identity."""

from __future__ import annotations

from base64 import b32encode
from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256
from typing import Any, Protocol

from engine.core.event import MISSING
from engine.core.function import Account
from engine.core.outcome import Outcome
from engine.protocols.http.server import Request
from engine.sources.http.error_responses import ErrorResponses
from engine.sources.http.responses import Answer
from engine.sources.http.settings import FrontDoor
from engine.sources.http.timestamps import Timestamp


class GatewayIdentity:
    """Where requests come in. `port` becomes known when the listener is bound.

    `say` takes a line for whoever runs the engine.
    """

    __slots__ = ("account", "port", "say")

    def __init__(self, account: Account, port: int, say: Callable[[str], object] | None = None) -> None:
        self.account = account
        self.port = str(port)
        self.say = say


class RequestRefused(Exception):
    """A front door does not make an event of a request. Raised by `PayloadFormat.event`.

    Attributes:
        reason: One of `Reject`'s, for the metrics.
        response: What the client gets.
    """

    def __init__(self, reason: str, response: Answer) -> None:
        super().__init__(reason)
        self.reason, self.response = reason, response


class PayloadFormat(Protocol):
    """One route's way from request to event and from outcome to answer.

    Attributes:
        front_door: The AWS service it stands in for.
        max_body: Bytes of the largest request body that service takes.
        refusals: How that service answers what the function did not answer.
    """

    front_door: FrontDoor
    max_body: int
    error_responses: ErrorResponses

    def target(self, path: str, query: str, parameters: dict[str, str]) -> Any:
        """What `event` needs to know of a request target. Never changed afterwards: it is shared.

        `path`, `query` and the values of `parameters` are percent-encoded.
        """

    def event(
        self, request: Request, target: Any, request_id: str, timestamp: Timestamp, trace: str
    ) -> dict[str, Any]:
        """The event, fresh: the handler may change all of it. `request.body` is then what it was made of.

        Raises:
            RequestRefused: The front door does not pass such a request on.
        """

    def answer(self, outcome: Outcome, request: Request, result: Any = MISSING) -> Answer:
        """Status, header lines and body. Never raises: what cannot be sent is the refusal `malformed`.

        `result` is what the outcome's body holds, if it has been read.
        """


@lru_cache(maxsize=1024)  # most are an account's, the same for each route
def stable_id(kind: str, name: str, length: int) -> str:
    """An identifier like those AWS draws (lower-case letters and digits), the same on every run."""
    digest = sha256(f"{kind}:{name}".encode()).digest()
    return b32encode(digest).decode("ascii").lower()[:length]
