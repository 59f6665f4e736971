"""What an object is said to be encrypted with: as its writer asked, else as its bucket has it.

Nothing is encrypted.

Source: Amazon S3 User Guide, "Protecting data with server-side encryption"; S3 API Reference, PutObject.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from engine.core.function import Account
from engine.protocols.http.message import header_block
from engine.services.s3.errors import invalid_argument
from engine.services.s3.model import Bucket, ObjectMetadata

_ALGORITHM: Final = "x-amz-server-side-encryption"
_KEY: Final = f"{_ALGORITHM}-aws-kms-key-id"
_BUCKET_KEY: Final = f"{_ALGORITHM}-bucket-key-enabled"
HEADERS: Final = frozenset({_ALGORITHM, _KEY, _BUCKET_KEY})
"""What PutObject and its like may ask for."""
BUCKET_SETTING: Final = "BucketEncryption"
"""Name of the bucket's setting."""
SETTING: Final = "ServerSideEncryption"
"""Name of the object's setting: the three headers, the key as an ARN; none if it is AES256."""
_ALGORITHMS: Final = ("AES256", "aws:fsx", "aws:kms", "aws:kms:dsse")
_BY_AES256: Final = f"{_ALGORITHM}: AES256\r\n".encode()
"""Since January 2023 S3 encrypts every object so, at the least."""


def encryption_of(headers: Mapping[str, str]) -> Mapping[str, str]:
    """What headers ask for. Raises S3Error InvalidArgument."""
    algorithm, key = headers.get(_ALGORITHM), headers.get(_KEY)
    if algorithm is not None and algorithm not in _ALGORITHMS:
        raise invalid_argument("The encryption method specified is not supported", _ALGORITHM, algorithm)
    if key is not None and algorithm in (None, "AES256"):
        message = (
            "Server Side Encryption with AWS KMS managed key requires HTTP header "
            "x-amz-server-side-encryption : aws:kms"
        )
        raise invalid_argument(message, _ALGORITHM, algorithm or "null")
    return {name: headers[name] for name in HEADERS if name in headers}


def encrypted(bucket: Bucket, object_metadata: ObjectMetadata, account: Account) -> ObjectMetadata:
    """What is to be stored in the bucket, with the encryption that the bucket gives it."""
    asked: Mapping[str, str] = object_metadata.settings.get(SETTING, {})
    if _ALGORITHM not in asked:
        asked = {**_default(bucket), **asked}
    others = {name: value for name, value in object_metadata.settings.items() if name != SETTING}
    if asked.get(_ALGORITHM, "AES256") != "AES256":
        chosen = {_ALGORITHM: asked[_ALGORITHM]}
        if asked[_ALGORITHM] != "aws:fsx":
            chosen[_KEY] = _key_arn(asked.get(_KEY), bucket, account)
        if asked.get(_BUCKET_KEY, "").lower() == "true":
            chosen[_BUCKET_KEY] = "true"
        others[SETTING] = chosen
    return replace(object_metadata, settings=others)


def _default(bucket: Bucket) -> dict[str, str]:
    """The bucket's own, as headers would say it."""
    rule = (bucket.settings.get(BUCKET_SETTING) or {"Rules": [{}]})["Rules"][0]
    by_default = rule.get("ApplyServerSideEncryptionByDefault", {})
    found = {_ALGORITHM: by_default.get("SSEAlgorithm", "AES256")}
    if "KMSMasterKeyID" in by_default:
        found[_KEY] = by_default["KMSMasterKeyID"]
    if rule.get("BucketKeyEnabled"):
        found[_BUCKET_KEY] = "true"
    return found


def _key_arn(key: str | None, bucket: Bucket, account: Account) -> str:
    """A key's ARN: as sent, or of this account; of the key that AWS manages for S3 where none is named."""
    if key is None:
        key = str(uuid5(NAMESPACE_URL, f"aws/s3/{account.account_id}/{bucket.region}"))
    if key.startswith("arn:"):
        return key
    resource = key if key.startswith("alias/") else f"key/{key}"
    return f"arn:aws:kms:{bucket.region}:{account.account_id}:{resource}"


def encryption_head(settings: Mapping[str, Any]) -> bytes:
    """The header lines of what is stored."""
    chosen = settings.get(SETTING) if settings else None
    return _BY_AES256 if chosen is None else header_block(list(chosen.items()))
