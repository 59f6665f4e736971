"""The trace context that a request to an AWS service came with, as an X-Ray header."""

from __future__ import annotations

from collections.abc import Callable

from engine.core.trace_context import adopted_header
from engine.protocols.http.message import Request

SentTrace = Callable[[Request], str | None]
"""Finds it; None if there is none."""


def xray_trace(request: Request) -> str | None:
    """The header `X-Amzn-Trace-Id` as sent."""
    header = request.header(b"x-amzn-trace-id")
    return header.decode("latin-1") if header else None


def adopted_trace(request: Request) -> str | None:
    """That of a `traceparent`, if it is well-formed, else the header as sent."""
    return adopted_header(request.header(b"traceparent")) or xray_trace(request)


def sent_trace(*, traced: bool) -> SentTrace:
    """What finds it in an engine that makes spans, or in one that does not."""
    return adopted_trace if traced else xray_trace
