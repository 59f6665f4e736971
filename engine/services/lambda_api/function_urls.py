"""Function URLs: their configs, and the addresses at which the engine really serves them.

Source: Lambda API reference, CreateFunctionUrlConfig and the other operations on these; recorded answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from engine.packages.records import LATEST, FunctionRecord, Url
from engine.ports import FunctionUrlHost
from engine.protocols.aws.operation import Answer, Document, operation
from engine.services.lambda_api.errors import conflict, invalid_parameter, not_found
from engine.services.lambda_api.function_registry import FunctionRegistry
from engine.services.lambda_api.paging import list_document
from engine.services.lambda_api.routes import Call

_NOTHING: Final = "The resource you requested does not exist."
_NO_FUNCTION: Final = "Function does not exist"


class FunctionUrls:
    """The URLs of all functions and aliases. IAM settings are kept and shown, and not applied.

    One of the configuration is shown as long as no other was made for the same function; it stays as it is.
    """

    def __init__(self, registry: FunctionRegistry, host: FunctionUrlHost | None) -> None:
        """`host` is None in an engine without a listener for HTTP events."""
        self._registry = registry
        self._host = host
        since_s = registry.since_s
        self._configured: dict[str, dict[str, Url]] = {}
        for one in () if host is None else host.configured():
            url = Url(id=one.id, config=dict(one.config), created_s=since_s, modified_s=since_s)
            self._configured.setdefault(one.function, {})[one.qualifier or LATEST] = url

    def restore(self) -> None:
        """Serve the URLs of functions that came over the API before."""
        if self._host is not None:
            for record in self._registry.restored():
                for qualifier, url in record.urls.items():
                    self._open(record, qualifier, url)

    def close(self, url: Url) -> None:
        """Stop serving a URL."""
        if self._host is not None:
            self._host.close(url.id)

    @operation("CreateFunctionUrlConfig", writes=True)
    async def create(self, call: Call) -> Answer:
        """CreateFunctionUrlConfig: serves from now on."""
        members = dict(call.members)
        record, qualifier = self._named(call, _NO_FUNCTION)
        if qualifier in record.urls:
            arn = self._registry.arn(record, None if qualifier == LATEST else qualifier)
            raise conflict(
                f"Failed to create function url config for [functionArn = {arn}]. Error message:  "
                "FunctionUrlConfig exists for this Lambda function"
            )
        now_s = self._registry.now_s()
        url = Url(
            id=self._registry.new_id().replace("-", ""), config=members, created_s=now_s, modified_s=now_s
        )
        self._open(record, qualifier, url)
        record.urls[qualifier] = url
        document = self._changed(record, qualifier)
        del document["LastModifiedTime"]
        return Answer(document)

    @operation("UpdateFunctionUrlConfig", writes=True)
    async def update(self, call: Call) -> Answer:
        """UpdateFunctionUrlConfig: members that are not given stay."""
        members = dict(call.members)
        record, qualifier = self._named(call, _NO_FUNCTION)
        url = self._own(record, qualifier)
        url.config = url.config | members
        self._open(record, qualifier, url)
        url.modified_s = self._registry.now_s()
        return Answer(self._changed(record, qualifier))

    @operation("DeleteFunctionUrlConfig", writes=True)
    async def delete(self, call: Call) -> Answer:
        """DeleteFunctionUrlConfig."""
        record, qualifier = self._named(call, _NOTHING)
        self.close(self._own(record, qualifier))
        del record.urls[qualifier]
        return Answer({})

    @operation("GetFunctionUrlConfig")
    def get(self, call: Call) -> Document:
        """GetFunctionUrlConfig."""
        return self._document(*self._named(call, _NOTHING))

    @operation("ListFunctionUrlConfigs")
    def list_all(self, call: Call) -> Document:
        """ListFunctionUrlConfigs."""
        record = self._registry.function(call.name, _NO_FUNCTION)
        return list_document(
            "FunctionUrlConfigs",
            self._shown(record),
            call.parameters,
            lambda qualifier: self._document(record, qualifier),
        )

    def _open(self, record: FunctionRecord, qualifier: str, url: Url) -> None:
        """Serve a URL with its present configuration. Raises ServiceError."""
        if self._host is None:
            message = "This engine serves no function URLs: it has no listener for HTTP events."
            raise invalid_parameter(message)
        self._host.open(
            url.id,
            record.name,
            None if qualifier == LATEST else qualifier,
            url.config.get("Cors"),
            url.config.get("InvokeMode", "BUFFERED"),
        )

    def _named(self, call: Call, missing: str) -> tuple[FunctionRecord, str]:
        """A function or one of its aliases: versions have no URLs. `missing` says that it is not there."""
        found = self._registry.find(self._registry.address(call), missing)
        return found.record, found.qualifier

    def _shown(self, record: FunctionRecord) -> Mapping[str, Url]:
        """All URLs of a function, by qualifier."""
        return {**self._configured.get(record.name, {}), **record.urls}

    def _url(self, record: FunctionRecord, qualifier: str) -> Url:
        url = self._shown(record).get(qualifier)
        if url is None:
            raise not_found(_NOTHING)
        return url

    def _own(self, record: FunctionRecord, qualifier: str) -> Url:
        """One that came over this API. Raises ServiceError."""
        url = self._url(record, qualifier)
        if qualifier not in record.urls:
            message = f"The URL of {record.name} is defined in the engine's configuration: change it there."
            raise invalid_parameter(message)
        return url

    def _changed(self, record: FunctionRecord, qualifier: str) -> Document:
        """What a change answers: `InvokeMode` only if a request has given it."""
        document = self._document(record, qualifier)
        if "InvokeMode" not in self._url(record, qualifier).config:
            del document["InvokeMode"]
        return document

    def _document(self, record: FunctionRecord, qualifier: str) -> Document:
        url = self._url(record, qualifier)
        return {
            "FunctionUrl": "" if self._host is None else self._host.address(url.id),
            "FunctionArn": self._registry.arn(record, None if qualifier == LATEST else qualifier),
            "InvokeMode": "BUFFERED",
            **url.config,
            "CreationTime": _iso_z(url.created_s),
            "LastModifiedTime": _iso_z(url.modified_s),
        }


def _iso_z(wall_s: float) -> str:
    at = datetime.fromtimestamp(wall_s, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond * 1000:09d}Z"
