"""The protocol between the engine and an agent: who is there, then frames on channels.

The engine sends `MAGIC` and a nonce; the agent answers with a hello, which proves that it knows the secret
for this very nonce; the engine's welcome proves the same to the agent, which is about to run code. After
that both send frames: size, operation, channel, body.

A channel is an environment, a function or a stream, by a number that the engine (a stream's: the agent) has
given it on this connection. Frames of one channel arrive in order. Little endian; a time that crosses is a
duration, never the reading of a clock.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from struct import Struct
from typing import Any, Final, NamedTuple

MAGIC: Final = b"ENGINE-CLUSTER-1"
NONCE_BYTES: Final = 32
INCARNATION_BYTES: Final = 16
PROOF_BYTES: Final = 32
DIGEST_BYTES: Final = 32
"""Of SHA-256, as proofs are."""

BEAT_S: Final = 0.25
"""Seconds from one sign of life to the next, both ways."""

SILENCE_S: Final = 1.0
"""After so many seconds without any frame the engine takes a node for dead."""

ORPHANED_S: Final = 5.0
"""After so many seconds without any frame an agent ends its environments."""

HELLO_S: Final = 2.0
HELLO_BYTES: Final = 4096
"""What a peer gets until it has proved that it knows the secret."""

PIECE_BYTES: Final = 65_536
"""Larger bodies are cut into pieces of this size, so that others need not wait for all of one."""

MAX_BODY_BYTES: Final = 32 << 20
"""Of one frame, put together: four times what an invocation may take or give."""

JOINED_BYTES: Final = 2 * MAX_BODY_BYTES
"""Of all bodies that are under way in pieces on one connection. A further one is begun when others end."""

# ---------------------------------------------------------------- both ways
BEAT: Final = 0  # engine: its number (u32); agent: a `NodeLoad`
BYE: Final = 1  # the session ends: the engine closes; agent: nothing runs here any more
STREAM_DATA: Final = 2  # of a tunnelled connection
STREAM_END: Final = 3  # nothing more will be sent on it; with a body: it is closed both ways
STREAM_WINDOW: Final = 4  # so many bytes more may be sent (u32)

# ---------------------------------------------------------------- engine -> agent
FUNCTION: Final = 8  # channel: the function; a `FunctionMessage`
CLOSE: Final = 9  # channel: the function; end all its environments
CODE: Final = 10  # digest, then a piece of its archive
CODE_END: Final = 11  # digest: that was all; with a text after it: it cannot be had
START: Final = 12  # channel: the environment; function and flags
RUN: Final = 13  # a request frame of the process executor, with the time left for its deadline
STOP: Final = 14
REPEAT: Final = 15  # fork another process in place of one whose init has failed
TAKEN: Final = 16  # number of the invocation: of its streamed response what was sent has been passed on

# ---------------------------------------------------------------- agent -> engine
HAVE: Final = 32  # digests of the code that lies here
READY: Final = 33
INITIALISED: Final = 34
WAITS: Final = 35
GIVE_UP: Final = 36
FAILED: Final = 37
ENDED: Final = 38
DIED: Final = 39
HOLD: Final = 40  # channel: the function
RESUME: Final = 41  # the same
OUTPUT: Final = 42
LOG_STREAM: Final = 43
NOTICE: Final = 44  # an engine event
SAY: Final = 45
LEAVING: Final = 46  # give this node no more work, and take away what is there
STREAM_OPEN: Final = 47
NEED: Final = 48  # a digest whose code does not lie here
UNABLE: Final = 49  # why this environment cannot be started on this node, though it may be on another
RESPONSE: Final = 50  # number of the invocation, content type: its response is streamed
PIECE: Final = 51  # number of the invocation, a piece of its response

MORE: Final = 0x80
"""A flag of the operation: the body goes on in the next frame of this channel."""

HEAD: Final = Struct("<IBI")
"""Size of what follows it, operation, channel."""

STARTED: Final = Struct("<I?")
"""Of START and REPEAT: channel of the function, whether it is provisioned."""
INIT: Final = Struct("<dI")
"""Seconds of the init, NaN where it is part of the first invocation; KB the next one is expected to take."""
SECONDS: Final = Struct("<d")
NUMBER: Final = Struct("<I")
RESULT: Final = Struct("<IBBIB")
"""Number of the invocation, status, whether the body is no JSON, peak MB or 0, bytes of the error type."""


class NodeLoad(NamedTuple):
    """What a node has left.

    Attributes:
        available_kb: Memory that can still be taken.
        limit_kb: The tightest limit on it; 0 where the kernel does not say.
        at_work: CPUs that are at work.
        echo: Number of the engine's last sign of life.
        echoed_s: Seconds since that came.
    """

    available_kb: int
    limit_kb: int
    at_work: float
    echo: int
    echoed_s: float

    def pack(self) -> bytes:
        """As a body."""
        return _LOAD.pack(*self)

    @classmethod
    def unpack(cls, body: bytes) -> NodeLoad:
        """Read what `pack` has made."""
        return cls(*_LOAD.unpack(body))


_LOAD: Final = Struct("<QQfId")


class AgentDetails(NamedTuple):
    """What an agent says of itself and its node.

    Attributes:
        agent: Drawn when the agent started: the same comes again after a cut, and another after a restart.
        node: Name of the node.
        version: The engine's.
        python: Major, minor and micro of what handlers run in.
        cores: How many the agent may use.
        memory_mb: The tightest limit on memory; 0 where the kernel does not say.
        own_tmp: Whether environments there have a `/tmp` of their own.
    """

    agent: str
    node: str
    version: str
    python: str
    cores: int
    memory_mb: int
    own_tmp: bool

    def encode(self) -> bytes:
        """As JSON."""
        return json.dumps(self._asdict()).encode()

    @classmethod
    def decode(cls, text: bytes) -> AgentDetails:
        """Read what `encode` has made. Raises ValueError if it is something else."""
        try:
            document: Any = json.loads(text)
        except RecursionError:
            raise ValueError("it says too much of itself") from None
        if not isinstance(document, dict) or set(document) != set(cls._fields):
            raise ValueError("it says something else of itself than an agent of this version does")
        texts = [document[name] for name in ("agent", "node", "version", "python")]
        if not all(isinstance(text, str) and _NAME.fullmatch(text) for text in texts):
            raise ValueError(f"what it calls itself, {printable(str(document['node']))!r}, is no name")
        sizes = (document["cores"], _MAX_CORES), (document["memory_mb"], _MAX_MB)
        if not all(type(size) is int and 0 <= size <= most for size, most in sizes):
            raise ValueError("the size of its node is none")
        if type(document["own_tmp"]) is not bool:
            raise ValueError("it does not say whether /tmp is its environments' own")
        return cls(**document)


_NAME: Final = re.compile(r"[A-Za-z0-9._:+-]{1,253}")
"""Of a node, an agent, a version: what can stand in a line of a log and in a label."""

_MAX_CORES: Final = 1 << 16
_MAX_MB: Final = 1 << 32
_SHOWN_CHARACTERS: Final = 300


def printable(text: str) -> str:
    """`text` of somebody else as it may stand in a log: one line that is not long and moves no cursor."""
    return "".join(one if one.isprintable() else " " for one in text[:_SHOWN_CHARACTERS])


def prove(secret: bytes, role: bytes, *parts: bytes) -> bytes:
    """The proof that `role`, `agent` or `engine`, knows the secret for what is in `parts`."""
    proof = hmac.new(secret, role, hashlib.sha256)
    for part in parts:
        proof.update(len(part).to_bytes(4, "little"))
        proof.update(part)
    return proof.digest()
