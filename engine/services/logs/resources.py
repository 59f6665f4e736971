"""What the operations of CloudWatch Logs work on: groups and streams by names and ARNs, and the time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from engine.core.function import Account
from engine.core.json_pieces import Steps
from engine.core.logged_line import LoggedLine, UnreadLines
from engine.ports import Clock
from engine.protocols.aws.errors import ServiceError
from engine.services.logs.errors import invalid, invalid_combination, no_group, no_stream
from engine.services.logs.store import LogEvent, LogGroup, LogStore, LogStream

Document = dict[str, Any]

_RECORDS_A_STEP: Final = 50


class LogResources:
    """The store, and how requests name what is in it.

    Attributes:
        store: All groups.
        on_event: Told of each new event of a group that has subscription filters.
        on_filters_gone: Told that a group with such filters was deleted.
    """

    def __init__(self, store: LogStore, account: Account, clock: Clock, function_log: UnreadLines) -> None:
        self.store = store
        self.on_event: Callable[[LogGroup, LogStream, LogEvent], object] = _nothing
        self.on_filters_gone: Callable[[], object] = lambda: None
        self._prefix = f"arn:aws:logs:{account.region}:{account.account_id}:log-group:"
        self._clock = clock
        self._function_log = function_log

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        return int(self._clock.wall() * 1000)

    def take_in(self) -> Steps[None]:
        """Add what functions have logged until now, in steps; they may log faster than it is added."""
        now_s, last_s = self._clock.wall(), 0.0
        while last_s <= now_s:
            last_s = math.inf
            for line in self._function_log.take(_RECORDS_A_STEP):
                self._add(line)
                last_s = line.at_s
            yield

    def _add(self, line: LoggedLine) -> None:
        at_ms = int(line.at_s * 1000)
        group = self.store.groups.get(line.group) or self.store.create_group(line.group, at_ms)
        stream = group.streams.get(line.stream)
        if stream is None:
            stream = self.store.create_stream(group, line.stream, at_ms, is_functions=True)
        message = line.message
        if not message.isascii():  # what a handler prints may have lone surrogates, which no JSON can hold
            message = message.encode("utf-8", "replace").decode()
        self.append(group, stream, at_ms, message, at_ms)

    def append(
        self, group: LogGroup, stream: LogStream, timestamp_ms: int, message: str, now_ms: int
    ) -> None:
        """Add an event to a stream of `group`; `on_event` hears of it if somebody subscribes."""
        event = self.store.append(group, stream, timestamp_ms, message, now_ms)
        if group.subscriptions:
            self.on_event(group, stream, event)

    # ---------------------------------------------------------------- names

    def group_named(self, name: str) -> LogGroup:
        """The group of that name, without what is past its retention period."""
        group = self.store.groups.get(name)
        if group is None:
            raise no_group()
        self.store.expire(group, self.now_ms())
        return group

    def group_of(self, params: Document) -> LogGroup:
        """The group that `logGroupName` or `logGroupIdentifier` names."""
        name, identifier = params.get("logGroupName"), params.get("logGroupIdentifier")
        if name is not None and identifier is not None:
            raise invalid_combination("LogGroup name and LogGroup ARN are mutually exclusive parameters.")
        if name is not None:
            return self.group_named(name)
        if identifier is None:
            raise invalid("Either LogGroup name or LogGroup ARN must be specified.")
        return self.group_named(self.name_in(identifier))

    def stream_of(self, group: LogGroup, name: str) -> LogStream:
        """The stream of that name in `group`."""
        stream = group.streams.get(name)
        if stream is None:
            raise no_stream()
        return stream

    def name_in(self, identifier: str) -> str:
        """The name of a group that is told by its name or its ARN."""
        if not identifier.startswith("arn:"):
            return identifier
        if not identifier.startswith(self._prefix):
            raise no_group()
        return identifier.removeprefix(self._prefix).removesuffix(":*")

    def tagged(self, arn: str) -> LogGroup:
        """The group of an ARN that tags are asked for."""
        if not arn.startswith("arn:"):
            raise invalid(f"Invalid resource ARN: {arn}")
        try:
            return self.group_named(self.name_in(arn))
        except ServiceError:
            raise ServiceError(
                400, "ResourceNotFoundException", "The specified resource does not exist."
            ) from None

    # ---------------------------------------------------------------- as answers have them

    def group_arn(self, group: LogGroup) -> str:
        """Without the `:*` that the older member `arn` has."""
        return self._prefix + group.name

    def shown_group(self, group: LogGroup) -> Document:
        """As DescribeLogGroups has it."""
        document: Document = {
            "logGroupName": group.name,
            "creationTime": group.created_ms,
            "metricFilterCount": 0,
            "arn": f"{self.group_arn(group)}:*",
            "storedBytes": group.stored_bytes,
            "logGroupClass": group.log_class,
            "logGroupArn": self.group_arn(group),
            "deletionProtectionEnabled": group.is_protected,
        }
        if group.retention_days is not None:
            document["retentionInDays"] = group.retention_days
        if group.kms_key_id is not None:
            document["kmsKeyId"] = group.kms_key_id
        return document

    def shown_stream(self, group: LogGroup, stream: LogStream) -> Document:
        """As DescribeLogStreams has it. AWS no longer counts a stream's bytes: `storedBytes` is 0."""
        document: Document = {
            "logStreamName": stream.name,
            "creationTime": stream.created_ms,
            "arn": f"{self.group_arn(group)}:log-stream:{stream.name}",
            "storedBytes": 0,
        }
        if stream.events:
            document["firstEventTimestamp"] = stream.events[0].timestamp_ms
            document["lastEventTimestamp"] = stream.events[-1].timestamp_ms
        if stream.last_ingestion_ms is not None:
            document["lastIngestionTime"] = stream.last_ingestion_ms
            document["uploadSequenceToken"] = sequence_token(stream)
        return document


def _nothing(_group: LogGroup, _stream: LogStream, _event: LogEvent) -> None:
    """Nobody subscribes."""


def sequence_token(stream: LogStream) -> str:
    """What PutLogEvents answers; AWS has not looked at it since 2023."""
    return stream.events[-1].event_id if stream.events else "0" * 56
