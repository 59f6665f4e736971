"""What a user says about one function: name, handler, limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, field
from typing import Any, Final, Literal, NamedTuple

from engine.core.cpu_law import CpuLaw
from engine.core.keep_alive import KEEP_ALIVE_S
from engine.core.late_dataclass import dataclass

INIT_LIMIT_S: Final = 10.0
"""Seconds an on-demand environment may take to initialise (Lambda Developer Guide, init phase)."""

PROVISIONED_INIT_LIMIT_S: Final = 130.0
"""The same for a provisioned one, if the function's timeout is not longer still."""


class DurableConfig(NamedTuple):
    """What a function says about its executions.

    Attributes:
        execution_timeout_s: Seconds one execution may take, 1 to 31,622,400.
        retention_days: Days an execution is kept after its end, 1 to 90.
        kms_key_arn: Key it would be encrypted with; shown, not used.
    """

    execution_timeout_s: int
    retention_days: int = 14
    kms_key_arn: str | None = None


@dataclass(frozen=True, slots=True)
class Function:
    """One function and its limits. Keys and defaults are those of `[functions.NAME]` in engine.toml.

    Attributes:
        name: 1 to 64 characters of `[a-zA-Z0-9-_]`.
        handler: `module.function` as on Lambda, or `path/to/file.py:function`.
        code: Folder the handler is imported from, before `sys.path`; or a zip archive or one file of it.
        inline: Text of the file `index.py`, which is then all the code there is; or None.
        layers: Folders or zip archives with layers, the later over the earlier.
        python: What the handler runs in, by the process executor: the folder of a virtual environment, or an
            interpreter. None for what `[engine]` says, or what is found.
        runtime: The Runtime it is declared with, such as `python3.12`: what it runs in if that is on `PATH`
            and nothing else is named or found. None for the engine's own.
        executor: `auto`, `loop`, `thread`, `process`, another registered name, or `module:Class`.
        memory_mb: Configured memory, 128 to 10240 MB; what billing uses.
        cpu: On the process executor, `lambda` for the share of a CPU that Lambda gives this memory, `host`
            for all that this machine has to give; None for what `[engine]` says.
        timeout_s: Deadline of one invocation, seconds, more than 0 up to 900.
        reserved_concurrency: Guarantee and ceiling, or None.
        provisioned_concurrency: Environments started ahead and kept.
        environment_concurrency: Invocations one environment takes at a time.
        keep_alive_s: Seconds an idle environment lives.
        overflow: At a limit refuse at once (`throttle`, as Lambda) or wait (`queue`).
        queue_limit: How many may wait with `overflow = "queue"`.
        cold_start: `measured`, or milliseconds to add to each environment's initialisation.
        environment: Variables for the handler.
        endpoint_url: Whether AWS clients in the handler are pointed at this engine (`AWS_ENDPOINT_URL`).
        preload: Modules that the process executor imports before it forks environments; `auto` for those that
            the first environment imports from outside the code folder.
        no_preload: Modules that `auto` leaves out, with those that import them.
        snapstart: The process executor forks environments from one with the handler initialised.
        ephemeral_storage_mb: Size of `/tmp` where environments have their own, 512 to 10240 MB.
        tags: Free labels, shown by the Lambda API.
        log_group: Where it logs, for AWS clients; None for `/aws/lambda/<name>`.
        bootstrap: Command that serves the Runtime API, for `executor = "runtime"`; empty for the file
            `bootstrap` in the code folder, else AWS's Python client.
        maximum_event_age_s: How long an asynchronous event is tried, seconds, 60 to 21600.
        maximum_retry_attempts: How often it is tried again after a function error, 0 to 2.
        on_success, on_failure: Where its record goes when it is done with: an ARN, `SERVICE:NAME`, or
            the name of a queue.
        aliases: Names it is called by besides its own: qualifiers. All stand for the function as it is.
        dead_letter_queue: Where an event that failed goes: an ARN, or the name of a queue.
        durable: Its limits as a durable function; None for an ordinary one.
        streaming: `generator`: what a handler yields is the response, piece by piece. None: generators are no
            results, as on AWS, which has announced streaming for Python and not shipped it.
        events: What triggers it: tables of `[[functions.NAME.events]]`, each with its `type`.
        version: `$LATEST`, or the number of a published version; not a key of engine.toml.
        is_package: Its code is a package that came over the Lambda API; not a key of engine.toml.
        init_limit_s: Seconds an on-demand environment may take to initialise; not a key of engine.toml.
    """

    name: str
    _: KW_ONLY
    handler: str
    code: str = "."
    inline: str | None = None
    layers: tuple[str, ...] = ()
    python: str | None = None
    runtime: str | None = None
    executor: str = "auto"
    memory_mb: int = 128
    cpu: CpuLaw | None = None
    timeout_s: float = 3.0
    architecture: Literal["x86_64", "arm64"] = "x86_64"
    reserved_concurrency: int | None = None
    provisioned_concurrency: int = 0
    environment_concurrency: int = 1
    keep_alive_s: float = KEEP_ALIVE_S
    overflow: Literal["throttle", "queue"] = "throttle"
    queue_limit: int = 100_000
    cold_start: Literal["measured"] | float = "measured"
    environment: Mapping[str, str] = field(default_factory=dict)
    endpoint_url: bool = True
    preload: tuple[str, ...] | Literal["auto"] = ()
    no_preload: tuple[str, ...] = ()
    snapstart: bool = False
    ephemeral_storage_mb: int = 512
    tags: Mapping[str, str] = field(default_factory=dict)
    log_group: str | None = None
    bootstrap: str | tuple[str, ...] = ()
    maximum_event_age_s: float = 21_600
    maximum_retry_attempts: int = 2
    on_success: str | None = None
    on_failure: str | None = None
    dead_letter_queue: str | None = None
    aliases: tuple[str, ...] = ()
    durable: DurableConfig | None = None
    streaming: Literal["generator"] | None = None
    events: tuple[Mapping[str, Any], ...] = ()
    version: str = "$LATEST"
    is_package: bool = False
    init_limit_s: float = INIT_LIMIT_S


