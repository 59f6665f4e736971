"""How an engine is to find the nodes of its cluster, as a value."""

from __future__ import annotations

from typing import Final, NamedTuple

PORT: Final = 7800


class RayConfig(NamedTuple):
    """The table `[ray]`.

    Attributes:
        address: HOST:PORT of the control plane of a Ray cluster; `auto`: that of RAY_ADDRESS, or of the
            cluster last started on this machine.
        namespace: Where the actors have their names: an engine replaces those of another one with the same.
            Empty: one of its own, which it draws.
        insecure: Use a cluster that asks nobody for a token.
        autoscaler: The cluster has one: ask it for nodes, and give back those that are of no use.
    """

    address: str = "auto"
    namespace: str = ""
    insecure: bool = False
    autoscaler: bool = False


class ClusterConfig(NamedTuple):
    """The tables `[cluster]` and `[ray]`.

    Attributes:
        host, port: Where agents connect to; port 0 takes a free one. No host, with Ray: the address by which
            its nodes reach this machine.
        secret_file: Absolute path of the file with the secret that agents have to know, or None: it is in
            the variable `ENGINE_CLUSTER_SECRET`.
        executor: What `executor = "auto"` stands for instead of process; None: there is no cluster.
    """

    host: str = "127.0.0.1"
    port: int = PORT
    secret_file: str | None = None
    executor: str | None = None
    ray: RayConfig = RayConfig()
