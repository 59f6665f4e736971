"""Message move tasks: messages of a dead-letter queue go back, or elsewhere, at a given rate.

Source: SQS API reference, "StartMessageMoveTask", "ListMessageMoveTasks"; SQS Developer Guide, "dead-letter
queue redrive"; recorded answers.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Final

import orjson

from engine.protocols.aws.errors import ServiceError
from engine.services.sqs.errors import invalid_value, no_resource, not_found
from engine.services.sqs.queue import Queue

MAX_PER_S: Final = 500
MAX_LISTED: Final = 10
_SLICE: Final = 500
"""Messages moved in one step where no rate is set, so that a million of them do not hold everything up."""
_STEP_S: Final = 0.001

RUNNING: Final = "RUNNING"
COMPLETED: Final = "COMPLETED"
CANCELLED: Final = "CANCELLED"
FAILED: Final = "FAILED"
_NO_QUEUE: Final = "AWS.SimpleQueueService.NonExistentQueue"
_NO_SOURCE: Final = "CouldNotDetermineMessageSource"


class MoveTask:
    """One task. It moves as many messages as were visible when it began, or fewer if others took them.

    Attributes:
        source: Where from.
        destination_arn: Where to; None sends each message back to the queue it came from.
        per_s: Messages per second at most; None for no limit.
        next_s: When the next step is due.
    """

    def __init__(
        self,
        source: Queue,
        destination_arn: str | None,
        per_s: int | None,
        now_s: float,
        *,
        find: Callable[[str], Queue | None],
        new_id: Callable[[], str],
    ) -> None:
        """`find`: a queue by its ARN. `new_id`: ids of the task and of moved messages."""
        self.id = new_id()
        self._find, self._new_id = find, new_id
        self.source = source
        self.destination_arn = destination_arn
        self.per_s = per_s
        self.started_s = self.next_s = self._credited_s = now_s
        self._credit = 1.0
        self.status: str = RUNNING
        self.failure: str | None = None
        self.moved = 0
        self.to_move = source.messages.visible

    @property
    def handle(self) -> str:
        """`TaskHandle`."""
        return base64.b64encode(orjson.dumps({"taskId": self.id, "sourceArn": self.source.arn})).decode()

    def step(self, now_s: float) -> None:
        """Move as many messages as the rate allows by now."""
        touched: dict[str, Queue] = {}
        for _ in range(self._allowance(now_s)):
            if not self._move_one(now_s, touched):
                break
        for queue in touched.values():
            queue.wake_waiters(now_s)

    def _allowance(self, now_s: float) -> int:
        left = self.to_move - self.moved
        if self.per_s is None:
            self.next_s = now_s + _STEP_S
            return min(_SLICE, left) or 1  # one more call of `_move_one`, which ends the task
        self._credit = min(self._credit + (now_s - self._credited_s) * self.per_s, float(self.per_s))
        self._credited_s = now_s
        whole = int(self._credit)
        self._credit -= whole
        self.next_s = now_s + (1 - self._credit) / self.per_s
        return min(whole, left) if left else 1

    def _move_one(self, now_s: float, touched: dict[str, Queue]) -> bool:
        if self.destination_arn is not None and self._find(self.destination_arn) is None:
            return self._end(FAILED, _NO_QUEUE)
        taken = self.source.take_visible(1, now_s) if self.moved < self.to_move else []
        if not taken:
            return self._end(COMPLETED)
        [message] = taken
        arn = self.destination_arn or (message.origin.arn if message.origin is not None else None)
        target = self._find(arn) if arn is not None else None
        if target is None:
            self.source.restore(message, now_s)
            return self._end(FAILED, _NO_QUEUE if arn is not None else _NO_SOURCE)
        target.messages.tick(now_s)
        target.accept_moved(now_s, message, message_id=self._new_id())
        touched[target.arn] = target
        self.moved += 1
        return True if self.moved < self.to_move else self._end(COMPLETED)

    def _end(self, status: str, failure: str | None = None) -> bool:
        self.status, self.failure = status, failure
        return False


class MoveTasks:
    """All tasks of an account, running and past."""

    def __init__(self, find: Callable[[str], Queue | None], new_id: Callable[[], str]) -> None:
        """`find`: a queue by its ARN. `new_id`: ids of tasks and of moved messages."""
        self._find, self._new_id = find, new_id
        self._tasks: dict[str, list[MoveTask]] = {}  # ARN of the source, newest last

    def start(self, source: Queue, destination_arn: str | None, per_s: int | None, now_s: float) -> MoveTask:
        """Start a task. Raises ServiceError if one runs for the source."""
        tasks = self._tasks.setdefault(source.arn, [])
        if tasks and tasks[-1].status == RUNNING:
            raise invalid_value(
                "There is already a task running. Only one active task is allowed for a source queue arn at "
                "a given time."
            )
        source.messages.tick(now_s)
        task = MoveTask(source, destination_arn, per_s, now_s, find=self._find, new_id=self._new_id)
        tasks.append(task)
        del tasks[:-MAX_LISTED]
        return task

    def cancel(self, handle: str) -> MoveTask:
        """End the running task of `handle`. Raises ServiceError."""
        task_id, arn = _read_handle(handle)
        if self._find(arn) is None:
            raise no_resource("SourceArn")
        for task in self._tasks.get(arn, ()):
            if task.id == task_id and task.status == RUNNING:
                task.status = CANCELLED
                return task
        raise not_found("Task does not exist.")

    def listed(self, source_arn: str) -> list[MoveTask]:
        """The tasks of a source, the newest first."""
        return self._tasks.get(source_arn, [])[::-1]

    def forget(self, source_arn: str) -> None:
        """Remove the tasks of a source that is deleted."""
        self._tasks.pop(source_arn, None)

    def next_due_s(self) -> float | None:
        """When the next step of a task is due; None if no task runs."""
        return min((task.next_s for task in self._running()), default=None)

    def tick(self, now_s: float) -> float | None:
        """Run the steps that are due. Returns when the next one is."""
        for task in self._running():
            if task.next_s <= now_s:
                task.step(now_s)
        return self.next_due_s()

    def _running(self) -> list[MoveTask]:
        return [tasks[-1] for tasks in self._tasks.values() if tasks and tasks[-1].status == RUNNING]


def _read_handle(handle: str) -> tuple[str, str]:
    wrong: Final[ServiceError] = invalid_value("Value for parameter TaskHandle is invalid.")
    try:
        document = orjson.loads(base64.b64decode(handle, validate=True))
    except (binascii.Error, ValueError):
        raise wrong from None
    if not isinstance(document, Mapping):
        raise wrong
    task_id, arn = document.get("taskId"), document.get("sourceArn")
    if not isinstance(task_id, str) or not isinstance(arn, str):
        raise wrong
    return task_id, arn
