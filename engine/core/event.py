"""What a source delivers: a payload plus its identity."""

from __future__ import annotations

from typing import Any, Final

from engine.core.fast_json import dumps
from engine.core.response_stream import ResponseStream


class Missing:
    """The type of `MISSING`: nothing was decoded yet (None is a legal payload)."""


MISSING: Final = Missing()


class Event:
    """One event for one function.

    Made by a source, and changed by two only: an executor takes its document,
    a tracer puts its span into its header.

    Attributes:
        function: Name of the function it is for.
        payload: The event as JSON text, UTF-8 bytes. A source that made a document of it anyway may leave
            the text to be made from that when somebody asks, which only executors out of process do.
        request_id: UUID text; `context.aws_request_id` of every attempt.
        received_s: Engine clock, seconds, when the source had the whole event.
        trigger: Where it came from: a metric label of a closed set (`core.event.TRIGGERS`).
        trace_id: X-Ray header value (`Root=...;Parent=...;Sampled=...`), or None.
        client_context: Decoded JSON text of the caller's client context, or None.
        qualifier: What the caller appended to the name (`$LATEST`, version, alias), or None.
        wants_log: Whether the caller asked for the log tail of this invocation.
        version: What runs, once the dispatcher has found what `qualifier` stands for.
        document: The decoded payload if a source had to decode it anyway, else `MISSING`. Whoever gives
            it to a handler puts `MISSING` in its place: a handler may change what it gets, so a second
            attempt must decode afresh.
    """

    __slots__ = (
        "_payload",
        "client_context",
        "document",
        "function",
        "qualifier",
        "received_s",
        "request_id",
        "trace_id",
        "trigger",
        "version",
        "wants_log",
    )

    def __init__(
        self,
        function: str,
        payload: bytes | None,
        request_id: str,
        received_s: float,
        trigger: str = "invoke",
        document: Any = MISSING,
        trace_id: str | None = None,
        client_context: str | None = None,
        qualifier: str | None = None,
        wants_log: bool = False,  # noqa: FBT001, FBT002  # positional: made once an invocation
    ) -> None:
        self.function = function
        self._payload = payload
        self.request_id = request_id
        self.received_s = received_s
        self.trigger = trigger
        self.document = document
        self.trace_id = trace_id
        self.client_context = client_context
        self.qualifier = qualifier
        self.wants_log = wants_log
        self.version = "$LATEST"

    @property
    def payload(self) -> bytes:
        """The event as JSON text. Raises ValueError if it was left to be made, and the document is gone."""
        payload = self._payload
        if payload is None:
            if self.document is MISSING:
                raise ValueError(f"{self}: its document went to a handler, and there is no text of it")
            payload = self._payload = dumps(self.document)
        return payload

    @property
    def execution_arn(self) -> str | None:
        """The durable execution that this invocation is one of; None of an ordinary event."""
        return None

    @property
    def response_stream(self) -> ResponseStream | None:
        """What takes the response piece by piece; None: the whole of it is wanted, with the outcome."""
        return None

    def freeze_payload(self) -> None:
        """Make the text now, if it was left to be made. Raises what `payload` does."""
        self.payload  # noqa: B018

    def __repr__(self) -> str:
        return f"Event({self.function} {self.request_id} by {self.trigger})"


class StreamedEvent(Event):
    """An event whose source passes the response on while the handler writes it.

    Attributes:
        stream: What takes the pieces. A response that no handler streams comes as ever, with the outcome.
    """

    __slots__ = ("stream",)

    stream: ResponseStream

    @staticmethod
    def of(event: Event, payload: bytes | None, document: Any) -> StreamedEvent:
        """The same as `event`, which was made of that payload and that document; `stream` is to be set."""
        return StreamedEvent(
            event.function,
            payload,
            event.request_id,
            event.received_s,
            event.trigger,
            document,
            event.trace_id,
            event.client_context,
            event.qualifier,
            event.wants_log,
        )

    @property
    def response_stream(self) -> ResponseStream | None:
        """What takes the response piece by piece."""
        return self.stream


TRIGGERS: Final = (
    *("invoke", "http", "direct", "event", "sqs", "kinesis", "dynamodb", "s3", "schedule", "sns"),
    *("eventbridge", "logs", "replay", "other"),
)
"""Values of the metric label `trigger`: Invoke API, HTTP event, Python API, asynchronous invocation, ..."""
