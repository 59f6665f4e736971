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
from engine.protocols.aws.validation import not_in_set

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
    """

    kind: InvocationType
    wants_log: bool
    client_context: str | None
    trace: str | None


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

_TYPE, _LOG_TYPE, _CLIENT_CONTEXT, _TRACE, _TENANT, _DURABLE, _TRACEPARENT = range(1, 8)
_LOG_TYPES: Final = {b"None": False, b"Tail": True}
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
        *((b"traceparent",) if traceparent else ()),
    )


def read_options(
    headers: list[tuple[bytes, bytes]], names: FieldNames, allowed: Types = ALL_TYPES
) -> InvokeHeaders:
    """Read the headers in one pass; empty values count as absent, the last of equal names wins.

    Raises:
        ServiceError: For a value outside its enumeration, a bad client context, and for what this engine's
            functions never have: tenants and durable executions.
    """
    sent = [b""] * 8
    for name, value in headers:
        field = names[name]
        if field:
            sent[field] = value
    if sent[_TENANT]:
        message = "The invoked function is not enabled with tenancy configuration: remove X-Amz-Tenant-Id."
        raise ServiceError(400, "InvalidParameterValueException", message)
    if sent[_DURABLE]:
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
