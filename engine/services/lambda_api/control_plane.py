"""Lambda's control plane: functions and everything that belongs to them, over the Lambda API.

Operations that read are answered at once. One that writes is answered when the state is saved; starting a new
version takes longer, goes on after the answer and shows as the version's state.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Final

from engine.core.durable.refusals import DurableRefusal
from engine.core.durable.service import DurableService
from engine.packages.deployment import Deployment
from engine.packages.records import StoredState
from engine.packages.store import PackageStore
from engine.ports import FunctionUrlHost, Offload, QueueMappings, StreamMappings
from engine.protocols.aws import rest_json
from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.operation import Document, operations_of
from engine.protocols.http.message import Request
from engine.services.lambda_api.aliases import Aliases
from engine.services.lambda_api.capacity_providers import CapacityProviders
from engine.services.lambda_api.code_packages import CodePackages, FetchCode, Spawn
from engine.services.lambda_api.code_signing import CodeSigning
from engine.services.lambda_api.concurrency import Concurrency
from engine.services.lambda_api.durable.operations import DurableOperations, aws_error
from engine.services.lambda_api.errors import answer_error, not_found, request_too_large, service_error
from engine.services.lambda_api.event_invoke_configs import EventInvokeConfigs
from engine.services.lambda_api.event_source_mappings import EventSourceMappings
from engine.services.lambda_api.function_registry import FunctionRegistry
from engine.services.lambda_api.function_runner import FunctionRunner
from engine.services.lambda_api.function_urls import FunctionUrls
from engine.services.lambda_api.functions import Functions
from engine.services.lambda_api.layers import Layers
from engine.services.lambda_api.model import lambda_model
from engine.services.lambda_api.policies import Policies
from engine.services.lambda_api.routes import ARCHIVES, Call, checked, refused
from engine.services.lambda_api.state_persistence import StatePersistence
from engine.services.lambda_api.tags_and_settings import TagsAndSettings
from engine.services.lambda_api.versions import Versions

_log = logging.getLogger("engine.lambda")

BODY_LIMIT_BYTES: Final = 70_167_211
"""Of a request that may carry an archive."""


PARTS: Final = (
    Functions,
    Versions,
    Aliases,
    Concurrency,
    EventInvokeConfigs,
    FunctionUrls,
    Policies,
    TagsAndSettings,
    CodeSigning,
    CapacityProviders,
    Layers,
    EventSourceMappings,
    DurableOperations,
)
"""The classes whose marked methods are the operations."""


class ControlPlane:
    """Every operation of the Lambda API except those that invoke: builds the parts, finds the operations."""

    def __init__(
        self,
        registry: FunctionRegistry,
        package_store: PackageStore,
        deployment: Deployment,
        function_urls: FunctionUrlHost | None,
        *,
        offload: Offload,
        spawn: Spawn,
        fetch_code: FetchCode | None = None,
        mappings: QueueMappings | None = None,
        streams: StreamMappings | None = None,
        durable: DurableService,
        log_line: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Build the parts, and find the operations of each.

        `function_urls` is None in an engine without a listener for HTTP events, `fetch_code` in one without
        S3, `mappings` in one without queues, `streams` in one that reads none. `log_line` logs a line for
        the operator.
        """
        self._persistence = StatePersistence(registry, package_store, offload)
        self._packages = packages = CodePackages(
            registry, package_store, self._persistence, offload=offload, spawn=spawn, fetch_code=fetch_code
        )
        deployment.on_gone(packages.run_ended)
        runner = FunctionRunner(
            registry, package_store, packages, deployment, offload=offload, log_line=log_line
        )
        self._urls = FunctionUrls(registry, function_urls)
        self._mappings = EventSourceMappings(registry, mappings, streams)
        versions = Versions(registry, packages, runner, deployment)
        self._functions = Functions(registry, packages, runner, deployment, versions, self._urls)
        parts = (
            self._functions,
            versions,
            Aliases(registry, deployment),
            Concurrency(registry, deployment),
            EventInvokeConfigs(registry),
            self._urls,
            Policies(registry),
            TagsAndSettings(registry),
            CodeSigning(registry),
            CapacityProviders(registry),
            Layers(registry, packages),
            self._mappings,
            DurableOperations(registry, durable),
        )
        self._durable = durable
        self._operations = operations_of(parts)

    async def restore(self, state: StoredState) -> None:
        """Run what the state folder has. Called once, before anything is served."""
        self._persistence.restore(state)
        await self._functions.restore()
        self._urls.restore()
        await self._mappings.restore()

    def is_write(self, operation: str) -> bool:
        """Whether the operation changes something: `answer_write` does those, `answer_read` the others.

        Raises:
            ServiceError: 501, by the operation's name, if it is not served.
        """
        served = self._operations.get(operation)
        if served is None:
            raise refused(operation)
        return served.writes

    def answer_read(self, request: Request, call: Call, request_id: str) -> None:
        """Answer now. Raises ServiceError."""
        document = self._operations[call.operation].function(checked(call))
        rest_json.answer(lambda_model(), call.operation, request, document, request_id)

    def answer_durable(self, request: Request, call: Call, request_id: str) -> None:
        """Do what a checked call asks of durable executions, and answer once it is kept.

        Raises:
            ServiceError: As AWS refuses it.
        """
        try:
            document = self._operations[call.operation].function(call)
        except DurableRefusal as refusal:
            raise aws_error(refusal) from None
        self._durable.when_kept(partial(_answer_kept, request, call, document, request_id))

    async def answer_archive(self, request: Request, request_id: str) -> None:
        """Answer the archive of code that a `Location` names. Raises nothing."""
        try:
            data = await self._packages.archive(request.target.decode("latin-1").removeprefix(ARCHIVES))
        except OSError as error:
            _log.error("an archive could not be read: %s", error)
            failure = service_error(500, f"The package could not be read: {error.strerror or error}")
            answer_error(request, failure, request_id)
            return
        if data is None:
            gone = not_found("There is no such archive, or it is not needed any more.")
            answer_error(request, gone, request_id)
        else:
            request.respond(200, b"Content-Type: application/zip\r\n", data)

    async def answer_write(
        self, request: Request, call: Call, request_id: str, changed: Callable[[], None]
    ) -> None:
        """Run the operation, answer, and call `changed`, whatever came of it."""
        try:
            await self._write(request, call, request_id)
        except Exception:  # a bug of ours: loud, and no end of anything else  # noqa: BLE001
            _log.exception("%s of %r failed", call.operation, call.name)
            # Nothing happens if it was answered before.
            answer_error(request, service_error(500, "The engine has failed; its log says how."), request_id)
        finally:
            changed()

    async def _write(self, request: Request, call: Call, request_id: str) -> None:
        """Run the operation, save the state, answer, and then do what the operation does afterwards.

        An ServiceError or an OSError is answered; nothing is raised for a bad request.
        """
        try:
            size = request.too_large
            if size or len(request.body) > BODY_LIMIT_BYTES:
                raise body_too_large(call.operation)
            document, then = await self._operations[call.operation].function(checked(call, request.body))
        except ServiceError as error:
            answer_error(request, error, request_id)
            return
        except OSError as error:  # the disk: nothing was changed
            answer_error(request, _storage_error(error, call), request_id)
            return
        try:
            await self._persistence.save()
        except OSError as error:
            answer_error(request, _storage_error(error, call), request_id)
        else:
            rest_json.answer(lambda_model(), call.operation, request, document, request_id)
        if then is not None:
            await then()
            try:
                await self._persistence.save()
            except OSError:
                return  # what is kept is how it was before it came up: it comes up again after a restart


def _answer_kept(
    request: Request, call: Call, document: Document, request_id: str, error: OSError | None
) -> None:
    if error is None:
        rest_json.answer(lambda_model(), call.operation, request, document, request_id)
    else:
        failed = service_error(500, f"It could not be kept: {error.strerror or error}")
        answer_error(request, failed, request_id)


def body_too_large(operation: str) -> ServiceError:
    """413: no body is that large."""
    return request_too_large(
        f"Request must be smaller than {BODY_LIMIT_BYTES} bytes for the {operation} operation"
    )


def _storage_error(error: OSError, call: Call) -> ServiceError:
    of = f" of {call.name!r}" if call.name else ""  # what is created has its name in the body
    _log.error("%s%s failed: %s", call.operation, of, error)
    return service_error(500, f"The package could not be stored: {error.strerror or error}")
