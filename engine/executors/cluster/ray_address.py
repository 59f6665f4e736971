"""Which Ray cluster is meant."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from engine.errors import EngineError


class ClusterNotFound(EngineError):
    """No Ray cluster is named, and none was started here."""


def found(address: str, variables: Mapping[str, str]) -> str:
    """HOST:PORT of the control plane: if `address` is `auto`, of RAY_ADDRESS or of the one last started here.

    Raises:
        ClusterNotFound: There is none.
    """
    if address != "auto":
        return address
    named = variables.get("RAY_ADDRESS", "")
    if named not in ("", "auto"):
        return named
    noted = Path(variables.get("RAY_TMPDIR", "/tmp"), "ray", "ray_current_cluster")  # noqa: S108  # Ray's own
    try:
        return noted.read_text().strip()
    except OSError:
        raise ClusterNotFound(
            "no Ray cluster is found here: name it (HOST:PORT, or RAY_ADDRESS), "
            "or start one with `engine cluster up`"
        ) from None


def split(address: str) -> tuple[str, int]:
    """Host and port. Raises ValueError."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def is_on_loopback(address: str) -> bool:
    """Whether it is of this machine's loopback."""
    return address.rpartition(":")[0].strip("[]") in ("localhost", "127.0.0.1", "::1")
