"""The settings of a mapping: `[[functions.NAME.events]]` with `type = "sqs"` or `"sqs_remote"`.

Source of the bounds: Lambda API reference, "CreateEventSourceMapping"; Lambda Developer Guide, "Using
Lambda with Amazon SQS".
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from engine.core.event_patterns.filter_criteria import MAX_FILTERS, FilterError, compile_filter
from engine.core.function import Function
from engine.core.scaling.pollers import (
    MAX_MINIMUM_POLLERS,
    MAX_POLLERS,
    MIN_POLLERS,
    AnyPolicy,
    ProvisionedPollers,
    SqsPollers,
)
from engine.core.table import SettingsTable
from engine.core.table_rules import Array, Bounds, Check, Length, Pattern
from engine.errors import UnknownName
from engine.registry import resolve
from engine.services.sqs.settings import FIFO_SUFFIX, MAX_OF_ONE_RECEIVE, QUEUE_NAME, QUEUE_NAME_RULE

MAX_OF_A_BATCH: Final = 10_000
MAX_WINDOW_S: Final = 300
AWS_SCALING: Final = "sqs"
PAYLOAD_KEY: Final = "body"
"""Of a record: the text that filters may look into."""

_ARN: Final = re.compile(r"arn:aws[a-z-]*:sqs:[a-z0-9-]+:[0-9]{12}:(?P<name>[^:]+)", re.ASCII)


class PollerSettings(SettingsTable):
    """`provisioned_pollers = { minimum = 2, maximum = 200 }`: pollers of 10 concurrent batches each."""

    minimum: Annotated[int, Bounds(ge=MIN_POLLERS, le=MAX_MINIMUM_POLLERS)] = 2
    maximum: Annotated[int, Bounds(ge=MIN_POLLERS, le=MAX_POLLERS)] = 200

    def check_keys_together(self) -> None:
        """They are in order."""
        if self.minimum > self.maximum:
            raise ValueError(f"minimum ({self.minimum}) is above maximum ({self.maximum})")


def _patterns(filters: tuple[str | dict[str, Any], ...]) -> tuple[str | dict[str, Any], ...]:
    for pattern in filters:
        try:
            compile_filter(pattern, PAYLOAD_KEY)
        except FilterError as error:
            raise ValueError(str(error)) from None
    return filters


def _scaling(scaling: str | dict[str, Any]) -> str | dict[str, Any]:
    try:
        _policy(scaling)
    except (UnknownName, TypeError) as error:
        raise ValueError(str(error)) from None
    return scaling


class MappingEvent(SettingsTable):
    """What all mappings from a queue to a function have in common.

    Attributes:
        queue: Which; its name, or something that ends in it.
        batch_size: Messages of one invocation at the most; above 10 it needs a window.
        maximum_batching_window_s: How long messages are gathered, from the first one on.
        maximum_concurrency: Batches that run at a time, at the most.
        provisioned_pollers: Provisioned mode, in place of a maximum.
        report_batch_item_failures: The function names the messages that failed.
        filters: EventBridge patterns, as JSON text or tables: what matches none of them is deleted.
        enabled: Whether it takes messages.
        keep_group_order: FIFO queues: a message that was reported as failed takes the later ones of its
            group with it. AWS leaves that to the function.
        scaling: How the number of concurrent batches grows: `sqs` (as AWS), or another policy; a table
            gives a policy its parameters: `{ policy = "deadline", deadline_s = 30 }`.
    """

    queue: str
    batch_size: Annotated[int, Bounds(ge=1, le=MAX_OF_A_BATCH)] = 10
    maximum_batching_window_s: Annotated[float, Bounds(ge=0, le=MAX_WINDOW_S)] = 0
    maximum_concurrency: Annotated[int, Bounds(ge=2, le=1_000)] | None = None
    provisioned_pollers: PollerSettings | None = None
    report_batch_item_failures: bool = False
    filters: Annotated[Array[str | dict[str, Any]], Length(most=MAX_FILTERS), Check(_patterns)] = ()
    enabled: bool = True
    keep_group_order: bool = False
    scaling: Annotated[str | dict[str, Any], Check(_scaling)] = AWS_SCALING

    def check_keys_together(self) -> None:
        """As AWS does, and what this engine adds."""
        window_s = self.maximum_batching_window_s
        if self.fifo and self.batch_size > MAX_OF_ONE_RECEIVE:
            raise ValueError(f"batch_size {self.batch_size} is above 10 (AWS maximum for a FIFO queue)")
        if self.fifo and window_s:
            raise ValueError("a FIFO queue has no maximum_batching_window_s (AWS)")
        if self.batch_size > MAX_OF_ONE_RECEIVE and window_s < 1:
            raise ValueError(
                f"batch_size {self.batch_size} is above 10: that needs maximum_batching_window_s of 1 or more"
            )
        if self.keep_group_order and not self.fifo:
            raise ValueError("keep_group_order is for FIFO queues, whose names end in .fifo")
        if self.provisioned_pollers is not None and self.maximum_concurrency is not None:
            raise ValueError("provisioned_pollers and maximum_concurrency exclude each other (AWS)")
        if self.provisioned_pollers is not None and self.scaling != AWS_SCALING:
            raise ValueError("provisioned_pollers and scaling exclude each other")

    @property
    def queue_name(self) -> str:
        """The queue's name, without the rest of an ARN or a URL."""
        return re.split("[:/]", self.queue)[-1]

    @property
    def fifo(self) -> bool:
        """Whether the queue is a FIFO queue, by its name."""
        return self.queue.endswith(FIFO_SUFFIX)

    def policy(self) -> AnyPolicy:
        """The policy that decides how many batches may run at a time."""
        pollers = self.provisioned_pollers
        if pollers is not None:
            return ProvisionedPollers(minimum_pollers=pollers.minimum, maximum_pollers=pollers.maximum)
        if self.scaling == AWS_SCALING:
            return SqsPollers(maximum_concurrency=self.maximum_concurrency)
        return _policy(self.scaling)


