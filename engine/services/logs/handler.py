"""CloudWatch Logs, imported and built when something first needs it: most engines are never asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from engine.core.logged_line import UnreadLines
from engine.ports import Host
from engine.protocols.aws.router import CredentialScope
from engine.protocols.http.message import Request
from engine.services.logs.subscribers import Subscribers


class LogsHandler:
    """`handle` answers requests for the service `logs`.

    Attributes:
        subscribers: The functions that may subscribe.
    """

    def __init__(
        self,
        host: Host,
        function_log: UnreadLines,
        max_bytes: int,
        subscribers: Subscribers,
        loop: asyncio.AbstractEventLoop,
        on_read: Callable[[], object],
    ) -> None:
        """`function_log` has what functions log; `max_bytes` bounds what the service keeps of it.

        The other arguments are those of `LogsService`.
        """
        self.subscribers = subscribers
        self._host = host
        self._function_log = function_log
        self._max_bytes = max_bytes
        self._loop = loop
        self._on_read = on_read
        self._service: Any = None

    @property
    def service(self) -> Any:
        """The `LogsService`."""
        if self._service is None:
            from engine.services.logs.service import LogsService

            host = self._host
            self._service = LogsService(
                host.account,
                host.clock,
                host.new_request_id,
                self._function_log,
                self._max_bytes,
                self.subscribers,
                self._loop,
                self._on_read,
            )
        return self._service

    def handle(self, request: Request, scope: CredentialScope) -> None:
        """Answer once, now or later. Never raises for a bad request."""
        self.service.handle(request, scope)

    def close(self) -> None:
        """Deliver nothing more to subscribers."""
        if self._service is not None:
            self._service.close()
