"""A Ray cluster on the loopback of this machine, for trying: nodes that share out its cores."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from engine.errors import EngineError
from engine.executors.cluster.ray_address import KEEPS_LOOPBACK
from engine.executors.cluster.ray_carrier import NOT_INSTALLED
from engine.executors.cluster.ray_driver import SLOT

_STORE_BYTES: Final = 80_000_000
"""Ray's object store, which is not used, cannot be smaller than 75 MB. It takes memory as it is filled."""


class LocalRayCluster:
    """Nodes of Ray that listen on 127.0.0.1 alone, and ask for a token that only this user can read.

    `ray start` cannot do that: it listens on all addresses. It ends with its maker, however that ends.
    """

    def __init__(self, cores: list[set[int]]) -> None:
        """`cores`: for each node, those that its processes may run on.

        Raises:
            EngineError: Ray is not installed.
        """
        if find_spec("ray") is None:
            raise EngineError(NOT_INSTALLED)
        # Sockets are below it, and their paths have to be short.
        self.folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # mode 0700
        self._cluster: Any = None
        self._cores = cores

    def start(self) -> None:
        """Start one node after the other. Blocks for seconds."""
        token = self.folder / "token"
        token.touch(mode=0o600)
        token.write_text(secrets.token_hex(32))
        os.environ.pop("RAY_AUTH_TOKEN", None)  # it would go before the file
        os.environ.pop("RAY_AUTH_TOKEN", None)  # it would go before the file
        os.environ.update(self._guard(), RAY_TMPDIR=str(self.folder), RAY_USAGE_STATS_ENABLED="0")
        self._cluster = import_module("ray.cluster_utils").Cluster()
        whole = os.sched_getaffinity(0)
        try:
            for number, cores in enumerate(self._cores, 1):
                os.sched_setaffinity(0, cores)  # what it starts inherits it
                self._cluster.add_node(
                    wait=False,
                    node_name=f"node-{number}",
                    node_ip_address="127.0.0.1",
                    num_cpus=len(cores),
                    resources={SLOT: 1},
                    object_store_memory=_STORE_BYTES,
                    include_dashboard=False,
                )
        finally:
            os.sched_setaffinity(0, whole)

    def variables(self) -> Mapping[str, str]:
        """What a client of it has to have in its environment."""
        return {"RAY_ADDRESS": self._cluster.address, **self._guard()}

    def close(self) -> None:
        """End its processes, by their ids, and remove its files."""
        if self._cluster is not None:
            self._cluster.shutdown()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _guard(self) -> dict[str, str]:
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(self.folder / "token")}
        return {KEEPS_LOOPBACK: "0", **token}
