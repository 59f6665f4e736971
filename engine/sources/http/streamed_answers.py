"""Answers of routes that stream: function URLs in mode RESPONSE_STREAM, REST APIs in transfer mode STREAM.

Sources: Lambda Developer Guide, "Invoking a response streaming enabled function using Lambda function URLs";
API Gateway Developer Guide, "Stream the integration response for your proxy integrations". Not confirmed by a
primary source: that a URL sends a result which no function streamed as it is, and its content type; that a
REST API takes none of those without metadata; the content type of an answer whose metadata names none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from engine.core.event import MISSING
from engine.core.outcome import Outcome, Status
from engine.core.response_stream import DEFAULT_TYPE, INTEGRATION_RESPONSE
from engine.protocols.http.message import Request, header_block
from engine.protocols.http.streams import AnswerStream
from engine.sources.http import rest_rules
from engine.sources.http.error_responses import ErrorResponses
from engine.sources.http.responses import (
    NO_RULES,
    Answer,
    ResponseHeads,
    header_map,
    http_status,
    identified,
    merged_headers,
    set_cookies,
)

_NO_METADATA: Final = "no eight NULs end its metadata"
_RAW: Final = header_block([("content-type", DEFAULT_TYPE)])


class StreamForm:
    """How one route turns what is streamed into answers. Also its `Answers` to what is not.

    Attributes:
        needs_metadata: Whether every response has it; else those whose content type says so.
        error_responses: How the front door answers what the function did not answer.
    """

    def __init__(self, error_responses: ErrorResponses, *, is_rest: bool) -> None:
        """`is_rest`: it is a route of a REST API; else it is a function URL."""
        self.needs_metadata = is_rest
        self.error_responses = error_responses
        self._heads = ResponseHeads(DEFAULT_TYPE, rest_rules.ANSWER_RULES if is_rest else NO_RULES)

    def head(self, metadata: dict[str, Any]) -> tuple[int, bytes]:
        """Status and header lines that the metadata says. Raises ValueError."""
        code = metadata.get("statusCode")
        status = 200 if code is None else http_status(code)
        if self.needs_metadata:
            multi, single = header_map(metadata.get("multiValueHeaders")), header_map(metadata.get("headers"))
            head = self._heads.lines(merged_headers(multi, single))
        else:
            head = self._heads.render(metadata.get("headers"))
        cookies = metadata.get("cookies")
        return status, head + set_cookies(cookies) if cookies else head

    def answer(self, outcome: Outcome, request: Request, result: Any = MISSING) -> Answer:
        """The answer of a function that did not stream: what it returned, as it is."""
        if outcome.status is not Status.SUCCESS:
            return self.error_responses.of(outcome)
        if not self.needs_metadata:
            return 200, identified(_RAW, outcome.request_id), outcome.body
        return self.collected(outcome)

    def collected(self, outcome: Outcome) -> Answer:
        """The answer that a response with metadata makes, the whole of which is in the outcome."""
        try:
            found = _metadata_reader().read(outcome.body)
            if found is None:
                return self.error_responses.malformed_by(outcome.request_id, _NO_METADATA)
            status, head = self.head(found[0])
        except ValueError as error:
            return self.error_responses.malformed_by(outcome.request_id, str(error))
        return status, identified(head, outcome.request_id), found[1]


class Traced(Protocol):
    """Told how a request was answered whose event has a span."""

    def answered(self, answer: Answer) -> Answer:
        """The answer, with what the client is told of its trace."""


class HttpResponseStream:
    """The answer to one request, as its function writes it. Implements `ResponseStream` of the core."""

    __slots__ = (
        "_drained",
        "_form",
        "_has_begun",
        "_metadata",
        "_request",
        "_request_id",
        "_stream",
        "_traced",
    )

    def __init__(self, request: Request, form: StreamForm, request_id: str, traced: Traced | None) -> None:
        self._request = request
        self._form = form
        self._request_id = request_id
        self._traced = traced
        self._has_begun = False
        self._drained: Callable[[], None]
        self._metadata: Any = None  # a `MetadataReader`, while it is read
        self._stream: AnswerStream | None = None

    def begin(self, content_type: str, drained: Callable[[], None], /) -> None:
        """Send the head, unless metadata comes before it."""
        self._has_begun = True
        self._drained = drained
        if self._form.needs_metadata or content_type.strip().lower() == INTEGRATION_RESPONSE:
            self._metadata = _metadata_reader()
            return
        try:
            head = header_block([("content-type", content_type)])
        except ValueError:
            head = _RAW
        self._open(200, head)

    def write(self, data: bytes, /) -> bool:
        """Send a piece of the body."""
        if self._metadata is not None:
            try:
                found = self._metadata.read(data)
                if found is None:
                    return True
                status, head = self._form.head(found[0])
            except ValueError as error:
                self._refuse_malformed(str(error))
                return True
            self._metadata = None
            self._open(status, head)
            data = found[1]
        stream = self._stream
        return stream is None or not data or stream.write(data)

    def fail(self, _body: bytes, /) -> None:
        """End it where it is: the client sees that it is cut."""
        if self._metadata is not None:
            self._metadata = None
            status, head, body = self._form.error_responses.failed
            self._respond((status, identified(head, self._request_id), body))
        elif self._stream is not None:
            stream, self._stream = self._stream, None
            stream.cut()

    def finish(self, outcome: Outcome) -> bool:
        """End it with the outcome. False: it has not begun."""
        if not self._has_begun:
            return False
        if outcome.status is not Status.SUCCESS:
            if self._metadata is not None:
                self._metadata = None
                self._respond(self._form.error_responses.of(outcome))
            else:
                self.fail(outcome.body)
        elif self._metadata is not None:
            self._refuse_malformed(_NO_METADATA)
        elif self._stream is not None:
            stream, self._stream = self._stream, None
            stream.end()
        return True

    def _open(self, status: int, head: bytes) -> None:
        head = identified(head, self._request_id)
        if self._traced is not None:
            status, head, _ = self._traced.answered((status, head, b""))
        self._stream = self._request.stream(status, head, self._drained)

    def _refuse_malformed(self, reason: str) -> None:
        self._metadata = None
        self._respond(self._form.error_responses.malformed_by(self._request_id, reason))

    def _respond(self, answer: Answer) -> None:
        if self._traced is not None:
            answer = self._traced.answered(answer)
        self._request.respond(*answer)


def _metadata_reader() -> Any:
    """A new `MetadataReader`, which is imported with the first response that has metadata."""
    from engine.sources.http.stream_metadata import MetadataReader

    return MetadataReader()
