"""The message operations of one queue, bound to it: what SendMessage, ReceiveMessage and so on do."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.json_values import UNREADABLE
from engine.protocols.aws.operation import operation
from engine.protocols.aws.sent_trace import SentTrace
from engine.services.sqs.batch_entries import BatchEntry, batch_result, read_entries
from engine.services.sqs.digests import md5_of_attributes
from engine.services.sqs.errors import batch_too_long, invalid_handle, invalid_parameter, missing, sqs_error
from engine.services.sqs.limits import MAX_MESSAGE_BYTES, MAX_VISIBILITY_S, MAX_WAIT_S
from engine.services.sqs.long_polls import LongPoll
from engine.services.sqs.message import Attribute
from engine.services.sqs.message_content import check_size, token_of, too_long
from engine.services.sqs.parameters import Params, integer, required, texts
from engine.services.sqs.queue import DONE, Queue, ReceiptStatus
from engine.services.sqs.queue_attributes import QueueAttributes
from engine.services.sqs.receipt_handles import ReceiptHandles
from engine.services.sqs.request import Result, SqsRequest
from engine.services.sqs.send_request import SendRequest, read_send_request
from engine.services.sqs.serialization import SystemAttributes, message_json


class MessageContext(NamedTuple):
    """What the operations of all queues share.

    Attributes:
        new_id: Ids of messages.
        system: How system attributes are shown.
        polls: All receives that wait.
        sent_trace: Finds the trace context of a request.
    """

    new_id: Callable[[], str]
    system: SystemAttributes
    polls: set[LongPoll]
    sent_trace: SentTrace


class MessageOperations:
    """Operations of one queue; each takes a call and its parameters, and returns what is answered.

    None is returned by a receive that waits: it answers later.
    """

    def __init__(self, queue: Queue, handles: ReceiptHandles, context: MessageContext) -> None:
        self.queue = queue
        self.handles = handles
        self._context = context

    # --- sending

    @operation("SendMessage")
    def send(self, call: SqsRequest, params: Params) -> Result:
        send_request = read_send_request(params, self.queue.policy, self._context.sent_trace(call.request))
        check_size(send_request.size, self.queue.policy.max_bytes)
        result = self._accept(send_request, call.now_s)
        self.queue.wake_waiters(call.now_s)
        return result

    @operation("SendMessageBatch")
    def send_batch(self, call: SqsRequest, params: Params) -> Result:
        """Entries succeed or fail one by one; on a FIFO queue all fail with the first."""
        queue, policy = self.queue, self.queue.policy
        entries = read_entries(params, "SendMessageBatchRequestEntry")
        trace = self._context.sent_trace(call.request)
        requests = [entry.send_request(policy, trace) for entry in entries]
        total = sum(
            request.size if isinstance(request, SendRequest) else entry.body_bytes()
            for entry, request in zip(entries, requests, strict=True)
        )
        if total > MAX_MESSAGE_BYTES:
            raise batch_too_long(MAX_MESSAGE_BYTES, total)
        requests = [_fitting(request, policy) for request in requests]
        if policy.fifo:
            for request in requests:
                if isinstance(request, ServiceError):
                    raise request
        results = [
            request if isinstance(request, ServiceError) else self._accept(request, call.now_s)
            for request in requests
        ]
        queue.wake_waiters(call.now_s)
        return batch_result(entries, results)

    def _accept(self, send_request: SendRequest, now_s: float) -> Result:
        attributes = send_request.attributes
        sent = self.queue.send(
            now_s,
            self._context.new_id(),
            send_request.body,
            delay_s=send_request.delay_s,
            group=send_request.group,
            dedup_id=send_request.dedup_id,
            attributes=attributes.by_name if attributes is not None else None,
            trace=send_request.trace,
        )
        result = {"MD5OfMessageBody": send_request.md5, "MessageId": sent.message_id}
        if attributes is not None:
            result["MD5OfMessageAttributes"] = md5_of_attributes(attributes.by_name)
        if send_request.sent_trace and send_request.trace is not None:
            header = {"AWSTraceHeader": Attribute("String", send_request.trace)}
            result["MD5OfMessageSystemAttributes"] = md5_of_attributes(header)
        if sent.sequence_number is not None:
            result["SequenceNumber"] = sent.sequence_number
        return result

    # --- receiving

    @operation("ReceiveMessage")
    def receive(self, call: SqsRequest, params: Params) -> Result | None:
        """Returns None if it waits: a `LongPoll` answers later."""
        queue, now_s = self.queue, call.now_s
        max_count = _within(params, "MaxNumberOfMessages", 1, 10, "Must be between 1 and 10, if provided.")
        seconds = f"Must be >= 0 and <= {MAX_WAIT_S}, if provided."
        wait_s = _within(params, "WaitTimeSeconds", 0, MAX_WAIT_S, seconds)
        seconds = f"Must be >= 0 and <= {MAX_VISIBILITY_S}, if provided."
        timeout_s = _within(params, "VisibilityTimeout", 0, MAX_VISIBILITY_S, seconds)
        attempt_id = token_of(params, "ReceiveRequestAttemptId") if queue.policy.fifo else None
        receive = partial(
            self._receive,
            1 if max_count is None else max_count,
            timeout_s,
            attempt_id,
            texts(params, "MessageSystemAttributeNames", "AttributeNames"),
            texts(params, "MessageAttributeNames"),
        )
        if wait_s is None:
            wait_s = queue.policy.wait_s
        if not (wait_s and queue.waiting):  # those that wait longer are served first
            messages = receive(now_s)
            if messages:
                return {"Messages": messages}
        if not wait_s:
            if not queue.policy.fifo and queue.messages.in_flight >= queue.max_in_flight:
                reason = "Too many messages in flight: delete some that were received, or let them time out."
                raise sqs_error("OverLimit", reason)
            return {}
        queue.messages.tick(now_s)
        LongPoll(call, queue, receive, self._context.polls, wait_s)
        return None

    def _receive(
        self,
        max_count: int,
        timeout_s: int | None,
        attempt_id: str | None,
        system_names: list[str],
        attribute_names: list[str],
        now_s: float,
    ) -> list[dict[str, Any]]:
        queue, encode, system = self.queue, self.handles.encode, self._context.system
        messages = [
            message_json(message, encode(message.receipt), system, system_names, attribute_names)
            for message in queue.receive(max_count, now_s, timeout_s, attempt_id)
        ]
        queue.wake_waiters(now_s)
        return messages

    # --- what becomes of received messages

    @operation("DeleteMessage")
    def delete(self, call: SqsRequest, params: Params) -> Result:
        self._delete(params, call.now_s)
        self.queue.wake_waiters(call.now_s)
        return {}

    @operation("DeleteMessageBatch")
    def delete_batch(self, call: SqsRequest, params: Params) -> Result:
        return self._each(call, read_entries(params, "DeleteMessageBatchRequestEntry"), self._delete)

    @operation("ChangeMessageVisibility")
    def change_visibility(self, call: SqsRequest, params: Params) -> Result:
        if params.get("VisibilityTimeout") is None:
            raise missing("VisibilityTimeout")
        self._change(params, call.now_s)
        self.queue.wake_waiters(call.now_s)
        return {}

    @operation("ChangeMessageVisibilityBatch")
    def change_visibility_batch(self, call: SqsRequest, params: Params) -> Result:
        entries = read_entries(params, "ChangeMessageVisibilityBatchRequestEntry")
        return self._each(call, entries, self._change, "VisibilityTimeout")

    def _each(
        self,
        call: SqsRequest,
        entries: list[BatchEntry],
        act: Callable[[Params, float], None],
        needed: str = "",
    ) -> Result:
        """Act on each entry; `needed` is a member that every one must have."""
        results: list[Result | ServiceError] = []
        for entry in entries:
            try:
                if needed and entry.params.get(needed) is None:
                    raise missing(f"{entry.label}.{needed}")
                act(entry.params, call.now_s)
            except ServiceError as error:
                if error.code == UNREADABLE:
                    raise
                results.append(error)
            else:
                results.append({})
        self.queue.wake_waiters(call.now_s)
        return batch_result(entries, results)

    def _delete(self, params: Params, now_s: float) -> None:
        handle = required(params, "ReceiptHandle")
        receipt = self.handles.decode(handle)
        if receipt is None:
            raise invalid_handle(handle)
        queue = self.queue
        status = queue.delete(receipt, now_s)
        if status is DONE:
            return
        if status is ReceiptStatus.EXPIRED:
            raise invalid_parameter("ReceiptHandle", handle, "The receipt handle has expired.")
        if status is ReceiptStatus.GONE and not queue.policy.fifo:
            queue.delete(queue.messages.newest(receipt), now_s)

    def _change(self, params: Params, now_s: float) -> None:
        handle = required(params, "ReceiptHandle")
        seconds = f"VisibilityTimeout must be an integer between 0 and {MAX_VISIBILITY_S}."
        timeout_s = _within(params, "VisibilityTimeout", 0, MAX_VISIBILITY_S, seconds)
        assert timeout_s is not None  # the callers look
        receipt = self.handles.decode(handle)
        if receipt is None:
            raise invalid_handle(handle)
        queue = self.queue
        status = queue.change_visibility(receipt, timeout_s, now_s)
        if status is ReceiptStatus.GONE and not queue.policy.fifo:
            status = queue.change_visibility(queue.messages.newest(receipt), timeout_s, now_s)
        if status is ReceiptStatus.GONE or (status is ReceiptStatus.EXPIRED and queue.policy.fifo):
            reason = "Message does not exist or is not available for visibility timeout change."
            raise invalid_parameter("ReceiptHandle", handle, reason)
        if status == ReceiptStatus.TOO_LONG:
            reason = (
                f"Total VisibilityTimeout for the message is beyond the limit [{MAX_VISIBILITY_S} seconds]"
            )
            raise invalid_parameter("VisibilityTimeout", timeout_s, reason)


def _within(params: Params, name: str, minimum: int, max_count: int, reason: str) -> int | None:
    value = integer(params, name)
    if value is not None and not minimum <= value <= max_count:
        raise invalid_parameter(name, value, reason)
    return value


def _fitting(request: SendRequest | ServiceError, policy: QueueAttributes) -> SendRequest | ServiceError:
    """The same, or an error if the message is too long for this queue."""
    if isinstance(request, SendRequest) and request.size > policy.max_bytes:
        return too_long(policy.max_bytes, "are invalid" if policy.fifo else "cannot be validated")
    return request
