"""What Lambda would have done about the limit that a run found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from engine.core.cpu_law import MB_PER_VCPU
from engine.load.results.limit_figures import (
    CONCURRENCY,
    ENGINE_CPU,
    EVENT_LOOP,
    GENERATOR,
    HOST_CPU,
    HOST_MEMORY,
    INITS,
    UPSTREAM,
    LimitFigures,
)


def on_lambda(names: Iterable[str], figures: LimitFigures) -> str:
    """Sentences on these limits; empty if nothing can be said."""
    told = dict.fromkeys(_ON_LAMBDA[name](figures) for name in names if name in _ON_LAMBDA)
    return " ".join(one for one in told if one)


def _on_lambda_cpu(figures: LimitFigures) -> str:
    """Source: Lambda Developer Guide, "Configure Lambda function memory"."""
    text = f"Lambda has a vCPU for every {MB_PER_VCPU:,} MB of an environment, on hosts of its own"
    if figures.memory_mb is not None and figures.in_flight:
        vcpus = figures.in_flight * figures.memory_mb / MB_PER_VCPU
        text += (
            f": {figures.in_flight:,.0f} environments of {figures.memory_mb:,} MB have {vcpus:,.1f}, and "
            f"this machine has {figures.cores}"
        )
    return f"{text}. {_made(figures)}".strip()


def _on_lambda_event_loop(figures: LimitFigures) -> str:
    """Source: Lambda Developer Guide, "Understanding Lambda function scaling"."""
    text = "On Lambda an environment has one event at a time, so a call that blocks keeps no other waiting."
    return f"{text} {_made(figures)}".strip()


def _made(figures: LimitFigures) -> str:
    if not figures.environments_wanted:
        return ""
    return f"It would have made {figures.environments_wanted:,} environments in this run."


def _on_lambda_concurrency(figures: LimitFigures) -> str:
    if figures.concurrency_limit is None:
        return ""
    text = f"Lambda would have throttled too, at the same limit of {figures.concurrency_limit:,}"
    if figures.handler_ms is not None and figures.seconds:
        needed = figures.offered / figures.seconds * figures.handler_ms / 1000
        text += (
            f": {figures.offered / figures.seconds:,.0f} requests/s of {figures.handler_ms:,.0f} ms take "
            f"about {needed:,.0f} at a time"
        )
    return f"{text}."


def _on_lambda_inits(figures: LimitFigures) -> str:
    """Source: Lambda Developer Guide, "Lambda scaling behavior"."""
    text = "Lambda starts up to 1,000 environments per function every 10 s, each with CPU of its own,"
    return f"{text} so inits would not have waited for each other. {_made(figures)}".strip()


def _on_lambda_memory(_: LimitFigures) -> str:
    return "Lambda gives each environment its configured memory, whatever the others use."


def _on_lambda_upstream(figures: LimitFigures) -> str:
    text = f"Lambda would have waited as well, and billed the wait: {figures.in_flight:,.0f} environments"
    return f"{text} at a time, on average."


def _on_lambda_generator(_: LimitFigures) -> str:
    return "What Lambda would have done is not known: it did not get the load that was asked for either."


_ON_LAMBDA: Final[Mapping[str, Callable[[LimitFigures], str]]] = {
    GENERATOR: _on_lambda_generator,
    ENGINE_CPU: _on_lambda_cpu,
    EVENT_LOOP: _on_lambda_event_loop,
    INITS: _on_lambda_inits,
    HOST_MEMORY: _on_lambda_memory,
    HOST_CPU: _on_lambda_cpu,
    UPSTREAM: _on_lambda_upstream,
    CONCURRENCY: _on_lambda_concurrency,
}
