"""Listings: ListBuckets, ListObjects in both versions, ListObjectVersions.

Source: Amazon S3 API Reference, ListObjectsV2, ListObjects, ListObjectVersions, ListBuckets.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

from engine.services.s3.errors import invalid_argument
from engine.services.s3.listing import ListingPage, encoded, page, prefixes_xml
from engine.services.s3.model import Bucket, ObjectVersion
from engine.services.s3.notification_records import iso_ms
from engine.services.s3.object_metadata import storage_class
from engine.services.s3.operation_context import OWNER_XML, OperationContext
from engine.services.s3.request import S3Request, S3Response, xml_answer
from engine.services.s3.xml import element

_MAX_KEYS: Final = 1000
_MAX_BUCKETS: Final = 10_000
_TOKEN_MARK: Final = b"1"


def list_buckets(context: OperationContext, call: S3Request) -> S3Response:
    """ListBuckets."""
    max_buckets = call.number("max-buckets", _MAX_BUCKETS, _MAX_BUCKETS)
    after = _from_token(call, "continuation-token")
    prefix = call.query.get("prefix", "")
    names = [name for name in sorted(context.store.buckets) if name > after and name.startswith(prefix)]
    listed = ""
    for name in names[:max_buckets]:
        bucket = context.store.buckets[name]
        listed += f"<Bucket>{element('Name', name)}{element('CreationDate', iso_ms(bucket.created_s))}"
        if {"max-buckets", "continuation-token", "prefix"} & call.query.keys():
            listed += element("BucketRegion", bucket.region)
        listed += "</Bucket>"
    content = f"{OWNER_XML}<Buckets>{listed}</Buckets>"
    if len(names) > max_buckets:
        content += element("ContinuationToken", _token(names[max_buckets - 1]))
    if prefix:
        content += element("Prefix", prefix)
    return xml_answer("ListAllMyBucketsResult", content)


def list_objects_v2(context: OperationContext, call: S3Request) -> S3Response:
    """ListObjectsV2."""
    query = call.query
    token = query.get("continuation-token")
    start_after = query.get("start-after", "")
    behind = start_after if token is None else _from_token(call, "continuation-token")
    max_keys = call.number("max-keys", _MAX_KEYS, _MAX_KEYS)
    encoding, found = _found(context, call, behind, max_keys, resumes=token is not None)
    content = _common(call, encoding, max_keys, found)
    content += element("KeyCount", str(len(found.found) + len(found.prefixes)))
    if token is not None:
        content += element("ContinuationToken", token)
    if found.is_truncated and found.last is not None:
        content += element("NextContinuationToken", _token(found.last))
    if start_after:
        content += element("StartAfter", encoded(start_after, encoding))
    owner = OWNER_XML if query.get("fetch-owner", "").lower() == "true" else ""
    content += _contents(found, encoding, owner) + prefixes_xml(found.prefixes, encoding)
    return xml_answer("ListBucketResult", content)


def list_objects(context: OperationContext, call: S3Request) -> S3Response:
    """ListObjects, the first version, which s3cmd and rclone still use."""
    marker = call.query.get("marker", "")
    max_keys = call.number("max-keys", _MAX_KEYS, _MAX_KEYS)
    encoding, found = _found(context, call, marker, max_keys)
    content = _common(call, encoding, max_keys, found) + element("Marker", encoded(marker, encoding))
    if found.is_truncated and found.last is not None and call.query.get("delimiter"):
        content += element("NextMarker", encoded(found.last, encoding))
    content += _contents(found, encoding, OWNER_XML) + prefixes_xml(found.prefixes, encoding)
    return xml_answer("ListBucketResult", content)


def _found(
    context: OperationContext, call: S3Request, behind: str, max_keys: int, *, resumes: bool = True
) -> tuple[str | None, ListingPage]:
    bucket = context.bucket(call)
    encoding = encoding_asked(call)
    found = page(
        bucket.keys,
        prefix=call.query.get("prefix", ""),
        delimiter=call.query.get("delimiter", ""),
        start_after=behind,
        max_keys=max_keys,
        shown=_has_object,
        resumes=resumes,
    )
    return encoding, found


def encoding_asked(call: S3Request) -> str | None:
    """`encoding-type`. Raises S3Error InvalidArgument for an unknown one."""
    encoding = call.query.get("encoding-type") or None
    if encoding not in (None, "url"):
        raise invalid_argument("Invalid Encoding Method specified in Request", "encoding-type", encoding)
    return encoding


def _has_object(versions: list[ObjectVersion]) -> bool:
    return not versions[-1].is_marker


def _common(call: S3Request, encoding: str | None, max_keys: int, found: ListingPage) -> str:
    delimiter = call.query.get("delimiter", "")
    content = element("Name", call.bucket) + element(
        "Prefix", encoded(call.query.get("prefix", ""), encoding)
    )
    if delimiter:
        content += element("Delimiter", encoded(delimiter, encoding))
    content += element("MaxKeys", str(max_keys))
    if encoding:
        content += element("EncodingType", encoding)
    return content + element("IsTruncated", str(found.is_truncated).lower())


def _contents(found: ListingPage, encoding: str | None, owner: str) -> str:
    return "".join(
        f"<Contents>{element('Key', encoded(key, encoding))}{described(versions[-1])}{owner}"
        f"{element('StorageClass', storage_class(versions[-1]))}</Contents>"
        for key, versions in found.found
    )


def described(version: ObjectVersion) -> str:
    """The elements that every listing has of an object."""
    content = element("LastModified", iso_ms(version.modified_s)) + element("ETag", f'"{version.etag}"')
    if version.checksum is not None:
        content += element("ChecksumAlgorithm", version.checksum.algorithm)
        content += element("ChecksumType", version.checksum.kind)
    return content + element("Size", str(version.size))


def list_object_versions(context: OperationContext, call: S3Request) -> S3Response:
    """ListObjectVersions: a page may end between two versions of one key."""
    bucket, query = context.bucket(call), call.query
    key_marker, id_marker = query.get("key-marker", ""), query.get("version-id-marker", "")
    if id_marker and not key_marker:
        message = "A version-id marker cannot be specified without a key marker."
        raise invalid_argument(message, "version-id-marker", id_marker)
    max_keys, encoding = call.number("max-keys", _MAX_KEYS, _MAX_KEYS), encoding_asked(call)
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    shown, is_cut = _versions(bucket, prefix, delimiter, (key_marker, id_marker), max_keys)
    content = element("Name", bucket.name) + element("Prefix", encoded(prefix, encoding))
    content += element("KeyMarker", encoded(key_marker, encoding)) + element("VersionIdMarker", id_marker)
    if is_cut:
        content += _next_markers(shown[-1], encoding)
    content += element("MaxKeys", str(max_keys))
    if delimiter:
        content += element("Delimiter", encoded(delimiter, encoding))
    if encoding:
        content += element("EncodingType", encoding)
    content += element("IsTruncated", str(is_cut).lower())
    for entry in shown:
        if isinstance(entry, ObjectVersion):
            content += _version_xml(entry, bucket.latest(entry.key) is entry, encoding)
    content += prefixes_xml([entry for entry in shown if isinstance(entry, str)], encoding)
    return xml_answer("ListVersionsResult", content)


def _versions(
    bucket: Bucket, prefix: str, delimiter: str, behind: tuple[str, str], max_keys: int
) -> tuple[list[ObjectVersion | str], bool]:
    """Up to `max_keys` versions and common prefixes behind a version of a key; whether there are more."""
    if max_keys <= 0:
        return [], False
    key, version_id = behind
    entries: list[ObjectVersion | str] = []
    if version_id:  # what is left of the key the last page ended in
        versions = list(reversed(bucket.keys.get(key, ())))
        at = next(
            (i for i, version in enumerate(versions) if version.version_id == version_id), len(versions)
        )
        entries += versions[at + 1 :]
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


def _next_markers(last: ObjectVersion | str, encoding: str | None) -> str:
    if isinstance(last, str):
        return element("NextKeyMarker", encoded(last, encoding))
    marker = element("NextKeyMarker", encoded(last.key, encoding))
    return marker + element("NextVersionIdMarker", last.version_id)


def _version_xml(version: ObjectVersion, is_latest: bool, encoding: str | None) -> str:  # noqa: FBT001  # one call
    content = element("Key", encoded(version.key, encoding)) + element("VersionId", version.version_id)
    content += element("IsLatest", str(is_latest).lower())
    if version.is_marker:
        content += element("LastModified", iso_ms(version.modified_s))
        return f"<DeleteMarker>{content}{OWNER_XML}</DeleteMarker>"
    content += described(version) + OWNER_XML + element("StorageClass", storage_class(version))
    return f"<Version>{content}</Version>"


def _token(name: str) -> str:
    """A continuation token: the last name, encoded so that clients do not read it as a name."""
    return base64.urlsafe_b64encode(_TOKEN_MARK + name.encode()).decode("ascii")


def _from_token(call: S3Request, parameter: str) -> str:
    token = call.query.get(parameter, "")
    if not token:
        return ""
    try:
        raw = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
        if raw[:1] == _TOKEN_MARK:
            return raw[1:].decode()
    except (binascii.Error, ValueError):
        pass
    raise invalid_argument("The continuation token provided is incorrect", parameter, token)
