"""The message operations of one queue, bound to it: what SendMessage, ReceiveMessage and so on do."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

from engine.services.sqs.digests import md5_of_attributes
from engine.services.sqs.errors import (
    MISSING,
    UNREADABLE,
    SqsError,
    batch_too_long,
    invalid_handle,
    invalid_parameter,
    invalid_value,
    missing,
)
from engine.services.sqs.long_polls import LongPoll
from engine.services.sqs.message import Attribute
from engine.services.sqs.message_content import check_size, token_of, too_long
from engine.services.sqs.parameters import Params, integer, required, structures, text, texts
from engine.services.sqs.queue import Queue, ReceiptStatus
from engine.services.sqs.queue_attributes import (
    MAX_MESSAGE_BYTES,
    MAX_VISIBILITY_S,
    MAX_WAIT_S,
    QueueAttributes,
)
from engine.services.sqs.receipt_handles import ReceiptHandles
from engine.services.sqs.request import Result, SqsRequest
from engine.services.sqs.send_request import SendRequest, draft_of
from engine.services.sqs.serialization import SystemAttributes, message_json

MAX_ENTRIES: Final = 10
_ENTRY_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,80}", re.ASCII)


class MessageContext(NamedTuple):
    """What the desks of all queues share.

    Attributes:
        new_id: Ids of messages.
        system: How system attributes are shown.
        polls: All receives that wait.
    """

    new_id: Callable[[], str]
    system: SystemAttributes
    polls: set[LongPoll]


class MessageOperations:
    """Operations of one queue; each takes a call and its parameters, and returns what is answered.

    None is returned by a receive that waits: it answers later.
    """

    __slots__ = ("_office", "handles", "queue")

    def __init__(self, queue: Queue, handles: ReceiptHandles, office: MessageContext) -> None:
        self.queue = queue
        self.handles = handles
        self._office = office

    # --- sending

    def send(self, call: SqsRequest, params: Params) -> Result:
        """SendMessage."""
        draft = draft_of(params, self.queue.policy, call.request)
        check_size(draft.size, self.queue.policy.max_bytes)
        result = self._accept(draft, call.now_s)
        if self.queue.waiting:
            self.queue.settle(call.now_s)
        return result

    def send_batch(self, call: SqsRequest, params: Params) -> Result:
        """SendMessageBatch: entries succeed or fail one by one; of a FIFO queue all fail with the first."""
        entries = _entries(params, "SendMessageBatchRequestEntry")
        queue, policy = self.queue, self.queue.policy
        tried = [_tried(n, entry, policy, call) for n, entry in enumerate(entries, 1)]
        total = sum(map(_size, tried, entries))
        if total > MAX_MESSAGE_BYTES:
            raise batch_too_long(MAX_MESSAGE_BYTES, total)
        tried = [_fitting(draft, policy) for draft in tried]
        if policy.fifo and (wrong := next((one for one in tried if isinstance(one, SqsError)), None)):
            raise wrong
        successful, failed = [], []
        for entry, draft in zip(entries, tried, strict=True):
            if isinstance(draft, SqsError):
                failed.append(_failure(entry["Id"], draft))
            else:
                successful.append({"Id": entry["Id"], **self._accept(draft, call.now_s)})
        if queue.waiting:
            queue.settle(call.now_s)
        return _batch(successful, failed)

    def _accept(self, draft: SendRequest, now_s: float) -> Result:
        attributes = draft.attributes
        sent = self.queue.send(
            now_s,
            self._office.new_id(),
            draft.body,
            delay_s=draft.delay_s,
            group=draft.group,
            dedup_id=draft.dedup_id,
            attributes=attributes.by_name if attributes is not None else None,
            trace=draft.trace,
        )
        result = {"MD5OfMessageBody": draft.md5, "MessageId": sent.message_id}
        if attributes is not None:
            result["MD5OfMessageAttributes"] = md5_of_attributes(attributes.by_name)
        if draft.sent_trace and draft.trace is not None:
            header = {"AWSTraceHeader": Attribute("String", draft.trace)}
            result["MD5OfMessageSystemAttributes"] = md5_of_attributes(header)
        if sent.sequence_number is not None:
            result["SequenceNumber"] = sent.sequence_number
        return result

    # --- receiving

    def receive(self, call: SqsRequest, params: Params) -> Result | None:
        """ReceiveMessage. None if it waits."""
        queue, now_s = self.queue, call.now_s
        most = _within(params, "MaxNumberOfMessages", 1, 10, "Must be between 1 and 10, if provided.")
        seconds = f"Must be >= 0 and <= {MAX_WAIT_S}, if provided."
        wait_s = _within(params, "WaitTimeSeconds", 0, MAX_WAIT_S, seconds)
        seconds = f"Must be >= 0 and <= {MAX_VISIBILITY_S}, if provided."
        timeout_s = _within(params, "VisibilityTimeout", 0, MAX_VISIBILITY_S, seconds)
        attempt_id = token_of(params, "ReceiveRequestAttemptId") if queue.policy.fifo else None
        wanted = ReceiveOptions(
            1 if most is None else most,
            timeout_s,
            attempt_id,
            texts(params, "MessageSystemAttributeNames", "AttributeNames"),
            texts(params, "MessageAttributeNames"),
        )
        if wait_s is None:
            wait_s = queue.policy.wait_s
        if not (wait_s and queue.waiting):  # who waits longer is served first
            messages = self._receive(wanted, now_s)
            if messages:
                return {"Messages": messages}
        if not wait_s:
            if not queue.policy.fifo and queue.in_flight >= queue.most_in_flight:
                reason = "Too many messages in flight: delete some that were received, or let them time out."
                raise SqsError("OverLimit", reason)
            return {}
        queue.tick(now_s)
        LongPoll(call, queue, partial(self._receive, wanted), self._office.polls).begin(wait_s)
        return None

    def _receive(self, wanted: ReceiveOptions, now_s: float) -> list[dict[str, Any]]:
        queue, encode, system = self.queue, self.handles.encode, self._office.system
        most, timeout_s, attempt_id, system_names, attribute_names = wanted
        messages = [
            message_json(message, encode(message.receipt), system, system_names, attribute_names)
            for message in queue.receive(most, now_s, timeout_s, attempt_id)
        ]
        if queue.waiting:
            queue.settle(now_s)
        return messages

    # --- what becomes of received messages

    def delete(self, call: SqsRequest, params: Params) -> Result:
        """DeleteMessage."""
        self._delete(params, call.now_s)
        if self.queue.waiting:
            self.queue.settle(call.now_s)
        return {}

    def delete_batch(self, call: SqsRequest, params: Params) -> Result:
        """DeleteMessageBatch."""
        return self._each(call, _entries(params, "DeleteMessageBatchRequestEntry"), self._delete)

    def change_visibility(self, call: SqsRequest, params: Params) -> Result:
        """ChangeMessageVisibility."""
        if params.get("VisibilityTimeout") is None:
            raise missing("VisibilityTimeout")
        self._change(params, call.now_s)
        if self.queue.waiting:
            self.queue.settle(call.now_s)
        return {}

    def change_visibility_batch(self, call: SqsRequest, params: Params) -> Result:
        """ChangeMessageVisibilityBatch."""
        return self._each(call, _entries(params, "ChangeMessageVisibilityBatchRequestEntry"), self._change)

    def _each(
        self, call: SqsRequest, entries: list[dict[str, Any]], act: Callable[[Params, float], None]
    ) -> Result:
        successful: list[Result] = []
        failed: list[Result] = []
        for entry in entries:
            entry_id = entry["Id"]
            try:
                act(entry, call.now_s)
            except SqsError as error:
                if error.shape == UNREADABLE:
                    raise
                failed.append(_failure(entry_id, error))
            else:
                successful.append({"Id": entry_id})
        if self.queue.waiting:
            self.queue.settle(call.now_s)
        return _batch(successful, failed)

    def _delete(self, params: Params, now_s: float) -> None:
        handle = required(params, "ReceiptHandle")
        receipt = self.handles.decode(handle)
        if receipt is None:
            raise invalid_handle(handle)
        if self.queue.delete(receipt, now_s) == ReceiptStatus.EXPIRED:
            raise invalid_parameter("ReceiptHandle", handle, "The receipt handle has expired.")

    def _change(self, params: Params, now_s: float) -> None:
        handle = required(params, "ReceiptHandle")
        seconds = f"VisibilityTimeout must be an integer between 0 and {MAX_VISIBILITY_S}."
        timeout_s = _within(params, "VisibilityTimeout", 0, MAX_VISIBILITY_S, seconds)
        if timeout_s is None:
            timeout_s = self.queue.policy.visibility_s
        receipt = self.handles.decode(handle)
        if receipt is None:
            raise invalid_handle(handle)
        verdict = self.queue.change_visibility(receipt, timeout_s, now_s)
        if verdict == ReceiptStatus.GONE:
            reason = "Message does not exist or is not available for visibility timeout change."
            raise invalid_parameter("ReceiptHandle", handle, reason)
        if verdict == ReceiptStatus.TOO_LONG:
            reason = (
                f"Total VisibilityTimeout for the message is beyond the limit [{MAX_VISIBILITY_S} seconds]"
            )
            raise invalid_parameter("VisibilityTimeout", timeout_s, reason)


class ReceiveOptions(NamedTuple):
    """What a receive asks for."""

    most: int
    timeout_s: int | None
    attempt_id: str | None
    system_names: list[str]
    attribute_names: list[str]


def _within(params: Params, name: str, least: int, most: int, reason: str) -> int | None:
    value = integer(params, name)
    if value is not None and not least <= value <= most:
        raise invalid_parameter(name, value, reason)
    return value


def _entries(params: Params, name: str) -> list[dict[str, Any]]:
    """The entries of a batch, their ids checked. Raises SqsError for the whole call."""
    entries = structures(params, "Entries")
    if not entries:
        raise SqsError("EmptyBatchRequest", f"There should be at least one {name} in the request.")
    if len(entries) > MAX_ENTRIES:
        reason = f"Maximum number of entries per request are {MAX_ENTRIES}. You have sent {len(entries)}."
        raise SqsError("TooManyEntriesInBatchRequest", reason)
    seen: set[str] = set()
    for number, entry in enumerate(entries, 1):
        entry_id = entry["Id"] = text(entry, "Id") or ""
        if not entry_id:
            raise missing(f"{name}.{number}.Id")
        if _ENTRY_ID.fullmatch(entry_id) is None:
            reason = (
                "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can "
                "be at most 80 letters long."
            )
            raise SqsError("InvalidBatchEntryId", reason)
        if entry_id in seen:
            raise SqsError("BatchEntryIdsNotDistinct", f"Id {entry_id} repeated.")
        seen.add(entry_id)
    return entries


def _tried(number: int, entry: Params, policy: QueueAttributes, call: SqsRequest) -> SendRequest | SqsError:
    """The message of an entry, or what is wrong with it. Raises SqsError if it could not be read at all."""
    try:
        return draft_of(entry, policy, call.request)
    except SqsError as error:
        if error.shape == UNREADABLE:
            raise
        if not entry.get("MessageBody"):
            return missing(f"SendMessageBatchRequestEntry.{number}.MessageBody")
        return invalid_value(error.message) if error.shape == MISSING else error


def _fitting(draft: SendRequest | SqsError, policy: QueueAttributes) -> SendRequest | SqsError:
    """The same, or that it is too long for this queue."""
    if isinstance(draft, SendRequest) and draft.size > policy.max_bytes:
        return too_long(policy.max_bytes, "are invalid" if policy.fifo else "cannot be validated")
    return draft


def _size(draft: SendRequest | SqsError, entry: Params) -> int:
    """What an entry counts for in its batch; one that is wrong, for its body."""
    return draft.size if isinstance(draft, SendRequest) else len((text(entry, "MessageBody") or "").encode())


def _failure(entry_id: str, error: SqsError) -> Result:
    return {"Id": entry_id, "SenderFault": True, "Code": error.code, "Message": error.message}


def _batch(successful: list[Result], failed: list[Result]) -> Result:
    result: Result = {}
    if successful:
        result["Successful"] = successful
    if failed:
        result["Failed"] = failed
    return result
