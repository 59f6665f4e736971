"""Function URLs: their configs, and the addresses at which the engine really serves them.

Source: Lambda API reference, CreateFunctionUrlConfig and the other operations on these; recorded answers.
"""

from __future__ import annotations

from datetime import UTC, datetime

from engine.packages.records import LATEST, FunctionRecord, Url
from engine.services.lambda_api import request_shapes
from engine.services.lambda_api.control_plane import ControlPlane
from engine.services.lambda_api.errors import conflict, not_found, validation_error
from engine.services.lambda_api.operation import Answer, Document, ReadOperations, WriteOperations
from engine.services.lambda_api.paging import page_of
from engine.services.lambda_api.routes import Call
from engine.services.lambda_api.validation import checked_text, read


class FunctionUrls:
    """The URLs of all functions and aliases. IAM settings are kept and shown, and not applied."""

    def __init__(self, control_plane: ControlPlane) -> None:
        self._control_plane = control_plane
        self._registry = control_plane.registry

    @property
    def read_operations(self) -> ReadOperations:
        """Operations that change nothing, by name."""
        return {"GetFunctionUrlConfig": self.get, "ListFunctionUrlConfigs": self.list_all}

    @property
    def write_operations(self) -> WriteOperations:
        """Operations that change something, by name."""
        return {
            "CreateFunctionUrlConfig": self.create,
            "UpdateFunctionUrlConfig": self.update,
            "DeleteFunctionUrlConfig": self.delete,
        }

    async def create(self, call: Call, body: bytes) -> Answer:
        """CreateFunctionUrlConfig: serves from now on."""
        wanted = read(request_shapes.CREATE_URL, body)
        record, qualifier = self._of(call)
        if qualifier in record.urls:
            arn = self._registry.arn(record, None if qualifier == LATEST else qualifier)
            raise conflict(
                f"Failed to create function url config for [functionArn = {arn}]. Error message:  "
                "FunctionUrlConfig exists for this Lambda function"
            )
        now_s = self._registry.now_s()
        url = Url(
            id=self._registry.new_id().replace("-", ""), config=wanted, created_s=now_s, modified_s=now_s
        )
        self._control_plane.open_url(record, qualifier, url)
        record.urls[qualifier] = url
        document = self._document(record, qualifier)
        del document["LastModifiedTime"]
        return Answer(document)

    async def update(self, call: Call, body: bytes) -> Answer:
        """UpdateFunctionUrlConfig: members that are not given stay."""
        wanted = read(request_shapes.UPDATE_URL, body)
        record, qualifier = self._of(call)
        url = self._url(record, qualifier)
        url.config = url.config | wanted
        self._control_plane.open_url(record, qualifier, url)
        url.modified_s = self._registry.now_s()
        return Answer(self._document(record, qualifier))

    async def delete(self, call: Call, _body: bytes) -> Answer:
        """DeleteFunctionUrlConfig."""
        record, qualifier = self._of(call)
        self._control_plane.function_urls.close(self._url(record, qualifier).id)
        del record.urls[qualifier]
        return Answer({})

    def get(self, call: Call) -> Document:
        """GetFunctionUrlConfig."""
        return self._document(*self._of(call))

    def list_all(self, call: Call) -> Document:
        """ListFunctionUrlConfigs."""
        record = self._registry.whole(self._registry.address(call.name, {}))
        page = page_of(sorted(record.urls), call.query)
        configs = [self._document(record, qualifier) for qualifier in page.keys]
        return {"NextMarker": page.next_marker, "FunctionUrlConfigs": configs}

    def _of(self, call: Call) -> tuple[FunctionRecord, str]:
        """A function or one of its aliases: versions have no URLs."""
        found = self._registry.find(self._registry.address(call.name, call.query))
        if found.qualifier != LATEST or call.query.get("Qualifier"):
            violations = checked_text(request_shapes.URL_QUALIFIER, found.qualifier, "qualifier")
            if violations:
                raise validation_error(*violations)
        return found.record, found.qualifier

    def _url(self, record: FunctionRecord, qualifier: str) -> Url:
        url = record.urls.get(qualifier)
        if url is None:
            raise not_found("The resource you requested does not exist.")
        return url

    def _document(self, record: FunctionRecord, qualifier: str) -> Document:
        url = self._url(record, qualifier)
        return {
            "FunctionUrl": self._control_plane.function_urls.address(url.id),
            "FunctionArn": self._registry.arn(record, None if qualifier == LATEST else qualifier),
            "InvokeMode": "BUFFERED",
            **url.config,
            "CreationTime": _iso_z(url.created_s),
            "LastModifiedTime": _iso_z(url.modified_s),
        }


def _iso_z(wall_s: float) -> str:
    at = datetime.fromtimestamp(wall_s, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond * 1000:09d}Z"
