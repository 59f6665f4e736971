"""ListObjectVersions.

Source: Amazon S3 API Reference, ListObjectVersions; answers of S3 (localstack's snapshots, and a log of March
2026) for the order of checks and elements.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

from engine.protocols.aws.operation import operation
from engine.services.s3.errors import invalid_argument
from engine.services.s3.listing import common_prefixes, encoded, page
from engine.services.s3.model import NULL_VERSION, Bucket, ObjectVersion
from engine.services.s3.object_metadata import storage_class
from engine.services.s3.operation_context import SHOWN_OWNER, OperationContext
from engine.services.s3.operations.lists import described
from engine.services.s3.parameters import (
    MAX_LISTED,
    check_text,
    check_version_id,
    encoding_asked,
    whole_number,
)
from engine.services.s3.request import S3Request, S3Response
from engine.services.s3.store import number_of
from engine.services.s3.xml_output import answer

_MARKER = "version-id-marker"


@operation("ListObjectVersions")
def list_object_versions(context: OperationContext, call: S3Request) -> S3Response:
    """A page may end between two versions of one key."""
    max_keys = whole_number(call, "max-keys")
    bucket, query = context.bucket(call), call.query
    if max_keys < 0:
        raise invalid_argument("max-keys cannot be negative", "max-keys")
    _check_marker(call)
    encoding = encoding_asked(call)
    check_text(call, "key-marker", "prefix", "delimiter")
    prefix, delimiter, key_marker = (query.get(name, "") for name in ("prefix", "delimiter", "key-marker"))
    behind = key_marker, query.get(_MARKER, "")
    shown, is_cut = _versions(bucket, prefix, delimiter, behind, min(max_keys, MAX_LISTED))
    output = {
        "Name": bucket.name,
        "Prefix": encoded(prefix, encoding),
        "KeyMarker": encoded(key_marker, encoding),
        "VersionIdMarker": query.get(_MARKER, ""),
        **(_next_markers(shown[-1], encoding) if is_cut else {}),
        "MaxKeys": max_keys,
        "Delimiter": encoded(delimiter, encoding) if "delimiter" in query else None,
        "EncodingType": encoding,
        "IsTruncated": is_cut,
    }
    entries = [_entry(bucket, entry, encoding) for entry in shown if isinstance(entry, ObjectVersion)]
    prefixes = common_prefixes((entry for entry in shown if isinstance(entry, str)), encoding)
    return answer("ListObjectVersions", [*output.items(), *entries, ("CommonPrefixes", prefixes)])


def _check_marker(call: S3Request) -> None:
    """Raise S3Error InvalidArgument for a marker without its key, an empty one, and one that is no id."""
    marker = call.query.get(_MARKER)
    if marker is None:
        return
    if "key-marker" not in call.query:
        message = "A version-id marker cannot be specified without a key marker."
        raise invalid_argument(message, _MARKER, marker)
    if not marker:
        raise invalid_argument("A version-id marker cannot be empty.", _MARKER, marker)
    check_version_id(marker, _MARKER)


def _versions(
    bucket: Bucket, prefix: str, delimiter: str, behind: tuple[str, str], max_keys: int
) -> tuple[list[ObjectVersion | str], bool]:
    """Up to `max_keys` versions and common prefixes behind a version of a key; whether there are more."""
    if max_keys <= 0:
        return [], False
    key, version_id = behind
    entries: list[ObjectVersion | str] = []
    if version_id:  # what is left of the key the last page ended in
        versions = bucket.keys.get(key, [])
        entries += reversed(versions[: _place(versions, version_id)])
    found = page(
        bucket.keys,
        prefix=prefix,
        delimiter=delimiter,
        start_after=key,
        max_keys=max_keys,
        shown=lambda _: True,
    )
    keys = dict(found.found)
    for name in sorted((*keys, *found.prefixes)):
        entries += reversed(keys[name]) if name in keys else [name]
    return entries[:max_keys], len(entries) > max_keys or found.is_truncated


def _place(versions: list[ObjectVersion], version_id: str) -> int:
    """How many versions are older than the one of that id, which may have been deleted meanwhile."""
    for place, version in enumerate(versions):
        if version.version_id == version_id:
            return place
    if version_id == NULL_VERSION:
        return 0
    return bisect_left(versions, number_of(version_id), key=lambda version: version.number)


def _next_markers(last: ObjectVersion | str, encoding: str | None) -> dict[str, str]:
    if isinstance(last, str):
        return {"NextKeyMarker": encoded(last, encoding)}
    return {"NextKeyMarker": encoded(last.key, encoding), "NextVersionIdMarker": last.version_id}


def _entry(bucket: Bucket, version: ObjectVersion, encoding: str | None) -> tuple[str, list[Any]]:
    shown: dict[str, Any] = {
        "Key": encoded(version.key, encoding),
        "VersionId": version.version_id,
        "IsLatest": bucket.latest(version.key) is version,
    }
    if version.is_marker:
        return "DeleteMarkers", [shown | {"LastModified": version.modified_s, "Owner": SHOWN_OWNER}]
    more = {"Owner": SHOWN_OWNER, "StorageClass": storage_class(version)}
    return "Versions", [shown | described(version) | more]
