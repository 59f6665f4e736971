"""The context object that a handler gets as its second argument; `context_template` makes it.

Source: Lambda Developer Guide, "Using the Lambda context object to retrieve Python function information".
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, Protocol

from engine.core.served_function import ServedFunction
from engine.errors import EngineError

W3C_FIELDS: Final = ("traceparent", "tracestate", "baggage")
"""What `w3c()` hands through; anything else under `w3c` of the client context is dropped."""


class ClientContextError(EngineError):
    """The caller's client context is not JSON: the invocation fails with `error_type`, unrun."""

    error_type: Final = "Runtime.LambdaContextUnmarshalError"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"Unable to parse Client Context JSON: {self.reason}"


_AWS_MODULE: Final = "awslambdaric.lambda_context"
"""The module that the classes of these objects name as theirs: handlers see what they see on Lambda."""


class _Record:
    """A few named values that print themselves as AWS's client does."""

    __slots__: tuple[str, ...] = ()

    def __init__(self, values: dict[str, Any]) -> None:
        for name in self.__slots__:
            setattr(self, name, values.get(name))

    def __repr__(self) -> str:
        members = ",".join(f"{name}={getattr(self, name)}" for name in self.__slots__)
        return f"{type(self).__name__}([{members}])"


class CognitoIdentity(_Record):
    """Who called through Amazon Cognito. Nobody does here: both members are None."""

    __module__ = _AWS_MODULE
    __slots__ = ("cognito_identity_id", "cognito_identity_pool_id")

    cognito_identity_id: str | None
    cognito_identity_pool_id: str | None


class Client(_Record):
    """The mobile application that called; each member a str, or None if it was not sent."""

    __module__ = _AWS_MODULE
    __slots__ = (  # noqa: RUF023  the order in which AWS prints them
        "installation_id",
        "app_title",
        "app_version_name",
        "app_version_code",
        "app_package_name",
    )

    installation_id: str | None
    app_title: str | None
    app_version_name: str | None
    app_version_code: str | None
    app_package_name: str | None


class ClientContext(_Record):
    """What the caller sent as client context: `client`, `custom` and `env`, each None if absent."""

    __module__ = _AWS_MODULE
    __slots__ = ("custom", "env", "client")  # noqa: RUF023  the order in which AWS prints them

    custom: dict[str, Any] | None
    env: dict[str, Any] | None
    client: Client | None

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__(values)
        client: Any = values.get("client")
        self.client = None if client is None else Client(client)


class ContextServices(Protocol):
    """What of a `ContextTemplate` a context asks."""

    @property
    def now_s(self) -> Callable[[], float]:
        """The clock of its deadline."""

    @property
    def log(self) -> Callable[[str], object]:
        """Takes what it logs."""

    def epoch_ms(self, at_s: float) -> int:
        """A moment of `now_s` in milliseconds since the Unix epoch."""


class _Members:
    """An object whose members are a plain dict, and what is kept beside that."""

    __slots__ = ("__dict__", "__weakref__", "_deadline_s", "_template")

    _deadline_s: float
    _template: ContextServices


_EARLY: Final = (
    "aws_request_id",
    "log_group_name",
    "log_stream_name",
    "function_name",
    "memory_limit_in_mb",
    "function_version",
    "invoked_function_arn",
    "tenant_id",
)
_LATE: Final = frozenset({"identity", "_w3c_fields", "_epoch_deadline_time_in_ms"})
_OURS: Final = frozenset({"_complete", "_deadline_s", "_members", "_template"})


