"""Metadata of objects: read from headers, checked, and written back as headers.

Source: Amazon S3 API Reference, PutObject and GetObject; User Guide, "Working with object metadata".
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from email.errors import HeaderParseError
from email.header import decode_header
from typing import Any, Final

from engine.protocols.http.dates import http_date
from engine.protocols.http.message import header_block
from engine.services.s3.acl import ACL, acl_of
from engine.services.s3.acl import HEADERS as ACL_HEADERS
from engine.services.s3.encryption import HEADERS as ENCRYPTION_HEADERS
from engine.services.s3.encryption import SETTING as ENCRYPTION
from engine.services.s3.encryption import encryption_head, encryption_of
from engine.services.s3.errors import S3Error
from engine.services.s3.model import NO_SETTINGS, ObjectMetadata, ObjectVersion
from engine.services.s3.notification_records import iso_ms
from engine.services.s3.object_lock import HEADERS as LOCK_HEADERS
from engine.services.s3.object_lock import HOLD, RETENTION, lock_of
from engine.services.s3.tags import tags_of

_KEPT_HEADERS: Final = frozenset(
    {
        "content-type",
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "expires",
        "x-amz-website-redirect-location",
        "x-amz-storage-class",
    }
)
_REFUSED_HEADERS: Final = {
    "x-amz-server-side-encryption-customer-algorithm": "server-side encryption with keys of the customer",
    "x-amz-write-offset-bytes": "appending to objects",
}
_SETTING_HEADERS: Final = ACL_HEADERS | LOCK_HEADERS | ENCRYPTION_HEADERS
_OTHER_HEADERS: Final = _SETTING_HEADERS | _REFUSED_HEADERS.keys()
_META: Final = "x-amz-meta-"
ARCHIVES: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Classes of objects that are read from a restored copy only."""
RESTORED_UNTIL: Final = "RestoredUntil"
"""Name of the setting: when the restored copy of an archived object expires, in seconds since the epoch."""
_MAX_METADATA: Final = 2048
_LONGEST_WORD: Final = 63
_NOT_IN_Q: Final = re.compile(r"[^ -<>@-^`-~]")
_CLASSES: Final = frozenset(
    {
        "STANDARD",
        "REDUCED_REDUNDANCY",
        "STANDARD_IA",
        "ONEZONE_IA",
        "INTELLIGENT_TIERING",
        "GLACIER",
        "DEEP_ARCHIVE",
        "GLACIER_IR",
    }
)


def metadata_of(headers: Mapping[str, str]) -> ObjectMetadata:
    """Metadata and tags from the headers of a request. Raises S3Error.

    Raises:
        S3Error: Too much metadata, bad tags, or what is not implemented.
    """
    kept = {name: value for name, value in headers.items() if name in _KEPT_HEADERS}
    metadata = {
        name[len(_META) :]: _decoded(value) if "=?" in value else value
        for name, value in headers.items()
        if name.startswith(_META)
    }
    settings: Mapping[str, Any] = NO_SETTINGS
    if not _OTHER_HEADERS.isdisjoint(headers):
        for name, what in _REFUSED_HEADERS.items():
            if name in headers:
                raise S3Error("NotImplemented", f"This object store does not implement {what}.")
        settings = _settings_of(headers)
    if metadata:
        size = sum(len(name) + len(value.encode()) for name, value in metadata.items())
        if size > _MAX_METADATA:
            details = {"Size": str(size), "MaxSizeAllowed": str(_MAX_METADATA)}
            raise S3Error("MetadataTooLarge", details=details)
    encoding = kept.get("content-encoding")
    if encoding is not None and "aws-chunked" in encoding:
        codings = [coding.strip() for coding in encoding.split(",") if coding.strip() != "aws-chunked"]
        kept["content-encoding"] = ",".join(codings)
        if not codings:
            del kept["content-encoding"]
    asked_class = kept.get("x-amz-storage-class", "STANDARD")
    if asked_class not in _CLASSES:
        raise S3Error("InvalidStorageClass", details={"StorageClassRequested": asked_class})
    tagging = headers.get("x-amz-tagging")
    tags = tags_of(tagging) if tagging else {}
    return ObjectMetadata(headers=kept, metadata=metadata, tags=tags, settings=settings)


