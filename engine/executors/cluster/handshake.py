"""How an engine and an agent prove to each other that they know the secret, before either says anything else.

    engine: MAGIC, nonce
    agent:  size (u16), proof, incarnation, details
    engine: size (u16), 1, proof, text     or     size, 0, why not

A hello holds for one connection alone, since the nonce is the engine's; a welcome too, since the incarnation
is the agent's. Neither tells anything of the secret.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import Callable
from struct import Struct
from typing import Final, cast

from engine.errors import EngineError
from engine.executors.cluster.protocol import (
    HELLO_BYTES,
    HELLO_S,
    INCARNATION_BYTES,
    MAGIC,
    NONCE_BYTES,
    PROOF_BYTES,
    AgentDetails,
    printable,
    prove,
)

_SIZE: Final = Struct("<H")
_AGENT: Final = b"agent"
_ENGINE: Final = b"engine"

Welcome = Callable[[asyncio.Transport, AgentDetails, bytes], None]
"""Takes over a connection whose agent has proved what it is, and what came after its hello."""


class AgentRefused(EngineError):
    """An agent and an engine cannot work together; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class EngineHandshake(asyncio.Protocol):
    """The engine's side of a connection until its agent is known: for `HELLO_S` at most."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        secret: bytes,
        version: str,
        welcome: Welcome,
        over: Callable[[EngineHandshake], object],
        refused: Callable[[str], object],
    ) -> None:
        """`over` is called once, whatever came of it; `refused` with why an agent was sent away."""
        self._secret = secret
        self._version = version
        self._welcome = welcome
        self._over = over
        self._refused = refused
        self._nonce = secrets.token_bytes(NONCE_BYTES)
        self._received = b""
        self._transport: asyncio.Transport | None = None
        self._timer = loop.call_later(HELLO_S, self.drop)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Challenge the peer."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its classes
        self._transport.write(MAGIC + self._nonce)

    def data_received(self, data: bytes) -> None:
        """Judge the hello once it is complete."""
        self._received += data
        received = self._received
        if len(received) < _SIZE.size:
            return
        size = _SIZE.unpack_from(received)[0] + _SIZE.size
        if size > HELLO_BYTES or size < _SIZE.size + PROOF_BYTES + INCARNATION_BYTES:
            self.drop()
        elif len(received) >= size:
            self._judge(received[_SIZE.size : size], received[size:])

    def connection_lost(self, _error: Exception | None) -> None:
        """The peer has gone."""
        self.drop()

    def drop(self) -> None:
        """Close the connection, unless it was taken over."""
        transport, self._transport = self._transport, None
        self._timer.cancel()
        if transport is not None:
            self._over(self)
            transport.abort()

    def _judge(self, hello: bytes, rest: bytes) -> None:
        proof, hello = hello[:PROOF_BYTES], hello[PROOF_BYTES:]
        incarnation, text = hello[:INCARNATION_BYTES], hello[INCARNATION_BYTES:]
        expected = prove(self._secret, _AGENT, self._nonce, incarnation, text)
        if not hmac.compare_digest(proof, expected):
            self._refuse("it does not know the secret of this engine")
            return
        try:
            details = AgentDetails.decode(text)
        except ValueError as error:
            self._refuse(printable(str(error)))
            return
        if details.version != self._version:
            self._refuse(
                f"{details.node} has version {details.version} of the engine installed, and this engine is "
                f"{self._version}: install the same on both"
            )
            return
        transport, self._transport = self._transport, None
        self._timer.cancel()
        if transport is None:
            return
        answer = prove(self._secret, _ENGINE, incarnation, self._nonce)
        transport.write(_SIZE.pack(1 + len(answer)) + b"\x01" + answer)
        self._over(self)
        self._welcome(transport, details, rest)

    def _refuse(self, reason: str) -> None:
        """Say why, and close."""
        transport, self._transport = self._transport, None
        self._timer.cancel()
        if transport is None:
            return
        text = reason.encode("utf-8", "replace")[: HELLO_BYTES // 2]
        transport.write(_SIZE.pack(1 + len(text)) + b"\x00" + text)
        transport.close()
        self._over(self)
        self._refused(reason)


class AgentHandshake(asyncio.Protocol):
    """The agent's side: `done` gives the connection, or says why the engine is none or would not have it.

    Whoever gets it sets another protocol at once, and gives that what `rest` returns.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, secret: bytes, details: AgentDetails) -> None:
        self._secret = secret
        self._details = details.encode()
        self._incarnation = secrets.token_bytes(INCARNATION_BYTES)
        self._nonce = b""
        self._received = b""
        self._transport: asyncio.Transport | None = None
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self.done: asyncio.Future[asyncio.Transport] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the challenge. Where nothing listens this is never called, and nobody awaits `done`."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its classes
        self._timer = self._loop.call_later(HELLO_S, self._fail, "it said nothing that an engine says")

    def data_received(self, data: bytes) -> None:
        """Answer the challenge, then judge the welcome."""
        self._received += data
        if len(self._received) > HELLO_BYTES and not self._nonce:
            self._fail("it said nothing that an engine says")
        if not self._nonce:
            self._answer()
        if self._nonce:
            self._judge()

    def connection_lost(self, error: Exception | None) -> None:
        """The engine has gone, or would not have this agent."""
        self._fail(str(error) if error is not None else "it closed the connection")

    def rest(self) -> bytes:
        """What has come after the welcome."""
        return self._received

    def _answer(self) -> None:
        challenge = len(MAGIC) + NONCE_BYTES
        received = self._received
        if not received.startswith(MAGIC[: len(received)]):
            self._fail("what listens there is no engine, or one of another version")
        if len(received) < challenge or self._transport is None:
            return
        self._nonce, self._received = received[len(MAGIC) : challenge], received[challenge:]
        proof = prove(self._secret, _AGENT, self._nonce, self._incarnation, self._details)
        hello = proof + self._incarnation + self._details
        self._transport.write(_SIZE.pack(len(hello)) + hello)

    def _judge(self) -> None:
        received = self._received
        if len(received) <= _SIZE.size:
            return
        size = _SIZE.unpack_from(received)[0] + _SIZE.size
        if len(received) < size or self._transport is None:
            return
        is_welcome, text = received[_SIZE.size] == 1, received[_SIZE.size + 1 : size]
        if not is_welcome:
            self._fail(f"the engine refuses this agent: {printable(text.decode('utf-8', 'replace'))}")
        elif not hmac.compare_digest(text, prove(self._secret, _ENGINE, self._incarnation, self._nonce)):
            self._fail("what listens there does not know the secret")
        else:
            self._received = received[size:]
            self.done.set_result(self._transport)
            self._leave()

    def _leave(self) -> asyncio.Transport | None:
        transport, self._transport = self._transport, None
        if self._timer is not None:
            self._timer.cancel()
        return transport

    def _fail(self, reason: str) -> None:
        transport = self._leave()
        if transport is not None:
            transport.abort()
        if not self.done.done():
            self.done.set_exception(AgentRefused(reason))
