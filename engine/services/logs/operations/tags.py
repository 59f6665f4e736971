"""Operations on the tags of log groups, by ARN and, as it was before, by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.operation import operation
from engine.services.logs.errors import too_many
from engine.services.logs.resources import Document, LogResources
from engine.services.logs.store import LogGroup

_MAX_TAGS: Final = 50


class Tags:
    """The operations, on one engine's groups."""

    def __init__(self, resources: LogResources) -> None:
        self._resources = resources

    @operation("ListTagsForResource")
    def list_tags(self, params: Document) -> Document:
        """All tags."""
        return {"tags": dict(self._resources.tagged(params["resourceArn"]).tags)}

    @operation("TagResource", writes=True)
    def tag(self, params: Document) -> Document:
        """Add tags, or change them."""
        return self._tag(self._resources.tagged(params["resourceArn"]), params["tags"])

    @operation("UntagResource", writes=True)
    def untag(self, params: Document) -> Document:
        """Drop tags; those that are not there do not matter."""
        return self._untag(self._resources.tagged(params["resourceArn"]), params["tagKeys"])

    @operation("ListTagsLogGroup")
    def list_tags_by_name(self, params: Document) -> Document:
        """All tags."""
        return {"tags": dict(self._resources.group_named(params["logGroupName"]).tags)}

    @operation("TagLogGroup", writes=True)
    def tag_by_name(self, params: Document) -> Document:
        """Add tags, or change them."""
        return self._tag(self._resources.group_named(params["logGroupName"]), params["tags"])

    @operation("UntagLogGroup", writes=True)
    def untag_by_name(self, params: Document) -> Document:
        """Drop tags; those that are not there do not matter."""
        return self._untag(self._resources.group_named(params["logGroupName"]), params["tags"])

    def _tag(self, group: LogGroup, tags: dict[str, str]) -> Document:
        count = len({**group.tags, **tags})
        if count > _MAX_TAGS:
            message = "The maximum number of tags for this resource has been reached."
            raise ServiceError(400, "TooManyTagsException", message)
        if count > len(group.tags) and self._resources.store.is_full:
            raise too_many()
        self._resources.store.tag(group, tags)
        return {}

    def _untag(self, group: LogGroup, keys: Iterable[str]) -> Document:
        self._resources.store.untag(group, keys)
        return {}
