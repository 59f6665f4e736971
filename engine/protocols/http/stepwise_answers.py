"""Answers of which the work is done in steps, so that it does not hold the event loop for long."""

from __future__ import annotations

import asyncio
import logging

from engine.core.json_pieces import Steps
from engine.protocols.http.message import Request

_log = logging.getLogger("engine.protocols")


def answer_in_turns(request: Request, steps: Steps[None]) -> None:
    """Take the first step now, and each further one in another turn of the running loop.

    The steps answer `request` themselves. What they raise is a bug: it is logged, and the client gets 500.
    """
    try:
        next(steps)
    except StopIteration:
        return
    except Exception:  # see above  # noqa: BLE001
        _log.exception("answering %r failed", request)
        request.respond(500, b"content-type: text/plain; charset=utf-8\r\n", b"500: internal error\n")
    else:
        asyncio.get_running_loop().call_soon(answer_in_turns, request, steps)
