"""Uploads by HTML forms: `multipart/form-data` posted to a bucket, checked against the policy in the form.

Source: Amazon S3 API Reference, "POST Object" and "Browser-based uploads using POST".
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import orjson
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from engine.protocols.aws.rest_xml import DECLARATION, element
from engine.protocols.http.message import header_block
from engine.services.s3.blob_store import Content
from engine.services.s3.body import sent_checksum
from engine.services.s3.checksums import Checksum, md5_hex
from engine.services.s3.documents import payload_of
from engine.services.s3.errors import S3Error
from engine.services.s3.model import ObjectVersion
from engine.services.s3.names import checked_key
from engine.services.s3.object_metadata import metadata_of
from engine.services.s3.operation_context import OperationContext, as_stored, event_of, new_head
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
from engine.services.s3.tags import tags_in

_MAX_FIELDS: Final = 200
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
        sent[0].check(form.data, sent[1])
    return Prepared(
        content=Content.of(context.store.blob_store.keep(form.data)),
        etag=md5_hex((form.data,)),
        checksum=Checksum(sent[0].name, sent[1]) if sent else None,
        form=PostForm(key, fields),
    )


def post_object(context: OperationContext, call: S3Request) -> S3Response:
    """PostObject."""
    bucket = context.bucket(call)
    prepared = call.prepared
    assert prepared.form is not None
    key, given = prepared.form
    host = call.headers.get("host", "localhost")
    fields = {"content-type": "binary/octet-stream", **given, "host": host}
    tagging = fields.pop("tagging", None)
    if tagging:
        tag_set = payload_of("PutObjectTagging", tagging.encode())["TagSet"]
        fields["x-amz-tagging"] = urlencode(tags_in(tag_set))
    if "acl" in fields:
        fields["x-amz-acl"] = fields.pop("acl")
    object_metadata = as_stored(context, bucket, metadata_of(fields))
    for name, value in (*object_metadata.headers.items(), *object_metadata.metadata.items()):
        header_line(name, value)
    version = context.store.put(
        bucket, key, prepared.content, prepared.etag, object_metadata, prepared.checksum
    )
    events = (event_of(call, bucket, version, "ObjectCreated:Post"),)
    head = new_head(bucket, version)
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
    """Read a form. Fields behind the file are dropped, as S3 does."""
    kind, parameters = parse_options_header(content_type)
    reader = _FormReader()
    try:
        if kind != b"multipart/form-data":
            raise S3Error("MalformedPOSTRequest")
        parser = MultipartParser(parameters.get(b"boundary", b""), reader.callbacks())
        parser.write(body)
    except (MultipartParseError, UnicodeError, ValueError):  # no form at all, or one that is cut off
        pass
    if reader.file_name is not None:
        return _Form(reader.fields, reader.file_name, reader.data)
    if reader.is_complete:
        raise S3Error("InvalidArgument", "POST requires exactly one file upload per request.")
    raise S3Error("MalformedPOSTRequest")


class _FormReader:
    """What a parser of forms tells, as fields and a file.

    Attributes:
        fields: Those before the file, names in lower case.
        file_name: Without folders; None if the file was not there, or not whole.
        data: The file.
        is_complete: The form has ended.
    """

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}
        self.file_name: str | None = None
        self.data = b""
        self.is_complete = False
        self._name = self._value = b""
        self._head: dict[bytes, bytes] = {}
        self._pieces: list[bytes] = []

    def callbacks(self) -> Any:
        """For the parser."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._take_name,
            "on_header_value": self._take_value,
            "on_header_end": self._end_header,
            "on_part_data": self._take_data,
            "on_part_end": self._end_part,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._head, self._pieces = {}, []
        self._name = self._value = b""

    def _take_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _take_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._head[self._name.lower()] = self._value
        self._name = self._value = b""

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        if self.file_name is None:
            self._pieces.append(data[start:end])

    def _end_part(self) -> None:
        if self.file_name is not None:
            return
        _, parameters = parse_options_header(self._head.get(b"content-disposition", b""))
        name = parameters.get(b"name", b"").decode("utf-8", "replace").lower()
        data = b"".join(self._pieces)
        if name == "file":
            file_name = parameters.get(b"filename", b"").decode("utf-8", "replace")
            self.file_name, self.data = file_name.replace("\\", "/").rpartition("/")[2], data
        elif not name or len(data) > _LONGEST_FIELD or len(self.fields) == _MAX_FIELDS:
            raise ValueError(name)
        else:
            self.fields[name] = data.decode("utf-8", "replace")

    def _end(self) -> None:
        self.is_complete = True


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
