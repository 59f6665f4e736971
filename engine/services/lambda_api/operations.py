"""Lambda's control plane: functions and everything that belongs to them, over the Lambda API.

Operations that read are answered at once. One that writes is answered when the state is saved; starting a new
version takes longer, goes on after the answer and shows as the version's state.
"""

from __future__ import annotations

import logging

import orjson

from engine.protocols.http.message import Request
from engine.services.lambda_api.concurrency import Concurrency
from engine.services.lambda_api.control_plane import BODY_LIMIT_BYTES, ControlPlane
from engine.services.lambda_api.errors import ApiError, answer_error, request_too_large, service_error
from engine.services.lambda_api.event_invoke_configs import EventInvokeConfigs
from engine.services.lambda_api.event_source_mappings import EventSourceMappings
from engine.services.lambda_api.function_urls import FunctionUrls
from engine.services.lambda_api.functions import Functions
from engine.services.lambda_api.layers import Layers
from engine.services.lambda_api.operation import ReadOperations, WriteOperations
from engine.services.lambda_api.routes import STATUSES, Call
from engine.services.lambda_api.tags_and_policies import TagsAndPolicies
from engine.services.lambda_api.versions import Versions

_log = logging.getLogger("engine.lambda")


class Operations:
    """Every operation of the Lambda API except those that invoke."""

    def __init__(self, control_plane: ControlPlane) -> None:
        versions = Versions(control_plane)
        parts = (
            Functions(control_plane, versions),
            versions,
            Concurrency(control_plane),
            EventInvokeConfigs(control_plane),
            FunctionUrls(control_plane),
            TagsAndPolicies(control_plane),
            Layers(control_plane),
            EventSourceMappings(control_plane),
        )
        self._control_plane = control_plane
        self._reads: ReadOperations = {
            name: read for part in parts for name, read in part.read_operations.items()
        }
        self._writes: WriteOperations = {
            name: write for part in parts for name, write in part.write_operations.items()
        }

    def is_write(self, operation: str) -> bool:
        """Whether the operation changes something: `answer_write` does those, `answer_read` the others."""
        return operation in self._writes

    def answer_read(self, request: Request, call: Call, request_id: str) -> None:
        """Answer now. Raises ApiError."""
        _respond(request, call, self._reads[call.operation](call), request_id)

    async def answer_write(self, request: Request, call: Call, request_id: str) -> None:
        """Run the operation, save the state, answer, and then do what the operation does afterwards.

        An ApiError or an OSError is answered; nothing is raised for a bad request.
        """
        try:
            size = request.too_large
            if size or len(request.body) > BODY_LIMIT_BYTES:
                raise request_too_large(
                    f"Request must be smaller than {BODY_LIMIT_BYTES} bytes "
                    f"for the {call.operation} operation"
                )
            document, then = await self._writes[call.operation](call, request.body)
        except ApiError as error:
            answer_error(request, error, request_id)
            return
        except OSError as error:  # the disk: nothing was changed
            answer_error(request, _broken(error, call), request_id)
            return
        try:
            await self._control_plane.save()
        except OSError as error:
            answer_error(request, _broken(error, call), request_id)
        else:
            _respond(request, call, document, request_id)
        if then is not None:
            await then()
            try:
                await self._control_plane.save()
            except OSError:
                return  # what is kept is how it was before it came up: it comes up again after a restart


def _respond(request: Request, call: Call, document: dict[str, object], request_id: str) -> None:
    status = STATUSES[call.operation]
    head = f"Content-Type: application/json\r\nx-amzn-RequestId: {request_id}\r\n"
    request.respond(status, head.encode(), b"" if status == 204 else orjson.dumps(document))


def _broken(error: OSError, call: Call) -> ApiError:
    _log.error("%s of %r failed: %s", call.operation, call.name, error)
    return service_error(500, f"The package could not be stored: {error.strerror or error}")
