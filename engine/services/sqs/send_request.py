"""A message as a client asks for it to be sent: everything about it checked but its size."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import Final, NamedTuple

from engine.services.sqs.errors import invalid_parameter, invalid_value, missing
from engine.services.sqs.limits import MAX_DELAY_S
from engine.services.sqs.message_content import Attributes, attributes_of, body_of, token_of, trace_of
from engine.services.sqs.parameters import Params, integer
from engine.services.sqs.queue_attributes import QueueAttributes

_md5: Final = partial(hashlib.md5, usedforsecurity=False)
_NOT_FOR_TYPE: Final = "The request include parameter that is not valid for this queue type."


class SendRequest(NamedTuple):
    """What may be sent.

    Attributes:
        md5: Of the body.
        size: Bytes of body and attributes: what limits are about.
        trace: `AWSTraceHeader`, as a system attribute (then `sent_trace`) or from the request's header.
        delay_s: None for the queue's own.
        group, dedup_id: `MessageGroupId`, `MessageDeduplicationId`.
    """

    body: str
    md5: str
    size: int
    attributes: Attributes | None
    trace: str | None
    sent_trace: bool
    delay_s: int | None
    group: str | None
    dedup_id: str | None


def read_send_request(params: Params, policy: QueueAttributes, trace: str | None) -> SendRequest:
    """The message of a send, or of an entry of a batch, that came with `trace`. Raises ServiceError."""
    body, raw = body_of(params)
    attributes = attributes_of(params) if "MessageAttributes" in params else None
    sent_trace = trace_of(params) if "MessageSystemAttributes" in params else None
    delay_s = integer(params, "DelaySeconds")
    if delay_s is not None and not 0 <= delay_s <= MAX_DELAY_S:
        reason = f"DelaySeconds must be >= 0 and <= {MAX_DELAY_S}."
        raise invalid_parameter("DelaySeconds", delay_s, reason)
    group, dedup_id = ids_of(params, policy)
    if policy.fifo and delay_s:
        raise invalid_parameter("DelaySeconds", delay_s, _NOT_FOR_TYPE)
    size = len(raw) if attributes is None else len(raw) + attributes.size
    return SendRequest(
        body,
        _md5(raw).hexdigest(),
        size,
        attributes,
        sent_trace or trace,
        sent_trace is not None,
        delay_s,
        group,
        dedup_id,
    )


def ids_of(params: Params, policy: QueueAttributes) -> tuple[str | None, str | None]:
    """Group and deduplication id. Raises ServiceError: one is missing, is wrong, or is not for this queue."""
    group = token_of(params, "MessageGroupId") if "MessageGroupId" in params else None
    if not policy.fifo:
        if params.get("MessageDeduplicationId") is not None:
            reason = "The request includes a parameter that is not valid for this queue type."
            raise invalid_parameter("MessageDeduplicationId", params["MessageDeduplicationId"], reason)
        return group, None
    dedup_id = token_of(params, "MessageDeduplicationId")
    if dedup_id is None and not policy.content_deduplication:
        raise invalid_value(
            "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId "
            "provided explicitly"
        )
    if group is None:
        raise missing("MessageGroupId")
    return group, dedup_id
