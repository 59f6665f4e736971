"""The functions there are, from the engine's configuration and from packages, and how they are found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from engine.core.function import Function
from engine.packages.records import LATEST, Alias, FunctionRecord, StoredState, Version
from engine.ports import Host
from engine.services.lambda_api.errors import (
    ApiError,
    conflict,
    function_not_found,
    invalid_parameter,
    precondition_failed,
)
from engine.services.lambda_api.function_names import Addressed, addressed

ONLY_FUNCTIONS = (
    "This operation is permitted on Lambda functions only. Aliases and versions do not support this "
    "operation. Please specify either a function name or an unqualified function ARN."
)


class Found(NamedTuple):
    """A function as it was addressed: its record, and what the qualifier is (`$LATEST` for none)."""

    record: FunctionRecord
    qualifier: str
    arn: str


class FunctionRegistry:
    """All functions and layers. A function of the configuration has a record too, without a version.

    What hangs on such a function (tags, reservation, aliases, URLs, ...) may be changed like any
    other's, until the engine stops; its code and configuration may not.
    """

    def __init__(self, configured: Mapping[str, Function], host: Host) -> None:
        self.configured = dict(configured)
        self.host = host
        self.account = host.account
        self.since_s = host.clock.wall()
        self.state = StoredState()
        self._fixed = {
            function.name: FunctionRecord(
                name=function.name,
                aliases={
                    name: Alias(name=name, version=LATEST, revision=host.new_request_id())
                    for name in function.aliases
                },
                tags=dict(function.tags),
                reserved=function.reserved_concurrency,
            )
            for function in configured.values()
        }

    # ---------------------------------------------------------------- looking up

    def names(self) -> list[str]:
        """All functions, sorted."""
        return sorted({*self._fixed, *self.state.functions})

    def record(self, name: str) -> FunctionRecord | None:
        """The function of that name; those of the configuration come first."""
        return self._fixed.get(name) or self.state.functions.get(name)

    def records(self) -> list[FunctionRecord]:
        """All functions."""
        return [*self._fixed.values(), *self.state.functions.values()]

    def address(self, text: str, query: Mapping[str, str]) -> Addressed:
        """What a path says of a function. Raises ApiError for what is no name."""
        return addressed(text, query.get("Qualifier"), self.account)

    def find(self, address: Addressed) -> Found:
        """The function, and what its qualifier is. Raises ApiError (404) if one of the two is not there."""
        record = self.record(address.name)
        arn = self.account.function_arn(address.name, address.qualifier)
        if record is None:
            raise function_not_found(arn)
        qualifier = address.qualifier or LATEST
        if not (qualifier == LATEST or qualifier in record.versions or qualifier in record.aliases):
            raise function_not_found(arn)
        return Found(record, qualifier, arn)

    def whole(self, address: Addressed) -> FunctionRecord:
        """The function, for operations that know no versions. Raises ApiError (400, 404)."""
        if address.qualifier is not None:
            raise invalid_parameter(ONLY_FUNCTIONS)
        return self.find(address).record

    def packaged(self, address: Addressed) -> tuple[FunctionRecord, Version]:
        """The function and its `$LATEST`, for operations that change code or configuration.

        Raises:
            ApiError: 404 if it is not there, 400 if it is one of the configuration.
        """
        record = self.find(address).record
        if record.latest is None:
            message = (
                f"Function {record.name} is defined in the engine's configuration: change its code and its "
                "configuration there. They cannot be changed over this API."
            )
            raise invalid_parameter(message)
        return record, record.latest

    def version(self, record: FunctionRecord, qualifier: str) -> Version | None:
        """The version that a qualifier stands for (an alias' main one); None for a configured function's."""
        alias = record.aliases.get(qualifier)
        number = qualifier if alias is None else alias.version
        return record.latest if number == LATEST else record.versions[number]

    def arn(self, record: FunctionRecord, qualifier: str | None = None) -> str:
        """Of the function, or of one of its versions or aliases."""
        return self.account.function_arn(record.name, qualifier)

    # ---------------------------------------------------------------- time, identity, agreement

    def now_s(self) -> float:
        """Wall time, to the millisecond, as documents tell it."""
        return round(self.host.clock.wall(), 3)

    def new_id(self) -> str:
        """A UUID."""
        return self.host.new_request_id()

    def still(self, version: Version, arn: str) -> None:
        """Raise ApiError (409) while a version is being made or changed."""
        if version.updating:
            raise in_progress(arn)
        if version.state == "Pending":
            raise not_in_state(version.state)


def in_progress(arn: str) -> ApiError:
    """A function that is being changed already."""
    return conflict(
        f"The operation cannot be performed at this time. An update is in progress for resource: {arn}"
    )


def not_in_state(state: str) -> ApiError:
    """A function that cannot be used, or changed, in the state it is in."""
    return conflict(
        "The operation cannot be performed at this time. "
        f"The function is currently in the following state: {state}"
    )


def agreed(given: str | None, revision: str) -> None:
    """Raise ApiError (412) if a caller that named a revision looked at an older one."""
    if given is not None and given != revision:
        raise precondition_failed()
