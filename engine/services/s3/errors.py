"""S3's errors: code, status, message and the members that stand beside them.

Source: Amazon S3 API Reference, "Error responses".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engine.protocols.aws.rest_xml import DECLARATION
from engine.services.s3.xml import element

CODES: Final[Mapping[str, tuple[int, str]]] = {
    "AccessDenied": (403, "Access Denied"),
    "AccessForbidden": (403, "Access Forbidden"),
    "AuthorizationQueryParametersError": (400, "Error parsing the X-Amz-Credential parameter"),
    "BadRequest": (400, "Bad Request"),
    "BadDigest": (400, "The Content-MD5 you specified did not match what we received."),
    "BucketAlreadyOwnedByYou": (
        409,
        "Your previous request to create the named bucket succeeded and you already own it.",
    ),
    "BucketNotEmpty": (409, "The bucket you tried to delete is not empty"),
    "CrossLocationLoggingProhibitted": (403, "Cross S3 location logging not allowed. "),
    "ConditionalRequestConflict": (
        409,
        "The conditional request cannot succeed due to a conflicting operation against this resource.",
    ),
    "EntityTooLarge": (400, "Your proposed upload exceeds the maximum allowed size"),
    "EntityTooSmall": (400, "Your proposed upload is smaller than the minimum allowed size"),
    "IdMismatch": (400, "Document ID does not match the specified configuration ID."),
    "IllegalVersioningConfigurationException": (
        400,
        "The Versioning element must be specified",
    ),
    "IncompleteBody": (
        400,
        "You did not provide the number of bytes specified by the Content-Length HTTP header",
    ),
    "InternalError": (500, "We encountered an internal error. Please try again."),
    "InvalidArgument": (400, "Invalid Argument"),
    "InvalidBucketState": (
        409,
        "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration",
    ),
    "InvalidBucketName": (400, "The specified bucket is not valid."),
    "InvalidDigest": (400, "The Content-MD5 you specified was invalid."),
    "InvalidObjectState": (403, "The operation is not valid for the object's storage class"),
    "InvalidLocationConstraint": (400, "The specified location-constraint is not valid"),
    "InvalidPart": (
        400,
        (
            "One or more of the specified parts could not be found.  The part may not have been "
            "uploaded, or the specified entity tag may not match the part's entity tag."
        ),
    ),
    "InvalidPartNumber": (416, "The requested partnumber is not satisfiable"),
    "InvalidPartOrder": (
        400,
        "The list of parts was not in ascending order. Parts must be ordered by part number.",
    ),
    "InvalidPolicyDocument": (400, "Invalid Policy: Invalid JSON."),
    "InvalidRange": (416, "The requested range is not satisfiable"),
    "InvalidRequest": (400, "Invalid Request"),
    "InvalidRetentionPeriod": (400, "Default retention period must be a positive integer value"),
    "InvalidS3DestinationBucket": (400, "Invalid bucket ARN."),
    "InvalidStorageClass": (400, "The storage class you specified is not valid"),
    "InvalidTag": (400, "The TagKey you have provided is invalid"),
    "InvalidTargetBucketForLogging": (400, "The target bucket for logging does not exist"),
    "InvalidURI": (400, "Couldn't parse the specified URI."),
    "KeyTooLongError": (400, "Your key is too long"),
    "MalformedACLError": (
        400,
        "The XML you provided was not well-formed or did not validate against our published schema",
    ),
    "MalformedPolicy": (400, "Policies must be valid JSON and the first byte must be '{'"),
    "MalformedPOSTRequest": (
        400,
        "The body of your POST request is not well-formed multipart/form-data.",
    ),
    "MalformedTrailerError": (
        400,
        (
            "The request contained trailing data that was not well-formed or did not conform to our "
            "published schema."
        ),
    ),
    "MalformedXML": (
        400,
        "The XML you provided was not well-formed or did not validate against our published schema",
    ),
    "MetadataTooLarge": (
        400,
        "Your metadata headers exceed the maximum allowed metadata size",
    ),
    "MethodNotAllowed": (405, "The specified method is not allowed against this resource."),
    "MissingContentLength": (411, "You must provide the Content-Length HTTP header."),
    "MissingSecurityHeader": (400, "Your request was missing a required header"),
    "NoSuchBucket": (404, "The specified bucket does not exist"),
    "NoSuchBucketPolicy": (404, "The bucket policy does not exist"),
    "NoSuchCORSConfiguration": (404, "The CORS configuration does not exist"),
    "NoSuchConfiguration": (404, "The specified configuration does not exist."),
    "NoSuchKey": (404, "The specified key does not exist."),
    "NoSuchLifecycleConfiguration": (404, "The lifecycle configuration does not exist"),
    "NoSuchObjectLockConfiguration": (
        404,
        "The specified object does not have a ObjectLock configuration",
    ),
    "NoSuchPublicAccessBlockConfiguration": (404, "The public access block configuration was not found"),
    "NoSuchTagSet": (404, "The TagSet does not exist"),
    "NoSuchUpload": (
        404,
        (
            "The specified upload does not exist. The upload ID may be invalid, or the upload may have "
            "been aborted or completed."
        ),
    ),
    "NoSuchVersion": (404, "The specified version does not exist."),
    "NoSuchWebsiteConfiguration": (404, "The specified bucket does not have a website configuration"),
    "NotImplemented": (501, "A header you provided implies functionality that is not implemented"),
    "NotModified": (304, ""),
    "ObjectLockConfigurationNotFoundError": (
        404,
        "Object Lock configuration does not exist for this bucket",
    ),
    "ObjectNotInActiveTierError": (
        403,
        (
            "The source object of the COPY operation is not in the active tier and is only stored in Amazon "
            "S3 Glacier."
        ),
    ),
    "OwnershipControlsNotFoundError": (404, "The bucket ownership controls were not found"),
    "PreconditionFailed": (412, "At least one of the pre-conditions you specified did not hold"),
    "ReplicationConfigurationNotFoundError": (404, "The replication configuration was not found"),
    "ServerSideEncryptionConfigurationNotFoundError": (
        404,
        "The server side encryption configuration was not found",
    ),
    "ServiceUnavailable": (503, "Please reduce your request rate."),
    "SignatureDoesNotMatch": (
        403,
        (
            "The request signature we calculated does not match the signature you provided. Check your "
            "key and signing method."
        ),
    ),
    "TooManyConfigurations": (
        400,
        (
            "You are attempting to create a new configuration but have already reached the "
            "1,000-configuration limit."
        ),
    ),
    "UnexpectedContent": (400, "This request does not support content"),
    "XAmzContentSHA256Mismatch": (
        400,
        "The provided 'x-amz-content-sha256' header does not match what was computed.",
    ),
}
"""Code to status and AWS's message."""


