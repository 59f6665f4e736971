"""What the contexts of one environment share, from which each is made; compiled, as they cannot be.

Source: Lambda Developer Guide, "Using the Lambda context object to retrieve Python function information".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.core.context import LambdaContext, log_group_of, parse_client_context
from engine.core.served_function import ServedFunction


class ContextTemplate:
    """What all contexts of one environment share; `make` adds what is an invocation's own.

    Args:
        function: Its name and memory.
        arn: The function's unqualified ARN, for callers that addressed it so.
        log_stream_name: From `log_stream_name`.
        now_s: Monotonic seconds, on the clock that deadlines are given in.
        wall_s: Seconds since the Unix epoch.
        log: Takes the text of `context.log`, as it is.
        version: Version the environment runs, where not the function's own.
        log_group_name: Where not the function's own.
    """

    __slots__ = ("_shared", "_wall_s", "log", "now_s")

    def __init__(
        self,
        function: ServedFunction,
        arn: str,
        log_stream_name: str,
        *,
        now_s: Callable[[], float],
        wall_s: Callable[[], float],
        log: Callable[[str], object],
        version: str | None = None,
        log_group_name: str | None = None,
    ) -> None:
        self.now_s = now_s
        self._wall_s = wall_s
        self.log = log
        self._shared: dict[str, Any] = {
            "aws_request_id": "",
            "log_group_name": log_group_name or log_group_of(function),
            "log_stream_name": log_stream_name,
            "function_name": function.name,
            "memory_limit_in_mb": str(function.memory_mb),
            "function_version": version or function.version,
            "invoked_function_arn": arn,
            "tenant_id": None,
            "client_context": None,
        }

    @property
    def log_stream_name(self) -> str:
        """Of the environment."""
        name: str = self._shared["log_stream_name"]
        return name

    def rename(self, log_stream_name: str) -> None:
        """Make it that of another environment."""
        self._shared["log_stream_name"] = log_stream_name

    def epoch_ms(self, at_s: float) -> int:
        """A moment of `now_s` in milliseconds since the Unix epoch."""
        return int((self._wall_s() + at_s - self.now_s()) * 1000)

    def make(
        self,
        request_id: str,
        deadline_s: float,
        arn: str | None = None,
        client_context: str | None = None,
        tenant_id: str | None = None,
    ) -> LambdaContext:
        """The context of one invocation.

        Args:
            request_id: UUID text.
            deadline_s: On the clock of `now_s`.
            arn: Where the caller qualified the function, the ARN as it was addressed.
            client_context: JSON text the caller sent, decoded from base64.
            tenant_id: Tenant the caller named.

        Raises:
            ClientContextError: If `client_context` is not JSON.
            AttributeError: If it is JSON but neither an object nor null. AWS's client fails the
                invocation with this very error, so it is to be reported like one of the handler's.
        """
        context = LambdaContext()
        context._members = members = self._shared.copy()
        context._template = self
        context._deadline_s = deadline_s
        members["aws_request_id"] = request_id
        if arn is not None:
            members["invoked_function_arn"] = arn
        if tenant_id is not None:
            members["tenant_id"] = tenant_id
        if client_context:
            members["client_context"], members["_w3c_fields"] = parse_client_context(client_context)
        return context
