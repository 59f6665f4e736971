"""Access control lists: named, granted by headers, or written as documents.

They are kept and shown. Nobody is refused anything by them: callers are not authenticated.
Source: Amazon S3 User Guide, "Access control list (ACL) overview"; API Reference, PutBucketAcl, PutObjectAcl.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from engine.services.s3.documents import payload_of
from engine.services.s3.errors import S3Error, invalid_argument
from engine.services.s3.operation_context import OWNER
from engine.services.s3.request import S3Request

Acl = Mapping[str, Any]
"""`Owner` and `Grants`, by the names of AWS's model."""

_GROUPS: Final = "http://acs.amazonaws.com/groups/"
_ALL: Final = f"{_GROUPS}global/AllUsers"
_AUTHENTICATED: Final = f"{_GROUPS}global/AuthenticatedUsers"
_LOGS: Final = f"{_GROUPS}s3/LogDelivery"
_CANNED: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "private": (),
    "public-read": ((_ALL, "READ"),),
    "public-read-write": ((_ALL, "READ"), (_ALL, "WRITE")),
    "aws-exec-read": (),
    "authenticated-read": ((_AUTHENTICATED, "READ"),),
    "bucket-owner-read": (),
    "bucket-owner-full-control": (),
    "log-delivery-write": ((_LOGS, "READ_ACP"), (_LOGS, "WRITE")),
}
"""What is granted to which group, beside full control for the owner, who is everybody's here."""
_GRANT_HEADERS: Final = {
    "x-amz-grant-full-control": "FULL_CONTROL",
    "x-amz-grant-read": "READ",
    "x-amz-grant-read-acp": "READ_ACP",
    "x-amz-grant-write": "WRITE",
    "x-amz-grant-write-acp": "WRITE_ACP",
}
HEADERS: Final = frozenset({"x-amz-acl", *_GRANT_HEADERS})
"""Headers that give what is made a list of its own."""
_CANONICAL_ID: Final = re.compile(r"[0-9a-fA-F]+")
_OWNER: Final = {"ID": OWNER}


def _granted(grantee: Mapping[str, str], permission: str) -> dict[str, Any]:
    return {"Grantee": grantee, "Permission": permission}


def _canned(name: str) -> Acl:
    if name not in _CANNED:
        raise invalid_argument("", "x-amz-acl", name)
    grants = [_granted({**_OWNER, "Type": "CanonicalUser"}, "FULL_CONTROL")]
    grants += [_granted({"Type": "Group", "URI": uri}, permission) for uri, permission in _CANNED[name]]
    return {"Owner": _OWNER, "Grants": grants}


ACL: Final = "Acl"
"""Name of the setting."""
PRIVATE: Final = _canned("private")
"""The list of what was given none."""


def acl_of(headers: Mapping[str, str]) -> Acl | None:
    """The list that headers ask for, None if they ask for none. Raises S3Error."""
    canned = headers.get("x-amz-acl")
    grants = [
        _granted(_grantee(name, grantee.strip()), permission)
        for name, permission in _GRANT_HEADERS.items()
        if name in headers
        for grantee in headers[name].split(",")
    ]
    if canned is not None and grants:
        raise S3Error("InvalidRequest", "Specifying both Canned ACLs and Header Grants is not allowed")
    if canned is not None:
        return _canned(canned)
    return {"Owner": _OWNER, "Grants": grants} if grants else None


def acl_asked(call: S3Request) -> Acl:
    """The list that headers ask for, or a document. Raises S3Error."""
    acl = acl_of(call.headers)
    if acl is None and not call.document:
        raise S3Error("MissingSecurityHeader", details={"MissingHeaderName": "x-amz-acl"})
    if acl is not None and call.document:
        raise S3Error("UnexpectedContent")
    return acl or _checked_acl(payload_of("PutBucketAcl", call.document, "MalformedACLError"))


def _grantee(header: str, text: str) -> Mapping[str, str]:
    """`uri="..."`, `id="..."` or `emailAddress="..."` of a header."""
    kind, _, quoted = text.partition("=")
    value = quoted.strip().strip('"')
    match kind.strip():
        case "uri":
            return _checked({"Type": "Group", "URI": value}, "uri")
        case "id":
            return _checked({"ID": value, "Type": "CanonicalUser"}, "id")
        case "emailAddress":
            return {"EmailAddress": value, "Type": "AmazonCustomerByEmail"}
    raise invalid_argument("Argument format not recognized", header, text)


def _checked(grantee: Mapping[str, str], argument: str) -> Mapping[str, str]:
    if grantee["Type"] == "Group" and grantee.get("URI") not in (_ALL, _AUTHENTICATED, _LOGS):
        raise invalid_argument("Invalid group uri", argument, grantee.get("URI", ""))
    if grantee["Type"] == "CanonicalUser" and _CANONICAL_ID.fullmatch(grantee.get("ID", "")) is None:
        raise invalid_argument("Invalid id", argument, grantee.get("ID", ""))
    return grantee


def _checked_acl(acl: Acl) -> Acl:
    _checked({**acl["Owner"], "Type": "CanonicalUser"}, "CanonicalUser/ID")
    for grant in acl["Grants"]:
        is_group = grant["Grantee"]["Type"] == "Group"
        _checked(grant["Grantee"], "Group/URI" if is_group else "CanonicalUser/ID")
    return {"Owner": acl["Owner"], "Grants": acl["Grants"]}
