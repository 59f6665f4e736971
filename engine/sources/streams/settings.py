"""The settings of a mapping: `[[functions.NAME.events]]` with `type = "kinesis"` or `"dynamodb"`.

Source of the bounds: Lambda API reference, "CreateEventSourceMapping"; Lambda Developer Guide, "Using Lambda
with Kinesis", "Using Lambda with DynamoDB".
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from engine.core.destinations import expanded, target_of
from engine.core.event_patterns.filter_criteria import MAX_FILTERS, FilterError, compile_filter
from engine.core.function import Account
from engine.core.table import SettingsTable
from engine.core.table_rules import Array, Bounds, Check, Length, Pattern

MAX_OF_A_BATCH: Final = 10_000
MAX_WINDOW_S: Final = 300
MAX_FACTOR: Final = 10
MAX_TUMBLING_WINDOW_S: Final = 900
NO_LIMIT: Final = -1
"""Of retries and of age: until the stream keeps the record no longer."""
AT_AWS: Final = "aws"
"""`endpoint_url` of AWS's own services."""
LATEST: Final = "LATEST"
AT_TIMESTAMP: Final = "AT_TIMESTAMP"

_MAX_RETRIES: Final = 10_000
_LEAST_AGE_S: Final = 60
_MOST_AGE_S: Final = 604_800
_SERVICES: Final = ("sqs", "sns", "s3")
_ACCOUNT: Final = Account()
_STREAM_ARN: Final = re.compile(
    r"arn:aws[a-z-]*:kinesis:[a-z0-9-]+:[0-9]{12}:stream/(?P<name>[a-zA-Z0-9_.-]{1,128})"
    r"(?P<consumer>/consumer/[a-zA-Z0-9_.-]+(:[0-9]+)?)?",
    re.ASCII,
)
_TABLE_ARN: Final = re.compile(
    r"arn:aws[a-z-]*:dynamodb:[a-z0-9-]+:[0-9]{12}:table/(?P<name>[a-zA-Z0-9_.-]{3,255})/stream/\S+", re.ASCII
)
_STREAM_NAME: Final = re.compile(r"[a-zA-Z0-9_.-]{1,128}", re.ASCII)
_TABLE_NAME: Final = re.compile(r"[a-zA-Z0-9_.-]{3,255}", re.ASCII)


def _patterns(filters: tuple[str | dict[str, Any], ...]) -> tuple[str | dict[str, Any], ...]:
    for pattern in filters:
        try:
            compile_filter(pattern, "data")
        except FilterError as error:
            raise ValueError(str(error)) from None
    return filters


def _destination(text: str) -> str:
    """Source: Lambda Developer Guide, "Retain discarded batch records": SQS, SNS (standard) and S3."""
    target = target_of(expanded(text, _ACCOUNT))
    if target is None:
        raise ValueError(f"{text!r} is neither an ARN nor a name")
    if target.service not in _SERVICES:
        raise ValueError(f"{target.service!r} cannot be used here (can: {', '.join(_SERVICES)})")
    if target.service != "s3" and target.resource.endswith(".fifo"):
        raise ValueError("a FIFO queue or topic cannot be used here (AWS)")
    return text


def _age(age_s: int) -> int:
    if age_s != NO_LIMIT and not _LEAST_AGE_S <= age_s <= _MOST_AGE_S:
        raise ValueError(f"{age_s}: is -1, or from {_LEAST_AGE_S} to {_MOST_AGE_S} (AWS)")
    return age_s


def _endpoint(url: str) -> str:
    if url != AT_AWS and re.fullmatch(r"https?://[^/\s]+/?", url) is None:
        raise ValueError(f'{url!r}: is "aws", or a URL of scheme, host and port')
    return url


def _stream(text: str) -> str:
    if (_STREAM_ARN if text.startswith("arn:") else _STREAM_NAME).fullmatch(text) is None:
        raise ValueError(
            f"{text!r}: is an ARN, or the name of a stream: 1 to 128 of a-z, A-Z, 0-9 and _.- (AWS)"
        )
    return text


def _table(text: str) -> str:
    if (_TABLE_ARN if text.startswith("arn:") else _TABLE_NAME).fullmatch(text) is None:
        raise ValueError(
            f"{text!r}: is the ARN of a table's stream, or the name of a table: "
            "3 to 255 of a-z, A-Z, 0-9 and _.- (AWS)"
        )
    return text


