"""All functions, of the engine's configuration and of the API, and how they are found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Final, NamedTuple

import anyio

from engine.core.function import Function
from engine.packages.records import LATEST, Alias, FunctionRecord, StoredState, Version
from engine.ports import Host
from engine.protocols.aws.errors import ServiceError
from engine.services.lambda_api.errors import (
    conflict,
    function_not_found,
    invalid_parameter,
    not_found,
    precondition_failed,
)
from engine.services.lambda_api.function_names import Addressed, addressed
from engine.services.lambda_api.routes import Call

_NO_QUERY: Final[Mapping[str, str]] = MappingProxyType({})
ONLY_FUNCTIONS: Final = (
    "This operation is permitted on Lambda functions only. Aliases and versions do not support this "
    "operation. Please specify either a function name or an unqualified function ARN."
)


class FoundFunction(NamedTuple):
    """A function as it was addressed: its record, its qualifier (`$LATEST` for none), and its ARN."""

    record: FunctionRecord
    qualifier: str
    arn: str


class FunctionRegistry:
    """All functions and layers. A function of the configuration has a record too, without a version.

    Tags, reservation, aliases, URLs and the like of such a function can be changed, until the engine stops;
    its code and configuration cannot.
    """

    def __init__(self, configured: Mapping[str, Function], host: Host) -> None:
        self.configured = dict(configured)
        self.host = host
        self.account = host.account
        self.since_s = host.clock.wall()
        self.state = StoredState()
        self._changing: dict[str, anyio.Event] = {}  # set when the change is over
        self._fixed = {
            function.name: FunctionRecord.model_construct(  # checked before
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

    def restore(self, state: StoredState) -> None:
        """Replace everything that came over the API by `state`."""
        self.state = state

    def restored(self) -> list[FunctionRecord]:
        """Functions that came over the API, except those whose names the configuration has taken since."""
        return [record for record in self.state.functions.values() if record.name not in self.configured]

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

    def address(self, call: Call) -> Addressed:
        """The name and the qualifier in a call. Raises ServiceError if one of them is malformed."""
        return addressed(call.name, call.parameters.get("Qualifier"), self.account)

    def lookup(self, call: Call) -> FoundFunction:
        """The function that a call names, and its qualifier. Raises ServiceError (400, 404)."""
        return self.find(self.address(call))

    def find(self, address: Addressed, missing: str | None = None) -> FoundFunction:
        """The function of a name, and its qualifier.

        Raises:
            ServiceError: 404 if there is no such one, with the text `missing` where AWS has one of its own.
        """
        record = self.record(address.name)
        arn = self.account.function_arn(address.name, address.qualifier)
        qualifier = address.qualifier or LATEST
        if record is None or qualifier not in (LATEST, *record.versions, *record.aliases):
            raise function_not_found(arn) if missing is None else not_found(missing)
        return FoundFunction(record, qualifier, arn)

    def lookup_for_alias(self, call: Call) -> FoundFunction:
        """As `lookup`, but a missing one whose qualifier reads like an alias's name is told as an alias.

        So is a missing function: whether that exists is not asked first.
        """
        name, qualifier = self.address(call)
        record = self.record(name)
        is_alias = qualifier is not None and not (qualifier.isdecimal() or "$" in qualifier)
        if is_alias and (record is None or qualifier not in record.aliases):
            raise not_found(f"Cannot find alias arn: {self.account.function_arn(name, qualifier)}")
        return self.lookup(call)

    def unqualified(self, text: str) -> str:
        """The name in a name or an ARN without a qualifier. Raises ServiceError (400)."""
        name, qualifier = addressed(text, None, self.account)
        if qualifier is not None:
            raise invalid_parameter(ONLY_FUNCTIONS)
        return name

    def function(self, text: str, missing: str | None = None) -> FunctionRecord:
        """The function of a name or an ARN without a qualifier. Raises ServiceError (400, or as `find`)."""
        return self.find(Addressed(self.unqualified(text), None), missing).record

    def packaged(self, address: Addressed) -> tuple[FunctionRecord, Version]:
        """The function and its `$LATEST`, for operations that change code or configuration.

        Raises:
            ServiceError: 404 if it is not there, 400 if it is one of the configuration.
        """
        record = self.find(address).record
        if record.latest is None:
            message = (
                f"Function {record.name} is defined in the engine's configuration: change its code and its "
                "configuration there. They cannot be changed over this API."
            )
            raise invalid_parameter(message)
        return record, record.latest

    def packaged_function(self, address: Addressed) -> tuple[FunctionRecord, Version]:
        """The same, but a version or an alias is refused."""
        record, latest = self.packaged(address)
        if address.qualifier not in (None, LATEST):
            raise invalid_parameter(ONLY_FUNCTIONS)
        return record, latest

    def version(self, record: FunctionRecord, qualifier: str) -> Version | None:
        """The version that a qualifier stands for (an alias' main one); None for a configured function's."""
        alias = record.aliases.get(qualifier)
        number = qualifier if alias is None else alias.version
        return record.latest if number == LATEST else record.versions[number]

    def arn(self, record: FunctionRecord, qualifier: str | None = None) -> str:
        """ARN of the function, or of one of its versions or aliases."""
        return self.account.function_arn(record.name, qualifier)

    def resource_arn(self, kind: str, name: str) -> str:
        """ARN of another resource of the account, a `layer` say."""
        return f"arn:aws:lambda:{self.account.region}:{self.account.account_id}:{kind}:{name}"

    # ---------------------------------------------------------------- changes in progress

    @contextmanager
    def begin_change(self, name: str) -> Iterator[None]:
        """Mark the function as being changed: if the block raises nothing, until `end_change`."""
        self._changing[name] = anyio.Event()
        try:
            yield
        except BaseException:
            self.end_change(name)
            raise

    def end_change(self, name: str) -> None:
        """The function can be changed again."""
        over = self._changing.pop(name, None)
        if over is not None:
            over.set()

    async def wait_until_unchanging(self, name: str) -> None:
        """Return once no change of the function is in progress."""
        while (over := self._changing.get(name)) is not None:
            await over.wait()

    def is_changing(self, name: str) -> bool:
        """Whether the function of that name is being created or changed."""
        return name in self._changing

    def check_unchanging(self, record: FunctionRecord, *, updating: bool = False) -> None:
        """Raise ServiceError (409) if the function is being changed, or an update of it is in progress."""
        if updating or self.is_changing(record.name):
            raise conflict(
                "The operation cannot be performed at this time. "
                f"An update is in progress for resource: {self.arn(record)}"
            )

    def check_changeable(self, record: FunctionRecord, latest: Version, revision: str | None) -> None:
        """Raise ServiceError if the function is being created or changed (409) or not at `revision` (412)."""
        if latest.state == "Pending" and not latest.updating:
            raise not_in_state(latest.state)
        self.check_unchanging(record, updating=latest.updating)
        check_revision(revision, latest.revision)

    # ---------------------------------------------------------------- time and identity

    def now_s(self) -> float:
        """Wall time in seconds, to the millisecond, as documents have it."""
        return round(self.host.clock.wall(), 3)

    def new_id(self) -> str:
        """A UUID."""
        return self.host.new_request_id()


def not_in_state(state: str) -> ServiceError:
    """409: a function cannot be used or changed in its present state."""
    return conflict(
        "The operation cannot be performed at this time. "
        f"The function is currently in the following state: {state}"
    )


def check_revision(given: str | None, revision: str, operation: str = "GetFunction/GetAlias") -> None:
    """Raise ServiceError (412) if the caller gave another revision than the present one.

    `operation` is what shows it, for the error's text.
    """
    if given is not None and given != revision:
        raise precondition_failed(operation)
