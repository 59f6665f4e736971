"""Operations on the tags of topics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.protocols.aws.operation import Document, operation
from engine.services.sns.topics import Topics, check_tags, tags_of

Params = Mapping[str, Any]


class TopicTags:
    """The operations, on one engine's topics."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics

    @operation("ListTagsForResource")
    def list_tags(self, params: Params, _trace: str | None) -> Document:
        """All tags."""
        tags = self._topics.tagged(params["ResourceArn"]).tags
        return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}

    @operation("TagResource", writes=True)
    def tag(self, params: Params, _trace: str | None) -> Document:
        """Add tags, or change them."""
        topic = self._topics.tagged(params["ResourceArn"])
        tags = {**topic.tags, **tags_of(params["Tags"])}
        check_tags(tags)
        topic.tags = tags
        return {}

    @operation("UntagResource", writes=True)
    def untag(self, params: Params, _trace: str | None) -> Document:
        """Drop tags; those that are not there do not matter."""
        topic = self._topics.tagged(params["ResourceArn"])
        for key in params["TagKeys"]:
            topic.tags.pop(key, None)
        return {}
