"""S3's errors: code, status, message and the members that stand beside them.

Source: Amazon S3 API Reference, "Error responses".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engine.protocols.aws.rest_xml import DECLARATION, element

_BAD_XML: Final = "The XML you provided was not well-formed or did not validate against our published schema"
_MESSAGES: Final[Mapping[int, Mapping[str, str]]] = {
    304: {"NotModified": ""},
    400: {
        "AuthorizationQueryParametersError": "Error parsing the X-Amz-Credential parameter",
        "BadDigest": "The Content-MD5 you specified did not match what we received.",
        "BadRequest": "Bad Request",
        "EntityTooLarge": "Your proposed upload exceeds the maximum allowed size",
        "EntityTooSmall": "Your proposed upload is smaller than the minimum allowed size",
        "IdMismatch": "Document ID does not match the specified configuration ID.",
        "IllegalLocationConstraintException": "",
        "IllegalVersioningConfigurationException": "The Versioning element must be specified",
        "IncompleteBody": (
            "You did not provide the number of bytes specified by the Content-Length HTTP header"
        ),
        "InvalidArgument": "Invalid Argument",
        "InvalidBucketName": "The specified bucket is not valid.",
        "InvalidDigest": "The Content-MD5 you specified was invalid.",
        "InvalidLocationConstraint": "The specified location-constraint is not valid",
        "InvalidPart": (
            "One or more of the specified parts could not be found.  The part may not have been "
            "uploaded, or the specified entity tag may not match the part's entity tag."
        ),
        "InvalidPartOrder": (
            "The list of parts was not in ascending order. Parts must be ordered by part number."
        ),
        "InvalidPolicyDocument": "Invalid Policy: Invalid JSON.",
        "InvalidRequest": "Invalid Request",
        "InvalidRetentionPeriod": "Default retention period must be a positive integer value",
        "InvalidS3DestinationBucket": "Invalid bucket ARN.",
        "InvalidStorageClass": "The storage class you specified is not valid",
        "InvalidTag": "The TagKey you have provided is invalid",
        "InvalidTargetBucketForLogging": "The target bucket for logging does not exist",
        "InvalidURI": "Couldn't parse the specified URI.",
        "KeyTooLongError": "Your key is too long",
        "MalformedACLError": _BAD_XML,
        "MalformedPOSTRequest": "The body of your POST request is not well-formed multipart/form-data.",
        "MalformedPolicy": "Policies must be valid JSON and the first byte must be '{'",
        "MalformedTrailerError": (
            "The request contained trailing data that was not well-formed or did not conform to our "
            "published schema."
        ),
        "MalformedXML": _BAD_XML,
        "MissingRequestBodyError": "Request Body is empty",
        "MetadataTooLarge": "Your metadata headers exceed the maximum allowed metadata size",
        "MissingSecurityHeader": "Your request was missing a required header",
        "TooManyConfigurations": (
            "You are attempting to create a new configuration but have already reached the "
            "1,000-configuration limit."
        ),
        "UnexpectedContent": "This request does not support content",
        "XAmzContentSHA256Mismatch": (
            "The provided 'x-amz-content-sha256' header does not match what was computed."
        ),
    },
    403: {
        "AccessDenied": "Access Denied",
        "AccessForbidden": "Access Forbidden",
        "CrossLocationLoggingProhibitted": "Cross S3 location logging not allowed. ",
        "InvalidObjectState": "The operation is not valid for the object's storage class",
        "ObjectNotInActiveTierError": (
            "The source object of the COPY operation is not in the active tier and is only stored in "
            "Amazon S3 Glacier."
        ),
        "SignatureDoesNotMatch": (
            "The request signature we calculated does not match the signature you provided. Check your "
            "key and signing method."
        ),
    },
    404: {
        "NoSuchBucket": "The specified bucket does not exist",
        "NoSuchBucketPolicy": "The bucket policy does not exist",
        "NoSuchCORSConfiguration": "The CORS configuration does not exist",
        "NoSuchConfiguration": "The specified configuration does not exist.",
        "NoSuchKey": "The specified key does not exist.",
        "NoSuchLifecycleConfiguration": "The lifecycle configuration does not exist",
        "NoSuchObjectLockConfiguration": "The specified object does not have a ObjectLock configuration",
        "NoSuchResource": "The specified resource doesn't exist.",
        "NoSuchPublicAccessBlockConfiguration": "The public access block configuration was not found",
        "NoSuchTagSet": "The TagSet does not exist",
        "NoSuchUpload": (
            "The specified upload does not exist. The upload ID may be invalid, or the upload may have "
            "been aborted or completed."
        ),
        "NoSuchVersion": "The specified version does not exist.",
        "NoSuchWebsiteConfiguration": "The specified bucket does not have a website configuration",
        "ObjectLockConfigurationNotFoundError": "Object Lock configuration does not exist for this bucket",
        "OwnershipControlsNotFoundError": "The bucket ownership controls were not found",
        "ReplicationConfigurationNotFoundError": "The replication configuration was not found",
    },
    405: {"MethodNotAllowed": "The specified method is not allowed against this resource."},
    409: {
        "BucketAlreadyOwnedByYou": (
            "Your previous request to create the named bucket succeeded and you already own it."
        ),
        "BucketNotEmpty": "The bucket you tried to delete is not empty",
        "ConditionalRequestConflict": (
            "The conditional request cannot succeed due to a conflicting operation against this resource."
        ),
        "InvalidBucketState": (
            "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration"
        ),
    },
    411: {"MissingContentLength": "You must provide the Content-Length HTTP header."},
    412: {"PreconditionFailed": "At least one of the pre-conditions you specified did not hold"},
    416: {
        "InvalidPartNumber": "The requested partnumber is not satisfiable",
        "InvalidRange": "The requested range is not satisfiable",
    },
    500: {"InternalError": "We encountered an internal error. Please try again."},
    501: {"NotImplemented": "A header you provided implies functionality that is not implemented"},
    503: {"ServiceUnavailable": "Please reduce your request rate."},
}
"""AWS's message of each code, by status."""
CODES: Final[Mapping[str, tuple[int, str]]] = {
    code: (status, message) for status, messages in _MESSAGES.items() for code, message in messages.items()
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

    def body(self, request_id: str, host_id: str, *, of_control: bool = False) -> bytes:
        """The XML document: S3's, or S3 Control's, which has the error within one of the answer."""
        members = {"Code": self.code, "Message": self.message, **self.details}
        ids = element("RequestId", request_id) + element("HostId", host_id)
        text = "".join(element(name, value) for name, value in members.items())
        error = (
            f"<ErrorResponse><Error>{text}</Error>{ids}</ErrorResponse>"
            if of_control
            else f"<Error>{text}{ids}</Error>"
        )
        return f"{DECLARATION}{error}".encode("utf-8", "replace")


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
