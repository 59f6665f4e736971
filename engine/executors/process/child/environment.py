"""One environment, as seen in its own process: initialises the handler, then runs it once per request."""

from __future__ import annotations

import _socket
import atexit
import errno
import fcntl
import json
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from types import CoroutineType
from typing import Any, Final, NamedTuple, NoReturn

from engine.core.event import Event
from engine.core.invocation import Invocation
from engine.core.outcome import Outcome
from engine.core.payload_limits import MAX_RESPONSE_BYTES
from engine.executors.handler_loader import InitError
from engine.executors.handler_runner import HandlerRunner
from engine.executors.log_format import LogStyle
from engine.executors.marshal import encode, exit_status, of_handler, run_log_json, run_log_text
from engine.executors.process.child.compiled_module import CompiledModule, drop_raising
from engine.executors.process.child.handler_log import HandlerLog
from engine.executors.process.child.preloading import imported_from_outside
from engine.executors.process.child.private_modules import (
    PrivateModules,
    forget_modules,
    plain_packages,
    shadowed_modules,
)
from engine.executors.process.child.process_setup import move_to_high_number, set_variable
from engine.executors.process.child.streamed_calls import StreamedCalls
from engine.executors.process.child.tmp_dir import TMP, size_of
from engine.executors.process.protocol import (
    ERROR,
    FAILED,
    IMPORTED,
    PRINTED,
    RAW,
    READY,
    SUCCESS,
    FrameReader,
    pack_reply,
)
from engine.executors.process.spec import EnvironmentSpec

_NOTHING: Final = bytes(4)
_MB: Final = 1024 * 1024
_FIONREAD: Final = 0x541B
"""`termios.FIONREAD` of Linux, without that library: each one that is loaded makes a fork longer."""
LOG_STREAM: Final = "AWS_LAMBDA_LOG_STREAM_NAME"


class ProcessClock:
    """The clock of a child process. CLOCK_MONOTONIC is the same in all processes of a machine."""

    now = staticmethod(time.monotonic)  # noqa: TID251  # another process: there is none to be passed in
    wall = staticmethod(time.time)  # noqa: TID251


class CallContext(NamedTuple):
    """What `HandlerRunner` needs, in a child process."""

    clock: ProcessClock
    log: Any
    logs_json: bool


