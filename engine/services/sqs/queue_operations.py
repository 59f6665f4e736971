"""SQS's control plane: queues, their attributes and tags, permissions, and message move tasks."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any, Final

import orjson

from engine.ports import Clock
from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.operation import operation
from engine.protocols.aws.own_address import own_url
from engine.protocols.aws.service_model import service_model
from engine.services.sqs.errors import (
    invalid_parameter,
    invalid_value,
    missing,
    no_such_queue,
    sqs_error,
    unknown_attribute,
)
from engine.services.sqs.move_tasks import MAX_LISTED, RUNNING, MoveTask
from engine.services.sqs.parameters import Params
from engine.services.sqs.queue import Queue
from engine.services.sqs.queue_attributes import KNOWN, MAX_STATEMENTS
from engine.services.sqs.queue_timers import free
from engine.services.sqs.queues import QueueRecord, Queues
from engine.services.sqs.request import Result, SqsRequest
from engine.services.sqs.serialization import Epoch
from engine.timer import Timer

_MAX_PAGE: Final = 1_000
_LABEL: Final = re.compile(r"[A-Za-z0-9_-]{1,80}", re.ASCII)
_NO_QUEUE_NAME: Final = "Value for parameter QueueName is invalid. Reason: Must specify a queue name."
_ACTIONS: Final = frozenset(
    {
        "*",
        "ChangeMessageVisibility",
        "DeleteMessage",
        "GetQueueAttributes",
        "GetQueueUrl",
        "ListDeadLetterSourceQueues",
        "PurgeQueue",
        "ReceiveMessage",
        "SendMessage",
    }
)
"""What a queue's owner can allow others (SQS Developer Guide, "Amazon SQS API permissions")."""
_MAX_ACTIONS: Final = 7
_MAX_TAGS: Final = 50
_LONGEST_TAG_KEY: Final = 128
_LONGEST_TAG_VALUE: Final = 256


