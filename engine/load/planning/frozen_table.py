"""What load tests read from files, and hand to other processes."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class FrozenTable(BaseModel):
    """What is read from a file: no key is unknown, no type is converted, nothing changes later."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
