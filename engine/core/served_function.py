"""What running a handler takes to know of its function: less than a user says of it."""

from __future__ import annotations

from typing import Literal, Protocol

ImportedModuleFor = Literal["none", "first", "all"]
"""Which environments in the engine's own interpreter run in the handler's module as the program around the
engine has imported it, where its patches are: none, one at a time, or all of them."""


class ServedFunction(Protocol):
    """A `Function`, or the part of one that a child process is given.

    A handler's own interpreter may be older than the engine's, which `Function` needs.
    """

    @property
    def name(self) -> str:
        """As in `[functions.NAME]`."""

    @property
    def handler(self) -> str:
        """`module.function`, or `path/to/file.py:function`."""

    @property
    def code(self) -> str:
        """The folder it is imported from."""

    @property
    def memory_mb(self) -> int:
        """Configured memory."""

    @property
    def version(self) -> str:
        """`$LATEST`, or the number of a published version."""

    @property
    def is_package(self) -> bool:
        """Whether its code is a package that came over the Lambda API."""

    @property
    def log_group(self) -> str | None:
        """Where it logs; None for `/aws/lambda/<name>`."""
