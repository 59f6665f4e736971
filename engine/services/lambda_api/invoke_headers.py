"""The headers of an invocation: type, log type, client context, trace id.

Source: Lambda API reference, Invoke, "URI request parameters".
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from engine.core.json_document import NotJson, loads
from engine.core.trace_context import adopted_header
from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.router import FieldNames
from engine.protocols.aws.validation import not_in_set, validation_error, violations
from engine.services.lambda_api.model import lambda_model

CLIENT_CONTEXT_LIMIT_BYTES: Final = 3583
"""Of base64 text."""


class InvocationType(StrEnum):
    """What the caller waits for."""

    EVENT = "Event"
    REQUEST_RESPONSE = "RequestResponse"
    DRY_RUN = "DryRun"


class InvokeHeaders(NamedTuple):
    """What the headers say.

    Attributes:
        kind: What the caller waits for.
        wants_log: The answer is to carry the log tail.
        client_context: JSON text of an object, or None.
        trace: The trace header as sent, or made of a `traceparent` that is read, or None.
        execution_name: What the durable execution is to be called, or None.
        is_raw: The handler of a durable function is to run as it is, without an execution.
    """

    kind: InvocationType
    wants_log: bool
    client_context: str | None
    trace: str | None
    execution_name: str | None = None
    is_raw: bool = False


PLAIN: Final = InvokeHeaders(
    InvocationType.REQUEST_RESPONSE, wants_log=False, client_context=None, trace=None
)
"""No header of interest."""

Types = Mapping[bytes, InvocationType]
"""The invocation types an operation takes, by header value."""

ALL_TYPES: Final[Types] = {kind.encode(): kind for kind in InvocationType}
STREAMING_TYPES: Final[Types] = {
    kind.encode(): kind for kind in (InvocationType.REQUEST_RESPONSE, InvocationType.DRY_RUN)
}

_TYPE, _LOG_TYPE, _CLIENT_CONTEXT, _TRACE, _TENANT, _NAME, _RAW, _TRACEPARENT = range(1, 9)
_LOG_TYPES: Final = {b"None": False, b"Tail": True}
_EXECUTION_NAME: Final = re.compile(r"[a-zA-Z0-9-_]{1,64}", re.ASCII)
_TRACE_TEXT: Final = re.compile(rb"[\x21-\x7e ]{1,1024}")


def option_names(*, traceparent: bool) -> FieldNames:
    """The headers `read_options` looks at, that of W3C among them or not; any other is 0."""
    return FieldNames(
        b"x-amz-invocation-type",
        b"x-amz-log-type",
        b"x-amz-client-context",
        b"x-amzn-trace-id",
        b"x-amz-tenant-id",
        b"x-amz-durable-execution-name",
        b"x-dex-handler-invoke",
        *((b"traceparent",) if traceparent else ()),
    )


def read_durable_options(headers: list[tuple[bytes, bytes]], names: FieldNames) -> InvokeHeaders:
    """The headers of an invocation of a durable function. Raises ServiceError, as `read_options` does."""
    found = {names[name]: value for name, value in headers}
    name = found.get(_NAME, b"").decode("latin-1")
    if name and not _EXECUTION_NAME.fullmatch(name):
        model = lambda_model()
        shape = model.shapes["DurableExecutionName"]
        raise validation_error(*violations(model, shape, name, "durableExecutionName"))
    others = [(header, value) for header, value in headers if names[header] != _NAME]
    options = read_options(others, names)
    return options._replace(execution_name=name or None, is_raw=found.get(_RAW, b"").lower() == b"true")


def read_options(
    headers: list[tuple[bytes, bytes]], names: FieldNames, allowed: Types = ALL_TYPES
) -> InvokeHeaders:
    """Read the headers in one pass; empty values count as absent, the last of equal names wins.

    Raises:
        ServiceError: For a value outside its enumeration, a bad client context, and for what the function
            never has: tenants, and a durable execution if it is not durable.
    """
    sent = [b""] * 9
    for name, value in headers:
        field = names[name]
        if field:
            sent[field] = value
    if sent[_TENANT]:
        message = "The invoked function is not enabled with tenancy configuration: remove X-Amz-Tenant-Id."
        raise ServiceError(400, "InvalidParameterValueException", message)
    if sent[_NAME]:
        message = "The invoked function is not durable: remove X-Amz-Durable-Execution-Name."
        raise ServiceError(400, "InvalidParameterValueException", message)
    kind = allowed.get(sent[_TYPE] or b"RequestResponse")
    if kind is None:
        raise not_in_set(sent[_TYPE].decode("latin-1"), "invocationType", list(allowed.values()))
    wants_log = _LOG_TYPES.get(sent[_LOG_TYPE] or b"None")
    if wants_log is None:
        raise not_in_set(sent[_LOG_TYPE].decode("latin-1"), "logType", [n.decode() for n in _LOG_TYPES])
    context, trace = sent[_CLIENT_CONTEXT], sent[_TRACE]
    if sent[_TRACEPARENT] and (adopted := adopted_header(sent[_TRACEPARENT])) is not None:
        trace = adopted.encode()
    if not context and not trace and not wants_log and kind is InvocationType.REQUEST_RESPONSE:
        return PLAIN
    return InvokeHeaders(
        kind,
        wants_log and kind is InvocationType.REQUEST_RESPONSE,
        _client_context(context) if context and kind is not InvocationType.EVENT else None,
        trace.decode("ascii") if _TRACE_TEXT.fullmatch(trace) else None,
    )


def _client_context(base64_text: bytes) -> str:
    """The JSON text. Its limit is AWS's; the words for going beyond it are ours (not on record)."""
    if len(base64_text) > CLIENT_CONTEXT_LIMIT_BYTES:
        message = f"Client context must be at most {CLIENT_CONTEXT_LIMIT_BYTES} bytes of Base64-encoded JSON."
        raise ServiceError(400, "InvalidRequestContentException", message, {"Type": None})
    try:
        padded = base64_text + b"=" * (-len(base64_text) % 4)  # AWS's decoder does not ask for padding
        decoded = binascii.a2b_base64(padded, strict_mode=True)
        if type(loads(decoded)) is dict:
            return decoded.decode("utf-8-sig")
    except (binascii.Error, NotJson):
        pass
    message = "Client context must be a valid Base64-encoded JSON object."
    raise ServiceError(400, "InvalidRequestContentException", message, {"Type": None})
