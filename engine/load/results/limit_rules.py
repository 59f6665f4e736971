"""What the limit of a run was, and why: rules over what was measured, without a clock and without I/O.

A run that served everything in time was at no limit. Otherwise each rule looks for one limit. If several are
found that may each have caused what was seen, all are named; if none is, that is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from engine.load.results.limit_figures import (
    CONCURRENCY,
    ENGINE_CPU,
    EVENT_LOOP,
    GENERATOR,
    HOST_CPU,
    HOST_MEMORY,
    INITS,
    SERVER,
    UNKNOWN,
    UPSTREAM,
    LimitFigures,
)
from engine.load.results.on_lambda import on_lambda

MAX_LAG_MS: Final = 5.0
"""p99 of how late requests are sent, above which the load is not the one that was asked for."""

MAX_GENERATOR_CPU: Final = 0.9
"""Share of a core that a process of the generator may use: above it, it has no time to spare."""

_SATURATED: Final = 0.8
"""Share of the time for which one thread ran or waited for a core, from which on it had no time to spare."""

_WAITING: Final = 0.3
"""Share of the wanted CPU time that was waiting, from which on others were in the way."""

_SHARE: Final = 0.01
"""Share of the requests that is more than an accident."""

_BEHIND_S: Final = 0.5
"""Seconds of load that wait outside of handlers when it is over, from which on it was too much."""

_LATE_MS: Final = 500.0
"""What callers waited beyond the handler, p99, from which on it counts."""

_GREW: Final = 1.5
"""By what factor the mean duration of handlers has to grow to count."""

_BLOCKED_MS: Final = 100.0
"""Event-loop lag, p99, at which something holds the loop."""

_INIT_SHARE: Final = (0.35, 0.65)
"""Of the environments that start or work, the share that starts: below it handlers are the cause, above it
inits are, and between them both."""

_SHORTFALL: Final = 0.3
"""Share of the time with fewer environments ready than desired, from which on inits were waited for."""

_LOW_MEMORY: Final = 0.05
_COMPUTES: Final = 0.3
"""Share of its time for which a busy environment wants a core, below which its handler mostly waits."""


class FoundLimit(NamedTuple):
    """What the limit was.

    Attributes:
        names: Of the limits, the likeliest causes alone; empty if there was none.
        why: The figures that say so, in sentences.
        on_lambda: What Lambda would have done about it; empty if there was none.
    """

    names: tuple[str, ...]
    why: str
    on_lambda: str


def limit_of(figures: LimitFigures) -> FoundLimit:
    """Name what kept a run from serving everything in time."""
    seen = list(_symptoms(figures))
    if not seen:
        return FoundLimit((), "Everything was served in time, so nothing was at its limit.", "")
    found = {name: why for name, rule in _RULES.items() if (why := rule(figures)) is not None}
    for name in _explained(found, figures):
        del found[name]
    if not found and _is_late_alone(figures):
        found = {GENERATOR: _held_generator(figures)}
    if not found and not figures.is_engine:
        found = {SERVER: _slow_server(figures)}
    names = tuple(found) or (UNKNOWN,)
    why = " ".join(found.values()) or _unknown(figures)
    return FoundLimit(names, f"{_sentence(seen)} {why}", on_lambda(names, figures))


# ------------------------------------------------------------------- symptoms


def _symptoms(figures: LimitFigures) -> Iterator[str]:
    """In which ways the load was not served in time."""
    for count, what in ((figures.refused, "were refused"), (figures.failed - figures.never_sent, "failed")):
        if count > _SHARE * figures.offered:
            yield f"{count:,} of {figures.offered:,} requests {what}"
    if figures.never_sent > _SHARE * figures.offered:
        yield f"{figures.never_sent:,} were never sent, because too many had no answer"
    if figures.behind_s >= _BEHIND_S:
        yield f"what waited at the end was {figures.behind_s:.1f} s of load"
    if figures.late_ms >= _LATE_MS:
        yield f"callers waited {figures.late_ms:,.0f} ms longer than handlers took (p99)"
    if figures.growth >= _GREW:
        yield f"handlers took {figures.handler_ms:,.0f} ms instead of {figures.handler_best_ms:,.0f}"
    if (figures.generator_cpu or 0.0) > MAX_GENERATOR_CPU:
        yield f"the generator used {figures.generator_cpu:.0%} of a core"
    if figures.lag_ms > MAX_LAG_MS:
        yield f"requests were sent {figures.lag_ms:,.1f} ms late (p99)"


def _sentence(parts: list[str]) -> str:
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


# ------------------------------------------------------------------- rules


def _engine_cpu(figures: LimitFigures) -> str | None:
    if figures.engine_cpu is None or figures.engine_wanted < _SATURATED:
        return None
    where = "" if figures.is_engine else " of the server"
    text = f"The process{where or ' of the engine'} ran for {figures.engine_cpu:.0%} of the time"
    if figures.engine_wait is not None and figures.engine_wait >= _SHARE:
        text += f" and was ready without a core for {figures.engine_wait:.0%}"
    if figures.loop_lag_ms is not None:
        text += f", its event loop woke {figures.loop_lag_ms:,.0f} ms late (p99)"
    inside = [one for one in figures.executors if one in ("loop", "thread")]
    if inside:
        text += f"; handlers run inside of it (executor {' and '.join(inside)})"
    if figures.unread:
        text += f"; up to {figures.unread:,} connections had a request that it had not read"
    return f"{text}."


def _event_loop(figures: LimitFigures) -> str | None:
    """Something that waits, and does not compute, holds the loop."""
    late_ms = figures.loop_lag_ms
    if late_ms is None or late_ms < _BLOCKED_MS or figures.engine_wanted >= _SATURATED:
        return None
    return (
        f"The event loop of the engine woke {late_ms:,.0f} ms late (p99), though its process ran for only "
        f"{figures.engine_cpu or 0.0:.0%} of the time: a handler on it calls something that blocks."
    )


def _concurrency(figures: LimitFigures) -> str | None:
    refused = {reason: count for reason, count in figures.throttles.items() if count}
    total = sum(refused.values()) if figures.is_engine else figures.refused
    if total <= _SHARE * figures.offered:
        return None
    if not figures.is_engine:
        return f"The server refused {total:,} requests with status 429."
    by_reason = ", ".join(f"{reason} {count:,}" for reason, count in refused.items())
    text = f"The engine refused {total:,} events ({by_reason})"
    if figures.concurrency_limit is not None:
        text += f" of functions that may run {figures.concurrency_limit:,} at a time"
    return f"{text}; {figures.in_flight:,.0f} ran on average."


def _inits(figures: LimitFigures) -> str | None:
    waited = figures.starting + figures.pending
    if figures.shortfall < _SHORTFALL or waited < 0.5:
        return None
    text = (
        f"For {figures.shortfall:.0%} of the time fewer environments were ready than desired: on average "
        f"{figures.starting:,.1f} initialised and {figures.pending:,.1f} waited for their turn, "
        f"while {figures.busy:,.1f} worked"
    )
    return f"{text}." if figures.init_s is None else f"{text}; an init took {figures.init_s:.2f} s."


def _host_memory(figures: LimitFigures) -> str | None:
    short = figures.memory_left is not None and figures.memory_left < _LOW_MEMORY
    if not (short or figures.held_by_memory or figures.out_of_memory > _SHARE * figures.offered):
        return None
    text = f"{figures.held_by_memory:,} environments had to wait for memory"
    text += f", {figures.out_of_memory:,} invocations ran out of it"
    if figures.memory_left is not None:
        text += f", {figures.memory_left:.0%} of the machine's memory was left"
    return f"{text}."


def _host_cpu(figures: LimitFigures) -> str | None:
    """Ours want more cores than there are; or a process that is the limit waits for a core all the time."""
    kept_waiting = any(
        ran is not None and ran + waited >= _SATURATED and waited >= _WAITING * (ran + waited)
        for ran, waited in (
            (figures.engine_cpu, figures.engine_wait or 0.0),
            (figures.generator_cpu, figures.generator_wait or 0.0),
        )
    )
    if not (figures.handlers_fill_the_host or kept_waiting):
        return None
    text = (
        f"Engine, handlers and generator wanted {figures.wanted:.1f} cores of {figures.cores}: handlers used "
        f"{figures.handlers_cpu or 0.0:.1f} and waited for {figures.handlers_wait or 0.0:.1f} more"
    )
    used = (figures.engine_cpu or 0.0) + (figures.generator_cpu or 0.0) + (figures.handlers_cpu or 0.0)
    if figures.busy_cores is not None and figures.busy_cores - used >= _WAITING:
        text += f"; other programs used {figures.busy_cores - used:.1f}"
    return f"{text}."


def _generator(figures: LimitFigures) -> str | None:
    late = figures.lag_ms > MAX_LAG_MS and figures.generator_wanted >= _SATURATED
    if not (late or (figures.generator_cpu or 0.0) > MAX_GENERATOR_CPU):
        return None
    return (
        f"A process of the generator ran for {figures.generator_cpu or 0.0:.0%} of the time and was ready "
        f"without a core for {figures.generator_wait or 0.0:.0%}; it sent requests {figures.lag_ms:,.1f} ms "
        "late (p99)."
    )


def _upstream(figures: LimitFigures) -> str | None:
    """Handlers took longer and longer, though they mostly waited, and not for a core."""
    if figures.growth < _GREW or figures.engine_wanted >= _SATURATED:
        return None
    if figures.busy_computes >= _COMPUTES:
        return None
    return (
        f"Handlers took {figures.growth:.1f} times as long as in their best second, though a busy "
        f"environment wanted a core for {figures.busy_computes:.0%} of its time, and the engine for "
        f"{figures.engine_wanted:.0%}: they waited for something outside."
    )


_RULES: Final[Mapping[str, Callable[[LimitFigures], str | None]]] = {
    GENERATOR: _generator,
    ENGINE_CPU: _engine_cpu,
    EVENT_LOOP: _event_loop,
    INITS: _inits,
    HOST_MEMORY: _host_memory,
    HOST_CPU: _host_cpu,
    UPSTREAM: _upstream,
    CONCURRENCY: _concurrency,
}


def _explained(found: Mapping[str, str], figures: LimitFigures) -> set[str]:
    """Those of the limits that are no cause, because another one brings them about."""
    gone = set()
    if HOST_CPU in found and figures.handlers_fill_the_host:
        # What has to wait for handlers would have had time to spare without them.
        if (figures.engine_wait or 0.0) > (figures.engine_cpu or 0.0):
            gone.add(ENGINE_CPU)
        if (figures.generator_wait or 0.0) > (figures.generator_cpu or 0.0):
            gone.add(GENERATOR)
    if EVENT_LOOP in found:
        # Whoever waits on a loop that is held takes longer.
        gone.add(UPSTREAM)
    few, most = _INIT_SHARE
    if HOST_CPU in found and INITS in found:
        if figures.init_share > most or figures.busy_computes < _COMPUTES:
            gone.add(HOST_CPU)
        elif figures.init_share < few:
            gone.add(INITS)
    if INITS in found and (ENGINE_CPU in found or CONCURRENCY in found) and figures.init_share < few:
        gone.add(INITS)
    return gone & found.keys()


# ------------------------------------------------------------------- no rule


def _is_late_alone(figures: LimitFigures) -> bool:
    """Whether requests were sent late, and callers waited for nothing else."""
    lost = figures.refused + figures.failed
    within_ms = 2 * figures.lag_ms + _LATE_MS
    return figures.lag_ms > MAX_LAG_MS and lost <= _SHARE * figures.offered and figures.late_ms < within_ms


def _held_generator(figures: LimitFigures) -> str:
    text = "Nothing else was at its limit"
    if figures.generator_cpu is not None:
        text += (
            f"; a process of the generator ran for {figures.generator_cpu:.0%} of the time, so something "
            "keeps it from running"
        )
    return f"{text}."


def _slow_server(figures: LimitFigures) -> str:
    text = "Requests were sent in time, so what is behind the URL was the limit"
    if figures.engine_cpu is not None:
        text += f"; its process ran for {figures.engine_cpu:.0%} of the time"
    return f"{text}."


def _unknown(figures: LimitFigures) -> str:
    known = [
        ("engine CPU", figures.engine_cpu, "{:.0%}"),
        ("event-loop lag (p99)", figures.loop_lag_ms, "{:,.0f} ms"),
        ("generator CPU", figures.generator_cpu, "{:.0%}"),
        ("cores in use", figures.busy_cores, "{:.1f}"),
    ]
    listed = ", ".join(f"{name} {shape.format(value)}" for name, value, shape in known if value is not None)
    text = "None of the limits that are looked for was reached"
    return f"{text}: {listed}." if listed else f"{text}, as far as is known."
