"""Tags of objects and buckets: which are valid, as a query string and as XML.

Source: Amazon S3 API Reference, PutObjectTagging and PutBucketTagging; User Guide, "Categorizing your storage
using tags".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import parse_qsl

from engine.services.s3.errors import S3Error, invalid_argument

MAX_OBJECT_TAGS: Final = 10
MAX_BUCKET_TAGS: Final = 50
_OWN_OF_OBJECTS: Final = "Your TagKey cannot be prefixed with aws:"
_OWN_OF_BUCKETS: Final = "System tags cannot be added/updated by requester"
TAG: Final = re.compile(r"[\w\s+\-=.:/@]*")
"""What keys and values may consist of."""


def tags_of(tagging: str) -> dict[str, str]:
    """Tags as they stand in `x-amz-tagging`: as a query string."""
    try:
        pairs = parse_qsl(tagging, keep_blank_values=True, errors="strict")
        if len(dict(pairs)) < len(pairs) or not all(TAG.fullmatch(name + value) for name, value in pairs):
            raise ValueError(tagging)
    except ValueError:
        raise invalid_argument(
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query "
            "parameters without tag name duplicates.",
            "x-amz-tagging",
            tagging,
        ) from None
    return checked_tags(pairs)


def checked_tags(pairs: list[tuple[str, str]], max_tags: int = MAX_OBJECT_TAGS) -> dict[str, str]:
    """The pairs as a dict. Raises S3Error InvalidTag or BadRequest, in AWS's words."""
    tags: dict[str, str] = {}
    for name, value in pairs:
        if name in tags:
            raise S3Error("InvalidTag", "Cannot provide multiple Tags with the same key", {"TagKey": name})
        if name.startswith("aws:"):
            message = _OWN_OF_OBJECTS if max_tags == MAX_OBJECT_TAGS else _OWN_OF_BUCKETS
            raise S3Error("InvalidTag", message, {"TagKey": name[:128]})
        if not 1 <= len(name) <= 128 or not TAG.fullmatch(name):
            raise S3Error("InvalidTag", "The TagKey you have provided is invalid", {"TagKey": name[:128]})
        if len(value) > 256 or not TAG.fullmatch(value):
            message = "The TagValue you have provided is invalid"
            raise S3Error("InvalidTag", message, {"TagKey": name, "TagValue": value[:256]})
        tags[name] = value
    if len(tags) > max_tags:
        what = "Object tags" if max_tags == MAX_OBJECT_TAGS else "Bucket tag count"
        raise S3Error("BadRequest", f"{what} cannot be greater than {max_tags}")
    return tags


def tags_in(tag_set: Iterable[Mapping[str, str]], max_tags: int = MAX_OBJECT_TAGS) -> dict[str, str]:
    """The tags of a document's `TagSet`. Raises S3Error."""
    return checked_tags([(tag["Key"], tag["Value"]) for tag in tag_set], max_tags)


def shown_tags(tags: Mapping[str, str]) -> dict[str, list[dict[str, str]]]:
    """The content of a `Tagging` document."""
    return {"TagSet": [{"Key": name, "Value": value} for name, value in tags.items()]}
