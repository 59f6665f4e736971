"""SQS's errors, by the names of the API's model and in AWS's words.

Source: the API models of botocore, of today and of the last with the Query protocol; recorded answers.
"""

from __future__ import annotations

from typing import Final

from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.service_model import service_model

MISSING: Final = "MissingRequiredParameterException"
QUERY_TEXTS: Final = {"QueueDoesNotExist": "The specified queue does not exist for this wsdl version."}
"""Texts that are others in the Query protocol."""


def sqs_error(code: str, message: str) -> ServiceError:
    """An error of a request, or of one entry of a batch."""
    return ServiceError(service_model("sqs").query_status(code), code, message)


def entry_code(error: ServiceError) -> str:
    """The code that a failed entry of a batch has, in both protocols."""
    return service_model("sqs").query_code(error.code)


def invalid_value(message: str) -> ServiceError:
    """`InvalidParameterValue`."""
    return sqs_error("InvalidParameterValueException", message)


def invalid_parameter(name: str, value: object, reason: str) -> ServiceError:
    """`InvalidParameterValue` in the usual words."""
    document = str(value)[:2048]
    return invalid_value(f"Value {document} for parameter {name} is invalid. Reason: {reason}")


def missing(name: str) -> ServiceError:
    """A required parameter is missing."""
    return sqs_error(MISSING, f"The request must contain the parameter {name}.")


def no_such_queue() -> ServiceError:
    """There is no queue of that name, URL or owner."""
    return sqs_error("QueueDoesNotExist", "The specified queue does not exist.")


def not_found(message: str) -> ServiceError:
    """404, of move tasks."""
    return sqs_error("ResourceNotFoundException", message)


def no_resource(parameter: str) -> ServiceError:
    """The queue of an ARN does not exist."""
    return not_found(f"The resource that you specified for the {parameter} parameter doesn't exist.")


def invalid_handle(handle: str) -> ServiceError:
    """A receipt handle that was never given out by this queue."""
    text = f'The input receipt handle "{handle[:1024]}" is not a valid receipt handle.'
    return sqs_error("ReceiptHandleIsInvalid", text)


def unknown_attribute(name: str) -> ServiceError:
    """A queue attribute that does not exist, or not on this kind of queue."""
    return sqs_error("InvalidAttributeName", f"Unknown Attribute {name[:256]}.")


def invalid_attribute(name: str, reason: str = "") -> ServiceError:
    """A queue attribute with a value it cannot have."""
    more = f" Reason: {reason}" if reason else ""
    return sqs_error("InvalidAttributeValue", f"Invalid value for the parameter {name}.{more}")


def batch_too_long(limit: int, size: int) -> ServiceError:
    """The entries of a batch are too large together."""
    text = f"Batch requests cannot be longer than {limit} bytes. You have sent {size} bytes."
    return sqs_error("BatchRequestTooLong", text)
