"""The two forms a record of `logging` takes in a function's log: Lambda's text and its JSON.

Source: Lambda Developer Guide, "Log and monitor Python Lambda functions"; behaviour of awslambdaric 4.2.
"""

from __future__ import annotations

import json
import logging
import os
import time
import traceback
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from engine.executors.engine_frames import OF_ENGINE

_NEXT_FRAME: Final = '\n  File "'
_CALLERS: Final = (
    *OF_ENGINE,
    *(os.path.dirname(os.__file__) + name for name in ("/asyncio/", "/threading.py", "/contextlib.py")),
    *("<string>", "<frozen runpy>"),
)
"""How the files of what calls handlers begin: the engine, the standard library, a zygote's first line."""


class LogStyle(NamedTuple):
    """What a function's log looks like. `level` is the root logger's, None for Python's own default."""

    json: bool = False
    level: int | None = None

    @classmethod
    def of(cls, variables: Mapping[str, str]) -> LogStyle:
        """As AWS's client reads `AWS_LAMBDA_LOG_FORMAT` and `AWS_LAMBDA_LOG_LEVEL`."""
        name = variables.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
        level = logging.getLevelName("DEBUG" if name == "TRACE" else name)  # text, if it knows no such name
        is_json = variables.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON"
        return cls(is_json, level if isinstance(level, int) else None)


_STANDARD: Final = frozenset(
    (*vars(logging.makeLogRecord({})), "aws_request_id", "tenant_id", "message", "asctime", "taskName")
)
"""Attributes of a record that no user put there."""

_JSON: Final = json.JSONEncoder(ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """`[LEVEL]<tab>2026-01-01T00:00:00.123Z<tab><request id><tab>message` and a newline, in UTC.

    As on Lambda a traceback follows after that newline.
    """

    __module__ = "logging"
    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__(
            "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n",
            "%Y-%m-%dT%H:%M:%S",
        )

    def formatStack(self, stack_info: str) -> str:  # the standard library's name
        """The frames from the handler on: what called it is cut, as from tracebacks."""
        first, *frames = stack_info.split(_NEXT_FRAME)
        while frames and frames[0].startswith(_CALLERS):
            del frames[0]
        return _NEXT_FRAME.join((first, *frames))


class JsonFormatter(logging.Formatter):
    """One JSON object on a line: AWS's keys in AWS's order, then what came by `extra=`; None is left out."""

    __module__ = "awslambdaric.lambda_runtime_log_utils"  # what a handler sees on Lambda
    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__(datefmt="%Y-%m-%dT%H:%M:%SZ")

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON; what JSON does not know is given as its `str`."""
        members: dict[str, Any] = {
            "timestamp": self.formatTime(record, self.datefmt),
            # Levels between the named ones are rounded down to one.
            "level": logging.getLevelName(min(50, max(0, record.levelno)) // 10 * 10),
            "message": record.msg
            if isinstance(record.msg, dict) and not record.args
            else record.getMessage(),
            "logger": record.name,
            **_error_members(record),
        }
        tenant_id = getattr(record, "tenant_id", None)
        if tenant_id is not None:
            members["tenantId"] = tenant_id
        for name, value in vars(record).items():
            if name not in _STANDARD and name not in members:
                members[name] = value
        return _JSON.encode({name: value for name, value in members.items() if value is not None}) + "\n"


def _error_members(record: logging.LogRecord) -> dict[str, Any]:
    request_id = getattr(record, "aws_request_id", None)
    error = record.exc_info[1] if record.exc_info else None
    return {
        "stackTrace": traceback.format_tb(error.__traceback__) if error else None,
        "errorType": type(error).__name__ if error else None,
        "errorMessage": str(error) if error else None,
        "requestId": request_id,
        "location": f"{record.pathname}:{record.funcName}:{record.lineno}" if error else None,
    }


TextFormatter.__name__ = TextFormatter.__qualname__ = "Formatter"  # what a handler sees on Lambda
