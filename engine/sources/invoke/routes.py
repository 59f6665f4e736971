"""Which operation of the Lambda API a method and a path name.

Source: Lambda API reference, "Actions"; the API model of botocore.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, unquote

from engine.sources.invoke.errors import ApiError
from engine.wire.aws import UNSERVED


class Operation(StrEnum):
    """The operations there are."""

    INVOKE = "Invoke"
    INVOKE_ASYNC = "InvokeAsync"
    INVOKE_STREAM = "InvokeWithResponseStream"
    GET_FUNCTION = "GetFunction"
    GET_CONFIGURATION = "GetFunctionConfiguration"
    GET_CONCURRENCY = "GetFunctionConcurrency"
    LIST_FUNCTIONS = "ListFunctions"
    ACCOUNT_SETTINGS = "GetAccountSettings"


class Call(NamedTuple):
    """One request, taken apart.

    Attributes:
        operation: What is asked.
        name: `FunctionName`, percent-decoded; empty where the operation has none.
        query: Parameters, decoded; of equal names the first counts.
    """

    operation: Operation
    name: str
    query: Mapping[str, str]


_FUNCTION: Final = "{name}"
_ROUTES: Final = {
    ("POST", "2015-03-31", "functions", _FUNCTION, "invocations"): Operation.INVOKE,
    ("POST", "2014-11-13", "functions", _FUNCTION, "invoke-async"): Operation.INVOKE_ASYNC,
    ("POST", "2021-11-15", "functions", _FUNCTION, "response-streaming-invocations"): Operation.INVOKE_STREAM,
    ("GET", "2015-03-31", "functions", _FUNCTION): Operation.GET_FUNCTION,
    ("GET", "2015-03-31", "functions", _FUNCTION, "configuration"): Operation.GET_CONFIGURATION,
    ("GET", "2019-09-30", "functions", _FUNCTION, "concurrency"): Operation.GET_CONCURRENCY,
    ("GET", "2015-03-31", "functions"): Operation.LIST_FUNCTIONS,
    ("GET", "2016-08-19", "account-settings"): Operation.ACCOUNT_SETTINGS,
}
_API_VERSION: Final = re.compile(r"20\d\d-\d\d-\d\d", re.ASCII)
_SHOWN: Final = 200


def find(method: str, target: bytes) -> Call:
    """The call in a request line. A slash at the path's end is one too many, and forgiven.

    Raises:
        ApiError: 501 `NotImplementedException` for what may be one of the API's many other operations,
            404 `UnknownOperationException` for what cannot be.
    """
    path, _, query = target.decode("latin-1").partition("?")
    parts = path.removeprefix("/").removesuffix("/").split("/")
    name = ""
    if len(parts) > 2 and parts[1] == "functions":
        name = unquote(parts[2])
        parts[2] = _FUNCTION
    operation = _ROUTES.get((method, *parts))
    if operation is not None:
        return Call(operation, name, dict(reversed(parse_qsl(query, keep_blank_values=True))))
    shown = f"{method} {path[:_SHOWN]}"
    if len(parts) > 1 and _API_VERSION.fullmatch(parts[0]):
        raise ApiError(501, UNSERVED, f"{shown} is not implemented by this engine")
    raise ApiError(404, "UnknownOperationException", f"{shown} is no operation of the Lambda API")