class S3Error(Exception):
    """A request that is answered by an error of S3.

    Args:
        code: One of `CODES`.
        message: Text in place of the code's usual one.
        details: Further members of the XML, in order.
        headers: Further header lines.
    """

    def __init__(
        self,
        code: str,
        message: str | None = None,
        details: Mapping[str, str] | None = None,
        headers: bytes = b"",
    ) -> None:
        super().__init__(code, message, details, headers)
        self.code = code
        self.status, usual = CODES[code]
        self.message = usual if message is None else message
        self.details = details or {}
        self.headers = headers

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"

    def body(self, request_id: str, host_id: str) -> bytes:
        """The XML document."""
        members = {"Code": self.code, "Message": self.message, **self.details}
        members |= {"RequestId": request_id, "HostId": host_id}
        text = "".join(element(name, value) for name, value in members.items())
        return f"{DECLARATION}<Error>{text}</Error>".encode("utf-8", "replace")


def no_such_bucket(name: str) -> S3Error:
    """No bucket of that name."""
    return S3Error("NoSuchBucket", details={"BucketName": name})


def no_such_key(key: str, headers: bytes = b"") -> S3Error:
    """No object of that key; `headers` tell of a delete marker."""
    return S3Error("NoSuchKey", details={"Key": key}, headers=headers)


def invalid_argument(message: str, name: str, value: str | None = None) -> S3Error:
    """400: a parameter or header has an invalid value; None for those that S3 does not repeat."""
    details = {"ArgumentName": name} if value is None else {"ArgumentName": name, "ArgumentValue": value}
    return S3Error("InvalidArgument", message, details)


def not_implemented(what: str) -> S3Error:
    """501: S3 has the feature, this store does not."""
    return S3Error("NotImplemented", f"This object store does not implement {what}.")
