"""The tables `[engine]` and `[functions.NAME]`: their keys, defaults and bounds.

Bounds are AWS Lambda's. Sources: Lambda Developer Guide, "Lambda quotas" and "Configuring Lambda
function timeout / memory"; API reference, CreateFunction.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Annotated, Any, Final, Literal

from engine.config.listeners import Listener, parse_listener
from engine.config.problems import show
from engine.core.cluster_config import PORT
from engine.core.cpu_law import CpuLaw
from engine.core.destinations import Role, expanded, problem
from engine.core.function import Account, DurableConfig, Function
from engine.core.keep_alive import KEEP_ALIVE_S
from engine.core.table import SettingsTable, fresh
from engine.core.table_rules import Array, Bounds, Check, Length, Parsed
from engine.protocols.http.request_gate import authority

FUNCTION_NAME: Final = re.compile(r"[a-zA-Z0-9-_]{1,64}")
LOG_GROUP: Final = re.compile(r"[-._/#a-zA-Z0-9]{1,512}")
FUNCTION_NAME_RULE: Final = "must be 1 to 64 of the characters a-z A-Z 0-9 - _ (AWS)"

ENVIRONMENT_BYTES: Final = 4096
"""Largest environment, measured as AWS does: the variables as one compact JSON object, in bytes."""

RESERVED_VARIABLES: Final = frozenset(
    {
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_DEFAULT_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
    }
)
"""Names AWS refuses (Lambda Developer Guide, "Defined runtime environment variables", reserved)."""

_ACCOUNT: Final = Account()
_VARIABLE_KEY = re.compile(r"[a-zA-Z][a-zA-Z0-9_]+")
_ALIAS = re.compile(r"[a-zA-Z0-9-_]{1,128}")
_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}")
_RUNTIME = re.compile(r"python3\.[0-9]{1,2}")
_ACCOUNT_ID = re.compile(r"[0-9]{12}")


def _region(value: str) -> str:
    if not _REGION.fullmatch(value):
        raise ValueError(f"{value!r} is not an AWS region name such as 'us-east-1'")
    return value


def _account_id(value: str) -> str:
    if not _ACCOUNT_ID.fullmatch(value):
        raise ValueError(f"{value!r} is not an AWS account id (12 digits)")
    return value


def _host_name(value: str) -> str:
    host = authority(value)
    if host is None or host.port or value.startswith("["):
        raise ValueError(f"{value!r} is not the name of a host")
    return value


def _web_origin(value: str) -> str:
    scheme, found, where = value.partition("://")
    if not found or not scheme.isalnum() or authority(where) is None:
        raise ValueError(
            f"{value!r} is no origin such as 'https://app.example.com': scheme, host and port alone"
        )
    return value


def _partner(value: str) -> str:
    if value == "moto" and None in (find_spec("moto"), find_spec("flask")):
        raise ValueError("'moto' is not installed: pip install 'invocation-engine[aws]'")
    scheme, found, where = value.partition("://")
    if value not in ("moto", "none") and not (
        found and scheme == "http" and authority(where.removesuffix("/")) is not None
    ):
        raise ValueError(f"{value!r} is neither 'moto' nor 'none', nor the URL of a server: http://HOST:PORT")
    return value


def _handler(value: str) -> str:
    if re.search(r"\s", value):
        raise ValueError(f"{value!r} holds white space")
    file, colon, function = value.rpartition(":")
    if colon:
        if not file.endswith(".py") or not function.isidentifier():
            raise ValueError(f"{value!r} is not of the form 'path/to/file.py:function'")
    else:
        module, _, function = value.rpartition(".")
        if function == "py" and module:
            raise ValueError(f"{value!r} names a file and no function: write '{value}:NAME'")
        if not module or not function:
            raise ValueError(f"{value!r} is neither 'module.function' nor 'path/to/file.py:function'")
        if not all(module.replace("/", ".").split(".")):
            raise ValueError(f"{value!r} has an empty part in its module name")
    if "\0" in value:
        raise ValueError(f"{value!r} holds a NUL character")
    return value


def _folder(value: str) -> str:
    if not value or "\0" in value:
        raise ValueError(f"{value!r} is not a folder name")
    return value


def _log_group(value: str) -> str:
    if not LOG_GROUP.fullmatch(value) or value.startswith("aws/"):
        raise ValueError(
            f"{value!r} is no name of a log group: 1 to 512 of the characters a-z A-Z 0-9 - _ . / #, "
            "not aws/ first (AWS)"
        )
    return value


def _not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("is empty")
    return value


def _runtime(value: str) -> str:
    if not _RUNTIME.fullmatch(value):
        raise ValueError(f"{value!r} is no Python of Lambda's such as 'python3.12'")
    return value


def _alias(value: str) -> str:
    if not _ALIAS.fullmatch(value) or value.isdecimal():
        raise ValueError(
            f"{value!r} is no alias: 1 to 128 of the characters a-z A-Z 0-9 - _, not all digits (AWS)"
        )
    return value


def _each_once(aliases: tuple[str, ...]) -> tuple[str, ...]:
    twice = [name for number, name in enumerate(aliases) if name in aliases[:number]]
    if twice:
        raise ValueError(f"{twice[0]!r} is named twice: a function has one alias of a name (AWS)")
    return aliases


def _cold_start(value: Any) -> Any:
    if value == "measured" and isinstance(value, str):
        return value
    if isinstance(value, str):
        raise ValueError(f"{value!r} is neither 'measured' nor a number of milliseconds")
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf"):
        return value
    raise ValueError(f"{show(value)} is neither 'measured' nor a number of milliseconds, 0 or more")


def _command(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        try:
            value = shlex.split(value)
        except ValueError as error:
            raise ValueError(f"{value!r} is no command: {str(error).lower()}") from None
    elif not isinstance(value, list | tuple):
        raise ValueError(f"{show(value)} is neither a string nor a list of strings")
    elif not all(isinstance(word, str) for word in value):
        raise ValueError("holds a word that is no string")
    if value and not value[0]:
        raise ValueError("names no program")
    if any("\0" in word for word in value):
        raise ValueError("holds a NUL character")
    return tuple(value)


def _module(value: str) -> str:
    if not all(part.isidentifier() for part in value.split(".")):
        raise ValueError(f"{value!r} is no name of a module, such as 'boto3'")
    return value


def _preload(value: Any) -> Any:
    if value == "auto" and isinstance(value, str):
        return value
    if not isinstance(value, list | tuple):
        raise ValueError(f"{show(value)} is neither 'auto' nor an array of names of modules")
    for name in value:
        if not isinstance(name, str):
            raise ValueError(f"holds {show(name)}, which is no name of a module")
        _module(name)
    return tuple(value)


def _goes_to(role: Role) -> Callable[[str], str]:
    def check(value: str) -> str:
        wrong = problem(role, expanded(value, _ACCOUNT))
        if wrong is not None:
            raise ValueError(wrong)
        return value

    return check


def _variable_name(key: str) -> str:
    if key in RESERVED_VARIABLES:
        raise ValueError("is reserved by AWS Lambda")
    if not _VARIABLE_KEY.fullmatch(key):
        raise ValueError(
            "is no variable name: a letter, then letters, digits or underscores, 2 or more (AWS)"
        )
    return key


def _variable_value(value: str) -> str:
    if "\0" in value:
        raise ValueError("holds a NUL character")
    return value


def _environment(variables: dict[str, str]) -> dict[str, str]:
    size = len(json.dumps(variables, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"))
    if size > ENVIRONMENT_BYTES:
        raise ValueError(f"{size} bytes as JSON is above {ENVIRONMENT_BYTES} (AWS maximum)")
    return variables


Count = Annotated[int, Bounds(ge=0)]
Seconds = Annotated[float, Bounds(ge=0, finite=True)]
Address = Annotated[Listener, Parsed(parse_listener)]
Variables = dict[Annotated[str, Check(_variable_name)], Annotated[str, Check(_variable_value)]]


Alias = Annotated[str, Check(_alias)]
Aliases = Annotated[Array[Alias], Check(_each_once)]


Modules = Array[Annotated[str, Check(_module)]]


class EngineSettings(SettingsTable):
    """`[engine]`: the account, the limits functions share, listeners and logging.

    Attributes:
        region: AWS region name; also chooses the prices.
        account_id: 12 digits.
        concurrency_limit: Invocations in flight over all functions, 1 or more.
        scaling_rate: Environments one function may add per 10 s, refilled continuously; 0 = no limit.
        requests_per_concurrency: Cap of synchronous requests per second and unit of concurrency
            (10 on AWS); 0 leaves it out.
        caller_requests_per_s: Cap of synchronous requests per second of all callers of the Lambda API (10 for
            each unit of concurrency on AWS); 0 leaves it out.
        retry_wait_s: Seconds until the second attempt of an asynchronous event that failed; the third comes
            after twice as long, and what backs off from throttles is in proportion.
        purge_pause_s: Seconds in which a queue is not purged a second time.
        init_concurrency: Environments of all functions that may initialise, and compute, at a time, 1 or
            more; absent = as many as there are cores for this process.
        cpu: `host`, or `lambda`: environments on process have the share of a CPU that Lambda gives them.
        stream_bandwidth: `unlimited`, or `lambda`: what functions stream goes out as fast as on Lambda.
        log_format: text, json or off.
        logs_mb: Megabytes of memory for CloudWatch Logs, which AWS clients read at `aws`; 0 = there are none.
        durable_mb: Megabytes of memory for durable executions that have ended, 1 or more; beyond it the
            oldest are dropped before their retention is over.
        grace_s: Seconds that accepted invocations get to end when the engine stops.
        monthly_budget_usd: US dollars a month that the cost dashboard and its alert compare with.
        reload_patterns: Globs of data files that `serve --reload` watches besides code.
        observers: What else sees every invocation: `otel`, a registered one, or `module:Class`.
        push_metrics: `otlp` pushes metrics to a collector, besides what `/metrics` shows; absent = no push.
        python: What handlers run in, by the process executor: the folder of a virtual environment, or an
            interpreter; absent = what lies beside their code, in the shell, or the engine's own.
        state_dir: Folder that keeps functions created over the Lambda API, objects of S3, durable executions
            and checkpoints of streams; absent = they end with the engine.
        http: `HOST:PORT` of the functions' HTTP events.
        aws: `HOST:PORT` of the endpoint for AWS clients.
        admin: `HOST:PORT` of metrics, health, status and the console.
        partner: What answers for AWS services that the engine has not: `moto`, `none`, or the URL of an
            emulator; absent = moto where the extra `aws` is installed.
        console: What the admin listener gives besides numbers: `auto`: logs and actions if only this machine
            can reach it; `full`: wherever it listens; `numbers`: neither.
        hosts: Further names that clients call the listeners by. On the aws listener what stands before one is
            a bucket.
        allowed_origins: Origins of web pages, besides those of this machine, that may use all listeners.
    """

    region: Annotated[str, Check(_region)] = _ACCOUNT.region
    account_id: Annotated[str, Check(_account_id)] = _ACCOUNT.account_id
    concurrency_limit: Annotated[int, Bounds(ge=1)] = _ACCOUNT.concurrency_limit
    scaling_rate: Count = _ACCOUNT.scaling_rate
    requests_per_concurrency: Count = _ACCOUNT.requests_per_concurrency
    caller_requests_per_s: Count = _ACCOUNT.caller_requests_per_s
    retry_wait_s: Seconds = _ACCOUNT.retry_wait_s
    purge_pause_s: Seconds = _ACCOUNT.purge_pause_s
    init_concurrency: Annotated[int, Bounds(ge=1)] | None = None
    cpu: CpuLaw = "host"
    stream_bandwidth: Literal["unlimited", "lambda"] = "unlimited"
    log_format: Literal["text", "json", "off"] = "text"
    logs_mb: Count = 16
    durable_mb: Annotated[int, Bounds(ge=1)] = 256
    grace_s: Seconds = 10.0
    monthly_budget_usd: Annotated[float, Bounds(gt=0, finite=True)] | None = None
    reload_patterns: Array[Annotated[str, Length(1)]] = ()
    observers: Array[str] = ()
    push_metrics: Literal["otlp"] | None = None
    python: Annotated[str, Check(_folder)] | None = None
    state_dir: Annotated[str, Check(_folder)] | None = None
    partner: Annotated[str, Check(_partner)] | None = None
    http: Address = Listener("127.0.0.1", 3000)
    aws: Address = Listener("127.0.0.1", 4566)
    admin: Address = Listener("127.0.0.1", 9464)
    console: Literal["auto", "full", "numbers"] = "auto"
    hosts: Array[Annotated[str, Check(_host_name)]] = ()
    allowed_origins: Array[Annotated[str, Check(_web_origin)]] = ()

    def account(self) -> Account:
        """The part of it that the kernel knows."""
        return Account(
            region=self.region,
            account_id=self.account_id,
            concurrency_limit=self.concurrency_limit,
            scaling_rate=self.scaling_rate,
            requests_per_concurrency=self.requests_per_concurrency,
            caller_requests_per_s=self.caller_requests_per_s,
            retry_wait_s=self.retry_wait_s,
            purge_pause_s=self.purge_pause_s,
        )

    @property
    def listeners(self) -> dict[str, Listener]:
        """Listener name to address."""
        return {"http": self.http, "aws": self.aws, "admin": self.admin}


class ClusterSettings(SettingsTable):
    """`[cluster]`: functions run on nodes, each with an agent that connects here.

    Attributes:
        listen: `HOST:PORT` where agents connect to.
        secret_file: File with what agents have to know; absent = it is in `ENGINE_CLUSTER_SECRET`, and
            without one only this machine can be listened on.
    """

    listen: Address = Listener("127.0.0.1", PORT)
    secret_file: Annotated[str, Check(_folder)] | None = None


def _ray_address(value: str) -> str:
    host, colon, port = value.rpartition(":")
    if value != "auto" and not (host and colon and port.isdecimal()):
        raise ValueError(f"{value!r} is neither 'auto' nor the HOST:PORT of a Ray cluster")
    return value


def _ray_namespace(value: str) -> str:
    if not re.fullmatch(r"[-._a-zA-Z0-9]{1,128}", value):
        raise ValueError(f"{value!r} is no namespace: 1 to 128 of the characters a-z A-Z 0-9 - . _")
    return value


class RaySettings(SettingsTable):
    """`[ray]`: functions run on the nodes of a Ray cluster, which starts the agents.

    Attributes:
        address: `HOST:PORT` of its control plane; `auto`: that of `RAY_ADDRESS`, or of the cluster last
            started on this machine.
        namespace: Where the actors have their names; absent = one of this engine's own.
        insecure: Use a cluster that asks nobody for a token.
        autoscaler: Ask for nodes, and give back those that are of no use.
    """

    address: Annotated[str, Check(_ray_address)] = "auto"
    namespace: Annotated[str, Check(_ray_namespace)] | None = None
    insecure: bool = False
    autoscaler: bool = False


class DurableSettings(SettingsTable):
    """`durable` of a function: it is a durable function, with these limits.

    Source: Lambda API reference, DurableConfig; Lambda Developer Guide, "Configure durable functions".

    Attributes:
        execution_timeout_s: Seconds an execution may take, suspensions included, 1 to 31622400 (366 days).
        retention_days: Days an execution is kept after its end, 1 to 90.
        kms_key_arn: Kept and shown; nothing is encrypted.
    """

    execution_timeout_s: Annotated[int, Bounds(ge=1, le=31_622_400)]
    retention_days: Annotated[int, Bounds(ge=1, le=90)] = 14
    kms_key_arn: str | None = None

    def config(self) -> DurableConfig:
        """What the engine knows it as."""
        return DurableConfig(
            execution_timeout_s=self.execution_timeout_s,
            retention_days=self.retention_days,
            kms_key_arn=self.kms_key_arn,
        )


class FunctionSettings(SettingsTable):
    """`[functions.NAME]`: one function and its limits. `Function` says what each key means.

    AWS takes whole seconds for a timeout; fractions are allowed here, because a test that waits for a
    timeout should not have to wait a second. `events` is checked table by table, by their sources.
    """

    handler: Annotated[str, Length(most=128), Check(_handler)]
    code: Annotated[str, Check(_folder), Check(_not_blank)] = "."
    inline: str | None = None
    layers: Array[Annotated[str, Check(_folder)]] = ()
    python: Annotated[str, Check(_folder)] | None = None
    runtime: Annotated[str, Check(_runtime)] | None = None
    executor: Annotated[str, Check(_not_blank)] = "auto"
    memory_mb: Annotated[int, Bounds(ge=128, le=10240)] = 128
    cpu: CpuLaw | None = None
    timeout_s: Annotated[float, Bounds(gt=0, le=900, finite=True)] = 3.0
    architecture: Literal["x86_64", "arm64"] = "x86_64"
    reserved_concurrency: Count | None = None
    provisioned_concurrency: Count = 0
    environment_concurrency: Annotated[int, Bounds(ge=1, le=1600)] = 1
    keep_alive_s: Seconds = KEEP_ALIVE_S
    overflow: Literal["throttle", "queue"] = "throttle"
    queue_limit: Count = 100_000
    cold_start: Annotated[Literal["measured"] | float, Parsed(_cold_start)] = "measured"
    environment: Annotated[Variables, Check(_environment)] = fresh(dict)
    endpoint_url: bool = True
    preload: Annotated[Literal["auto"] | tuple[str, ...], Parsed(_preload)] = ()
    no_preload: Modules = ()
    snapstart: bool = False
    ephemeral_storage_mb: Annotated[int, Bounds(ge=512, le=10240)] = 512
    tags: dict[str, str] = fresh(dict)
    log_group: Annotated[str, Check(_log_group)] | None = None
    bootstrap: Annotated[tuple[str, ...], Parsed(_command)] = ()
    maximum_event_age_s: Annotated[float, Bounds(ge=60, le=21_600)] = 21_600
    maximum_retry_attempts: Annotated[int, Bounds(ge=0, le=2)] = 2
    on_success: Annotated[str, Check(_goes_to("on_success"))] | None = None
    on_failure: Annotated[str, Check(_goes_to("on_failure"))] | None = None
    dead_letter_queue: Annotated[str, Check(_goes_to("dead_letter_queue"))] | None = None
    aliases: Aliases = ()
    durable: DurableSettings | None = None
    streaming: Literal["generator"] | None = None
    events: Array[dict[str, Any]] = ()

    @classmethod
    def of(cls, function: Function) -> dict[str, Any]:
        """The table that would have made `function`, name left out."""
        return {
            key: _plain(getattr(function, key))
            for key in cls.model_fields
            if getattr(function, key) is not None
        }

    def function(
        self, name: str, code: str, layers: tuple[str, ...] = (), python: str | None = None
    ) -> Function:
        """The `Function` of that name: its code, its layers and what it runs in are absolute paths."""
        values = {**vars(self), "code": code, "layers": layers, "python": python}
        return Function(name, **{**values, "durable": self.durable and self.durable.config()})


def _plain(value: Any) -> Any:
    if isinstance(value, DurableConfig):
        keys = ("execution_timeout_s", "retention_days", "kms_key_arn")
        return {key: getattr(value, key) for key in keys if getattr(value, key) is not None}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