class StreamEvent(SettingsTable):
    """What all mappings from a stream to a function have in common.

    Attributes:
        type: Of which service.
        batch_size: Records of one invocation at the most.
        maximum_batching_window_s: How long records are gathered, whole seconds.
        starting_position: Where it begins: `TRIM_HORIZON` (the oldest record), or `LATEST` (what comes after
            the mapping was opened). Kinesis: `AT_TIMESTAMP` too.
        parallelization_factor: Batches of one shard that run at a time; order is kept for each key.
        maximum_retry_attempts: How often a batch is tried again; -1: until its records expire.
        maximum_record_age_s: What is older is discarded; -1: no limit.
        bisect_batch_on_function_error: A batch that failed is tried again as two halves.
        tumbling_window_s: Length of windows with a state, seconds; 0: none.
        report_batch_item_failures: The function names the records that failed.
        on_failure: Where a record of what is discarded goes: a queue, topic or bucket; an ARN,
            `SERVICE:NAME`, or the name of a queue.
        filters: EventBridge patterns, as JSON text or tables: what matches none of them is passed over.
        enabled: Whether it reads.
        endpoint_url: Where the stream is: the engine's partner if absent, `aws`, or a URL.
        region: Its region; the engine's own if absent.
        profile: Of the SDK's configuration files, whose credentials sign the requests.
        poll_interval_s: Seconds between two reads of a shard that has nothing more; None: as AWS, 1 for
            Kinesis, 0.25 for DynamoDB.
    """

    type: Literal["kinesis", "dynamodb"]
    batch_size: Annotated[int, Bounds(ge=1, le=MAX_OF_A_BATCH)] = 100
    maximum_batching_window_s: Annotated[int, Bounds(ge=0, le=MAX_WINDOW_S)] = 0
    starting_position: Literal["LATEST", "TRIM_HORIZON", "AT_TIMESTAMP"] = "LATEST"
    parallelization_factor: Annotated[int, Bounds(ge=1, le=MAX_FACTOR)] = 1
    maximum_retry_attempts: Annotated[int, Bounds(ge=NO_LIMIT, le=_MAX_RETRIES)] = NO_LIMIT
    maximum_record_age_s: Annotated[int, Check(_age)] = NO_LIMIT
    bisect_batch_on_function_error: bool = False
    tumbling_window_s: Annotated[int, Bounds(ge=0, le=MAX_TUMBLING_WINDOW_S)] = 0
    report_batch_item_failures: bool = False
    on_failure: Annotated[str, Check(_destination)] | None = None
    filters: Annotated[Array[str | dict[str, Any]], Length(most=MAX_FILTERS), Check(_patterns)] = ()
    enabled: bool = True
    endpoint_url: Annotated[str, Check(_endpoint)] | None = None
    region: Annotated[str, Pattern(r"^[a-z0-9-]+$")] | None = None
    profile: str | None = None
    poll_interval_s: Annotated[float, Bounds(ge=0.01, le=60)] | None = None

    def check_keys_together(self) -> None:
        """As AWS does."""
        if self.tumbling_window_s and self.parallelization_factor > 1:
            raise ValueError("tumbling_window_s needs a parallelization_factor of 1 (AWS)")

    @property
    def stream_name(self) -> str:
        """The name of the stream or table, without the rest of an ARN."""
        raise NotImplementedError

    @property
    def given_name(self) -> str:
        """What names the stream or table: a name or an ARN."""
        raise NotImplementedError


class KinesisEvent(StreamEvent):
    """A mapping from a Kinesis data stream.

    Attributes:
        stream: Its name or ARN, or the ARN of a consumer of it.
        starting_position_timestamp_s: Of `AT_TIMESTAMP`: seconds since the Unix epoch.
    """

    stream: Annotated[str, Check(_stream)]
    type: Literal["kinesis"] = "kinesis"
    starting_position_timestamp_s: Annotated[float, Bounds(ge=0, finite=True)] | None = None

    def check_keys_together(self) -> None:
        """As AWS does."""
        super().check_keys_together()
        if (self.starting_position == AT_TIMESTAMP) != (self.starting_position_timestamp_s is not None):
            raise ValueError(
                "starting_position AT_TIMESTAMP and starting_position_timestamp_s need each other"
            )

    @property
    def stream_name(self) -> str:
        """The stream's name, without the rest of an ARN."""
        found = _STREAM_ARN.fullmatch(self.stream)
        return found["name"] if found else self.stream

    @property
    def given_name(self) -> str:
        """The stream's name or ARN."""
        return self.stream


class DynamodbEvent(StreamEvent):
    """A mapping from the stream of a DynamoDB table.

    Attributes:
        table: The table's name, whose newest stream is read, or the ARN of a stream.
        drop_unchanged: Pass over changes that leave an item as it was, of which AWS writes no record but
            other servers do.
    """

    table: Annotated[str, Check(_table)]
    type: Literal["dynamodb"] = "dynamodb"
    starting_position: Literal["LATEST", "TRIM_HORIZON"] = "LATEST"
    drop_unchanged: bool = True

    @property
    def stream_name(self) -> str:
        """The table's name, without the rest of an ARN."""
        found = _TABLE_ARN.fullmatch(self.table)
        return found["name"] if found else self.table

    @property
    def given_name(self) -> str:
        """The table's name or ARN."""
        return self.table
