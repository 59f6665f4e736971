"""Statements of a topic's access policy, which is kept and not enforced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from engine.protocols.aws.operation import Document, operation
from engine.services.sns.errors import invalid
from engine.services.sns.topics import Topics

Params = Mapping[str, Any]


class Permissions:
    """The operations, on one engine's topics."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics

    @operation("AddPermission", writes=True, kept=True)
    def add(self, params: Params, _trace: str | None) -> Document:
        """Add a statement. Raises ServiceError if there is one of that label."""
        topic = self._topics.topic(params["TopicArn"])
        document = orjson.loads(topic.policy)
        statements = document["Statement"] = _statements(document)
        if any(statement.get("Sid") == params["Label"] for statement in statements):
            raise invalid("Statement already exists")
        principals = [f"arn:aws:iam::{account}:root" for account in params["AWSAccountId"]]
        actions = [f"SNS:{name}" for name in params["ActionName"]]
        statements.append(
            {
                "Sid": params["Label"],
                "Effect": "Allow",
                "Principal": {"AWS": principals[0] if len(principals) == 1 else principals},
                "Action": actions[0] if len(actions) == 1 else actions,
                "Resource": topic.arn,
            }
        )
        topic.policy = orjson.dumps(document).decode()
        return {}

    @operation("RemovePermission", writes=True, kept=True)
    def remove(self, params: Params, _trace: str | None) -> Document:
        """Drop a statement by its label."""
        topic = self._topics.topic(params["TopicArn"])
        document = orjson.loads(topic.policy)
        document["Statement"] = [one for one in _statements(document) if one.get("Sid") != params["Label"]]
        topic.policy = orjson.dumps(document).decode()
        return {}


def _statements(document: dict[str, Any]) -> list[dict[str, Any]]:
    """One alone needs no list."""
    found = document.get("Statement", [])
    return found if isinstance(found, list) else [found]
