"""The part of Lambda's control plane that clients read: functions, their configuration, the account.

Source: Lambda API reference, GetFunction, GetFunctionConfiguration, ListFunctions, GetAccountSettings,
GetFunctionConcurrency.
"""

from __future__ import annotations

import binascii
import bisect
from base64 import b64decode, b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from engine.core.function import Function
from engine.ports import Host
from engine.sources.invoke.configuration import active, code_of, configuration
from engine.sources.invoke.errors import (
    ApiError,
    function_not_found,
    not_in_set,
    validation_error,
    violation,
)
from engine.sources.invoke.names import LATEST, Addressed

PAGE: Final = 50
"""The most functions ListFunctions gives at a time, whatever `MaxItems` says."""

_CODE_LIMIT_BYTES: Final = 322_122_547_200
_ZIPPED_LIMIT_BYTES: Final = 52_428_800
_UNZIPPED_LIMIT_BYTES: Final = 262_144_000
_ONLY_FUNCTIONS: Final = (
    "This operation is permitted on Lambda functions only. Aliases and versions do not support this "
    "operation. Please specify either a function name or an unqualified function ARN."
)


class Control:
    """Answers questions about a fixed set of functions; each answer is a document for JSON."""

    def __init__(self, functions: Mapping[str, Function], host: Host) -> None:
        self._functions = functions
        self._names = sorted(functions)
        self._account = host.account
        self._since_s = host.clock.wall()

    def get_function(self, who: Addressed, _query: Mapping[str, str]) -> dict[str, Any]:
        """Configuration, where the code is, tags and reservation if there are any."""
        function = self._find(who)
        answer: dict[str, Any] = {
            "Configuration": self._configuration(function, who.qualifier),
            "Code": {"RepositoryType": "FileSystem", "Location": Path(function.code).absolute().as_uri()},
        }
        if function.tags:
            answer["Tags"] = dict(function.tags)
        if function.reserved_concurrency is not None:
            answer["Concurrency"] = {"ReservedConcurrentExecutions": function.reserved_concurrency}
        return answer

    def get_configuration(self, who: Addressed, _query: Mapping[str, str]) -> dict[str, Any]:
        """The flat document."""
        return self._configuration(self._find(who), who.qualifier)

    def get_concurrency(self, who: Addressed, _query: Mapping[str, str]) -> dict[str, Any]:
        """The reservation; empty if there is none."""
        if who.qualifier is not None:
            raise ApiError(400, "InvalidParameterValueException", _ONLY_FUNCTIONS)
        reserved = self._find(who).reserved_concurrency
        return {} if reserved is None else {"ReservedConcurrentExecutions": reserved}

    def list_functions(self, query: Mapping[str, str]) -> dict[str, Any]:
        """One page in the order of names. `Marker` is opaque to clients: the last name before the page."""
        version = query.get("FunctionVersion") or None
        if version not in (None, "ALL"):
            raise not_in_set(version, "functionVersion", ("ALL",))
        first = bisect.bisect_right(self._names, _name_in(query["Marker"])) if query.get("Marker") else 0
        last = first + min(_max_items(query), PAGE)
        qualifier = LATEST if version else None
        page = self._names[first:last]
        return {
            "NextMarker": b64encode(page[-1].encode()).decode() if last < len(self._names) else None,
            "Functions": [
                configuration(self._functions[name], self._account, self._since_s, qualifier) for name in page
            ],
        }

    def account_settings(self, _query: Mapping[str, str]) -> dict[str, Any]:
        """Limits and usage; the code limits are AWS's and not enforced."""
        functions = self._functions.values()
        limit = self._account.concurrency_limit
        return {
            "AccountLimit": {
                "TotalCodeSize": _CODE_LIMIT_BYTES,
                "CodeSizeUnzipped": _UNZIPPED_LIMIT_BYTES,
                "CodeSizeZipped": _ZIPPED_LIMIT_BYTES,
                "ConcurrentExecutions": limit,
                "UnreservedConcurrentExecutions": limit - sum(map(_own_concurrency, functions)),
            },
            "AccountUsage": {
                "TotalCodeSize": sum(code_of(function).size for function in functions),
                "FunctionCount": len(functions),
            },
        }

    def _find(self, who: Addressed) -> Function:
        function = self._functions.get(who.name)
        if function is None or who.qualifier not in (None, LATEST):
            raise function_not_found(self._account.function_arn(who.name, who.qualifier))
        return function

    def _configuration(self, function: Function, qualifier: str | None) -> dict[str, Any]:
        return active(configuration(function, self._account, self._since_s, qualifier))


def _own_concurrency(function: Function) -> int:
    """What the function takes out of the account's pool, used or not."""
    if function.reserved_concurrency is not None:
        return function.reserved_concurrency
    return function.provisioned_concurrency


def _max_items(query: Mapping[str, str]) -> int:
    text = query.get("MaxItems") or str(PAGE)
    if not (text.isascii() and text.removeprefix("-").isdecimal() and len(text) < 20):
        raise ApiError(400, "SerializationException", "STRING_VALUE can not be converted to an Integer")
    value = int(text)
    if value < 1:
        raise validation_error(violation(text, "maxItems", "have value greater than or equal to 1"))
    if value > 10_000:
        raise validation_error(violation(text, "maxItems", "have value less than or equal to 10000"))
    return value


def _name_in(marker: str) -> str:
    try:
        return b64decode(marker, validate=True).decode()
    except (binascii.Error, ValueError):
        raise ApiError(400, "InvalidParameterValueException", "Invalid Marker.") from None
