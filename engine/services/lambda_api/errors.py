"""The Lambda API's errors.

Source: Lambda API reference, "Common errors" and the errors of Invoke; the API model of botocore.
"""

from __future__ import annotations

from typing import Final

from engine.protocols.aws import rest_json
from engine.protocols.aws.errors import ServiceError
from engine.protocols.http.message import Request
from engine.services.lambda_api.model import lambda_model

RETRY_AFTER_S: Final = "1"
"""`Retry-After` of throttles that have it: rates refill within a second."""


def error_body(error: ServiceError) -> bytes:
    """The JSON body of an error."""
    return rest_json.error_body(lambda_model(), error)


def answer_error(request: Request, error: ServiceError, request_id: str) -> None:
    """Answer `request` with `error`."""
    rest_json.answer_error(lambda_model(), request, error, request_id)


def function_not_found(arn: str) -> ServiceError:
    """404: no such function, version or alias."""
    return ServiceError(404, "ResourceNotFoundException", f"Function not found: {arn}")


def recursive_invocation() -> ServiceError:
    """400: the function has called itself too often. The words are the API reference's for this error."""
    message = (
        "Lambda has detected your function being invoked in a recursive loop with other Amazon Web Services "
        "resources and stopped your function's invocation."
    )
    return ServiceError(400, "RecursiveInvocationException", message)


def too_many_requests(reason: str) -> ServiceError:
    """429: refused for the rate of requests; `reason` is one of `ThrottleReason`'s."""
    members = {"Reason": reason, "retryAfterSeconds": RETRY_AFTER_S}
    return ServiceError(429, "TooManyRequestsException", "Rate Exceeded.", members)


def invalid_parameter(message: str, *, has_type: bool = True) -> ServiceError:
    """400: a parameter is invalid."""
    return ServiceError(400, "InvalidParameterValueException", message, has_type=has_type)


def conflict(message: str) -> ServiceError:
    """409: the resource exists already, or is being changed."""
    return ServiceError(409, "ResourceConflictException", message)


def not_found(message: str) -> ServiceError:
    """404: no such resource other than a function."""
    return ServiceError(404, "ResourceNotFoundException", message)


def precondition_failed(operation: str) -> ServiceError:
    """412: the revision is not the latest, which `operation` shows."""
    message = (
        "The Revision Id provided does not match the latest Revision Id. "
        f"Call the {operation} API to retrieve the latest Revision Id"
    )
    return ServiceError(412, "PreconditionFailedException", message)


def request_too_large(message: str) -> ServiceError:
    """413, in the words of the control plane."""
    return ServiceError(413, "RequestEntityTooLargeException", message)


def service_error(status: int, message: str) -> ServiceError:
    """5xx: the engine failed or stops; SDKs try again."""
    return ServiceError(status, "ServiceException", message)


def payload_too_large(size: int, invocation_type: str, limit: int) -> ServiceError:
    """413, with the code seen on the wire; the API's model calls it RequestTooLargeException."""
    message = (
        f"{size} byte payload is too large for the {invocation_type} invocation type (limit {limit} bytes)"
    )
    return ServiceError(413, "RequestEntityTooLargeException", message)