class LambdaContext(_Members):
    """What a handler may know of its invocation. Handlers may set further attributes on it.

    `vars` of it has what that of AWS's client has, and nothing of ours.

    Attributes:
        aws_request_id: UUID text, the same for every attempt of an event.
        invoked_function_arn: The ARN exactly as the caller addressed it.
        function_name: Name of the function.
        function_version: `$LATEST`, or a number as text.
        memory_limit_in_mb: Configured memory in MB, as text.
        log_group_name: `/aws/lambda/<function>`.
        log_stream_name: `YYYY/MM/DD/[<version>]<32 hex digits>`.
        client_context: What the caller sent with the event, or None.
        tenant_id: Tenant of the caller, or None.
    """

    __module__ = _AWS_MODULE
    aws_request_id: str
    invoked_function_arn: str
    function_name: str
    function_version: str
    memory_limit_in_mb: str
    log_group_name: str
    log_stream_name: str
    client_context: ClientContext | None
    tenant_id: str | None

    identity: CognitoIdentity
    _w3c_fields: dict[str, str]
    _epoch_deadline_time_in_ms: int

    __slots__ = ()

    _members: dict[str, Any] = _Members.__dict__["__dict__"]
    """What others call `__dict__`, read and set by its descriptor itself."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the deadline, rounded down; 0 once it has passed."""
        return max(0, int((self._deadline_s - self._template.now_s()) * 1000))

    def log(self, msg: object) -> None:
        """Write `str(msg)` to the function's log. No newline is added."""
        self._template.log(str(msg))

    def w3c(self) -> dict[str, str]:
        """The W3C trace context the caller sent: a new dict of at most `W3C_FIELDS`."""
        return dict(self._w3c_fields)

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]  # what `vars` gives
        return self._complete()

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if name not in _OURS]

    def __getattr__(self, name: str) -> Any:
        if name in _LATE:
            return self._complete()[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _complete(self) -> dict[str, Any]:
        """All members, in AWS's order; those that few handlers ask for are made when one does."""
        members = self._members
        if "identity" not in members and "aws_request_id" in members:
            known = members.copy()
            members.clear()
            given: dict[str, Any] = {name: known.pop(name) for name in _EARLY if name in known}
            client_context = known.pop("client_context", None)
            members |= given
            members["_w3c_fields"] = known.pop("_w3c_fields", None) or {}
            members["client_context"] = client_context
            members["identity"] = CognitoIdentity({})
            members["_epoch_deadline_time_in_ms"] = self._template.epoch_ms(self._deadline_s)
            members |= known
        return members

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}([aws_request_id={self.aws_request_id},log_group_name={self.log_group_name},"
            f"log_stream_name={self.log_stream_name},function_name={self.function_name},"
            f"memory_limit_in_mb={self.memory_limit_in_mb},function_version={self.function_version},"
            f"invoked_function_arn={self.invoked_function_arn},client_context={self.client_context},"
            f"identity={self.identity},tenant_id={self.tenant_id}])"
        )


def log_group_of(function: ServedFunction) -> str:
    """The name of the log group that a function logs to."""
    return function.log_group or f"/aws/lambda/{function.name}"


def log_stream_name(
    date: str, hexadecimal: str, version: str = "$LATEST", custom_group_function: str | None = None
) -> str:
    """The name of one environment's log stream.

    Args:
        date: UTC day the environment started, `YYYY/MM/DD`.
        hexadecimal: 32 lower-case hex digits, unique to the environment.
        version: Version the environment runs.
        custom_group_function: The function's name if it logs to a group of the user's choice.

    Source:
        Lambda Developer Guide, "Configuring CloudWatch log groups".
    """
    if custom_group_function is None:
        return f"{date}/[{version}]{hexadecimal}"
    return f"{date}/{custom_group_function}[{version}][{hexadecimal}]"


def parse_client_context(text: str) -> tuple[ClientContext | None, dict[str, str]]:
    """The object handlers see, and the trace context, which AWS takes out of it."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ClientContextError(str(error)) from None
    if document is None:
        return None, {}
    trace = document.pop("w3c", None) if isinstance(document, dict) else None
    fields = trace if isinstance(trace, dict) else {}
    w3c = {name: fields[name] for name in W3C_FIELDS if isinstance(fields.get(name), str)}
    return ClientContext(document), w3c
