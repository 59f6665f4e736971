"""CloudWatch Logs, imported and built when the first request for it comes: most engines are never asked."""

from __future__ import annotations

from collections.abc import Callable

from engine.core.logged_line import UnreadLines
from engine.ports import Host
from engine.protocols.aws.router import CredentialScope, Handler
from engine.protocols.http.message import Request


class LogsHandler:
    """`handle` answers requests for the service `logs`."""

    def __init__(
        self, host: Host, function_log: UnreadLines, max_bytes: int, on_read: Callable[[], None]
    ) -> None:
        """`function_log` has what functions log; `max_bytes` bounds what the service keeps of it.

        `on_read` is called before each request.
        """
        self._host = host
        self._on_read = on_read
        self._function_log = function_log
        self._max_bytes = max_bytes
        self._handle: Handler | None = None

    def handle(self, request: Request, scope: CredentialScope) -> None:
        """Answer once, now or later. Never raises for a bad request."""
        if self._handle is None:
            from engine.services.logs.service import LogsService

            host = self._host
            service = LogsService(
                host.account, host.clock, host.new_request_id, self._function_log, self._max_bytes
            )
            self._handle = service.handle
        self._on_read()
        self._handle(request, scope)