LONGEST_WAIT_S: Final = 900.0
"""Seconds a caller waits for a durable execution (Lambda Developer Guide, "Durable functions")."""


def answered_within_s(function: Function) -> float:
    """Seconds from submitting an event to its outcome, at most; waiting for concurrency may double it."""
    if function.durable is not None:
        return min(float(function.durable.execution_timeout_s), LONGEST_WAIT_S)
    return function.timeout_s * (2 if function.overflow == "queue" else 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The region and account everything seems to run in, and the limits functions share.

    Attributes:
        region: AWS region name; also chooses the prices.
        account_id: 12 digits.
        concurrency_limit: Invocations in flight over all functions.
        scaling_rate: Environments one function may add per 10 s, refilled continuously; 0 = no limit.
        requests_per_concurrency: Lambda's cap of synchronous requests per second for each unit of
            concurrency (10 on AWS); 0, the default, leaves it out.
        caller_requests_per_s: Synchronous requests a second that the Lambda API takes, whatever they are for
            (AWS: 10 for each unit of concurrency); 0, the default, leaves it out.
        retry_wait_s: How long an asynchronous event that failed waits for its second attempt. All other waits
            of the queue are in proportion.
        purge_pause_s: How long a queue that was purged is not purged again.
    """

    region: str = "us-east-1"
    account_id: str = "000000000000"
    concurrency_limit: int = 1000
    scaling_rate: int = 1000
    requests_per_concurrency: int = 0
    caller_requests_per_s: int = 0
    retry_wait_s: float = 60.0
    purge_pause_s: float = 60.0

    def limit_of(self, function: Function) -> int:
        """Concurrency the function may reach: its reservation (0 refuses everything), else what all share."""
        reserved = function.reserved_concurrency
        return self.concurrency_limit if reserved is None else reserved

    def requests_per_s(self, function: Function) -> int:
        """Synchronous requests a second that its concurrency lets in; 0 = only places limit them."""
        return self.requests_per_concurrency * self.limit_of(function)

    def function_arn(self, name: str, qualifier: str | None = None) -> str:
        """`arn:aws:lambda:<region>:<account>:function:<name>[:<qualifier>]`."""
        arn = f"arn:aws:lambda:{self.region}:{self.account_id}:function:{name}"
        return f"{arn}:{qualifier}" if qualifier else arn