def _policy(scaling: str | dict[str, Any]) -> AnyPolicy:
    """The policy of that name or table. Raises UnknownName or TypeError if there is none."""
    parameters = {"policy": scaling} if isinstance(scaling, str) else dict(scaling)
    name = parameters.pop("policy", None)
    if not isinstance(name, str):
        raise TypeError('the table needs a key policy, as in { policy = "deadline", deadline_s = 30 }')
    for key, value in parameters.items():
        if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
            raise TypeError(f"{key} = {value!r}: parameters of a policy are numbers of 0 or more")
    chosen: AnyPolicy = resolve("policy", name)(**parameters)
    return chosen


def _name_or_arn(queue: str) -> str:
    found = _ARN.fullmatch(queue)
    if QUEUE_NAME.fullmatch(found["name"] if found else queue) is None:
        raise ValueError(f"{queue!r}: the name of a queue {QUEUE_NAME_RULE}")
    return queue


def _name_or_url(queue: str) -> str:
    name = queue.rpartition("/")[2] if queue.startswith(("http://", "https://")) else queue
    if QUEUE_NAME.fullmatch(name) is None:
        raise ValueError(f"{queue!r}: the name of a queue {QUEUE_NAME_RULE}")
    return queue


class SqsEvent(MappingEvent):
    """A mapping from one of the engine's own queues.

    Attributes:
        queue: Name or ARN; a queue that no table describes is made with defaults.
    """

    queue: Annotated[str, Check(_name_or_arn)]
    type: Literal["sqs"] = "sqs"


class RemoteEvent(MappingEvent):
    """A mapping from a queue elsewhere: AWS's own, or at any endpoint that speaks SQS.

    Credentials are found as AWS's SDKs find them: environment, profile, instance role.

    Attributes:
        queue: Name or URL.
        endpoint_url: Where to reach it; absent for AWS.
        region: Its region; the engine's own if absent.
        profile: Of the SDK's configuration files.
    """

    queue: Annotated[str, Check(_name_or_url)]
    type: Literal["sqs_remote"] = "sqs_remote"
    endpoint_url: Annotated[str, Pattern(r"^https?://[^/\s]+")] | None = None
    region: str | None = None
    profile: str | None = None


def visibility_warning(function: Function, settings: SqsEvent, visibility_s: float) -> str | None:
    """What a user should know of a queue whose visibility timeout is `visibility_s`, or None.

    AWS refuses such a mapping. Here it works: messages are hidden for as long as they may be in work.
    """
    if visibility_s >= function.timeout_s:
        return None
    held_s = settings.maximum_batching_window_s + function.timeout_s + EXTRA_VISIBILITY_S
    return (
        f"queue {settings.queue_name!r} hides messages for {visibility_s:g} s, less than the timeout of "
        f"function {function.name!r} ({function.timeout_s:g} s): its mapping hides them for {held_s:g} s. "
        "AWS refuses such a mapping, and advises six times the timeout"
    )


EXTRA_VISIBILITY_S: Final = 30.0
"""What Lambda adds where a queue's own timeout is shorter than window and function timeout together."""
