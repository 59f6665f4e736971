"""Converts payloads to documents, results to JSON and failures to error payloads, as AWS's client does.

Source: Lambda Developer Guide, "Define Lambda function handler in Python"; behaviour of awslambdaric 4.2
with simplejson 4.3 on the python3.12 and later runtimes.
"""

from __future__ import annotations

import json
import json.encoder
import math
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from decimal import Decimal
from types import TracebackType
from typing import Any, Final, NamedTuple, cast

import simplejson

from engine.core.context import ClientContextError
from engine.core.error_bodies import platform_error_body
from engine.core.fast_json import BUILT_IN_ONLY, JSONDecodeError, dumps, loads, write
from engine.core.json_document import has_short_numbers
from engine.errors import EngineError
from engine.executors.engine_frames import OF_ENGINE, OF_EXECUTORS

_CALLERS: Final[tuple[str, ...]] = (*OF_ENGINE, os.path.dirname(os.__file__) + "/asyncio/")
"""How the files of what calls handlers begin: the engine, and for coroutines the event loop."""


class UnmarshalError(EngineError):
    """The payload is not the JSON that AWS's client takes: the handler is not called."""

    error_type: Final = "Runtime.UnmarshalError"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"Unable to unmarshal input: {self.reason}"


class MarshalError(EngineError):
    """The result cannot become JSON. The environment is used again."""

    error_type: Final = "Runtime.MarshalError"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"Unable to marshal response: {self.reason}"


def decode(payload: bytes) -> Any:
    """The document a handler gets for `payload`, JSON text in UTF-8.

    Integers have no bound, the last of equal keys wins, a byte order mark is taken; `NaN` and
    `Infinity` are not.

    Raises:
        UnmarshalError: With the words of AWS's client.
    """
    if has_short_numbers(payload):
        try:
            return loads(payload)
        except JSONDecodeError:
            pass  # not JSON, or one of the things only the other parser takes: let it say
    try:
        return simplejson.loads(payload)
    except Exception as error:  # noqa: BLE001  also RecursionError and the limit of int digits
        raise UnmarshalError(str(error)) from None


Encoded = tuple[bytes, bool]
"""What the caller gets, and whether it is raw bytes instead of JSON."""


def encode(result: object) -> Encoded:
    """Encode a handler's `result` for its caller.

    JSON is UTF-8 with a space after each comma and colon; `NaN` and infinities stand in it as such.

    Raises:
        MarshalError: With the words of AWS's client. One case AWS meets later and takes for a
            crash: a lone surrogate, which has no UTF-8.
    """
    encoded = encode_up_to(sys.maxsize, result)
    if encoded is None:
        raise AssertionError("no text is that long")
    return encoded


def encode_up_to(max_bytes: int, result: object) -> Encoded | None:
    """Do the same, but return None if JSON of built-in types would be longer than `max_bytes`."""
    if write is not None:
        text = write(result, max_bytes)
        if text is not None:
            return text, False
    if result is None:
        return b"null", False
    if isinstance(result, bytes):
        return result, True
    try:
        # orjson cannot write JSON with the spaces that AWS's has. But what it accepts under this option the
        # standard library's encoder, which is fast, writes just as simplejson would.
        if len(dumps(result, None, BUILT_IN_ONLY)) > max_bytes:
            return None
        return encode_plain(result).encode(), False
    except (TypeError, ValueError):
        pass  # subclasses, keys that are not text, long integers, lone surrogates: for the other encoder
    try:
        return _ENCODER.encode(result).encode(), False
    except Exception as error:  # noqa: BLE001  whatever the encoder or the user's __iter__ raises
        raise MarshalError(str(error)) from None


def _make_plain_encoder() -> Callable[[object], str]:
    """The standard library's encoder, made once: `json.dumps` makes a new one for each call."""
    plain = json.JSONEncoder(ensure_ascii=False, check_circular=False)
    make: Any = getattr(json.encoder, "c_make_encoder", None)
    escape: Any = getattr(json.encoder, "c_encode_basestring", None)
    if make is None or escape is None:
        return plain.encode
    # markers, default, encoder, indent, key separator, item separator, sort_keys, skipkeys, allow_nan
    chunks = make(*(None, plain.default, escape, None, ": ", ", ", False, False, True))
    return lambda value: "".join(chunks(value, 0))


class _Encoder(simplejson.JSONEncoder):
    """simplejson as AWS's client sets it up: raw UTF-8, Decimal as the number it prints as."""

    def __init__(self) -> None:
        super().__init__(use_decimal=False, ensure_ascii=False, allow_nan=True)

    def default(self, o: Any) -> Any:
        if isinstance(o, Decimal):
            return math.nan if o.is_nan() else simplejson.RawJSON(str(o))
        return super().default(o)


