"""Where records of `logging` go in a process that runs one invocation at a time: as AWS's client has it.

Source: behaviour of awslambdaric 4.2.
"""

from __future__ import annotations

import logging
import sys
import time

from engine.core.invocation import Invocation
from engine.executors.log_format import JsonFormatter, LogStyle, TextFormatter


class HandlerLog(logging.Handler):
    """The root logger's one handler. A record is a line on whatever `sys.stdout` is then.

    What goes wrong over that is raised by the call that logs, and so fails the invocation.
    """

    __module__ = "awslambdaric.bootstrap"

    def __init__(self) -> None:
        super().__init__()
        self.invocation: Invocation | None = None
        """What runs, or ran last: records of threads are its too."""

    def install(self) -> None:
        """Before anything is imported that may log."""
        logging.Formatter.converter = time.gmtime  # for formatters of the handler's own
        self.setFormatter(TextFormatter())
        logging.getLogger().addHandler(self)

    def remove(self) -> None:
        """Have somebody else take the records."""
        logging.getLogger().removeHandler(self)

    def configure(self, style: LogStyle) -> None:
        """From now on it is the log of a function."""
        if style.json:
            self.setFormatter(JsonFormatter())
        if style.level is not None:
            logging.getLogger().setLevel(style.level)

    def emit(self, record: logging.LogRecord) -> None:
        """As `logging.Handler.emit`, but it raises."""
        invocation = self.invocation
        record.aws_request_id = invocation.event.request_id if invocation is not None else ""
        record.tenant_id = None
        sys.stdout.write(self.format(record))


HandlerLog.__name__ = HandlerLog.__qualname__ = "LambdaLoggerHandler"  # what a handler sees on Lambda
