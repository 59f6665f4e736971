"""What SAM CLI asks of the emulator of durable functions beside the Lambda API: to start executions.

Their function is SAM CLI's: it runs in a container, whose Runtime Interface Emulator is told to run it, and
asks for checkpoints here. Executions are kept in memory: with SAM CLI their function ends.

Source: SAM CLI, its client of the emulator; AWS's testing package for durable functions, its server.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from weakref import WeakValueDictionary

from engine.core.durable.service import DurableService, RemoteStart
from engine.core.durable.values import utf8_length
from engine.core.fast_json import JSONDecodeError, dumps, loads
from engine.core.function import DurableConfig
from engine.core.payload_limits import MAX_EVENT_BYTES
from engine.errors import ExecutionAlreadyStarted, NotAccepting
from engine.protocols.aws.errors import ServiceError
from engine.protocols.http.message import Request
from engine.protocols.http.request_gate import is_address, is_loopback
from engine.services.lambda_api.code_packages import Spawn
from engine.services.lambda_api.durable.remote_endpoint import RemoteEndpoint
from engine.services.lambda_api.errors import invalid_parameter, payload_too_large, service_error

_HEALTH: Final = (b"/health", "GET")
_START: Final = (b"/start-durable-execution", "POST")
_JSON: Final = b"Content-Type: application/json\r\n"
_ENDPOINT: Final = re.compile(r"http://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})/?", re.ASCII)
_ANY: Final = re.compile(r"(?s).*")
_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}", re.ASCII)
_VERSION: Final = re.compile(r"\$LATEST|[0-9]{1,19}", re.ASCII)
_LONGEST_EXECUTION_S: Final = 31_622_400
_LONGEST_RETENTION_DAYS: Final = 90


class Emulator:
    """`handle` answers SAM CLI.

    Handlers are run at addresses of this machine only, and at `hosts`: whoever may start executions here
    could otherwise have the engine send requests to any machine that it reaches.
    """

    def __init__(self, durable: DurableService, spawn: Spawn, hosts: Iterable[str] = ()) -> None:
        self._durable = durable
        self._spawn = spawn
        self._hosts = frozenset(host.lower() for host in hosts)
        self._endpoints = WeakValueDictionary[tuple[str, int], RemoteEndpoint]()

    def handle(self, request: Request) -> bool:
        """Answer `request` if it is one of SAM CLI's; whether it was.

        Raises:
            ServiceError: What it asks for cannot be done.
        """
        asked = (request.target, request.method)
        if asked == _HEALTH:
            request.respond(200, _JSON, b'{"status":"healthy"}')
        elif asked == _START:
            request.respond(201, _JSON, dumps({"ExecutionArn": self._start(request)}))
        else:
            return False
        return True

    def _start(self, request: Request) -> str:
        if request.too_large:
            raise payload_too_large(len(request.body), "RequestResponse", MAX_EVENT_BYTES)
        try:
            document = loads(request.body)
        except JSONDecodeError:
            document = None
        if not isinstance(document, dict):
            raise invalid_parameter("The body must be a JSON object.")
        start, endpoint = _read(document), self._endpoint(_text(document, "LambdaEndpoint"))
        try:
            return self._durable.start_remote(start, endpoint)
        except ExecutionAlreadyStarted as error:
            raise ServiceError(409, "DurableExecutionAlreadyStartedException", str(error)) from None
        except NotAccepting as error:
            raise service_error(503, f"{error}.") from None

    def _endpoint(self, url: str) -> RemoteEndpoint:
        """The one of that URL; all executions that are run there share it, so that they take turns."""
        found = _ENDPOINT.fullmatch(url)
        if found is None:
            raise invalid_parameter("LambdaEndpoint must be like http://localhost:8080.")
        host, port = found[1].strip("[]").lower(), int(found[2])
        is_local = host == "localhost" or (is_address(host) and is_loopback(host))
        if not is_local and host not in self._hosts:
            raise invalid_parameter(f"LambdaEndpoint: {host} is not this machine, nor in [engine] hosts.")
        endpoint = self._endpoints.get((host, port))
        if endpoint is None:
            endpoint = self._endpoints[host, port] = RemoteEndpoint(host, port, self._spawn)
        return endpoint


def _read(document: Mapping[str, Any]) -> RemoteStart:
    """The document without its endpoint. `AccountId` is not looked at: ARNs have the engine's account."""
    event = _text(document, "Input")
    if (size := utf8_length(event)) > MAX_EVENT_BYTES:
        raise payload_too_large(size, "RequestResponse", MAX_EVENT_BYTES)
    is_named = document.get("ExecutionName") is not None
    return RemoteStart(
        _text(document, "FunctionName", _NAME),
        _text(document, "FunctionQualifier", _VERSION),
        _text(document, "ExecutionName", _NAME) if is_named else None,
        DurableConfig(
            _number(document, "ExecutionTimeoutSeconds", _LONGEST_EXECUTION_S),
            _number(document, "ExecutionRetentionPeriodInDays", _LONGEST_RETENTION_DAYS),
        ),
        event,
    )


def _text(document: Mapping[str, Any], name: str, pattern: re.Pattern[str] = _ANY) -> str:
    text = document.get(name)
    if not isinstance(text, str) or not pattern.fullmatch(text):
        raise invalid_parameter(f"{name} must be text that matches {pattern.pattern}.")
    return text


def _number(document: Mapping[str, Any], name: str, most: int) -> int:
    number = document.get(name)
    if type(number) is not int or not 1 <= number <= most:
        raise invalid_parameter(f"{name} must be a whole number from 1 to {most}.")
    return number