def _settings_of(headers: Mapping[str, str]) -> dict[str, Any]:
    acl, settings, encryption = acl_of(headers), lock_of(headers), encryption_of(headers)
    if acl is not None:
        settings[ACL] = acl
    if encryption:
        settings[ENCRYPTION] = encryption
    return settings


def _decoded(value: str) -> str:
    """`value` with its encoded words of RFC 2047 decoded; as it is if they are none."""
    try:
        pieces = (
            piece if isinstance(piece, str) else piece.decode(charset or "latin-1")
            for piece, charset in decode_header(value)
        )
        decoded = "".join(pieces)
        decoded.encode()  # some charsets yield what is no text
    except (HeaderParseError, LookupError, ValueError):
        return value
    return decoded


def _in_encoded_words(value: str) -> str:
    """`value` as it is, or as encoded words of RFC 2047 if it is not all printable ASCII.

    Few such characters make it `Q`, most of them `B`, and no word is longer than 75 characters, as with the
    mail library of Java, by which S3's answers look to be made.
    """
    if value.isascii() and value.isprintable():
        return value
    others = sum(not " " <= char <= "~" for char in value)
    if others * 2 < len(value):
        return " ".join(f"=?UTF-8?Q?{word}?=" for word in _words(value, _q_encoded))
    return " ".join(f"=?UTF-8?B?{word}?=" for word in _words(value, _b_encoded))


def _words(value: str, encode: Callable[[str], str]) -> Iterator[str]:
    """`value` encoded, in halves until each is short enough."""
    word = encode(value)
    if len(word) <= _LONGEST_WORD or len(value) == 1:
        yield word
        return
    half = len(value) // 2
    yield from _words(value[:half], encode)
    yield from _words(value[half:], encode)


def _q_encoded(value: str) -> str:
    return _NOT_IN_Q.sub(lambda found: "".join(f"={byte:02X}" for byte in found[0].encode()), value).replace(
        " ", "_"
    )


def _b_encoded(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


def object_head(version: ObjectVersion) -> bytes:
    """Header lines that describe an object, rendered once for each version."""
    if version.head is None:
        object_metadata = version.object_metadata
        pairs = [
            ("last-modified", http_date(version.modified_s)),
            ("etag", f'"{version.etag}"'),
            ("accept-ranges", "bytes"),
            *((name, value) for name, value in object_metadata.headers.items() if value != "STANDARD"),
            *((_META + name, _in_encoded_words(value)) for name, value in object_metadata.metadata.items()),
        ]
        if "content-type" not in object_metadata.headers:
            pairs.append(("content-type", "binary/octet-stream"))
        if object_metadata.tags:
            pairs.append(("x-amz-tagging-count", str(len(object_metadata.tags))))
        if object_metadata.settings:
            pairs += _setting_headers(object_metadata.settings)
        version.head = header_block(pairs) + encryption_head(object_metadata.settings)
    return version.head


def _setting_headers(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    retention, hold = settings.get(RETENTION), settings.get(HOLD)
    if retention:
        yield "x-amz-object-lock-mode", retention["Mode"]
        yield "x-amz-object-lock-retain-until-date", iso_ms(retention["RetainUntilDate"])
    if hold:
        yield "x-amz-object-lock-legal-hold", hold["Status"]


def check_readable(version: ObjectVersion, now_s: float, code: str = "InvalidObjectState") -> None:
    """Raise S3Error for an archived object that has no restored copy now."""
    kept = version.object_metadata
    archive = kept.headers.get("x-amz-storage-class")
    if archive in ARCHIVES and not is_restored(version, now_s):
        details = {"StorageClass": archive} if code == "InvalidObjectState" else {}
        raise S3Error(code, details=details)


def is_restored(version: ObjectVersion, now_s: float) -> bool:
    """Whether an archived object has a restored copy that has not expired."""
    until_s: float = version.object_metadata.settings.get(RESTORED_UNTIL, 0)
    return until_s > now_s


def restore_head(version: ObjectVersion, now_s: float) -> bytes:
    """The header line of a restored copy."""
    if not is_restored(version, now_s):
        return b""
    until = http_date(int(version.object_metadata.settings[RESTORED_UNTIL]))
    return header_block([("x-amz-restore", f'ongoing-request="false", expiry-date="{until}"')])


def storage_class(version: ObjectVersion) -> str:
    """The storage class that was asked for; it has no effect."""
    return version.object_metadata.headers.get("x-amz-storage-class", "STANDARD")
