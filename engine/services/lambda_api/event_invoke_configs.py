"""Event-invoke configs: retries and destinations of asynchronous invocations. The event queue applies them.

Source: Lambda API reference, PutFunctionEventInvokeConfig and its like; recorded answers.
"""

from __future__ import annotations

import re
from typing import Any, Final

from engine.packages.records import LATEST, StoredInvokeConfig
from engine.protocols.aws.operation import Answer, Document, operation
from engine.services.lambda_api import request_shapes
from engine.services.lambda_api.errors import invalid_parameter, not_found
from engine.services.lambda_api.function_registry import FoundFunction, FunctionRegistry
from engine.services.lambda_api.paging import list_document
from engine.services.lambda_api.routes import Call
from engine.services.lambda_api.validation import read

_DESTINATION: Final = re.compile(r"arn:(aws[a-zA-Z-]*)?:(sqs|sns|lambda|events|s3):[^\s]*")


class EventInvokeConfigs:
    """The event-invoke configs of all functions, versions and aliases."""

    def __init__(self, registry: FunctionRegistry) -> None:
        self._registry = registry

    @operation("PutFunctionEventInvokeConfig", writes=True)
    async def put(self, call: Call, body: bytes) -> Answer:
        """PutFunctionEventInvokeConfig: replaces the configuration."""
        found, members = self._read_members(call, body)
        return self._store(found, members)

    @operation("UpdateFunctionEventInvokeConfig", writes=True)
    async def update(self, call: Call, body: bytes) -> Answer:
        """UpdateFunctionEventInvokeConfig: members that are not given stay."""
        found, members = self._read_members(call, body)
        return self._store(found, self._config(found).config | members)

    @operation("DeleteFunctionEventInvokeConfig", writes=True)
    async def delete(self, call: Call, _body: bytes) -> Answer:
        """DeleteFunctionEventInvokeConfig. Raises ServiceError (404) if there is none."""
        found = self._registry.lookup(call)
        self._config(found)
        del found.record.invoking[found.qualifier]
        return Answer({})

    @operation("GetFunctionEventInvokeConfig")
    def get(self, call: Call) -> Document:
        """GetFunctionEventInvokeConfig."""
        return self._document(self._registry.lookup(call))

    @operation("ListFunctionEventInvokeConfigs")
    def list_all(self, call: Call) -> Document:
        """ListFunctionEventInvokeConfigs."""
        record = self._registry.function(call.name)
        return list_document(
            "FunctionEventInvokeConfigs",
            record.invoking,
            call.query,
            lambda qualifier: self._document(FoundFunction(record, qualifier, "")),
        )

    def _read_members(self, call: Call, body: bytes) -> tuple[FoundFunction, dict[str, Any]]:
        members = read(request_shapes.EVENT_INVOKE, body)
        found = self._registry.lookup(call)
        if not members:
            raise invalid_parameter("You must specify at least one of error handling or destination setting.")
        own = self._registry.arn(found.record)
        for destination in members.get("DestinationConfig", {}).values():
            arn = destination.get("Destination")
            if arn is None:
                continue
            if arn == own or arn.startswith(f"{own}:"):
                raise invalid_parameter("You can't specify the function as a destination for itself.")
            if _DESTINATION.fullmatch(arn) is None:
                raise invalid_parameter(
                    f"The provided destination config DestinationConfig is invalid: {arn}"
                )
        return found, members

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
        return {
            "LastModified": config.modified_s,
            "FunctionArn": self._registry.arn(found.record, found.qualifier or LATEST),
            **config.config,
            "DestinationConfig": {
                "OnSuccess": {},
                "OnFailure": {},
                **config.config.get("DestinationConfig", {}),
            },
        }
