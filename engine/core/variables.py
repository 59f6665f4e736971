"""The environment variables that an environment of its own (a process) is given, as Lambda sets them.

Source: Lambda Developer Guide, "Using Lambda environment variables", defined runtime environment variables.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from engine.core.context import log_group_of
from engine.core.function import Account, Function

Initialisation = Literal["on-demand", "provisioned-concurrency", "snap-start", "lambda-managed-instances"]
"""Values of `AWS_LAMBDA_INITIALIZATION_TYPE`."""

EXEC_WRAPPER: Final = "AWS_LAMBDA_EXEC_WRAPPER"
"""Names a program that is started with the runtime's command as its arguments.

Source: Lambda Developer Guide, "Modifying the runtime environment"; not for OS-only runtimes.
"""

PATH: Final = "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin"
"""Lambda's own search path. Who starts a process puts the folder of its interpreter before it."""

_MADE_UP_CREDENTIALS: Final = {
    "AWS_ACCESS_KEY_ID": "ASIAXXXXXXXXXXXXXXXX",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_SESSION_TOKEN": "token",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
}

_OWN_CREDENTIALS: Final = (
    "AWS_ACCESS_KEY_ID",
    "AWS_CONFIG_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_DEFAULT_PROFILE",
    "AWS_PROFILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
)
"""Any of these among a function's own variables says where AWS's SDKs find its credentials (AWS SDKs and
Tools Reference Guide, "Standardized credential providers")."""


def log_variables(config: Mapping[str, Any]) -> dict[str, str]:
    """How AWS tells a runtime of a `LoggingConfig`: with the format JSON a level is INFO unless given."""
    if config.get("LogFormat") != "JSON":
        return {}
    level = config.get("ApplicationLogLevel", "INFO")
    return {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": level}


def initialisation_of(function: Function, *, provisioned: bool) -> Initialisation:
    """What an environment of its own is told: why and how it was started."""
    if function.snapstart:
        return "snap-start"
    if function.environment_concurrency > 1:
        return "lambda-managed-instances"
    return "provisioned-concurrency" if provisioned else "on-demand"


def lambda_variables(
    function: Function,
    account: Account,
    *,
    log_stream: str,
    task_root: str,
    runtime_api: str | None = None,
    initialisation: Initialisation = "on-demand",
    python: str | None = None,
    version: str | None = None,
    log_group: str | None = None,
    logs_json: bool = False,
    endpoint_url: str | None = None,
) -> dict[str, str]:
    """Lambda's variables for one environment, and the function's own, which win where both name one.

    `_X_AMZN_TRACE_ID` belongs to an invocation and is not among them. Left out as well are the variables
    that name what is not there: the metadata endpoint, and the library folders of Lambda's image
    (`LD_LIBRARY_PATH`, `PYTHONPATH`). The X-Ray daemon is looked for on this machine. The credentials are
    made up: they are signed with, and nobody checks them. So that AWS's SDKs find no others, they are told
    of empty files for profiles and to leave the metadata service alone, unless the function's own
    variables say where its credentials are.

    Args:
        function: Its name, handler, memory and own variables.
        account: Its region.
        log_stream: From `core.context.log_stream_name`. Under SnapStart it is not told, as on Lambda.
        task_root: Absolute path of the folder with the code, Lambda's `/var/task`.
        runtime_api: `host:port` of the Runtime API, or None if there is none.
        initialisation: Why and how the environment is started.
        python: `3.13` for a Python runtime; None for one that brings its own (`AWS_EXECUTION_ENV` is unset).
        version: Version the environment runs, where not the function's own.
        log_group: Where not the function's own.
        logs_json: Whether handlers are to log JSON.
        endpoint_url: Where its AWS clients find this engine, or None if it has no listener for them.
    """
    variables = {
        "_HANDLER": function.handler,
        "AWS_REGION": account.region,
        "AWS_DEFAULT_REGION": account.region,
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": version or function.version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
        "AWS_LAMBDA_INITIALIZATION_TYPE": initialisation,
        "LAMBDA_TASK_ROOT": task_root,
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "TZ": ":UTC",
        "LANG": "en_US.UTF-8",
        "LC_CTYPE": "C.UTF-8",
        "PATH": PATH,
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:2000",
        "_AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1",
        "_AWS_XRAY_DAEMON_PORT": "2000",
        "PWD": task_root,
        "SHLVL": "0",
    }
    if initialisation != "snap-start":
        variables["AWS_LAMBDA_LOG_GROUP_NAME"] = log_group or log_group_of(function)
        variables["AWS_LAMBDA_LOG_STREAM_NAME"] = log_stream
    if function.environment.keys().isdisjoint(_OWN_CREDENTIALS):
        variables |= _MADE_UP_CREDENTIALS
    if endpoint_url is not None and function.endpoint_url:
        variables["AWS_ENDPOINT_URL"] = endpoint_url
    if python is not None:
        variables["AWS_EXECUTION_ENV"] = f"AWS_Lambda_python{python}"
    if runtime_api is not None:
        variables["AWS_LAMBDA_RUNTIME_API"] = runtime_api
    if initialisation == "lambda-managed-instances":
        variables["AWS_LAMBDA_MAX_CONCURRENCY"] = str(function.environment_concurrency)
    if logs_json:
        variables |= log_variables({"LogFormat": "JSON"})
    return {**variables, **function.environment}
