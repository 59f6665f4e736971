"""What is imported when it is first needed, and not when the engine starts."""

from __future__ import annotations

LATE = {
    "rich": "draws tables and screens",
    "yaml": "reads templates",
    "tomllib": "reads engine.toml",
    "watchfiles": "watches code, with --reload",
    "prometheus_client": "writes what others measure onto the metrics page",
    "awscrt": "computes checksums of objects",
    "difflib": "guesses what was meant",
    "pydantic": "tells what is wrong with a table, and reads those of sources of a user's own",
    "pydantic_core": "the same",
    "engine.app.reloading": "brings watchfiles",
    "engine.app.services": "what AWS clients talk to, for the first of them, who waits at the socket",
    "engine.config.templates.sam": "brings yaml",
    "engine.config.templates.samconfig": "brings tomllib",
    "engine.config.toml_file": "brings tomllib",
    "engine.runtime.durable": "executions, with the first durable function or AWS client",
    "engine.executors.durable_on_loop": "durable functions on virtual time; brings checks of what they send",
    "engine.executors.loop_stream": "handlers on the loop that stream",
    "engine.report.execution_timeline": "draws a durable execution, when the console is asked to",
    "engine.services.logs.service": "CloudWatch Logs, for the first AWS client that asks",
    "engine.app.buses": "topics and event buses, for the first client or event of the configuration",
    "engine.services.sns": "topics, for the first client, event or table of them",
    "engine.services.deliveries": "deliveries of topics and event buses",
    "engine.services.eventbridge": "event buses",
    "engine.services.partner": "other AWS services, with the first AWS client, stream or table",
    "engine.sources.http.stream_metadata": "HTTP metadata before a streamed body",
    "engine.app.streams": "mappings of streams, with the first of them",
    "engine.sources.streams": "the same",
    "engine.core.streams": "the same",
    "engine.telemetry.exposition": "brings prometheus_client",
}
"""Modules, each with all below it, and what they are needed for.

Only these are imported inside functions, and none of them is there when `engine serve MODULE.FUNCTION` says
that it is ready.
"""

MEANWHILE = {"engine.cli.served": "the engine, while the process that environments are forked from starts"}
"""What is there when it says so, and imported inside a function so that something starts before."""


def is_late(module: str) -> bool:
    """Whether `module` is one of them, or below one."""
    return any(module == name or module.startswith(f"{name}.") for name in (*LATE, *MEANWHILE))
