"""How an engine is to find the nodes of its cluster, as a value."""

from __future__ import annotations

from typing import Final, NamedTuple

PORT: Final = 7800


class ClusterConfig(NamedTuple):
    """The table `[cluster]`.

    Attributes:
        host, port: Where agents connect to; port 0 takes a free one.
        secret_file: Absolute path of the file with the secret that agents have to know, or None: it is in
            the variable `ENGINE_CLUSTER_SECRET`.
        executor: What `executor = "auto"` stands for instead of process; None: there is no cluster.
    """

    host: str = "127.0.0.1"
    port: int = PORT
    secret_file: str | None = None
    executor: str | None = None
