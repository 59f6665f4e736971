"""What a zygote needs to fork an environment of one function, and its form on the socket."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple


class FunctionSpec(NamedTuple):
    """What a child process needs of a `Function`, in its words. It is a `ServedFunction`."""

    name: str
    handler: str
    code: str
    memory_mb: int = 128
    version: str = "$LATEST"
    environment_concurrency: int = 1
    preload: tuple[str, ...] | Literal["auto"] = ()
    no_preload: tuple[str, ...] = ()
    snapstart: bool = False
    ephemeral_storage_mb: int = 512
    log_group: str | None = None
    is_package: bool = False
    streaming: Literal["generator"] | None = None


class EnvironmentSpec(NamedTuple):
    """What all environments of a function have in common.

    Attributes:
        function: Handler, code folder, limits.
        arn: The function's, unqualified, for the Context.
        variables: All environment variables, but for the log stream's name.
        generation: Which version of the code this is about: where its modules lie is remembered.
        cgroups: Folders to make a control group of each environment in, with its limits by file.
        visible_cpus: What `os.cpu_count` says; None for those of this machine.
        imports: For a zygote of the function's own: what it imports. None for whatever has the handler.
    """

    function: FunctionSpec
    arn: str
    variables: Mapping[str, str]
    generation: int
    cgroups: Mapping[str, Mapping[str, str]]
    visible_cpus: int | None = None
    imports: tuple[str, ...] | None = None

    def encode(self) -> bytes:
        """Encode it as JSON."""
        return json.dumps({**self._asdict(), "function": self.function._asdict()}).encode()

    @classmethod
    def decode(cls, text: bytes) -> EnvironmentSpec:
        """Read what `encode` has made."""
        document: dict[str, Any] = json.loads(text)
        return cls(function=FunctionSpec(**document.pop("function")), **document)