class QueueOperations:
    """All operations except those on messages. Those on a queue are given its record as well.

    Parameters have the model's types. Those that it requires are there, but for `QueueName` and
    `Attributes`: AWS has words of its own where these are missing.
    """

    def __init__(
        self,
        queues: Queues,
        clock: Clock,
        account_id: str,
        deleted: Callable[[Queue], None],
    ) -> None:
        """`deleted` is called with each queue that was deleted."""
        self._queues = queues
        self._account_id = account_id
        self._clock = clock
        self._epoch = Epoch(clock)
        self._move_timer: Timer | None = None  # from the first move task on
        self._deleted = deleted

    def stop(self) -> None:
        """Move no more messages."""
        if self._move_timer is not None:
            self._move_timer.cancel()

    # --- queues

    @operation("CreateQueue")
    def _create(self, call: SqsRequest, params: Params) -> Result:
        name = _queue_name(params, "Queue name cannot be empty")
        tags = _checked_tags(params.get("tags", {}), name)
        queue = self._queues.create(name, params.get("Attributes", {}), tags, call.now_s)
        return {"QueueUrl": self._url(call, queue.name)}

    @operation("GetQueueUrl")
    def _url_of(self, call: SqsRequest, params: Params) -> Result:
        name = _queue_name(params)
        owner = params.get("QueueOwnerAWSAccountId")
        if owner is not None and owner != self._account_id:
            raise no_such_queue()
        return {"QueueUrl": self._url(call, self._queues.record(name).queue.name)}

    @operation("ListQueues")
    def _list(self, call: SqsRequest, params: Params) -> Result:
        names = self._queues.names(params.get("QueueNamePrefix", ""))
        urls, token = self._page(call, params, names)
        result: Result = {"QueueUrls": urls} if urls else {}
        return {**result, "NextToken": token} if token else result

    @operation("ListDeadLetterSourceQueues")
    def _sources(self, call: SqsRequest, params: Params, record: QueueRecord) -> Result:
        urls, token = self._page(call, params, self._queues.sources_of(record.queue.arn))
        return {"queueUrls": urls, "NextToken": token} if token else {"queueUrls": urls}

    def _page(self, call: SqsRequest, params: Params, names: list[str]) -> tuple[list[str], str | None]:
        """URLs of one page, and the token of the next: the last name shown."""
        max_count, after = params.get("MaxResults"), params.get("NextToken")
        if max_count is not None and not 1 <= max_count <= _MAX_PAGE:
            reason = f"MaxResults must be an integer between 1 and {_MAX_PAGE}."
            raise invalid_value(f"Value for parameter MaxResults is invalid. Reason: {reason}")
        if after is not None:
            try:
                last = bytes.fromhex(after).decode()
            except ValueError:
                raise invalid_value("Invalid or expired next token.") from None
            names = [name for name in names if name > last]
        page = names[: max_count or _MAX_PAGE]
        more = max_count is not None and len(names) > len(page)
        return [self._url(call, name) for name in page], page[-1].encode().hex() if more else None

    def _url(self, call: SqsRequest, name: str) -> str:
        """The URL of a queue, with the host that the client used."""
        return f"{own_url(call.request)}/{self._account_id}/{name}"

    @operation("DeleteQueue")
    def _delete(self, _call: SqsRequest, _params: Params, record: QueueRecord) -> Result:
        queue, purged = self._queues.delete(record.queue.name)
        self._deleted(queue)
        free(purged)
        return {}

    @operation("PurgeQueue")
    def _purge(self, call: SqsRequest, _params: Params, record: QueueRecord) -> Result:
        free(self._queues.purge(record.queue.name, call.now_s))
        return {}

    # --- attributes and tags

    @operation("GetQueueAttributes")
    def _attributes(self, call: SqsRequest, params: Params, record: QueueRecord) -> Result:
        names = params.get("AttributeNames", [])
        for name in names:
            if name != "All" and name not in KNOWN:
                raise unknown_attribute(name)
        queue = record.queue
        messages = queue.messages
        messages.tick(call.now_s)
        current = {
            **queue.policy.attributes(),
            "QueueArn": queue.arn,
            "ApproximateNumberOfMessages": str(messages.visible),
            "ApproximateNumberOfMessagesNotVisible": str(messages.in_flight),
            "ApproximateNumberOfMessagesDelayed": str(messages.delayed),
            "CreatedTimestamp": self._epoch.text_s(record.created_s),
            "LastModifiedTimestamp": self._epoch.text_s(record.modified_s),
        }
        document = current if "All" in names else {name: current[name] for name in names if name in current}
        return {"Attributes": document} if document else {}

    @operation("SetQueueAttributes")
    def _configure(self, call: SqsRequest, params: Params, record: QueueRecord) -> Result:
        if not params.get("Attributes"):
            raise missing("Attribute.Name")
        queue = record.queue
        self._queues.configure(queue.name, params["Attributes"], call.now_s)
        queue.wake_waiters(call.now_s)
        return {}

    @operation("TagQueue")
    def _tag(self, _call: SqsRequest, params: Params, record: QueueRecord) -> Result:
        if not params["Tags"]:
            raise missing("Tags")
        record.tags = _checked_tags({**record.tags, **params["Tags"]}, record.queue.name)
        return {}

    @operation("UntagQueue")
    def _untag(self, _call: SqsRequest, params: Params, record: QueueRecord) -> Result:
        if not params["TagKeys"]:
            raise invalid_value("Tag keys must be between 1 and 128 characters in length.")
        for key in params["TagKeys"]:
            record.tags.pop(key, None)
        return {}

    @operation("ListQueueTags")
    def _tags(self, _call: SqsRequest, _params: Params, record: QueueRecord) -> Result:
        return {"Tags": dict(record.tags)} if record.tags else {}

    # --- permissions: kept, never asked

    @operation("AddPermission", kept=True)
    def _add_permission(self, call: SqsRequest, params: Params, record: QueueRecord) -> Result:
        label = _label(params)
        accounts, actions = params["AWSAccountIds"], params["Actions"]
        _check_actions(actions)
        if not accounts:
            raise invalid_parameter("PrincipalId", accounts, "Unable to verify.")
        document = _policy(record)
        statements = document["Statement"]
        if any(statement.get("Sid") == label for statement in statements):
            raise invalid_parameter("Label", label, "Already exists.")
        if len(statements) >= MAX_STATEMENTS:
            raise _over_limit("Statements", len(statements) + 1, MAX_STATEMENTS)
        principals = [f"arn:aws:iam::{account}:root" for account in accounts]
        named = [f"SQS:{action}" for action in actions]
        statements.append(
            {
                "Sid": label,
                "Effect": "Allow",
                "Principal": {"AWS": principals if len(principals) > 1 else principals[0]},
                "Action": named if len(named) > 1 else named[0],
                "Resource": record.queue.arn,
            }
        )
        self._keep_policy(record, document, call.now_s)
        return {}

    @operation("RemovePermission", kept=True)
    def _remove_permission(self, call: SqsRequest, params: Params, record: QueueRecord) -> Result:
        label = _label(params)
        document = _policy(record)
        kept = [statement for statement in document["Statement"] if statement.get("Sid") != label]
        if len(kept) == len(document["Statement"]):
            where = " on existing policy" if document["Statement"] else ""
            raise invalid_parameter("Label", label, f"can't find label{where}.")
        document["Statement"] = kept
        self._keep_policy(record, document, call.now_s)
        return {}

    def _keep_policy(self, record: QueueRecord, document: Result, now_s: float) -> None:
        content = orjson.dumps(document).decode() if document["Statement"] else ""
        record.queue.configure(record.queue.policy.with_text("Policy", content), now_s)

    # --- move tasks

    @operation("StartMessageMoveTask")
    def _start_move(self, call: SqsRequest, params: Params) -> Result:
        per_s = params.get("MaxNumberOfMessagesPerSecond")
        task = self._queues.start_move(params["SourceArn"], params.get("DestinationArn"), per_s, call.now_s)
        if self._move_timer is None:
            self._move_timer = Timer(asyncio.get_running_loop(), self._clock, self._queues.move_tasks.tick)
        self._move_timer.at(task.next_s)
        return {"TaskHandle": task.handle}

    @operation("CancelMessageMoveTask")
    def _cancel_move(self, _call: SqsRequest, params: Params) -> Result:
        task = self._queues.move_tasks.cancel(params["TaskHandle"])
        return {"ApproximateNumberOfMessagesMoved": task.moved}

    @operation("ListMessageMoveTasks")
    def _list_moves(self, _call: SqsRequest, params: Params) -> Result:
        arn, max_count = params["SourceArn"], params.get("MaxResults")
        if max_count is not None and not 1 <= max_count <= MAX_LISTED:
            raise invalid_parameter(
                "MaxResults", max_count, f"Must be between 1 and {MAX_LISTED}, if provided."
            )
        self._queues.resource(arn, "SourceArn")
        tasks = self._queues.move_tasks.listed(arn)[: max_count or 1]
        return {"Results": [self._task_document(task) for task in tasks]}

    def _task_document(self, task: MoveTask) -> Result:
        document: Result = {
            "Status": task.status,
            "SourceArn": task.source.arn,
            "ApproximateNumberOfMessagesMoved": task.moved,
            "ApproximateNumberOfMessagesToMove": task.to_move,
            "StartedTimestamp": self._epoch.ms(task.started_s),
        }
        if task.destination_arn is not None:
            document["DestinationArn"] = task.destination_arn
        if task.per_s is not None:
            document["MaxNumberOfMessagesPerSecond"] = task.per_s
        if task.status == RUNNING:
            document["TaskHandle"] = task.handle
        if task.failure is not None:
            document["FailureReason"] = task.failure
        return document


