"""What a zygote needs to fork an environment of one function, and its form on the socket."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.core.function import Account, Function


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentSpec:
    """What all environments of a function have in common.

    Attributes:
        function: Handler, code folder, limits.
        account: For the ARN of the Context.
        variables: All environment variables, but for the log stream's name.
        generation: Which version of the code this is about: where its modules lie is remembered.
        visible_cpus: What `os.cpu_count` says; None for those of this machine.
        cgroups: Folders to make a control group of each environment in, with its limits by file.
        imports: For a zygote of the function's own: what it imports. None for whatever has the handler.
    """

    function: Function
    account: Account
    variables: Mapping[str, str]
    generation: int
    cgroups: Mapping[str, Mapping[str, str]]
    visible_cpus: int | None = None
    imports: tuple[str, ...] | None = None

    def encode(self) -> bytes:
        """Encode it as JSON."""
        document = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        function = {
            field.name: getattr(self.function, field.name)
            for field in dataclasses.fields(Function)
            if field.init and field.name not in ("events", "tags", "environment")
        }
        document |= {"function": function, "account": dataclasses.asdict(self.account)}
        document |= {"cgroups": {folder: dict(limits) for folder, limits in self.cgroups.items()}}
        return json.dumps({**document, "variables": dict(self.variables)}).encode()

    @classmethod
    def decode(cls, text: bytes) -> EnvironmentSpec:
        """Read what `encode` has made."""
        document: dict[str, Any] = json.loads(text)
        function = Function(**document.pop("function"))
        return cls(function=function, account=Account(**document.pop("account")), **document)
