"""Runs handlers on the nodes of a Ray cluster: the cluster executor, with agents that Ray starts."""

from __future__ import annotations

import dataclasses
import secrets
import socket
from typing import ClassVar, Final

from engine.core.cluster_config import ClusterConfig
from engine.core.function import Function
from engine.executors.cluster.carrier import Carrier
from engine.executors.cluster.executor import ClusterExecutor
from engine.executors.cluster.host_port import split
from engine.executors.cluster.ray_address import ClusterNotFound, found, is_loopback_alone
from engine.executors.cluster.ray_carrier import RayCarrier
from engine.executors.host_variables import host_variables
from engine.ports import Facts, Workshop

_LOOPBACK: Final = "127.0.0.1"
_ANYWHERE: Final = "8.8.8.8:53"
"""By which Ray, too, finds the address of this machine where it was named by its loopback."""


class RayExecutor(ClusterExecutor):
    """The environments of one function, each on a node of the Ray cluster that the configuration names."""

    KEY: ClassVar[str] = "ray"

    def __init__(self, function: Function, facts: Facts, workshop: Workshop) -> None:
        cluster = reachable(workshop.cluster)
        super().__init__(function, facts, dataclasses.replace(workshop, cluster=cluster))

    @staticmethod
    def carrier(workshop: Workshop) -> Carrier:
        """Ray."""
        return RayCarrier(workshop.cluster.ray, workshop.say)

    @staticmethod
    def secret() -> bytes:
        """Drawn for each cluster that is opened; Ray carries it to the nodes."""
        return secrets.token_hex(32).encode()


def reachable(config: ClusterConfig) -> ClusterConfig:
    """With a host to listen on: the address from which this machine reaches Ray's control plane.

    Where there is no cluster it is the loopback: joining it is refused with the reason, soon after.
    """
    if config.executor is None:  # no table says where to listen
        config = config._replace(host="", port=0)
    if config.host:
        return config
    variables = host_variables()
    try:
        address = found(config.ray.address, variables)
    except ClusterNotFound:
        return config._replace(host=_LOOPBACK)
    if is_loopback_alone(address, variables):
        return config._replace(host=_LOOPBACK)
    source = _source_of(address)
    return config._replace(host=_source_of(_ANYWHERE) if source == _LOOPBACK else source)


def _source_of(address: str) -> str:
    """The address this machine uses towards that one. Nothing is sent: a UDP socket is told of its peer."""
    host, port = split(address)
    try:
        [(family, *_, peer)] = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[:1]
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(peer)
            source: str = probe.getsockname()[0]
            return source
    except OSError:
        return _LOOPBACK
