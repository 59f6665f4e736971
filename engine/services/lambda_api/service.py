"""The Lambda API as a handler of the AWS endpoint: it keeps functions, and invokes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from engine.packages.records import LATEST, Version
from engine.ports import Host, Sink
from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.own_address import own_url
from engine.protocols.aws.router import CredentialScope
from engine.protocols.http.message import Request
from engine.services.lambda_api.code_packages import Spawn
from engine.services.lambda_api.control_plane import ControlPlane, body_too_large
from engine.services.lambda_api.durable.checkpoint_request import read_checkpoint
from engine.services.lambda_api.durable.emulator import Emulator
from engine.services.lambda_api.errors import answer_error
from engine.services.lambda_api.function_registry import FunctionRegistry, not_in_state
from engine.services.lambda_api.invoke import Invoker, InvokeTarget
from engine.services.lambda_api.routes import (
    ARCHIVES,
    DURABLE,
    INVOKE_ASYNC,
    INVOKE_STREAM,
    INVOKING,
    Call,
    checked,
    find,
)

_ARCHIVES: Final = ARCHIVES.encode()
_MAX_TARGETS: Final = 4096
_LONGEST_TARGET: Final = 512

_REJECTIONS: Final = {
    "ResourceNotFoundException": "unknown_function",
    "InvalidRequestContentException": "invalid_payload",
    "RequestEntityTooLargeException": "payload_too_large",
    "ServiceException": "not_accepting",
    "TooManyRequestsException": "caller_rate",
}
"""Error code to the label of the metric that counts it."""


class LambdaApi:
    """`handle` is what `engine.protocols.aws.router.AwsRouter` calls for the service `lambda`.

    The region that a request was signed for is ignored: there is one engine, whatever region an SDK is set
    to. An ARN, though, must name the engine's own region and account, as on AWS. The listener must accept
    bodies of `control_plane.BODY_LIMIT_BYTES`; payloads above Lambda's own limit are rejected here, with its
    message.

    Args:
        registry: The functions there are.
        control_plane: Answers every operation that does not invoke.
        host: Ids, time, and what counts rejections.
        sink: Takes the events.
        spawn: Starts tasks that outlive the request.
        emulator: Starts executions of other programs' functions; None: nobody may.
        asynchronous: Takes events of type Event; None sends them to `sink` like all others.
    """

    def __init__(
        self,
        registry: FunctionRegistry,
        control_plane: ControlPlane,
        host: Host,
        sink: Sink,
        spawn: Spawn,
        asynchronous: Sink | None = None,
        emulator: Emulator | None = None,
    ) -> None:
        self._emulator = emulator
        self._registry = registry
        self._control_plane = control_plane
        self._new_request_id: Callable[[], str] = host.new_request_id
        self._reject = host.reject
        self._invoker = Invoker(host, sink, asynchronous or sink, self._refuse)
        self._spawn = spawn
        self._targets: dict[bytes, InvokeTarget] = {}

    def handle(self, request: Request, _scope: CredentialScope) -> None:
        """Answer once, now or later. Never raises for a bad request."""
        request_id = self._new_request_id()
        try:
            target = self._targets.get(request.target)
            if target is None or request.method != "POST":
                target = self._route(request, request_id)
            if target is not None:
                self._invoker.invoke(request, target, request_id)
        except ServiceError as error:
            self._refuse(request, error, request_id)

    def _refuse(self, request: Request, error: ServiceError, request_id: str) -> None:
        if (reason := _REJECTIONS.get(error.code)) is not None:
            self._reject(reason)
        answer_error(request, error, request_id)

    def _route(self, request: Request, request_id: str) -> InvokeTarget | None:
        """The target if it is an invocation; any other operation is answered by the control plane."""
        if request.target.startswith(_ARCHIVES) and request.method in ("GET", "HEAD"):
            self._spawn(self._control_plane.answer_archive, request, request_id)
            return None
        checkpoint = read_checkpoint(request)
        if checkpoint is not None:
            self._control_plane.answer_durable(request, checkpoint, request_id)
            return None
        if self._emulator is not None and self._emulator.handle(request):
            return None
        call = find(request.method, request.target)
        if call.operation in INVOKING:
            target = self._target(checked(call))
            if len(request.target) <= _LONGEST_TARGET:
                if len(self._targets) >= _MAX_TARGETS:
                    self._targets.clear()
                self._targets[request.target] = target
            return target
        call = call._replace(endpoint=own_url(request))
        if call.operation in DURABLE:
            if request.too_large:
                raise body_too_large(call.operation)
            self._control_plane.answer_durable(request, checked(call, request.body), request_id)
        elif self._control_plane.is_write(call.operation):
            self._spawn(self._control_plane.answer_write, request, call, request_id, self._forget_targets)
        else:
            self._control_plane.answer_read(request, call, request_id)
        return None

    def _forget_targets(self) -> None:
        """Any of them may be deleted, or stand for another version."""
        self._targets.clear()

    def _target(self, call: Call) -> InvokeTarget:
        """The function that an invocation is for. Raises ServiceError if it cannot be invoked."""
        address = self._registry.address(call)
        found = self._registry.find(address._replace(qualifier=address.qualifier or LATEST))
        version = self._registry.version(found.record, found.qualifier)
        durable = self._is_durable(address.name, version)
        if version is not None and version.state != "Active":
            raise not_in_state(version.state)
        streaming = call.operation == INVOKE_STREAM
        return InvokeTarget(
            address.name,
            address.qualifier,
            streaming=streaming,
            asynchronous=call.operation == INVOKE_ASYNC,
            durable=durable,
            is_rare=streaming or durable,
        )

    def _is_durable(self, name: str, version: Version | None) -> bool:
        """Whether a version, or None for that of the configuration, is one of a durable function."""
        if version is None:
            return self._registry.configured[name].durable is not None
        return "DurableConfig" in version.settings
