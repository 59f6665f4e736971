"""ListObjects in both versions, and ListObjectVersions.

Source: Amazon S3 API Reference of each; answers of S3 (localstack's snapshots, measurements in
brekkylab/backlot, and a log of March 2026) for the order of checks and elements, and for what is echoed.
"""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_left
from typing import Any, Final

from engine.protocols.aws.operation import operation
from engine.services.s3.documents import answer
from engine.services.s3.errors import invalid_argument
from engine.services.s3.listing import ListingPage, common_prefixes, encoded, page
from engine.services.s3.model import NULL_VERSION, Bucket, ObjectVersion
from engine.services.s3.object_metadata import storage_class
from engine.services.s3.operation_context import SHOWN_OWNER, OperationContext
from engine.services.s3.parameters import (
    MAX_LISTED,
    check_not_negative,
    check_text,
    check_version_id,
    encoding_asked,
    incorrect_token,
    whole_number,
)
from engine.services.s3.request import S3Request, S3Response
from engine.services.s3.store import number_of

_TOKEN_MARK: Final = b"1"
_MARKER: Final = "version-id-marker"
_OF_V2: Final = {
    "continuation-token": "continuation-token only supported in REST.GET.BUCKET with list-type=2",
    "start-after": "startAfter only supported in REST.GET.BUCKET with list-type=2",
}
_OF_V1: Final = {"marker": "Marker unsupported with REST.GET.BUCKET in list-type=2"}


@operation("ListObjectsV2")
def list_objects_v2(context: OperationContext, call: S3Request) -> S3Response:
    max_keys, bucket, encoding = _start(context, call, _OF_V1)
    token, start_after = call.query.get("continuation-token"), call.query.get("start-after")
    behind = (start_after or "") if token is None else from_token(token, "continuation-token")
    found = _found(call, bucket, behind, max_keys, resumes=token is not None)
    cut = found.last if found.is_truncated else None
    output = {
        "Name": bucket.name,
        "Prefix": encoded(call.query.get("prefix", ""), encoding),
        "StartAfter": None if start_after is None or token is not None else encoded(start_after, encoding),
        "ContinuationToken": token,
        "NextContinuationToken": None if cut is None else token_of(cut),
        "KeyCount": len(found.found) + len(found.prefixes),
        **_common(call, max_keys, encoding, found),
    }
    has_owner = call.query.get("fetch-owner", "").lower() == "true"
    return answer("ListObjectsV2", output | _entries(found, encoding, SHOWN_OWNER if has_owner else None))


@operation("ListObjects")
def list_objects(context: OperationContext, call: S3Request) -> S3Response:
    """ListObjects, the first version, which s3cmd and rclone still use."""
    max_keys, bucket, encoding = _start(context, call, _OF_V2)
    marker = call.query.get("marker", "")
    found = _found(call, bucket, marker, max_keys)
    cut = found.last if found.is_truncated and call.query.get("delimiter") else None
    output = {
        "Name": bucket.name,
        "Prefix": encoded(call.query.get("prefix", ""), encoding),
        "Marker": encoded(marker, encoding),
        "NextMarker": None if cut is None else encoded(cut, encoding),
        **_common(call, max_keys, encoding, found),
    }
    return answer("ListObjects", output | _entries(found, encoding, SHOWN_OWNER))


def _start(
    context: OperationContext, call: S3Request, of_other: dict[str, str]
) -> tuple[int, Bucket, str | None]:
    """`max-keys`, the bucket and `encoding-type`, with S3's checks in its order. Raises S3Error."""
    max_keys = whole_number(call, "max-keys")
    for name, message in of_other.items():
        if name in call.query:
            raise invalid_argument(message, name)
    bucket, encoding = context.bucket(call), encoding_asked(call)
    if call.query.get("continuation-token") == "":
        raise incorrect_token("continuation-token")
    check_not_negative(max_keys, "maxKeys")
    check_text(call, "prefix", "marker", "start-after", "delimiter")
    return max_keys, bucket, encoding


def _found(
    call: S3Request, bucket: Bucket, behind: str, max_keys: int, *, resumes: bool = True
) -> ListingPage:
    return page(
        bucket.keys,
        prefix=call.query.get("prefix", ""),
        delimiter=call.query.get("delimiter", ""),
        start_after=behind,
        max_keys=min(max_keys, MAX_LISTED),
        shown=_has_object,
        resumes=resumes,
    )


def _has_object(versions: list[ObjectVersion]) -> bool:
    return not versions[-1].is_marker


def _common(call: S3Request, max_keys: int, encoding: str | None, found: ListingPage) -> dict[str, Any]:
    delimiter = call.query.get("delimiter")
    return {
        "MaxKeys": max_keys,
        "Delimiter": encoded(delimiter, encoding) if delimiter else None,
        "EncodingType": encoding,
        "IsTruncated": found.is_truncated,
    }


def _entries(found: ListingPage, encoding: str | None, owner: dict[str, str] | None) -> dict[str, Any]:
    return {
        "Contents": [
            {
                "Key": encoded(key, encoding),
                **_described(versions[-1]),
                "Owner": owner,
                "StorageClass": storage_class(versions[-1]),
            }
            for key, versions in found.found
        ],
        "CommonPrefixes": common_prefixes(found.prefixes, encoding),
    }


def _described(version: ObjectVersion) -> dict[str, Any]:
    checksum = version.checksum
    return {
        "LastModified": version.modified_s,
        "ETag": f'"{version.etag}"',
        "ChecksumAlgorithm": (checksum.algorithm,) if checksum is not None else (),
        "ChecksumType": checksum.kind if checksum is not None else None,
        "Size": version.size,
    }


def token_of(name: str) -> str:
    """A continuation token: the last name, encoded so that clients do not read it as a name."""
    return base64.urlsafe_b64encode(_TOKEN_MARK + name.encode()).decode("ascii")


def from_token(token: str, parameter: str) -> str:
    """The name in a token. Raises S3Error InvalidArgument for one that was not made here."""
    try:
        raw = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
        if raw[:1] == _TOKEN_MARK:
            return raw[1:].decode()
    except (binascii.Error, ValueError):
        pass
    raise incorrect_token(parameter)


# --- versions


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
    return "Versions", [shown | _described(version) | more]
