"""Where a handler is run that is none of the engine's: a Runtime Interface Emulator, by its address.

Source: AWS Lambda Runtime Interface Emulator, README; AWS's testing package for durable functions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from engine.core.fast_json import JSONDecodeError, dumps, loads
from engine.core.outcome import Status
from engine.protocols.http.client import AnswerTimeout, HttpClientError, HttpConnection, Response
from engine.services.lambda_api.code_packages import Spawn

Ended = Callable[[Status, bytes], None]

_TARGET: Final = "/2015-03-31/functions/function/invocations"
_HEADERS: Final = (("Content-Type", "application/json"), ("X-Dex-Handler-Invoke", "true"))
"""The second has services of durable functions run the handler as it is; emulators do nothing else."""
_CONNECT_S: Final = 10.0
_ANSWER_S: Final = 960.0
"""A minute more than an invocation may take: its end is for whoever runs it to say."""
_SHOWN_BYTES: Final = 500


class RemoteEndpoint:
    """A `RemoteHandler`. One invocation runs at a time: that is what an emulator takes."""

    def __init__(self, host: str, port: int, spawn: Spawn) -> None:
        self._host, self._port, self._spawn = host, port, spawn
        self._waiting: deque[tuple[bytes, Ended]] = deque()

    def invoke(self, event: bytes, ended: Ended) -> None:
        """Run the handler when its turn comes; `ended` is called once, later."""
        self._waiting.append((event, ended))
        if len(self._waiting) == 1:
            self._spawn(self._run)

    async def _run(self) -> None:
        while self._waiting:
            event, ended = self._waiting[0]
            status, payload = await self._ask(event)
            self._waiting.popleft()
            ended(status, payload)

    async def _ask(self, event: bytes) -> tuple[Status, bytes]:
        try:
            connection = await HttpConnection.open(self._host, self._port, _CONNECT_S)
            try:
                answer = await connection.request("POST", _TARGET, _HEADERS, event, timeout_s=_ANSWER_S)
            finally:
                connection.close()
        except AnswerTimeout as error:
            return Status.TIMEOUT, _error("Sandbox.Timedout", str(error))
        except HttpClientError as error:
            return Status.CRASH, _error("Runtime.ExitError", str(error))
        if answer.status != 200:
            text = answer.body[:_SHOWN_BYTES].decode("utf-8", "replace")
            return Status.ERROR, _error("Runtime.Unknown", f"the endpoint answered {answer.status}: {text}")
        return (Status.ERROR if _is_error(answer) else Status.SUCCESS), answer.body


def _is_error(answer: Response) -> bool:
    """Whether the handler failed. Emulators that have no header for it tell by the payload alone."""
    if answer.header(b"x-amz-function-error") is not None:
        return True
    try:
        document = loads(answer.body)
    except JSONDecodeError:
        return False  # no answer of a durable function: its execution says so
    return isinstance(document, dict) and "errorMessage" in document and "Status" not in document


def _error(kind: str, message: str) -> bytes:
    return dumps({"errorMessage": message, "errorType": kind})
