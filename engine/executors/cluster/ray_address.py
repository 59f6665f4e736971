"""Which Ray cluster is meant."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from engine.errors import EngineError

KEEPS_LOOPBACK: Final = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Where this is 0, as on macOS and Windows, Ray keeps 127.0.0.1; else it takes an interface's address."""

_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


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


def is_loopback_alone(address: str, variables: Mapping[str, str]) -> bool:
    """Whether the cluster is on the loopback of this machine, and not only reached by it."""
    is_local = address.rpartition(":")[0].strip("[]") in _LOOPBACK
    return is_local and variables.get(KEEPS_LOOPBACK) == "0"