def _queue_name(params: Params, empty: str = _NO_QUEUE_NAME) -> str:
    """`empty` is what is said of a name that is given, and empty."""
    name: str | None = params.get("QueueName")
    if not name:
        raise invalid_value(_NO_QUEUE_NAME if name is None else empty)
    return name


def _label(params: Params) -> str:
    label: str = params["Label"]
    if not label:
        raise missing("Label")
    if _LABEL.fullmatch(label) is None:
        reason = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
        raise invalid_parameter("Label", label, reason)
    return label


def _check_actions(actions: list[str]) -> None:
    if not actions:
        raise missing("Actions")
    if len(actions) > _MAX_ACTIONS:
        raise _over_limit("Actions", len(actions), _MAX_ACTIONS)
    for action in actions:
        if action not in _ACTIONS:
            known = action in service_model("sqs").operations and not action.endswith("Batch")
            reason = (
                "Only the queue owner is allowed to invoke this action."
                if known
                else "Please refer to the appropriate WSDL for a list of valid actions."
            )
            raise invalid_parameter("ActionName", f"SQS:{action}", reason)


def _over_limit(what: str, count: int, limit: int) -> ServiceError:
    return sqs_error("OverLimit", f"{count} {what} were found, maximum allowed is {limit}.")


def _policy(record: QueueRecord) -> dict[str, Any]:
    content = record.queue.policy.text("Policy")
    document = orjson.loads(content) if content else {}
    document.setdefault("Version", "2008-10-17")
    document.setdefault("Id", f"{record.queue.arn}/SQSDefaultPolicy")
    statements = document.get("Statement")
    if isinstance(statements, dict):  # one statement may stand without its list
        document["Statement"] = [statements]
    elif not isinstance(statements, list) or not all(isinstance(statement, dict) for statement in statements):
        document["Statement"] = []
    assert isinstance(document, dict)  # QueuePolicy takes nothing else
    return document


def _checked_tags(tags: dict[str, str], queue_name: str) -> dict[str, str]:
    if len(tags) > _MAX_TAGS:
        raise invalid_value(f"Too many tags added for queue {queue_name}.")
    for key, value in tags.items():
        if not 1 <= len(key) <= _LONGEST_TAG_KEY:
            raise invalid_parameter("TagKey", key, f"Must be 1 to {_LONGEST_TAG_KEY} characters.")
        if len(value) > _LONGEST_TAG_VALUE:
            raise invalid_parameter("TagValue", value, f"Must be at most {_LONGEST_TAG_VALUE} characters.")
    return tags
