"""The Lambda API as a handler of the AWS endpoint: it answers about functions, and invokes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import orjson

from engine.core.function import Function
from engine.ports import Host, Sink
from engine.sources.invoke.control import Control
from engine.sources.invoke.errors import ApiError, answer_error, function_not_found
from engine.sources.invoke.invoker import Invoker, Target
from engine.sources.invoke.names import LATEST, addressed
from engine.sources.invoke.routes import Call, Operation, find
from engine.wire.aws import Scope
from engine.wire.http_message import Request

_MOST_TARGETS: Final = 4096
_LONGEST_TARGET: Final = 512
_REJECTIONS: Final = {
    "ResourceNotFoundException": "unknown_function",
    "InvalidRequestContentException": "invalid_payload",
    "RequestEntityTooLargeException": "payload_too_large",
    "ServiceException": "not_accepting",
}
"""What the metrics call a refusal."""
_INVOKING: Final = (Operation.INVOKE, Operation.INVOKE_STREAM, Operation.INVOKE_ASYNC)


class LambdaApi:
    """`handle` is what `engine.wire.aws.AwsEndpoint` calls for the service `lambda`.

    The region a caller signed for is not looked at: there is one engine, whatever region an SDK is set
    to. An ARN, though, must name the engine's own region and account, as on AWS. The listener must take
    bodies of 6,291,456 bytes; larger ones are refused here, in the API's words.
    """

    def __init__(self, functions: Iterable[Function], host: Host, sink: Sink) -> None:
        self._functions = {function.name: function for function in functions}
        self._account = host.account
        self._new_request_id = host.new_request_id
        self._reject = host.reject
        self._invoker = Invoker(host, sink)
        self._known: dict[bytes, Target] = {}
        control = Control(self._functions, host)
        self._of_function: dict[Operation, Callable[..., dict[str, Any]]] = {
            Operation.GET_FUNCTION: control.get_function,
            Operation.GET_CONFIGURATION: control.get_configuration,
            Operation.GET_CONCURRENCY: control.get_concurrency,
        }
        self._of_account: dict[Operation, Callable[..., dict[str, Any]]] = {
            Operation.LIST_FUNCTIONS: control.list_functions,
            Operation.ACCOUNT_SETTINGS: control.account_settings,
        }

    def handle(self, request: Request, _scope: Scope) -> None:
        """Answer once, now or later. Never raises for a bad request."""
        request_id = self._new_request_id()
        try:
            target = self._known.get(request.target)
            if target is None or request.method != "POST":
                target = self._route(request, request_id)
            if target is not None:
                self._invoker.invoke(request, target, request_id)
        except ApiError as error:
            if (reason := _REJECTIONS.get(error.code)) is not None:
                self._reject(reason)
            answer_error(request, error, request_id)

    def _route(self, request: Request, request_id: str) -> Target | None:
        """The target if it is an invocation; any other operation is answered here."""
        call = find(request.method, request.target)
        if call.operation in _INVOKING:
            target = self._target(call)
            if len(request.target) <= _LONGEST_TARGET:
                if len(self._known) >= _MOST_TARGETS:
                    self._known.clear()
                self._known[request.target] = target
            return target
        document = self._look_up(call)
        head = f"Content-Type: application/json\r\nx-amzn-RequestId: {request_id}\r\n"
        request.respond(200, head.encode(), orjson.dumps(document))
        return None

    def _target(self, call: Call) -> Target:
        """The function an invocation is for. `$LATEST` is the one version there is."""
        who = addressed(call.name, call.query.get("Qualifier"), self._account)
        if who.name not in self._functions or who.qualifier not in (None, LATEST):
            raise function_not_found(self._account.function_arn(who.name, who.qualifier or LATEST))
        return Target(
            who.name,
            who.qualifier,
            streaming=call.operation is Operation.INVOKE_STREAM,
            asynchronous=call.operation is Operation.INVOKE_ASYNC,
        )

    def _look_up(self, call: Call) -> dict[str, Any]:
        of_account = self._of_account.get(call.operation)
        if of_account is not None:
            return of_account(call.query)
        who = addressed(call.name, call.query.get("Qualifier"), self._account)
        return self._of_function[call.operation](who, call.query)
