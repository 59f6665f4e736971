"""The ARN of a durable execution."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_PATTERN: Final = re.compile(
    r"arn:([a-zA-Z0-9-]+):lambda:([a-zA-Z0-9-]+):(\d{12}):function:([a-zA-Z0-9_-]+)"
    r":(\$LATEST(?:\.PUBLISHED)?|[0-9]+)/durable-execution/([a-zA-Z0-9_-]+)/([a-zA-Z0-9_-]+)",
    re.ASCII,
)
_MAX_LENGTH: Final = 1_024


class ExecutionArn(NamedTuple):
    """The parts of `arn:…:function:NAME:VERSION/durable-execution/EXECUTION_NAME/EXECUTION_ID`.

    Attributes:
        version: The version that is executed, a number, `$LATEST` or `$LATEST.PUBLISHED`; never an alias.
        name: The execution's name, given or generated.
        execution_id: Unique among all executions; also the `Id` of the EXECUTION operation.
    """

    partition: str
    region: str
    account_id: str
    function: str
    version: str
    name: str
    execution_id: str

    def __str__(self) -> str:
        return f"{self.function_arn}/durable-execution/{self.name}/{self.execution_id}"

    @property
    def function_arn(self) -> str:
        """ARN of the executed version of the function."""
        return (
            f"arn:{self.partition}:lambda:{self.region}:{self.account_id}"
            f":function:{self.function}:{self.version}"
        )


def parse_execution_arn(text: str) -> ExecutionArn | None:
    """Its parts, or None if `text` is not the ARN of a durable execution."""
    found = _PATTERN.fullmatch(text) if len(text) <= _MAX_LENGTH else None
    return ExecutionArn(*found.groups()) if found else None
