"""What a function's code and configuration must be like, beyond the constraints of single members.

Source: Lambda API reference, CreateFunction; Lambda Developer Guide, "Using Lambda environment variables".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, Final

import orjson

from engine.core.variables import EXEC_WRAPPER
from engine.protocols.aws.validation import validation_error, violation
from engine.services.lambda_api.errors import conflict, invalid_parameter, not_found
from engine.services.lambda_api.function_documents import provider_of
from engine.services.lambda_api.function_names import addressed
from engine.services.lambda_api.function_registry import ONLY_FUNCTIONS, FunctionRegistry
from engine.services.lambda_api.layers import folders_of
from engine.services.lambda_api.runtimes import RETIRED, RUNTIMES, SNAPSTART_RUNTIMES
from engine.services.lambda_api.tags_and_settings import check_tags

_LONGEST_NAME: Final = 64
_VARIABLES_BYTES: Final = 4096
_RESERVED: Final = frozenset(
    {
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_LAMBDA_RUNTIME_API",
        "LAMBDA_TASK_ROOT",
        "LAMBDA_RUNTIME_DIR",
    }
)


class CreateFunctionChecks:
    """Rejects invalid functions with AWS's messages."""

    def __init__(self, registry: FunctionRegistry) -> None:
        self._registry = registry

    def name_of(self, text: str) -> str:
        """The name of a new function. Raises ServiceError if it is invalid."""
        name, qualifier = addressed(text, None, self._registry.account)
        if qualifier is not None:
            raise invalid_parameter(ONLY_FUNCTIONS)
        if len(name) > _LONGEST_NAME:
            constraint = f"have length less than or equal to {_LONGEST_NAME}"
            told = violation(text, "functionName", constraint)
            raise validation_error(told, code="InvalidParameterValueException")
        return name

    def not_taken(self, name: str) -> None:
        """Raise ServiceError (409) if there is a function of that name."""
        if self._registry.record(name) is not None or self._registry.is_changing(name):
            raise conflict(f"Function already exist: {name}")

    def _declared(self, name: str) -> str | None:
        record = self._registry.record(name)
        return None if record is None or record.latest is None else record.latest.settings["Runtime"]

    def check(self, name: str, members: Mapping[str, Any]) -> list[str]:
        """Check what goes beyond single members. Returns the folders of the layers. Raises ServiceError."""
        runtime = members.get("Runtime")
        if runtime is not None:
            _check_runtime(runtime)
        runtime = runtime or self._declared(name)
        applies = members.get("SnapStart", {}).get("ApplyOn") == "PublishedVersions"
        if applies and runtime not in SNAPSTART_RUNTIMES:
            raise invalid_parameter(f"{runtime} is not supported for SnapStart enabled functions.")
        _check_variables(members.get("Environment", {}).get("Variables", {}))
        check_tags(members.get("Tags", {}))
        dead_letters = members.get("DeadLetterConfig", {}).get("TargetArn")
        if dead_letters and not re.match(r"arn:[^:]+:(sqs|sns):", dead_letters):
            message = f"The provided target ARN {dead_letters[:200]} is not one of an SQS queue or SNS topic."
            raise invalid_parameter(message)
        if dead_letters == self._registry.account.function_arn(name):
            raise invalid_parameter("You can't specify the function as a destination for itself.")
        provider = provider_of(members)
        if provider and provider.rpartition(":")[2] not in self._registry.state.capacity_providers:
            raise not_found(f"Capacity provider not found: {provider}")
        return folders_of(self._registry, members.get("Layers", []))


def _check_runtime(runtime: str) -> None:
    if runtime in RETIRED:
        raise invalid_parameter(
            f"The runtime parameter of {runtime} is no longer supported for creating or updating AWS Lambda "
            f"functions. We recommend you use the new runtime ({RETIRED[runtime]}) while creating or "
            "updating functions."
        )
    if runtime not in RUNTIMES:
        raise invalid_parameter(
            f"Value {runtime[:200]} at 'runtime' failed to satisfy constraint: Member must satisfy enum "
            f"value set: [{', '.join(RUNTIMES)}] or be a valid ARN"
        )


def _check_variables(variables: Mapping[str, str]) -> None:
    reserved = [key for key in variables if key in _RESERVED]
    if reserved:
        raise invalid_parameter(
            "Lambda was unable to configure your environment variables because the environment variables "
            "you have provided contains reserved keys that are currently not supported for modification. "
            f"Reserved keys used in this request: {', '.join(reserved)}"
        )
    text = orjson.dumps(variables)
    if len(text) > _VARIABLES_BYTES:
        raise invalid_parameter(
            "Lambda was unable to configure your environment variables because the environment variables "
            f"you have provided exceeded the 4KB limit. String measured: {text.decode()}"
        )
    if any("\0" in value for value in variables.values()):
        raise invalid_parameter("An environment variable holds a NUL character, which no process can take.")
    if EXEC_WRAPPER in variables and find_spec("awslambdaric") is None:
        raise invalid_parameter(
            f"{EXEC_WRAPPER} wraps a runtime that is started as a program. For Python that is "
            "awslambdaric, which is not installed beside this engine: pip install awslambdaric."
        )
