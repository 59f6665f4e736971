"""Trace contexts as they travel: W3C's `traceparent`, and the X-Ray header, in which the engine keeps them.

What is malformed is no context: a trace is no reason to refuse anything.

Source: W3C Trace Context, "traceparent Header Field Values"; AWS X-Ray Developer Guide, "Tracing header".
"""

from __future__ import annotations

from typing import Final, NamedTuple

_HEX: Final = frozenset("0123456789abcdef")
_SAMPLED: Final = 0x01
_KNOWN: Final = ("Root", "Parent", "Sampled", "Self")


ROOT_BITS: Final = 96
"""Of a root that are not the time."""


class TraceContext(NamedTuple):
    """One place in a trace.

    Attributes:
        trace_id: 128 bits, not 0.
        span_id: Of the span that is the parent of what comes next; 0: there is none yet.
        sampled: What whoever began the trace decided; None: nothing yet.
    """

    trace_id: int
    span_id: int = 0
    sampled: bool | None = None


def from_traceparent(text: str) -> TraceContext | None:
    """The context of a `traceparent`, of version 00 or a later one."""
    version, trace, span, flags, *more = (*text.strip(" \t").split("-", 4), "", "", "")
    is_whole = all(map(_is_hex, (version, trace, span, flags), (2, 32, 16, 2)))
    if not is_whole or version == "ff" or (version == "00" and any(more)) or text.endswith("-"):
        return None
    trace_id, span_id = int(trace, 16), int(span, 16)
    if not trace_id or not span_id:
        return None
    return TraceContext(trace_id, span_id, bool(int(flags, 16) & _SAMPLED))


def from_xray(header: str) -> TraceContext | None:
    """The context of an X-Ray header. A root alone is one; a parent that is malformed is left out."""
    fields = _fields(header)
    version, time, rest, *_ = (*fields.get("Root", "").split("-", 2), "", "")
    if version != "1" or not (_is_hex(time, 8) and _is_hex(rest, 24)):
        return None
    trace_id = int(time + rest, 16)
    if not trace_id:
        return None
    parent, sampled = fields.get("Parent", ""), fields.get("Sampled")
    return TraceContext(
        trace_id,
        int(parent, 16) if _is_hex(parent, 16) else 0,
        sampled == "1" if sampled in ("0", "1") else None,
    )


def xray_header(context: TraceContext, after: str | None = None) -> str:
    """The X-Ray header of a context, with the further fields (`Lineage`, a user's own) of the one before."""
    trace = f"{context.trace_id:032x}"
    header = f"Root=1-{trace[:8]}-{trace[8:]}"
    if context.span_id:
        header += f";Parent={context.span_id:016x}"
    if context.sampled is not None:
        header += f";Sampled={context.sampled:d}"
    if after is None or (after.count(";") < len(_KNOWN) - 1 and "Lineage=" not in after):
        return header
    further = [f"{name}={value}" for name, value in _fields(after).items() if name not in _KNOWN]
    return ";".join((header, *further))


def new_root(second: int, number: int) -> str:
    """`Root=1-<time>-<24 hex>` of a new trace.

    `number`: `ROOT_BITS` random bits, since samplers that take a part of all traces look at them.
    """
    return f"Root=1-{second & 0xFFFFFFFF:08x}-{number:024x}"


def adopted_header(traceparent: bytes | None) -> str | None:
    """The X-Ray header for a `traceparent` as a client sent it; None if there is none, or it is malformed."""
    context = from_traceparent(traceparent.decode("latin-1")) if traceparent else None
    return None if context is None else xray_header(context)


def _fields(header: str) -> dict[str, str]:
    pairs = (field.strip().partition("=") for field in header.split(";"))
    return {name: value for name, equals, value in pairs if equals}


def _is_hex(text: str, length: int) -> bool:
    return len(text) == length and _HEX.issuperset(text)
