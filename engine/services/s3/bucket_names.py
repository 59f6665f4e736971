"""Which names buckets can have.

Source: Amazon S3 User Guide, "Bucket naming rules".
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address
from typing import Final

_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_RESERVED: Final = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_ENDS: Final = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


def bucket_problem(name: str) -> str | None:
    """Why a bucket cannot have that name, as the end of a sentence; None if it can."""
    if not 3 <= len(name) <= 63:
        return "must be 3 to 63 characters long"
    if not _BUCKET.fullmatch(name):
        return "must be of a-z, 0-9, '.' and '-', and begin and end with a letter or digit"
    if ".." in name or ".-" in name or "-." in name:
        return "must not hold '..', '.-' or '-.'"
    if name.startswith(_RESERVED) or name.endswith(_RESERVED_ENDS):
        return "begins or ends as AWS reserves for itself"
    try:
        IPv4Address(name)
    except ValueError:
        return None
    return "must not be an IP address"
