"""An error of an AWS service: code, status and text, whatever protocol carries it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

from engine.errors import EngineError

NO_MEMBERS: Final[Mapping[str, Any]] = MappingProxyType({})


class ServiceError(EngineError):
    """A request that is answered by an error of its service.

    Attributes:
        status: HTTP status.
        code: What SDKs turn into an exception class, `ResourceNotFoundException` say.
        message: The text.
        members: Members of the body besides code and text. `Type`, where a protocol has it, is the `fault`
            unless it stands here.
        has_type: Whether the body has `Type` where the protocol has it. That differs from error to error
            of one code.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        members: Mapping[str, Any] = NO_MEMBERS,
        has_type: bool = True,  # noqa: FBT001, FBT002
    ) -> None:
        super().__init__(status, code, message, dict(members), has_type)
        self.status, self.code, self.message = status, code, message
        self.members, self.has_type = dict(members), has_type

    def __str__(self) -> str:
        return f"{self.status} {self.code}: {self.message}"

    @property
    def fault(self) -> Literal["User", "Server"]:
        """Whose fault it is; who asks for what is not served (501) made the mistake himself."""
        return "Server" if self.status >= 500 and self.status != 501 else "User"