_ENCODER: Final = _Encoder()
encode_plain: Final = _make_plain_encoder()


class Failure(NamedTuple):
    """One failure as AWS reports it: `error_type`, `message`, and the stack, outermost frame first."""

    error_type: str
    message: str
    stack: tuple[str, ...] = ()


def failure_of(error: BaseException | Failure) -> Failure:
    """How `error` is reported: bare class name, its text, and its frames from the handler on.

    The frames of what called it are cut from the head, and those of the executors wherever they are: what it
    logs goes through them. There are no others if it could not even be called.
    """
    if isinstance(error, Failure):
        return error
    if isinstance(error, (MarshalError, UnmarshalError, ClientContextError)):
        return Failure(error.error_type, str(error))
    frames = [
        (frame.filename, frame.lineno or 0, frame.name, frame.line)
        for frame in traceback.extract_tb(of_handler(error.__traceback__))
        if not frame.filename.startswith(OF_EXECUTORS)
    ]
    return Failure(type(error).__name__, _text(error), tuple(traceback.format_list(frames)))


def of_handler(trace: TracebackType | None) -> TracebackType | None:
    """The traceback without the frames of what called the handler."""
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_CALLERS):
        trace = trace.tb_next
    return trace


def error_body(error: BaseException | Failure, request_id: str) -> bytes:
    """The payload of a failed invocation; with an empty `request_id`, that of a failed init."""
    failure = failure_of(error)
    document = {
        "errorMessage": failure.message,
        "errorType": failure.error_type,
        "requestId": request_id,
        "stackTrace": failure.stack,
    }
    # A lone surrogate has no UTF-8; its backslash form is a JSON escape.
    return _ENCODER.encode(document).encode("utf-8", "backslashreplace")


def marshal_error_body(error: MarshalError, request_id: str) -> bytes:
    """The payload when the result cannot become JSON."""
    return error_body(error, request_id)


def exit_error_body(request_id: str, cause: BaseException | int) -> bytes:
    """The payload when the environment died under the invocation, during init too.

    Args:
        request_id: UUID text.
        cause: What escaped the handler, or an exit status as `subprocess` gives it: negative for a
            signal. 0 is reported as an exit without a reason.
    """
    status = cause if isinstance(cause, int) else exit_status(cause)
    return platform_error_body("Runtime.ExitError", request_id, exit_reason(status))


def exit_status(error: BaseException) -> int:
    """What CPython would exit with, had `error` reached the top; negative for a signal."""
    if isinstance(error, KeyboardInterrupt):
        return -signal.SIGINT
    if not isinstance(error, SystemExit):
        return 1
    code = cast("Any", error).code  # typed as text or a number; what a handler gives it is anything
    if code is None:
        return 0
    return code & 0xFF if isinstance(code, int) else 1


def exit_reason(status: int) -> str:
    """What AWS says of that exit: `Runtime exited with error: exit status 1`."""
    if status == 0:
        return "Runtime exited without providing a reason"
    if status > 0:
        return f"Runtime exited with error: exit status {status}"
    described = signal.strsignal(-status) if -status in signal.valid_signals() else None
    name = (described or f"signal {-status}").lower()
    return f"Runtime exited with error: signal: {name}"


def oom_body(request_id: str) -> bytes:
    """The payload when the environment was killed for its use of memory."""
    return platform_error_body("Runtime.OutOfMemory", request_id, exit_reason(-signal.SIGKILL))


def run_log_text(error: BaseException | Failure) -> str:
    """What a failed invocation writes to its log: `[ERROR] Type: message`, then the traceback.

    Leading spaces are no-break spaces, as AWS's client writes them.
    """
    failure = failure_of(error)
    what = f"{failure.error_type}: {failure.message}" if failure.message else failure.error_type
    lines = [f"[ERROR] {what}", "Traceback (most recent call last):"]
    for entry in failure.stack:
        for line in entry.splitlines():
            text = line.lstrip(" ")
            lines.append("\u00a0" * (len(line) - len(text)) + text)
    return "\n".join(lines) + "\n"


def run_log_json(error: BaseException | Failure, request_id: str, wall_s: float) -> str:
    """The same for the JSON log format; `wall_s` is seconds since the Unix epoch."""
    failure = failure_of(error)
    document = {
        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(wall_s)),
        "level": "ERROR",
        "errorMessage": failure.message,
        "errorType": failure.error_type,
        "requestId": request_id,
        "stackTrace": failure.stack,
    }
    return _ENCODER.encode(document) + "\n"


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001  user code; AWS's client would die of it, after the answer is lost
        return "<exception str() failed>"
