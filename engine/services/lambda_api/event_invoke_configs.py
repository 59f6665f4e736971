"""Event-invoke configs: retries and destinations of asynchronous invocations. The event queue applies them.

Source: Lambda API reference, PutFunctionEventInvokeConfig and its like; recorded answers.
"""

from __future__ import annotations

import re
from typing import Any, Final

from engine.packages.records import LATEST, FunctionRecord, StoredInvokeConfig
from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.operation import Answer, Document, operation
from engine.services.lambda_api.errors import invalid_parameter, not_found
from engine.services.lambda_api.function_names import addressed
from engine.services.lambda_api.function_registry import FoundFunction, FunctionRegistry
from engine.services.lambda_api.paging import list_document
from engine.services.lambda_api.routes import Call
from engine.services.sqs.settings import FIFO_SUFFIX

_OUTCOMES: Final = ("OnSuccess", "OnFailure")
_NO_FUNCTION: Final = "The function doesn't exist."
_DESTINATION: Final = re.compile(r"arn:(aws[a-zA-Z-]*)?:(sqs|sns|lambda|events|s3):[^\s]*")


class EventInvokeConfigs:
    """The event-invoke configs of all functions, versions and aliases."""

    def __init__(self, registry: FunctionRegistry) -> None:
        self._registry = registry

    @operation("PutFunctionEventInvokeConfig", writes=True)
    async def put(self, call: Call) -> Answer:
        """PutFunctionEventInvokeConfig: replaces the configuration."""
        found, members = self._read_members(call)
        return self._store(found, members)

    @operation("UpdateFunctionEventInvokeConfig", writes=True)
    async def update(self, call: Call) -> Answer:
        """UpdateFunctionEventInvokeConfig: members that are not given stay."""
        found, members = self._read_members(call)
        return self._store(found, self._config(found).config | members)

    @operation("DeleteFunctionEventInvokeConfig", writes=True)
    async def delete(self, call: Call) -> Answer:
        """DeleteFunctionEventInvokeConfig. Raises ServiceError (404) if there is none."""
        found = self._addressed(call)
        self._config(found)
        del found.record.invoking[found.qualifier]
        return Answer({})

    @operation("GetFunctionEventInvokeConfig")
    def get(self, call: Call) -> Document:
        """GetFunctionEventInvokeConfig."""
        return self._document(self._addressed(call))

    @operation("ListFunctionEventInvokeConfigs")
    def list_all(self, call: Call) -> Document:
        """ListFunctionEventInvokeConfigs."""
        record = self._registry.function(call.name, _NO_FUNCTION)
        return list_document(
            "FunctionEventInvokeConfigs",
            record.invoking,
            call.parameters,
            lambda qualifier: self._document(FoundFunction(record, qualifier, "")),
        )

    def _read_members(self, call: Call) -> tuple[FoundFunction, dict[str, Any]]:
        members = dict(call.members)
        if not members:
            raise invalid_parameter("You must specify at least one of error handling or destination setting.")
        found = self._registry.find(self._registry.address(call), _NO_FUNCTION)
        self._check_destinations(found.record.name, members.get("DestinationConfig", {}))
        return found, members

    def _addressed(self, call: Call) -> FoundFunction:
        """What a call names, whether there is such a function or not: only its configuration is asked for."""
        name, qualifier = self._registry.address(call)
        record = self._registry.record(name) or FunctionRecord(name=name)
        return FoundFunction(record, qualifier or LATEST, "")

    def _check_destinations(self, name: str, config: dict[str, dict[str, str]]) -> None:
        """Raise ServiceError if one of the destinations cannot be one."""
        shown = []
        is_wrong = False
        for outcome in _OUTCOMES:
            arn = config.get(outcome, {}).get("Destination")
            shown.append(f"{outcome}(destination={arn})" if arn else "null")
            if not arn:
                continue
            found = _DESTINATION.fullmatch(arn)
            service = found[2] if found is not None else None
            is_wrong = is_wrong or service is None or (service == "s3" and outcome == "OnSuccess")
            if service == "lambda":
                self._check_function(name, arn)
            if service in ("sqs", "sns") and arn.endswith(FIFO_SUFFIX):
                raise _invalid_destination(arn)
        if is_wrong:
            success, failure = shown
            raise invalid_parameter(
                "The provided destination config "
                f"DestinationConfig(onSuccess={success}, onFailure={failure}) is invalid."
            )

    def _check_function(self, name: str, arn: str) -> None:
        try:
            target = addressed(arn, None, self._registry.account).name
        except ServiceError:  # no function's name, or one of another region or account
            target = ""
        if target == name:
            raise invalid_parameter("You can't specify the function as a destination for itself.")
        if self._registry.record(target) is None:
            raise _invalid_destination(arn)

    def _store(self, found: FoundFunction, config: dict[str, Any]) -> Answer:
        found.record.invoking[found.qualifier] = StoredInvokeConfig(
            config=config, modified_s=self._registry.now_s()
        )
        return Answer(self._document(found))

    def _config(self, found: FoundFunction) -> StoredInvokeConfig:
        config = found.record.invoking.get(found.qualifier)
        if config is None:
            arn = self._registry.arn(found.record, found.qualifier)
            raise not_found(f"The function {arn} doesn't have an EventInvokeConfig")
        return config

    def _document(self, found: FoundFunction) -> Document:
        config = self._config(found)
        destinations = config.config.get("DestinationConfig", {})
        return {
            "LastModified": config.modified_s,
            "FunctionArn": self._registry.arn(found.record, found.qualifier or LATEST),
            **config.config,
            "DestinationConfig": {outcome: _shown(destinations.get(outcome, {})) for outcome in _OUTCOMES},
        }


def _shown(destination: dict[str, str]) -> dict[str, str]:
    """A destination; an empty text is none."""
    return destination if destination.get("Destination") else {}


def _invalid_destination(arn: str) -> ServiceError:
    """400: AWS takes no such destination."""
    return invalid_parameter(f"The destination ARN {arn} is invalid.")
