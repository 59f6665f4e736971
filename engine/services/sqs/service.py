"""SQS as a part of the engine: a handler of the AWS endpoint, and queues for use in the process."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Final

from engine.core.json_pieces import Steps
from engine.ports import Host
from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.json_rpc import JsonRpc, read_large_object, read_object
from engine.protocols.aws.operation import operations_of
from engine.protocols.aws.query import Query, read_form
from engine.protocols.aws.router import CredentialScope
from engine.protocols.aws.sent_trace import sent_trace
from engine.protocols.aws.service_model import service_model
from engine.protocols.http.message import Request
from engine.protocols.http.stepwise_answers import answer_in_turns
from engine.services.sqs.errors import (
    QUERY_TEXTS,
    batch_too_long,
    invalid_value,
    missing,
    no_such_queue,
    sqs_error,
)
from engine.services.sqs.limits import MAX_MESSAGE_BYTES
from engine.services.sqs.long_polls import LongPoll
from engine.services.sqs.message_operations import MessageContext, MessageOperations
from engine.services.sqs.parameters import Params, text
from engine.services.sqs.queue import Queue
from engine.services.sqs.queue_operations import QueueOperations
from engine.services.sqs.queue_timers import QueueTimers
from engine.services.sqs.queues import Queues
from engine.services.sqs.receipt_handles import ReceiptHandles
from engine.services.sqs.request import Result, SqsRequest
from engine.services.sqs.serialization import Epoch, SystemAttributes
from engine.services.sqs.settings import QueueSettings, with_targets

_MAX_AT_ONCE_BYTES: Final = MAX_MESSAGE_BYTES + 65_536
"""A request with messages of the largest size is read at once, unless much of it is escaped."""
_MAX_URLS: Final = 4_096
_LONGEST_URL: Final = 1_024
_QUEUE_PATH: Final = re.compile(rb"/[^?]*/[A-Za-z0-9_.-]{1,80}/?(?:\?|$)")
_NO_OPERATION: Final = b"<UnknownOperationException/>\n"
_JSON_NAMES: Final = {"Messages": "messages", "QueueUrls": "queueUrls"}
"""Where answers of the Query protocol in JSON have other names than its XML (recorded)."""
_SAID_OTHERWISE: Final = frozenset({"QueueUrl", "QueueName", "Attributes"})
"""Members whose absence AWS tells in other words than that of all others."""
_NOT_ON_A_QUEUE: Final = frozenset({"CreateQueue", "ListQueues"})
_MESSAGES: Final[Mapping[str, Callable[[MessageOperations, SqsRequest, Params], Result | None]]] = {
    name: found.function for name, found in operations_of([MessageOperations]).items()
}
"""Operations that must be fast: they read their parameters themselves."""


class SqsService:
    """`handle` is what `engine.protocols.aws.router.AwsRouter` calls for the service `sqs`.

    There is one set of queues, whatever region and account a caller signed for. The listener must take
    bodies of `BODY_LIMIT_BYTES`. Call `stop` before the listener is drained: it ends the long polls.

    Attributes:
        queues: All queues, for use in the process. After a step on a queue (`send`, `delete`, ...) call its
            `wake_waiters`.
        system_attributes: Formats the system attributes of messages.
    """

    BODY_LIMIT_BYTES: Final = 6 * MAX_MESSAGE_BYTES + 65_536
    """A batch of 1 MiB with every character escaped for JSON, and the rest of the request."""

    def __init__(self, host: Host) -> None:
        account = host.account
        self._timers = QueueTimers(host.clock)
        self.queues = Queues(
            account.region,
            account.account_id,
            host.new_request_id,
            set_timer=self._timers.set,
            purge_pause_s=account.purge_pause_s,
        )
        self.system_attributes = SystemAttributes(Epoch(host.clock), account.account_id)
        self._clock = host.clock
        self._account_id = account.account_id
        self._new_id = host.new_request_id
        self._polls: set[LongPoll] = set()
        self._context = MessageContext(
            host.new_request_id,
            self.system_attributes,
            self._polls,
            sent_trace(traced=host.tracer is not None),
        )
        self._queue_operations = QueueOperations(self.queues, host.clock, account.account_id, self._deleted)
        self._operations = operations_of([self._queue_operations])
        self._by_name: dict[str, MessageOperations] = {}  # by queue name
        self._by_url: dict[str, MessageOperations] = {}  # by queue URL as sent
        self._changes = 0

    # --- for the process

    def declare(self, tables: Mapping[str, QueueSettings]) -> None:
        """Create the queues of `[queues.NAME]` tables, and those they name for dead letters.

        Raises:
            ServiceError: Two tables do not fit together; `settings.queue_problems` tells before.
        """
        now_s = self._clock.now()
        all_tables = with_targets(tables)
        redrive: dict[str, str] = {}
        for name, settings in all_tables.items():
            attributes = settings.attributes(name, self.queues.arn)
            if "RedrivePolicy" in attributes:
                redrive[name] = attributes.pop("RedrivePolicy")
            self.queues.create(name, attributes, settings.tags, now_s)
        for name, policy in redrive.items():  # queues may name each other
            self.queues.configure(name, {"RedrivePolicy": policy}, now_s)

    def queue(self, name: str) -> Queue:
        """The queue of that name, or of that ARN. Raises ServiceError if there is none."""
        queue = self.queues.find_arn(name) if name.startswith("arn:") else self.queues.find(name)
        if queue is None:
            raise no_such_queue()
        return queue

    def handles(self, queue: Queue) -> ReceiptHandles:
        """Converts receipts of `queue` to the handles that clients see."""
        return self._operations_of(queue).handles

    def stop(self) -> None:
        """Answer every long poll without messages, and cancel the timers."""
        for poll in tuple(self._polls):
            poll.end()
        self._timers.stop()
        self._queue_operations.stop()

    # --- for clients

    @cached_property
    def _json(self) -> JsonRpc:
        """Made at the first request, which reads the model."""
        return JsonRpc(service_model("sqs"))

    @cached_property
    def _query(self) -> Query:
        return Query(service_model("sqs"), texts=QUERY_TEXTS, json_names=_JSON_NAMES)

    def handle(self, request: Request, _scope: CredentialScope) -> None:
        """Answer once, now or, for a receive that waits, later. Never raises for a bad request."""
        target = request.header(b"x-amz-target")
        if target is not None:
            rpc = self._json
            name = rpc.operations.get(target)
            call = SqsRequest(request, rpc, name or rpc.asked(target), self._new_id())
            self._execute(call, name, None)
        else:
            self._handle_query(request)

    def _handle_query(self, request: Request) -> None:
        request_id = self._new_id()
        try:
            form = read_form(request)
        except ServiceError as error:
            self._query.fail(request, request_id, error)
            return
        action = form.get("Action")
        if action is None and not request.too_large:
            head = f"Content-Type: text/xml\r\nx-amzn-RequestId: {request_id}\r\n"
            request.respond(404, head.encode(), _NO_OPERATION)
            return
        name = action if action in service_model("sqs").operations else None
        if name in _NOT_ON_A_QUEUE and _QUEUE_PATH.match(request.target):
            name = None
        call = SqsRequest(request, self._query, name or action or "", request_id)
        self._execute(call, name, form)

    def _execute(self, call: SqsRequest, name: str | None, form: Mapping[str, str] | None) -> None:
        """Run the operation and answer. `form` is None in the JSON protocol."""
        try:
            if call.request.too_large:
                raise _too_large(name, call.request.too_large)
            if name is None:
                raise _unknown(call)
            if form is not None:
                params = self._query.parameters(name, form)
                if name.endswith("Batch"):  # without entries: a form says it so
                    params.setdefault("Entries", [])
            elif len(call.request.body) > _MAX_AT_ONCE_BYTES:
                answer_in_turns(call.request, self._execute_large(call, name))
                return
            else:
                params = read_object(call.request)
            self._act(call, name, params)
        except ServiceError as error:
            call.fail(error)

    def _execute_large(self, call: SqsRequest, name: str) -> Steps[None]:
        try:
            self._act(call, name, (yield from read_large_object(call.request)))
        except ServiceError as error:
            call.fail(error)

    def _act(self, call: SqsRequest, name: str, params: dict[str, Any]) -> None:
        act = _MESSAGES.get(name)
        if act is not None:
            result = act(self._addressed(call, params), call, params)
        else:
            result = self._act_on_queues(call, name, params)
        if result is not None:
            call.succeed(result)

    def _act_on_queues(self, call: SqsRequest, name: str, params: dict[str, Any]) -> Result:
        operation = self._operations.get(name)
        if operation is None:
            raise _unknown(call)
        params = self._json.parameters(name, params)
        needed = service_model("sqs").input_of(name).get("required", ())
        on_queue = "QueueUrl" in needed
        queue = self._addressed(call, params).queue if on_queue else None
        for member in needed:
            if member not in params and member not in _SAID_OTHERWISE:
                raise missing(member)
        if queue is None:
            result: Result = operation.function(call, params)
        else:
            result = operation.function(call, params, self.queues.record(queue.name))
        return result

    def _addressed(self, call: SqsRequest, params: dict[str, Any]) -> MessageOperations:
        """The operations of the queue that a call is for: by `QueueUrl`, else by the request's own path."""
        url = params.get("QueueUrl")
        if self._changes != self.queues.changes:
            self._by_url.clear()
            self._changes = self.queues.changes
        if isinstance(url, str):
            operations = self._by_url.get(url)
            if operations is not None:
                return operations
        given = text(params, "QueueUrl")
        if not given:
            path = call.request.target
            if not _QUEUE_PATH.match(path):
                raise missing("QueueUrl")
            given = path.decode("latin-1").partition("?")[0]
        queue = self._find(given)
        if queue is None:
            raise no_such_queue()
        operations = self._operations_of(queue)
        if len(self._by_url) < _MAX_URLS and len(given) <= _LONGEST_URL:
            self._by_url[given] = operations
        return operations

    def _find(self, url: str) -> Queue | None:
        """Find a queue by the last two parts of a URL's path, or by its name alone; the host is ignored."""
        *before, name = url.rstrip("/").split("/")
        if before and before[-1] != self._account_id:
            return None
        return self.queues.find(name)

    def _operations_of(self, queue: Queue) -> MessageOperations:
        operations = self._by_name.get(queue.name)
        if operations is None or operations.queue is not queue:
            operations = self._by_name[queue.name] = MessageOperations(
                queue, ReceiptHandles(self._new_id()), self._context
            )
        return operations

    def _deleted(self, queue: Queue) -> None:
        """Cancel the timer and answer the long polls of a deleted queue."""
        self._timers.forget(queue)
        self._by_name.pop(queue.name, None)
        for poll in [poll for poll in self._polls if poll.is_for(queue)]:
            poll.end()


def _unknown(call: SqsRequest) -> ServiceError:
    text = f"The action {call.operation[:256]} is not valid for this endpoint."
    return sqs_error("UnknownOperationException", text)


def _too_large(name: str | None, size: int) -> ServiceError:
    if name == "SendMessage":
        reason = f"Message must be shorter than {MAX_MESSAGE_BYTES} bytes."
        return invalid_value(f"One or more parameters are invalid. Reason: {reason}")
    if name == "SendMessageBatch":
        return batch_too_long(MAX_MESSAGE_BYTES, size)
    return ServiceError(413, "RequestEntityTooLargeException", f"A request of {size} bytes is too large.")
