"""Uploads by HTML forms: `multipart/form-data` posted to a bucket, checked against the policy in the form.

Source: Amazon S3 API Reference, "POST Object" and "Browser-based uploads using POST".
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime
from email.message import Message
from functools import partial
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import orjson

from engine.protocols.aws.rest_xml import DECLARATION
from engine.protocols.http.message import header_block
from engine.services.s3.blob_store import Content
from engine.services.s3.body import sent_checksum
from engine.services.s3.checksums import Checksum, b64, md5_hex
from engine.services.s3.errors import S3Error
from engine.services.s3.model import ObjectVersion
from engine.services.s3.names import checked_key
from engine.services.s3.object_lock import locked
from engine.services.s3.object_metadata import ENCRYPTED, metadata_of
from engine.services.s3.operation_context import OperationContext, event_of, new_version_header
from engine.services.s3.request import (
    XML_HEAD,
    PostForm,
    Preparation,
    Prepared,
    S3Request,
    S3Response,
    header_line,
    object_url,
)
from engine.services.s3.tags import tags_of_xml
from engine.services.s3.xml import element

_MAX_FIELDS: Final = 200
_LONGEST_HEAD: Final = 8192
_LONGEST_FIELD: Final = 65_536
_NEEDS_NO_CONDITION: Final = frozenset({"awsaccesskeyid", "file", "policy", "signature", "x-amz-signature"})


class _Form(NamedTuple):
    """The fields before the file, names in lower case, and the file."""

    fields: dict[str, str]
    file_name: str
    data: bytes


def take_form(context: OperationContext, call: S3Request) -> Preparation:
    """Read the form, check it against its policy, and store the file as a blob."""
    context.bucket(call)
    if not call.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        condition = "Bucket POST must be of the enclosure-type multipart/form-data"
        raise S3Error("PreconditionFailed", details={"Condition": condition})
    return Preparation(partial(_take_form, context, call))


def _take_form(context: OperationContext, call: S3Request) -> Prepared:
    form = _parsed(call.headers.get("content-type", ""), call.request.body)
    fields = form.fields
    if "key" not in fields:
        raise _bad(
            "Bucket POST must contain a field named 'key'.  If it is specified, please check the order "
            "of the fields."
        )
    if fields.get("policy"):
        _check_policy(fields, call.bucket, len(form.data), context.clock.wall())
    key = checked_key(fields["key"].replace("${filename}", form.file_name))
    if not key:
        raise _bad("User key must have a length greater than 0.")
    sent = sent_checksum(fields)
    if sent is not None:
        hasher = sent[0].hasher()
        hasher.update(form.data)
        if b64(hasher.digest()) != sent[1]:
            raise S3Error(
                "BadDigest", f"The {sent[0].name} you specified did not match the calculated checksum."
            )
    return Prepared(
        content=Content.of(context.store.blob_store.keep(form.data)),
        etag=md5_hex((form.data,)),
        checksum=Checksum(sent[0].name, sent[1]) if sent else None,
        form=PostForm(key, fields),
    )


def post_object(context: OperationContext, call: S3Request, prepared: Prepared) -> S3Response:
    """PostObject."""
    bucket = context.bucket(call)
    assert prepared.form is not None
    key, given = prepared.form
    host = call.headers.get("host", "localhost")
    fields = {"content-type": "binary/octet-stream", **given, "host": host}
    tagging = fields.pop("tagging", None)
    if tagging:
        fields["x-amz-tagging"] = urlencode(tags_of_xml(tagging.encode()))
    if "acl" in fields:
        fields["x-amz-acl"] = fields.pop("acl")
    object_metadata = locked(bucket, metadata_of(fields), context.clock.wall())
    for name, value in (*object_metadata.headers.items(), *object_metadata.metadata.items()):
        header_line(name, value)
    version = context.store.put(
        bucket, key, prepared.content, prepared.etag, object_metadata, prepared.checksum
    )
    events = (event_of(call, bucket, version, "ObjectCreated:Post"),)
    head = ENCRYPTED + new_version_header(bucket, version)
    where = object_url(call, key)
    try:
        redirect = fields.get("success_action_redirect") or fields.get("redirect")
        if redirect and urlsplit(redirect).scheme in ("http", "https"):
            target = _redirected(redirect, bucket.name, version)
            return S3Response(303, head + header_block([("location", target)]), b"", events)
    except ValueError:  # a URL that is none
        pass
    head += header_block([("etag", f'"{version.etag}"'), ("location", where)])
    status = fields.get("success_action_status")
    if status == "201":
        result = element("Location", where) + element("Bucket", bucket.name) + element("Key", key)
        result += element("ETag", f'"{version.etag}"')
        body = f"{DECLARATION}<PostResponse>{result}</PostResponse>".encode("utf-8", "replace")
        return S3Response(201, head + XML_HEAD, body, events)
    return S3Response(200 if status == "200" else 204, head, b"", events)


def _redirected(url: str, bucket: str, version: ObjectVersion) -> str:
    parts = urlsplit(url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    query += [("bucket", bucket), ("key", version.key), ("etag", f'"{version.etag}"')]
    return urlunsplit(parts._replace(query=urlencode(query)))


# --- the form


def _bad(message: str) -> S3Error:
    return S3Error("InvalidArgument", message, {"ArgumentName": "key", "ArgumentValue": ""})


def _parsed(content_type: str, body: bytes) -> _Form:
    """Split a form. Fields behind the file are dropped, as S3 does."""
    boundary = _parameter("content-type", content_type, "boundary")
    if not content_type.lower().startswith("multipart/form-data") or not boundary:
        raise S3Error("MalformedPOSTRequest")
    mark = b"\r\n--" + boundary.encode("latin-1", "replace")
    at = (b"\r\n" + body).find(mark)
    fields: dict[str, str] = {}
    if at < 0:
        raise S3Error("MalformedPOSTRequest")
    at += len(mark) - 2
    while len(fields) < _MAX_FIELDS and body[at : at + 2] == b"\r\n":
        split = body.find(b"\r\n\r\n", at, at + _LONGEST_HEAD)
        end = body.find(mark, split + 2) if split >= 0 else -1
        if end < 0:
            break
        disposition = _disposition(body[at + 2 : split])
        name = _parameter("content-disposition", disposition, "name").lower()
        data = body[split + 4 : end]
        if name == "file":
            file_name = _parameter("content-disposition", disposition, "filename")
            return _Form(fields, file_name.replace("\\", "/").rpartition("/")[2], data)
        if not name or len(data) > _LONGEST_FIELD:
            break
        fields[name] = data.decode("utf-8", "replace")
        at = end + len(mark)
    else:
        if body[at : at + 2] == b"--":
            raise S3Error("InvalidArgument", "POST requires exactly one file upload per request.")
    raise S3Error("MalformedPOSTRequest")


def _disposition(head: bytes) -> str:
    for line in head.decode("utf-8", "replace").split("\r\n"):
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-disposition":
            return value.strip()
    return ""


def _parameter(header: str, value: str, name: str) -> str:
    """A parameter of a header, as the standard library reads it."""
    message = Message()
    message[header] = value.replace("\r", "").replace("\n", "")
    found = message.get_param(name, header=header)
    return found if isinstance(found, str) else ""


# --- the policy


def _check_policy(fields: Mapping[str, str], bucket: str, size: int, wall_s: float) -> None:
    try:
        policy = orjson.loads(base64.b64decode(fields["policy"], validate=False))
        expires = datetime.fromisoformat(policy["expiration"])
        conditions = [_condition(condition) for condition in policy["conditions"]]
    except (binascii.Error, ValueError, KeyError, TypeError, IndexError):
        raise S3Error("InvalidPolicyDocument") from None
    if wall_s > expires.replace(tzinfo=expires.tzinfo or UTC).timestamp():
        raise S3Error("AccessDenied", "Invalid according to Policy: Policy expired.")
    values = {**fields, "bucket": bucket}
    covered = {name for _, name, _ in conditions} | _NEEDS_NO_CONDITION
    extra = next((name for name in fields if name not in covered and not name.startswith("x-ignore-")), None)
    if extra is not None:
        raise S3Error("AccessDenied", f"Invalid according to Policy: Extra input fields: {extra}")
    for kind, name, wanted in conditions:
        if kind == "content-length-range":
            _check_length(int(name), int(wanted), size)
            continue
        value = values.get(name, "")
        is_met = value == wanted if kind == "eq" else value.startswith(str(wanted))
        if name not in _NEEDS_NO_CONDITION and not is_met:
            shown = orjson.dumps([kind, f"${name}", wanted]).decode()
            raise S3Error("AccessDenied", f"Invalid according to Policy: Policy Condition failed: {shown}")


def _condition(condition: Any) -> tuple[str, str, Any]:
    """`{"acl": "private"}` or `["starts-with", "$key", "in/"]` as kind, field and value."""
    if isinstance(condition, dict):
        [(name, value)] = condition.items()
        return "eq", str(name).lower(), value
    kind, name, value = condition
    kind = str(kind).lower()
    if kind == "content-length-range":
        return kind, str(int(name)), str(int(value))
    if kind not in ("eq", "starts-with"):
        raise ValueError(kind)
    return kind, str(name).removeprefix("$").lower(), value


def _check_length(min_size: int, max_size: int, size: int) -> None:
    if size > max_size:
        details = {"ProposedSize": str(size), "MaxSizeAllowed": str(max_size)}
        raise S3Error("EntityTooLarge", details=details)
    if size < min_size:
        details = {"ProposedSize": str(size), "MinSizeAllowed": str(min_size)}
        raise S3Error("EntityTooSmall", details=details)
