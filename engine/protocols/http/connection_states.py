"""The states of an HTTP connection: what is done with the bytes that its client sends.

Theory of operation. A connection is in exactly one state. Whether it owes an answer is kept apart, because
more may be read while a request is answered: answers can be owed in the first four states. In the first three
bytes are parsed. The first byte of a request leads from IDLE to READING_HEAD, the end of its headers to
READING_BODY, its end back to IDLE; what comes whole in one read is mostly parsed by `fast_path`, in IDLE.

After a refusal, the last request of a connection or the client's end of file nothing more is parsed:
DISCARDING lasts until all owed answers are written. Then the connection is closed, unless the client may
still be sending what was refused. A socket that is closed with unread bytes is reset, and the client would
lose the answer: so what it sends is read and dropped for a while, in LINGERING.

| from         | to           | when                                                                     |
|--------------|--------------|--------------------------------------------------------------------------|
| IDLE         | READING_HEAD | the first byte of a request is parsed                                    |
| READING_HEAD | READING_BODY | the headers are complete; there may be no body                           |
| READING_BODY | IDLE         | the request is complete                                                  |
| IDLE         | DISCARDING   | the request was the last; malformed; end of file while an answer is owed |
| READING_HEAD | DISCARDING   | refused; too slow; end of file while an answer is owed                   |
| READING_BODY | DISCARDING   | refused; too large; too slow; end of file while an answer is owed        |
| DISCARDING   | LINGERING    | all is answered, and the client may still be sending                     |
| DISCARDING   | CLOSED       | all is answered; lost; the server ends                                   |
| LINGERING    | CLOSED       | long enough; too many bytes; end of file; lost; the server ends          |
| IDLE         | CLOSED       | idle too long; draining; descriptors run short; end of file; lost        |
| READING_HEAD | CLOSED       | end of file; lost; an answer is not taken; the server ends               |
| READING_BODY | CLOSED       | end of file; lost; an answer is not taken; the server ends               |

CLOSED is final: the transport is closed or closing, and what it has buffered may still be sent. The time
limit of each state is in `Connection.check`.
"""

from __future__ import annotations

from enum import Enum
from typing import Final


class ConnectionState(Enum):
    """What is done with what the client sends. The names below are for comparisons by `is`."""

    IDLE = "idle"
    READING_HEAD = "reading head"
    READING_BODY = "reading body"
    DISCARDING = "discarding"
    LINGERING = "lingering"
    CLOSED = "closed"


IDLE: Final = ConnectionState.IDLE
READING_HEAD: Final = ConnectionState.READING_HEAD
READING_BODY: Final = ConnectionState.READING_BODY
DISCARDING: Final = ConnectionState.DISCARDING
LINGERING: Final = ConnectionState.LINGERING
CLOSED: Final = ConnectionState.CLOSED

TRANSITIONS: Final = frozenset(
    {
        (IDLE, READING_HEAD),
        (READING_HEAD, READING_BODY),
        (READING_BODY, IDLE),
        (IDLE, DISCARDING),
        (READING_HEAD, DISCARDING),
        (READING_BODY, DISCARDING),
        (DISCARDING, LINGERING),
        (DISCARDING, CLOSED),
        (LINGERING, CLOSED),
        (IDLE, CLOSED),
        (READING_HEAD, CLOSED),
        (READING_BODY, CLOSED),
    }
)
"""The rows of the table above."""
