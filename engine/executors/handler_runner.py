"""Everything an executor does around a handler: from an event and a Context to a `Result`.

Processes that must stay small import it too: it imports nothing of the engine's server side.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Protocol

from engine.core.context import ClientContextError, LambdaContext, log_stream_name
from engine.core.context_template import ContextTemplate
from engine.core.error_bodies import InitFailure
from engine.core.event import MISSING
from engine.core.invocation import Invocation, Result
from engine.core.outcome import Status
from engine.core.served_function import ImportedModuleFor, ServedFunction
from engine.executors.handler_loader import InitError, Loaded, Loader
from engine.executors.marshal import (
    Failure,
    MarshalError,
    UnmarshalError,
    decode,
    error_body,
    exit_error_body,
    exit_reason,
    failure_of,
    run_log_json,
    run_log_text,
)
from engine.executors.module_instances import forget_helpers, put_back

_DAY_S: Final = 86_400


class LargePayload(Exception):
    """A payload is longer than whoever asked reads at once. Nothing was done."""


class HandlerClock(Protocol):
    """A `Clock` of `engine.ports`, which a child process does not import: that would cost it pydantic."""

    def now(self) -> float:
        """Monotonic seconds."""

    def wall(self) -> float:
        """Seconds since the Unix epoch."""


class HandlerServices(Protocol):
    """The part of a `Workshop` that running handlers needs."""

    @property
    def clock(self) -> HandlerClock:
        """For contexts and logs."""

    @property
    def log(self) -> Callable[[Invocation, str], None]:
        """Takes what the runtime itself writes to an invocation's log."""

    @property
    def logs_json(self) -> bool:
        """Whether that is one JSON object a line, not text."""