class ChildEnvironment:
    """The handler's side of one environment.

    Made in the zygote, once for all environments of a function, which share its memory.
    `prepare` and `initialise` run in the process that initialises the handler, and `attach`
    in the one that serves: with SnapStart that is another.
    """

    def __init__(
        self, spec: EnvironmentSpec, log: HandlerLog, private: PrivateModules, *, own_tmp: bool
    ) -> None:
        # What each child looks at is a member here: one of a `NamedTuple` costs it two pages.
        function = spec.function
        self.spec = spec
        self.code, self.cgroups, self.visible_cpus = function.code, spec.cgroups, spec.visible_cpus
        self._name, self._is_snapshot = function.name, function.snapstart
        self.ephemeral_storage_mb = function.ephemeral_storage_mb
        self._is_auto = function.preload == "auto"
        self.is_streaming = function.streaming is not None
        self._knows_log_stream = LOG_STREAM in spec.variables
        self.log = log
        self.style = LogStyle.of(spec.variables)
        self.private = private
        self._own_tmp = own_tmp
        services = CallContext(clock=ProcessClock(), log=self.write, logs_json=self.style.json)
        self.call = HandlerRunner(function, spec.arn, services, alone=True)
        self.call.locate()
        self._early = shadowed_modules(function.code)
        self._plain = plain_packages(function.code, function.handler)
        source = self.call.source()
        self._compiled = None if source is None else CompiledModule(*source)
        self.template = self.call.make_context_template()
        self.handler: Any
        self.connection: _socket.socket
        self._loop: Any = None
        self._own_memory: int | None = None
        self._peak_kb = self._base_kb = 0
        self._trace: str | None = None
        self._unread = bytearray(4)
        self._is_copy = False
        self._imported: list[str] = []
        self.is_prepared = False
        """Whether `prepare` was called before the fork, by a zygote of the function's own."""

    def prepare(self) -> None:
        """Put the function's modules before all others. The first step after the fork."""
        self.log.configure(self.style)
        forget_modules(self._early)
        self.private.open(self._plain)
        sys.path.insert(0, self.code)
        try:
            os.chdir(self.code)
        except OSError:
            pass  # the handler will not be found: that is for the init to say

    def before_fork(self) -> None:
        """Set the log stream's name, and read the handler's module; in the process that forks."""
        if self._compiled is not None:
            self._compiled.renew()
        self.template.rename(self.call.new_log_stream_name())
        if self._knows_log_stream:
            set_variable(LOG_STREAM, self.template.log_stream_name)

    def initialise(self) -> None:
        """Import the handler. Raises InitError."""
        tells = self._is_auto and not self.is_prepared
        before = set(sys.modules) if tells else ()
        if self._compiled is None or not self._has_run(self._compiled):
            self.handler = self._load()
        if tells:
            self._imported = imported_from_outside(self.code, before)

    def _has_run(self, module: CompiledModule) -> bool:
        """Run the module if it was read before the fork; False if the handler is not there then."""
        try:
            self.handler = module.run()
        except BaseException:  # noqa: BLE001  # whatever it is, the import system comes to it too, and says so
            return False
        return True

    def _load(self) -> Any:
        """Have the handler imported as AWS's client does it. Raises InitError."""
        if self._compiled is not None:
            self.private.expect(self._compiled.spec)
        try:
            return self.call.load(fresh=True).callable
        except InitError as error:
            drop_raising(error.__cause__)
            raise

    def attach(self, connection: int) -> None:
        """Take over the descriptor of the socket to the engine."""
        # `socket.socket` is Python, with enumerations: ten pages.
        number = move_to_high_number(connection)
        self.connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, number)
        if self._is_snapshot:
            # Each environment of a snapshot has a log stream of its own.
            self.template.rename(self.call.new_log_stream_name())
        try:
            self._own_memory = move_to_high_number(
                os.open("/proc/self/clear_refs", os.O_WRONLY | os.O_CLOEXEC)
            )
        except OSError:
            self._own_memory = None  # the peak is then that of the whole life of the process

    def notice_copies(self) -> None:
        """Have a copy of this process that the handler forks exit when it returns from the handler."""
        os.register_at_fork(after_in_child=self._be_copy)

    def release(self) -> None:
        """Close what `attach` opened."""
        self.connection.close()
        if self._own_memory is not None:
            os.close(self._own_memory)

    # ---------------------------------------------------------------- replies to the engine

    def send(self, kind: int, number: int, body: bytes = b"", init_s: float = 0.0) -> None:
        """Send one frame. Kills this process if the engine has exited."""
        self._peak_kb = peak_kb = self.peak_kb()
        head = pack_reply(kind, number, peak_kb, init_s, len(body))
        try:
            if len(body) < 65_536:
                self.connection.sendall(head + body)
            else:
                self.connection.sendall(head)
                self.connection.sendall(body)
        except OSError:
            self.kill_self()

    def ready(self, init_s: float) -> None:
        """Report that the init is done, and that it took `init_s` seconds."""
        if self._imported:
            self.send(IMPORTED, 0, json.dumps(self._imported).encode())
        self.send(READY | self._printed(), 0, self.template.log_stream_name.encode(), init_s)

    def failed(self, error: InitError, init_s: float, status: int = 1) -> NoReturn:
        """Report that the init failed after `init_s` seconds, and exit, as AWS's client does."""
        self.tell(error)
        self.send(FAILED | self._printed(), 0, failure_text(error), init_s)
        os._exit(status)

    def tell(self, error: InitError) -> None:
        """Write why the init failed into the log, as AWS's client does, or CPython when it exits."""
        if error.exit_status is not None and error.__cause__ is not None:
            report_exit(error.__cause__)
        elif self.style.json:
            sys.stdout.write(run_log_json(error.failure, "", time.time()))  # noqa: TID251  # see ProcessClock
        else:
            sys.stdout.write(run_log_text(error.failure))

    def peak_kb(self) -> int:
        """Peak resident memory of this process since `_forget_peak`; pages shared with the zygote count."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def _forget_peak(self) -> None:
        """Reset the peak. Not needed while the peak is what was resident at the last reset."""
        if self._own_memory is not None:
            try:
                os.write(self._own_memory, b"5")  # proc(5): resets the peak to what is resident now
            except OSError:
                self._own_memory = None
        self._base_kb = self._peak_kb = self.peak_kb()

    def _be_copy(self) -> None:
        self._is_copy = True

    def kill_self(self) -> NoReturn:
        """Kill this process: its socket to the engine is broken."""
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("unreachable")

    def exit_with(self, error: BaseException) -> NoReturn:
        """Exit as CPython does when `error` is not caught."""
        report_exit(error)
        status = exit_status(error)
        if status < 0:
            signal.signal(-status, signal.SIG_DFL)
            os.kill(os.getpid(), -status)
        os._exit(status)

    # ---------------------------------------------------------------- running handlers

    def serve(self) -> None:
        """Run the handler for one request after the other, until the engine closes the socket."""
        receive = self.frames().next
        begin, handler, template = self.call.begin, self.handler, self.template
        # One invocation at a time: the same two objects stand for all of them, as one global id does in
        # AWS's client. What a thread of the handler's writes later belongs to the one that runs then.
        event = Event(self._name, b"", "", 0.0)
        invocation = Invocation(event, ignore_outcome)
        self.log.invocation = invocation
        context: Any
        failure: Exception | None
        while True:
            try:
                request = receive()
            except OSError:
                self.kill_self()
            if request is None:
                return
            number, deadline_s, request_id, qualifier, trace, client, payload = request
            if trace != self._trace:
                self._set_trace(trace)
            if self._peak_kb != self._base_kb:
                self._forget_peak()
            kind, failure = SUCCESS, None
            try:
                document, context = begin(
                    template, invocation, request_id, deadline_s, qualifier, client, payload
                )
                value = handler(document, context)
                if type(value) is CoroutineType:
                    value = self._run_coroutine(value)
                body, raw = encode(value)
                if raw:
                    kind = RAW
            except Exception as error:  # noqa: BLE001  # whatever the handler raises is its outcome
                failure = error
            except BaseException as error:  # noqa: BLE001  # sys.exit and its like end the environment
                self.exit_with(error)
            if self._is_copy:
                os._exit(0)  # the handler forked, and let the copy return
            if not self._own_tmp:
                failure = self._disk_full() or failure
            if failure is not None:  # only now: what goes wrong over it did not happen while handling it
                kind, body = ERROR, self.call.failed(failure, invocation).body
            self.send(kind | self._printed(), number, self.cut(body))
            # They may be large, and the next one may be long in coming.
            document = context = value = failure = request = None
            body = payload = b""

    def frames(self) -> FrameReader | StreamedCalls:
        """What reads requests. If the function streams, its handler is called by that from now on."""
        if not self.is_streaming:
            return FrameReader(self.connection)
        calls = StreamedCalls(self.connection, self._send_piece, self.kill_self, self.running_number())
        self.handler = calls.streamed(self.handler)
        return calls

    def _send_piece(self, kind: int, number: int, body: bytes) -> None:
        """Send a frame of a stream; but a copy of this process that the handler forked ends here."""
        if self._is_copy:
            os._exit(0)
        self.send(kind, number, body)

    def running_number(self) -> Callable[[], int] | None:
        """What tells the number of the invocation that code belongs to; None: one runs at a time."""
        return None

    def cut(self, body: bytes) -> bytes:
        """Shorten a result over the limit: the engine only has to see that it is one."""
        return body if len(body) <= MAX_RESPONSE_BYTES else body[: MAX_RESPONSE_BYTES + 1]

    def _run_coroutine(self, coroutine: CoroutineType[Any, Any, Any]) -> Any:
        """Run what an `async def` handler returned, on one loop for all its invocations."""
        if self._loop is None:
            self._loop = import_module("asyncio").new_event_loop()  # most never need it, and it is large
        return self._loop.run_until_complete(coroutine)

    def _set_trace(self, trace_id: str | None) -> None:
        self._trace = trace_id
        if trace_id is None:
            os.environ.pop("_X_AMZN_TRACE_ID", None)
        else:
            os.environ["_X_AMZN_TRACE_ID"] = trace_id

    def _disk_full(self) -> OSError | None:
        folder = os.environ.get("TMPDIR", TMP)
        if size_of(folder) <= self.ephemeral_storage_mb * _MB:
            return None
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    # ---------------------------------------------------------------- output

    def _printed(self) -> int:
        """`PRINTED` if the pipe may hold what the engine has not read yet."""
        try:
            # Into a bytearray: of bytes it would first find out that it cannot write them.
            fcntl.ioctl(1, _FIONREAD, self._unread)
        except OSError:
            return PRINTED  # the handler closed it, or put something else in its place
        return PRINTED if self._unread != _NOTHING else 0

    def write(self, _invocation: Invocation, text: str) -> None:
        """Write a line of the runtime's own where `print` writes, as AWS's client does."""
        sys.stdout.write(text)


def report_exit(error: BaseException) -> None:
    """Do what CPython does before it exits by `error`: print it, join threads, run exit functions."""
    if not isinstance(error, SystemExit):
        error.__traceback__ = of_handler(error.__traceback__)
        sys.excepthook(type(error), error, error.__traceback__)
    elif error.code is not None and not isinstance(error.code, int):
        sys.stderr.write(f"{error.code}\n")
    vars(threading)["_shutdown"]()
    vars(atexit)["_run_exitfuncs"]()


def failure_text(error: InitError) -> bytes:
    """The parts of `error` as a JSON list; `failure_from` reads it."""
    return json.dumps([error.error_type, error.message, error.stack, error.exit_status]).encode()


def ignore_outcome(_outcome: Outcome) -> None:
    """Do nothing: the engine has the invocation whose caller waits."""
