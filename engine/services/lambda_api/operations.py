"""Lambda's control plane: functions and all that hangs on them, over the Lambda API.

Looking is answered at once. A change is answered when it is kept; what takes longer, bringing a new
version up, goes on after the answer and shows as its state.
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
from engine.services.lambda_api.operation import Changes, Looks
from engine.services.lambda_api.routes import STATUSES, Call
from engine.services.lambda_api.tags_and_policies import TagsAndPolicies
from engine.services.lambda_api.versions import Versions

_log = logging.getLogger("engine.lambda")


class Operations:
    """Every operation of the Lambda API but the invoking ones."""

    def __init__(self, works: ControlPlane) -> None:
        versions = Versions(works)
        parts = (
            Functions(works, versions),
            versions,
            Concurrency(works),
            EventInvokeConfigs(works),
            FunctionUrls(works),
            TagsAndPolicies(works),
            Layers(works),
            EventSourceMappings(works),
        )
        self._works = works
        self._looks: Looks = {name: look for part in parts for name, look in part.looks.items()}
        self._changes: Changes = {name: change for part in parts for name, change in part.changes.items()}

    def changes(self, operation: str) -> bool:
        """Whether it is one that changes something: `change` does those, `look` the others."""
        return operation in self._changes

    def look(self, request: Request, call: Call, request_id: str) -> None:
        """Answer now. Raises ApiError."""
        _respond(request, call, self._looks[call.operation](call), request_id)

    async def change(self, request: Request, call: Call, request_id: str) -> None:
        """Do it, keep it, answer, and bring it about."""
        try:
            size = request.too_large
            if size or len(request.body) > BODY_LIMIT_BYTES:
                raise request_too_large(
                    f"Request must be smaller than {BODY_LIMIT_BYTES} bytes "
                    f"for the {call.operation} operation"
                )
            document, then = await self._changes[call.operation](call, request.body)
        except ApiError as error:
            answer_error(request, error, request_id)
            return
        except OSError as error:  # the disk: nothing was changed
            answer_error(request, _broken(error, call), request_id)
            return
        try:
            await self._works.save()
        except OSError as error:
            answer_error(request, _broken(error, call), request_id)
        else:
            _respond(request, call, document, request_id)
        if then is not None:
            await then()
            try:
                await self._works.save()
            except OSError:
                return  # what is kept is how it was before it came up: it comes up again after a restart


def _respond(request: Request, call: Call, document: dict[str, object], request_id: str) -> None:
    status = STATUSES[call.operation]
    head = f"Content-Type: application/json\r\nx-amzn-RequestId: {request_id}\r\n"
    request.respond(status, head.encode(), b"" if status == 204 else orjson.dumps(document))


def _broken(error: OSError, call: Call) -> ApiError:
    _log.error("%s of %r failed: %s", call.operation, call.name, error)
    return service_error(500, f"The package could not be stored: {error.strerror or error}")