class HandlerRunner:
    """Runs the handler of one function, on whatever thread its environments run.

    `arn` is the function's, unqualified. `alone`, `imported_module_for`: see `Loader`. Where all environments
    share the program's module, it can be imported before it is loaded, and `close` leaves `sys.modules` with
    what it had before under its name.
    """

    def __init__(
        self,
        function: ServedFunction,
        arn: str,
        services: HandlerServices,
        *,
        alone: bool = False,
        imported_module_for: ImportedModuleFor = "none",
    ) -> None:
        self._function = function
        self._clock = services.clock
        self._log = services.log
        self._logs_json = services.logs_json
        self._arn = arn
        self.code = Path(function.code).absolute()  # now: a handler may change the working directory
        self._imported_module_for = imported_module_for
        self._loader = Loader(self.code, alone=alone, imported_module_for=imported_module_for)
        self._shares = imported_module_for == "all"
        self._before: Mapping[str, ModuleType | None] = (
            self._loader.share(function.handler) if self._shares else {}
        )
        self._closed = False
        self._day = -1, ""  # since the Unix epoch, and its text
        self._version = function.version
        self._named_in_stream = None if function.log_group is None else function.name

    def load(self, *, fresh: bool) -> Loaded:
        """Import the handler; `fresh`: from a module instance of its own. Raises `InitError`."""
        while True:
            loader = self._loader
            try:
                loaded = loader.load(self._function.handler, fresh=fresh)
            except InitError as error:
                if loader is self._loader:
                    error.stack = self._as_on_lambda(error.stack)
                    raise
            else:
                if loader is self._loader:
                    return loaded
            finally:
                if loader is not self._loader or self._closed:
                    loader.close()  # once more: it was closed while it imported

    def locate(self) -> None:
        """Find the handler's file beforehand. Runs nothing of it."""
        with suppress(InitError, OSError, ValueError):  # said when it is loaded
            self._loader.file_of(self._function.handler)

    def source(self) -> tuple[str, str, str] | None:
        """Module, file and name of the handler if it is plainly in a file of the code folder, else None."""
        return self._loader.source(self._function.handler)

    def unload(self, loaded: Loaded) -> None:
        """Drop a fresh instance that is not needed any more."""
        self._loader.unload(loaded)

    def discard(self, loaded: Loaded) -> None:
        """Drop an instance that must not be used again, shared or not."""
        self._loader.discard(loaded.instance, loaded.module)

    def renew(self) -> None:
        """Forget what was imported from the function's folder: the next `load` sees what is there then."""
        outdated = self._loader
        self._loader = Loader(self.code, imported_module_for=self._imported_module_for)
        outdated.close()
        forgotten = forget_helpers(self.code)
        if self._shares:
            self._before = {**forgotten, **self._before}

    def close(self) -> None:
        """Leave `sys.path`, `sys.meta_path` and `sys.modules` without what `load` put there."""
        self._closed = True
        self._loader.close()
        for name, module in self._before.items():
            put_back(name, module)

    def new_log_stream_name(self) -> str:
        """One that no other environment has."""
        number = int(self._clock.wall() // _DAY_S)
        if number != self._day[0]:
            self._day = number, time.strftime("%Y/%m/%d", time.gmtime(number * _DAY_S))
        return log_stream_name(self._day[1], os.urandom(16).hex(), self._version, self._named_in_stream)

    def make_context_template(self) -> ContextTemplate:
        """What the contexts of a new environment share, such as its log stream."""
        return ContextTemplate(
            self._function,
            self._arn,
            self.new_log_stream_name(),
            now_s=self._clock.now,
            wall_s=self._clock.wall,
            log=_write,
        )

    def arguments(
        self, template: ContextTemplate, invocation: Invocation, max_bytes: int = sys.maxsize
    ) -> tuple[Any, LambdaContext]:
        """The handler's two arguments.

        Raises:
            UnmarshalError: The payload is not JSON.
            ClientContextError: Nor is the client context.
            LargePayload: The payload has yet to be read, and is longer than `max_bytes`.
        """
        event = invocation.event
        document = event.document
        if document is MISSING:
            payload = event.payload
            if len(payload) > max_bytes:
                raise LargePayload
            document = decode(payload)
        else:
            event.document = MISSING
        arn = None if event.qualifier is None else f"{self._arn}:{event.qualifier}"
        context = template.make(event.request_id, invocation.deadline_s, arn, event.client_context)
        return document, context

    def begin(
        self,
        template: ContextTemplate,
        invocation: Invocation,
        request_id: str,
        deadline_s: float,
        qualifier: str | None,
        client_context: str | None,
        payload: bytes,
    ) -> tuple[Any, LambdaContext]:
        """Make `invocation` the one that these are of, and return the handler's two arguments.

        For an environment that runs one at a time, whose invocations can all be one object. Raises what
        `arguments` does.
        """
        invocation.deadline_s = deadline_s
        event = invocation.event
        event.request_id = request_id
        event.qualifier = qualifier
        document = decode(payload)
        arn = None if qualifier is None else f"{self._arn}:{qualifier}"
        return document, template.make(request_id, deadline_s, arn, client_context)

    def failed(self, error: Exception, invocation: Invocation) -> Result:
        """The result of a handler that raised, or whose event or result is not JSON. Logs the error."""
        if isinstance(error, (MarshalError, UnmarshalError, ClientContextError)):
            failure = Failure(error.error_type, str(error), ())
        else:
            failure = failure_of(error)
            failure = failure._replace(stack=self._as_on_lambda(failure.stack))
        request_id = invocation.event.request_id
        if self._logs_json:
            text = run_log_json(failure, request_id, self._clock.wall())
        else:
            text = run_log_text(failure)
        self._log(invocation, text)
        return Result(Status.ERROR, error_body(failure, request_id))

    def _as_on_lambda(self, stack: tuple[str, ...]) -> tuple[str, ...]:
        """Name the files of a package by Lambda's folder. Code that the user has as files keeps its paths."""
        if not self._function.is_package:
            return stack
        return tuple(entry.replace(f'  File "{self.code}/', '  File "/var/task/', 1) for entry in stack)

    def exited(self, error: BaseException, invocation: Invocation) -> Result:
        """The result of a handler that ended its environment by `sys.exit` or another BaseException."""
        body = exit_error_body(invocation.event.request_id, error)
        return Result(Status.CRASH, body, error_type="Runtime.ExitError")


def init_failure(error: InitError) -> InitFailure:
    """The failure of an init, as the driver is told of it."""
    if error.exit_status is not None:
        return InitFailure(error.error_type, exit_reason(error.exit_status))
    return InitFailure(error.error_type, error.message, error.stack)


def _write(text: str) -> None:
    sys.stdout.write(text)
