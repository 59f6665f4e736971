"""Which operation of the Lambda API a method and a path name.

Source: Lambda API reference, "Actions"; the API model of botocore.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, unquote

from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.router import UNSERVED

INVOKE: Final = "Invoke"
INVOKE_ASYNC: Final = "InvokeAsync"
INVOKE_STREAM: Final = "InvokeWithResponseStream"


class Call(NamedTuple):
    """One parsed request.

    Attributes:
        operation: AWS's name of the operation.
        name: `FunctionName`, `LayerName`, `UUID` or `Resource`, percent-decoded; empty where there is none.
        query: Parameters, decoded; of equal names the first counts.
        second: The second variable of the path: an alias, a statement, a layer's version; or empty.
        repeated: Parameters with all their values.
    """

    operation: str
    name: str
    query: Mapping[str, str]
    second: str = ""
    repeated: Mapping[str, Sequence[str]] = {}


class OperationRoute(NamedTuple):
    """An operation, and the status of its success."""

    operation: str
    status: int


_ANY: Final = "*"
_TABLE: Final = """
POST   2015-03-31/functions/*/invocations                      Invoke                             200
POST   2014-11-13/functions/*/invoke-async                     InvokeAsync                        202
POST   2021-11-15/functions/*/response-streaming-invocations   InvokeWithResponseStream           200
POST   2015-03-31/functions                                    CreateFunction                     201
GET    2015-03-31/functions                                    ListFunctions                      200
GET    2015-03-31/functions/*                                  GetFunction                        200
DELETE 2015-03-31/functions/*                                  DeleteFunction                     204
GET    2015-03-31/functions/*/configuration                    GetFunctionConfiguration           200
PUT    2015-03-31/functions/*/configuration                    UpdateFunctionConfiguration        200
PUT    2015-03-31/functions/*/code                             UpdateFunctionCode                 200
POST   2015-03-31/functions/*/versions                         PublishVersion                     201
GET    2015-03-31/functions/*/versions                         ListVersionsByFunction             200
POST   2015-03-31/functions/*/aliases                          CreateAlias                        201
GET    2015-03-31/functions/*/aliases                          ListAliases                        200
GET    2015-03-31/functions/*/aliases/*                        GetAlias                           200
PUT    2015-03-31/functions/*/aliases/*                        UpdateAlias                        200
DELETE 2015-03-31/functions/*/aliases/*                        DeleteAlias                        204
PUT    2017-10-31/functions/*/concurrency                      PutFunctionConcurrency             200
DELETE 2017-10-31/functions/*/concurrency                      DeleteFunctionConcurrency          204
GET    2019-09-30/functions/*/concurrency                      GetFunctionConcurrency             200
PUT    2019-09-30/functions/*/provisioned-concurrency          PutProvisionedConcurrencyConfig    202
GET    2019-09-30/functions/*/provisioned-concurrency          GetProvisionedConcurrencyConfig    200
DELETE 2019-09-30/functions/*/provisioned-concurrency          DeleteProvisionedConcurrencyConfig 204
PUT    2019-09-25/functions/*/event-invoke-config              PutFunctionEventInvokeConfig       200
POST   2019-09-25/functions/*/event-invoke-config              UpdateFunctionEventInvokeConfig    200
GET    2019-09-25/functions/*/event-invoke-config              GetFunctionEventInvokeConfig       200
DELETE 2019-09-25/functions/*/event-invoke-config              DeleteFunctionEventInvokeConfig    204
GET    2019-09-25/functions/*/event-invoke-config/list         ListFunctionEventInvokeConfigs     200
POST   2021-10-31/functions/*/url                              CreateFunctionUrlConfig            201
PUT    2021-10-31/functions/*/url                              UpdateFunctionUrlConfig            200
GET    2021-10-31/functions/*/url                              GetFunctionUrlConfig               200
DELETE 2021-10-31/functions/*/url                              DeleteFunctionUrlConfig            204
GET    2021-10-31/functions/*/urls                             ListFunctionUrlConfigs             200
POST   2015-03-31/functions/*/policy                           AddPermission                      201
GET    2015-03-31/functions/*/policy                           GetPolicy                          200
DELETE 2015-03-31/functions/*/policy/*                         RemovePermission                   204
POST   2017-03-31/tags/*                                       TagResource                        204
DELETE 2017-03-31/tags/*                                       UntagResource                      204
GET    2017-03-31/tags/*                                       ListTags                           200
GET    2020-06-30/functions/*/code-signing-config              GetFunctionCodeSigningConfig       200
GET    2024-08-31/functions/*/recursion-config                 GetFunctionRecursionConfig         200
PUT    2024-08-31/functions/*/recursion-config                 PutFunctionRecursionConfig         200
GET    2021-07-20/functions/*/runtime-management-config        GetRuntimeManagementConfig         200
POST   2018-10-31/layers/*/versions                            PublishLayerVersion                201
GET    2018-10-31/layers/*/versions                            ListLayerVersions                  200
GET    2018-10-31/layers/*/versions/*                          GetLayerVersion                    200
DELETE 2018-10-31/layers/*/versions/*                          DeleteLayerVersion                 204
GET    2018-10-31/layers                                       ListLayers                         200
POST   2015-03-31/event-source-mappings                        CreateEventSourceMapping           202
GET    2015-03-31/event-source-mappings                        ListEventSourceMappings            200
GET    2015-03-31/event-source-mappings/*                      GetEventSourceMapping              200
PUT    2015-03-31/event-source-mappings/*                      UpdateEventSourceMapping           202
DELETE 2015-03-31/event-source-mappings/*                      DeleteEventSourceMapping           202
GET    2016-08-19/account-settings                             GetAccountSettings                 200
"""
ROUTES: Final = {
    (method, *path.split("/")): OperationRoute(operation, int(status))
    for method, path, operation, status in map(str.split, _TABLE.strip().splitlines())
}
"""Method and the parts of a path, `*` for a variable, to what they name."""
STATUSES: Final = {route.operation: route.status for route in ROUTES.values()}
"""Operation to the status of its success."""

_API_VERSION: Final = re.compile(r"20\d\d-\d\d-\d\d", re.ASCII)
_SHOWN: Final = 200


def find(method: str, target: bytes) -> Call:
    """Parse the target of a request. A slash at the end of the path is ignored.

    Raises:
        ServiceError: 501 `NotImplementedException` for what may be one of the API's many other operations,
            404 `UnknownOperationException` for what cannot be.
    """
    path, _, query = target.decode("latin-1").partition("?")
    parts = path.removeprefix("/").removesuffix("/").split("/")
    for route, variables in _candidates(method, parts):
        if route is not None:
            name, second = ([unquote(variable) for variable in variables] + ["", ""])[:2]
            repeated: dict[str, list[str]] = {}
            for key, value in parse_qsl(query, keep_blank_values=True):
                repeated.setdefault(key, []).append(value)
            first = {key: values[0] for key, values in repeated.items()}
            return Call(route.operation, name, first, second, repeated)
    shown = f"{method} {path[:_SHOWN]}"
    if len(parts) > 1 and _API_VERSION.fullmatch(parts[0]):
        raise ServiceError(501, UNSERVED, f"{shown} is not implemented by this engine")
    raise ServiceError(404, "UnknownOperationException", f"{shown} is no operation of the Lambda API")


def _candidates(method: str, parts: list[str]) -> list[tuple[OperationRoute | None, list[str]]]:
    """Route and variables for each way to read a path: with one variable, or with two."""
    with_name, with_two = parts[:2] + [_ANY] * (len(parts) > 2) + parts[3:], parts[:]
    with_two[2::2] = [_ANY] * len(with_two[2::2])
    return [
        (ROUTES.get((method, *with_name)), parts[2:3]),
        (ROUTES.get((method, *with_two)), parts[2::2]),
    ]
