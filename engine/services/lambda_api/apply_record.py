"""Applies the aliases and the concurrency in a function's record to the engine that runs it."""

from __future__ import annotations

from collections import Counter

from engine.packages.deployment import Deployment
from engine.packages.records import FunctionRecord


def apply_aliases(deployment: Deployment, record: FunctionRecord) -> None:
    """Pass the function's aliases and their weights to the engine."""
    routes = {}
    for alias in record.aliases.values():
        rest = 1.0 - sum(alias.weights.values())
        routes[alias.name] = [(alias.version, rest), *alias.weights.items()]
    deployment.route(record.name, routes)


def apply_concurrency(deployment: Deployment, record: FunctionRecord) -> None:
    """Pass the function's reserved and provisioned concurrency to the engine."""
    deployment.reserve(record.name, record.reserved)
    requested = Counter[str]()
    for qualifier, provisioned in record.provisioned.items():
        alias = record.aliases.get(qualifier)
        requested[qualifier if alias is None else alias.version] += provisioned.requested
    for number in record.versions:
        deployment.provision(record.name, number, requested[number])
