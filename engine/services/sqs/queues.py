"""All queues of one account and region, by name: creating, finding, deleting, and what ties them together."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from engine.core.late_dataclass import dataclass
from engine.services.sqs.errors import invalid_value, no_resource, no_such_queue, sqs_error
from engine.services.sqs.indexes import PurgedMessages
from engine.services.sqs.move_tasks import MAX_PER_S, MoveTask, MoveTasks
from engine.services.sqs.queue import Queue
from engine.services.sqs.queue_attributes import QueueAttributes, changed
from engine.services.sqs.settings import FIFO_SUFFIX, QUEUE_NAME

_ARN: Final = re.compile(r"arn(:[^:]*){4}:.+")
_NAME_RULE: Final = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
_FIFO_NAME_RULE: Final = (
    "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end "
    "with .fifo suffix and be 1 to 80 in length"
)


@dataclass(slots=True)
class QueueRecord:
    """A queue with its tags and times. Times are those of the queue clock, seconds."""

    queue: Queue
    tags: dict[str, str]
    created_s: float
    modified_s: float
    purged_s: float = -math.inf


class Queues:
    """The queues of an engine. Pure: every method that needs the time is given it.

    Attributes:
        move_tasks: The message move tasks.
        changes: Rises whenever a name stands for something else than before.
    """

    def __init__(
        self,
        region: str,
        account_id: str,
        new_id: Callable[[], str],
        *,
        set_timer: Callable[[Queue, float | None], None],
        purge_pause_s: float,
    ) -> None:
        """`new_id`: ids of moved messages and of tasks. `set_timer`: see `Queue`."""
        self.changes = 0
        self.move_tasks = MoveTasks(self.find_arn, new_id)
        self._arn = f"arn:aws:sqs:{region}:{account_id}:"
        self._records: dict[str, QueueRecord] = {}
        self._set_timer = set_timer
        self._purge_pause_s = purge_pause_s
        self._listeners: list[Callable[[Queue], None]] = []

    @contextmanager
    def announcing(self, listener: Callable[[Queue], None]) -> Iterator[None]:
        """Call `listener` with each queue that is created within the block."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    # --- finding

    def __iter__(self) -> Iterator[Queue]:
        return iter([record.queue for record in self._records.values()])

    def find(self, name: str) -> Queue | None:
        """The queue of that name."""
        record = self._records.get(name)
        return record.queue if record is not None else None

    def find_arn(self, arn: str) -> Queue | None:
        """The queue of that ARN."""
        return self.find(arn[len(self._arn) :]) if arn.startswith(self._arn) else None

    def record(self, name: str) -> QueueRecord:
        """The record of that name. Raises ServiceError if there is none."""
        record = self._records.get(name)
        if record is None:
            raise no_such_queue()
        return record

    def arn(self, name: str) -> str:
        """The ARN a queue of that name has."""
        return self._arn + name

    def names(self, prefix: str = "") -> list[str]:
        """Names of the queues that begin with `prefix`, sorted."""
        return sorted(name for name in self._records if name.startswith(prefix))

    def sources_of(self, arn: str) -> list[str]:
        """Names of the queues whose dead letters go to `arn`, sorted."""
        return sorted(
            name
            for name, record in self._records.items()
            if (redrive := record.queue.policy.redrive) is not None and redrive.arn == arn
        )

    # --- changing

    def create(
        self, name: str, attributes: Mapping[str, str], tags: Mapping[str, str], now_s: float
    ) -> Queue:
        """A new queue, or the one of that name if it is as asked.

        Raises:
            ServiceError: A bad name or attribute, or a queue of that name with another value of one.
        """
        fifo = _is_fifo(name, attributes)
        record = self._records.get(name)
        if record is not None:
            self._check_same(record.queue, attributes)
            return record.queue
        policy = changed(QueueAttributes(fifo=fifo), attributes)
        self._check_redrive(name, policy)
        queue = Queue(name, self.arn(name), policy, self.find_arn, set_timer=self._set_timer)
        self._records[name] = QueueRecord(queue, dict(tags), now_s, now_s)
        self.changes += 1
        for listener in self._listeners:
            listener(queue)
        return queue

    def _check_same(self, queue: Queue, attributes: Mapping[str, str]) -> None:
        current = queue.policy.attributes()
        wanted = changed(queue.policy, attributes).attributes()
        for name in attributes:
            if wanted.get(name, "") != current.get(name, ""):
                text = f"A queue already exists with the same name and a different value for attribute {name}"
                raise sqs_error("QueueNameExists", text)

    def configure(self, name: str, attributes: Mapping[str, str], now_s: float) -> None:
        """SetQueueAttributes. Raises ServiceError, and then nothing is changed."""
        record = self.record(name)
        policy = changed(record.queue.policy, attributes)
        if policy.redrive != record.queue.policy.redrive:
            self._check_redrive(name, policy)
        record.queue.configure(policy, now_s)
        record.modified_s = now_s

    def delete(self, name: str) -> tuple[Queue, PurgedMessages]:
        """Delete the queue; its messages are returned to be freed. Waiters are not called."""
        queue = self.record(name).queue
        del self._records[name]
        self.changes += 1
        self.move_tasks.forget(queue.arn)
        return queue, queue.purge()

    def purge(self, name: str, now_s: float) -> PurgedMessages:
        """Remove all messages; they are returned to be freed. Raises ServiceError."""
        record = self.record(name)
        if now_s - record.purged_s < self._purge_pause_s:
            text = f"Only one PurgeQueue operation on {name} is allowed every 60 seconds."
            raise sqs_error("PurgeQueueInProgress", text)
        record.purged_s = now_s
        return record.queue.purge()

    def start_move(
        self, source_arn: str, destination_arn: str | None, per_s: int | None, now_s: float
    ) -> MoveTask:
        """StartMessageMoveTask. Raises ServiceError."""
        source = self.resource(source_arn, "SourceArn")
        target = None if destination_arn is None else self.resource(destination_arn, "DestinationArn")
        if target is source:
            raise invalid_value("Source queue arn and destination queue arn cannot be the same.")
        if target is not None and target.policy.fifo != source.policy.fifo:
            raise invalid_value("The source queue and destination queue must be of the same queue type.")
        if not self.sources_of(source_arn):
            raise invalid_value("Source queue must be configured as a Dead Letter Queue.")
        if per_s is not None and not 1 <= per_s <= MAX_PER_S:
            reason = f"You must enter a number that's between 1 and {MAX_PER_S}."
            raise invalid_value(
                f"Value for parameter MaxNumberOfMessagesPerSecond is invalid. Reason: {reason}"
            )
        return self.move_tasks.start(source, destination_arn, per_s, now_s)

    def resource(self, arn: str, parameter: str) -> Queue:
        """The queue of the ARN that is given as `parameter`. Raises ServiceError if there is none."""
        if _ARN.fullmatch(arn) is None:
            raise invalid_value(
                f"You must use this format to specify the {parameter}: "
                "arn:<partition>:<service>:<region>:<account-id>:<resource-id>"
            )
        queue = self.find_arn(arn)
        if queue is None:
            raise no_resource(parameter)
        return queue

    def _check_redrive(self, name: str, policy: QueueAttributes) -> None:
        redrive = policy.redrive
        if redrive is None:
            return
        own = self.arn(name)
        given = policy.text("RedrivePolicy")
        wrong = f"Value {given} for parameter RedrivePolicy is invalid. Reason: "
        target = self.find_arn(redrive.arn)
        if target is None:
            raise invalid_value(wrong + "Dead letter target does not exist.")
        if target.policy.fifo != policy.fifo:
            # Two full stops, as on AWS.
            raise invalid_value(f"{wrong}Dead-letter queue must be same type of queue as the source..")
        allow = target.policy.redrive_allow
        if allow is not None and not allow.allows(own):
            raise invalid_value(
                f"{wrong}Queue {own} does not have permission to use {redrive.arn} as its dead-letter queue."
            )


def _is_fifo(name: str, attributes: Mapping[str, str]) -> bool:
    """Whether it is to be a FIFO queue. Raises ServiceError for a name that no such queue can have."""
    fifo = attributes.get("FifoQueue", "false").lower() == "true"
    if QUEUE_NAME.fullmatch(name) is None or fifo != name.endswith(FIFO_SUFFIX):
        raise invalid_value(_FIFO_NAME_RULE if fifo else _NAME_RULE)
    return fifo
