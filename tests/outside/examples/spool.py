"""A source of one's own, as the examples name one."""

from pydantic import BaseModel


class Spool(BaseModel, frozen=True, extra="forbid"):
    """Its keys."""

    folder: str


class SpoolSource:
    """Is checked, never built."""

    Settings = Spool
