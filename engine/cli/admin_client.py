"""What commands have that watch a running engine: they ask its admin listener until somebody ends them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from engine.cli.options import complain
from engine.protocols.http.client import HttpClientError, HttpConnection

ADMIN_URL: Final = "http://127.0.0.1:9464"
"""Where an engine's admin listener is unless its configuration says otherwise."""

_ANSWER_LIMIT_S: Final = 10.0


class AdminClient:
    """Asks over one connection, made again when it was lost. It is closed while its event loop still runs."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._connection: HttpConnection | None = None

    async def get(self, target: str) -> tuple[int, dict[str, Any]]:
        """The status and the JSON object that `target` answers; an empty one if it answers something else.

        Raises:
            HttpClientError: Nothing answers, or not in time, or not HTTP.
        """
        if self._connection is None or not self._connection.is_open:
            self._connection = await HttpConnection.open(self._host, self._port, _ANSWER_LIMIT_S)
        response = await self._connection.request("GET", target, timeout_s=_ANSWER_LIMIT_S)
        try:
            document: Any = json.loads(response.body)
        except ValueError:
            document = None
        return response.status, document if isinstance(document, dict) else {}

    def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@contextmanager
def ends_quietly(url: str) -> Iterator[None]:
    """Ctrl-C and a reader of stdout that went away are ordinary ends; no engine at `url` is one line."""
    try:
        yield
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left has no reader
    except HttpClientError as error:
        complain([f"{url}: {error}"])
