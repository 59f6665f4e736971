"""CORS of buckets: PutBucketCors and its siblings, preflights, and headers for pages of other origins.

Source: Amazon S3 API Reference, PutBucketCors, GetBucketCors, DeleteBucketCors; Amazon S3 User Guide, "Using
cross-origin resource sharing (CORS)" and "Troubleshooting CORS" (the texts of refusals).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from engine.protocols.http.cors import Cors, Preflight, preflight_of
from engine.services.s3.documents import payload_of
from engine.services.s3.errors import S3Error
from engine.services.s3.request import S3Request, S3Response

METHODS: Final = ("GET", "PUT", "POST", "DELETE", "HEAD")
_MAX_RULES: Final = 100
_MAX_AGE_S: Final = 99_999_999_999
_MEMBERS: Final = {
    "id": "ID",
    "methods": "AllowedMethods",
    "origins": "AllowedOrigins",
    "headers": "AllowedHeaders",
    "expose_headers": "ExposeHeaders",
    "max_age_s": "MaxAgeSeconds",
}
"""The keys of a rule's document and what the model calls them, in the order of S3's answers."""


@dataclass(frozen=True, kw_only=True)
class CorsRule(Cors):
    """One rule of a bucket. `id` is empty if none was given."""

    id: str = ""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """The rule that `document` describes. S3 allows credentials wherever it names the origin."""
        origins = tuple(document["origins"])
        return cls(
            id=document.get("id", ""),
            origins=origins,
            methods=tuple(document["methods"]),
            headers=tuple(document.get("headers", ())),
            expose=tuple(document.get("expose_headers", ())),
            max_age_s=document.get("max_age_s"),
            credentials="*" not in origins,
        )

    def document(self) -> dict[str, Any]:
        """It as JSON values."""
        return {
            "id": self.id,
            "origins": self.origins,
            "methods": self.methods,
            "headers": self.headers,
            "expose_headers": self.expose,
            "max_age_s": self.max_age_s,
        }


def parsed(body: bytes) -> tuple[CorsRule, ...]:
    """The rules of a document. Raises S3Error."""
    rules = payload_of("PutBucketCors", body)["CORSRules"]
    if len(rules) > _MAX_RULES:
        raise S3Error("MalformedXML")
    return tuple(map(_rule, rules))


def _rule(found: Mapping[str, Any]) -> CorsRule:
    members = {key: found[name] for key, name in _MEMBERS.items() if name in found}
    origins, headers = members["origins"], members.get("headers", ())
    for method in members["methods"]:
        if method not in METHODS:
            message = f"Found unsupported HTTP method in CORS config. Unsupported method is {method[:100]}"
            raise S3Error("InvalidRequest", message)
    for kind, value in (*(("AllowedOrigin", v) for v in origins), *(("AllowedHeader", v) for v in headers)):
        if value.count("*") > 1:
            raise S3Error("InvalidRequest", f'{kind} "{value[:100]}" can not have more than one wildcard.')
    texts = (*origins, *headers, *members.get("expose_headers", ()))
    if any(not value.isprintable() or not value.isascii() for value in texts):
        raise S3Error("MalformedXML")
    if not 0 <= members.get("max_age_s", 0) <= _MAX_AGE_S:
        raise S3Error("MalformedXML")
    return CorsRule.of(members)


def shown(rules: Iterable[CorsRule]) -> dict[str, Any]:
    """The document of GetBucketCors."""
    documents = [rule.document() | {"id": rule.id or None} for rule in rules]
    return {"CORSRules": [{name: each[key] for key, name in _MEMBERS.items()} for each in documents]}


def answer_preflight(call: S3Request, rules: tuple[CorsRule, ...] | None) -> S3Response:
    """Answer a preflight; `rules` is None if there is no such bucket.

    Raises S3Error AccessForbidden if no rule allows the request that is to follow.
    """
    if "origin" not in call.headers:
        raise S3Error("BadRequest", "Insufficient information. Origin request header needed.")
    preflight = preflight_of(call.request)
    if preflight is None or preflight.method not in METHODS:
        method = call.headers.get("access-control-request-method", "null")[:100]
        raise S3Error("BadRequest", f"Invalid Access-Control-Request-Method: {method}")
    if not rules:
        what = "Bucket not found" if rules is None else "CORS is not enabled for this bucket."
        details = {"Method": preflight.method, "ResourceType": "BUCKET"}
        raise S3Error("AccessForbidden", f"CORSResponse: {what}", details)
    for rule in rules:
        if rule.takes(preflight.origin, preflight.method, preflight.headers):
            return S3Response(200, rule.preflight_head(preflight))
    message = (
        "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, "
        "request method / Access-Control-Request-Method or Access-Control-Request-Headers are not "
        "whitelisted by the resource's CORS spec."
    )
    raise S3Error("AccessForbidden", message, {"Method": preflight.method, "ResourceType": "OBJECT"})


def add_cors_headers(call: S3Request, rules: tuple[CorsRule, ...]) -> None:
    """Add headers that let the page that sent `call` read the answer, if a rule allows it.

    They are those that a preflight is answered with, and a request may ask for other ones as a preflight does
    (recorded).
    """
    method = call.headers.get("access-control-request-method", call.method)
    asked = call.headers.get("access-control-request-headers", "").split(",")
    names = tuple(name.strip().lower() for name in asked if name.strip())
    preflight = Preflight(call.headers["origin"], method, names)
    for rule in rules:
        if rule.takes(preflight.origin, method, names):
            call.request.add_to_answer(rule.preflight_head(preflight))
            return
