"""When an object would expire by the lifecycle rules of its bucket: told as by S3, but nothing expires.

Source: Amazon S3 User Guide, "Lifecycle configuration elements" and "Expiring objects"; S3 API Reference,
PutObject.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from engine.protocols.http.dates import http_date
from engine.protocols.http.message import header_block
from engine.services.s3.model import Bucket, ObjectVersion

BUCKET_SETTING: Final = "BucketLifecycleConfiguration"
"""Name of the bucket's setting."""
_DAY_S: Final = 86_400


def expiration_head(bucket: Bucket, version: ObjectVersion) -> bytes:
    """The header line that tells when and by which rule; none for what does not expire, or is not current.

    Of several rules the one that is due first counts.
    """
    configuration = bucket.settings.get(BUCKET_SETTING) if bucket.settings else None
    if configuration is None or bucket.latest(version.key) is not version:
        return b""
    due = [
        (_due_s(rule["Expiration"], version.modified_s), rule["ID"])
        for rule in configuration["Rules"]
        if rule["Status"] == "Enabled"
        and rule.get("Expiration", {}).keys() & {"Days", "Date"}
        and _takes(rule, version)
    ]
    if not due:
        return b""
    due_s, rule_id = min(due)
    value = f'expiry-date="{http_date(due_s)}", rule-id="{quote(rule_id, safe="")}"'
    return header_block([("x-amz-expiration", value)])


def _due_s(expiration: Mapping[str, Any], modified_s: int) -> int:
    """A date, or the midnight after so many days, in seconds since the epoch."""
    if "Date" in expiration:
        return int(expiration["Date"])
    end_s = modified_s + int(expiration["Days"]) * _DAY_S
    return -(-end_s // _DAY_S) * _DAY_S


def _takes(rule: Mapping[str, Any], version: ObjectVersion) -> bool:
    """Whether the rule's filter takes the object: by prefix, size and tags."""
    sent = rule.get("Filter", {})
    wanted: Mapping[str, Any] = {"Prefix": rule.get("Prefix", ""), **sent, **sent.get("And", {})}
    tags = [*wanted.get("Tags", ()), *([wanted["Tag"]] if "Tag" in wanted else ())]
    return (
        version.key.startswith(wanted["Prefix"])
        and wanted.get("ObjectSizeGreaterThan", -1) < version.size
        and version.size < wanted.get("ObjectSizeLessThan", version.size + 1)
        and all(version.object_metadata.tags.get(tag["Key"]) == tag["Value"] for tag in tags)
    )
