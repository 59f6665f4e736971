"""Operations on the tags of buses and rules."""

from __future__ import annotations

from typing import Final

from engine.protocols.aws.operation import operation
from engine.services.eventbridge.errors import too_many
from engine.services.eventbridge.store import BusStore, Document

_MAX_TAGS: Final = 50


class BusTags:
    """The operations, on one engine's buses and rules."""

    def __init__(self, store: BusStore) -> None:
        self._store = store

    @operation("ListTagsForResource")
    def list_tags(self, params: Document) -> Document:
        """All tags."""
        tags = self._store.tagged(params["ResourceARN"]).tags
        return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}

    @operation("TagResource", writes=True)
    def tag(self, params: Document) -> Document:
        """Add tags, or change them."""
        tagged = self._store.tagged(params["ResourceARN"])
        tags = tagged.tags | {tag["Key"]: tag["Value"] for tag in params["Tags"]}
        if len(tags) > _MAX_TAGS:
            raise too_many()
        tagged.tags = tags
        return {}

    @operation("UntagResource", writes=True)
    def untag(self, params: Document) -> Document:
        """Drop tags; those that are not there do not matter."""
        tagged = self._store.tagged(params["ResourceARN"])
        for key in params["TagKeys"]:
            tagged.tags.pop(key, None)
        return {}
