"""Which operation of the Lambda API a request is for, and its parameters, checked against the model.

Source: Lambda API reference, "Actions"; the API model of botocore.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs

from engine.protocols.aws import rest_json
from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.rest_routes import RestRoutes
from engine.protocols.aws.router import UNSERVED
from engine.protocols.aws.validation import check
from engine.services.lambda_api.errors import invalid_parameter
from engine.services.lambda_api.model import lambda_model

INVOKE: Final = "Invoke"
INVOKE_ASYNC: Final = "InvokeAsync"
INVOKE_STREAM: Final = "InvokeWithResponseStream"
ARCHIVES: Final = "/2015-03-31/archives/"
"""Where archives of code are downloaded: path of the engine's own, followed by the package's folder."""
INVOKING: Final = frozenset({INVOKE, INVOKE_ASYNC, INVOKE_STREAM})
"""Operations whose body is a payload."""

_UNSERVED_MEMBERS: Final = frozenset(
    {
        "AcceleratorConfig",
        "ImageConfig",
        "PublishTo",
        "RuntimeConfig",
        "TenancyConfig",
    }
)
"""Of bodies: what the engine's functions cannot be. Ignoring it would promise what does not happen."""

DURABLE: Final = frozenset(
    {
        "CheckpointDurableExecution",
        "DeleteDurableExecution",
        "GetDurableExecution",
        "GetDurableExecutionHistory",
        "GetDurableExecutionState",
        "ListDurableExecutionsByFunction",
        "PauseDurableExecution",
        "ResumeDurableExecution",
        "SendDurableExecutionCallbackFailure",
        "SendDurableExecutionCallbackHeartbeat",
        "SendDurableExecutionCallbackSuccess",
        "StopDurableExecution",
    }
)
"""Operations on durable executions: they are answered at once, or when the journal has them."""

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Call(NamedTuple):
    """One parsed request.

    Attributes:
        operation: AWS's name of the operation.
        name: `FunctionName`, `LayerName`, `UUID` or `Resource`, percent-decoded; empty where there is none.
        parameters: Those of the path and the query by AWS's names for them.
        members: Those of the body.
        endpoint: URL of the endpoint as the client reached it, for answers with URLs.
    """

    operation: str
    name: str
    parameters: Mapping[str, Any]
    members: Mapping[str, Any] = _NOTHING
    endpoint: str = ""


_API_VERSION: Final = re.compile(r"20\d\d-\d\d-\d\d", re.ASCII)
_SHOWN: Final = 200


@cache
def _routes() -> RestRoutes:
    return RestRoutes(lambda_model())


def find(method: str, target: bytes) -> Call:
    """Parse the target of a request. A slash at the end of the path is ignored.

    Raises:
        ServiceError: 501 `NotImplementedException` for what may be an operation that is newer than the model,
            404 `UnknownOperationException` for what cannot be.
    """
    path, _, query = target.decode("latin-1").partition("?")
    values = parse_qs(query, keep_blank_values=True)
    found = _routes().find(method, path, {key: texts[0] for key, texts in values.items()})
    if found is not None:
        parameters = rest_json.located(lambda_model(), found.operation, found.labels, values)
        return Call(found.operation, next(iter(found.labels.values()), ""), parameters)
    shown = f"{method} {path[:_SHOWN]}"
    if _API_VERSION.fullmatch(path.removeprefix("/").partition("/")[0]):
        raise ServiceError(501, UNSERVED, f"{shown} is not implemented by this engine")
    raise ServiceError(404, "UnknownOperationException", f"{shown} is no operation of the Lambda API")


def refused(operation: str) -> ServiceError:
    """501: an operation that AWS has and this engine has not."""
    return ServiceError(501, UNSERVED, f"{operation} is not implemented by this engine")


def checked(call: Call, body: bytes = b"") -> Call:
    """The call with the members of its body; of an invocation, that is no JSON document, without.

    Raises:
        ServiceError: SerializationException or ValidationException.
    """
    if call.operation in INVOKING:
        members: Mapping[str, Any] = _NOTHING
        required = {"InvokeArgs": ""} if call.operation == INVOKE_ASYNC else {}
        check(lambda_model(), call.operation, {**call.parameters, **required})
    else:
        members = rest_json.members(lambda_model(), call.operation, body)
        check(lambda_model(), call.operation, {**call.parameters, **members})
        for name in members:
            if name in _UNSERVED_MEMBERS:
                raise invalid_parameter(f"This engine does not implement {name}.")
    return call._replace(members=members)
