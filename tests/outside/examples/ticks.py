"""A source of one's own, as the examples name one."""

from pydantic import BaseModel, Field


class Every(BaseModel, frozen=True, extra="forbid"):
    """Its keys."""

    seconds: float = Field(gt=0)


class Ticks:
    """Is checked, never built."""

    Settings = Every
