"""SQS's errors: shape, legacy code, HTTP status and text.

Source: the API models of botocore, of today and of the last with the Query protocol; recorded answers.
"""

from __future__ import annotations

from typing import Final

from engine.errors import EngineError

MISSING: Final = "MissingRequiredParameterException"
UNREADABLE: Final = "SerializationException"
"""The shape of errors that are about a whole request, also where its entries fail one by one."""

_LEGACY: Final = "AWS.SimpleQueueService."
_PREFIXED: Final = frozenset(
    {
        "BatchEntryIdsNotDistinct",
        "BatchRequestTooLong",
        "EmptyBatchRequest",
        "InvalidBatchEntryId",
        "MessageNotInflight",
        "PurgeQueueInProgress",
        "QueueDeletedRecently",
        "TooManyEntriesInBatchRequest",
        "UnsupportedOperation",
    }
)
_CODES: Final = {
    "QueueDoesNotExist": _LEGACY + "NonExistentQueue",
    "QueueNameExists": "QueueAlreadyExists",
    "InvalidParameterValueException": "InvalidParameterValue",
    MISSING: "MissingParameter",
    "UnknownOperationException": "InvalidAction",
    UNREADABLE: "MalformedInput",
}
_STATUSES: Final = {
    "PurgeQueueInProgress": 403,
    "OverLimit": 403,
    "ResourceNotFoundException": 404,
    "RequestEntityTooLargeException": 413,
}
_UNMODELLED: Final = frozenset(
    {
        "InvalidParameterValueException",
        MISSING,
        "RequestEntityTooLargeException",
        UNREADABLE,
        "UnknownOperationException",
    }
)


class SqsError(EngineError):
    """A request, or one entry of a batch, that is answered by an error of SQS.

    Attributes:
        shape: What SDKs of today make an exception class of.
        message: The text.
        query_message: The text in the Query protocol, where it differs.
    """

    def __init__(self, shape: str, message: str, query_message: str | None = None) -> None:
        super().__init__(shape, message, query_message)
        self.shape, self.message = shape, message
        self.query_message = query_message or message

    def __str__(self) -> str:
        return f"{self.status} {self.code}: {self.message}"

    @property
    def code(self) -> str:
        """The legacy code: of the Query protocol, of `x-amzn-query-error`, and of entries in batches."""
        if self.shape in _PREFIXED:
            return _LEGACY + self.shape
        return _CODES.get(self.shape, self.shape)

    @property
    def type(self) -> str:
        """`__type` of the JSON protocol."""
        namespace = "com.amazon.coral.service" if self.shape in _UNMODELLED else "com.amazonaws.sqs"
        return f"{namespace}#{self.shape}"

    @property
    def status(self) -> int:
        """HTTP status."""
        return _STATUSES.get(self.shape, 400)


def invalid_value(message: str) -> SqsError:
    """`InvalidParameterValue`."""
    return SqsError("InvalidParameterValueException", message)


def invalid_parameter(name: str, value: object, reason: str) -> SqsError:
    """`InvalidParameterValue` in the usual words."""
    document = str(value)[:2048]
    return invalid_value(f"Value {document} for parameter {name} is invalid. Reason: {reason}")


def missing(name: str) -> SqsError:
    """A required parameter is missing."""
    return SqsError(MISSING, f"The request must contain the parameter {name}.")


def malformed(message: str) -> SqsError:
    """The request cannot be read."""
    return SqsError(UNREADABLE, message)


def no_such_queue() -> SqsError:
    """There is no queue of that name, URL or owner."""
    text = "The specified queue does not exist"
    return SqsError("QueueDoesNotExist", f"{text}.", f"{text} for this wsdl version.")


def not_found(message: str) -> SqsError:
    """404, of move tasks."""
    return SqsError("ResourceNotFoundException", message)


def no_resource(parameter: str) -> SqsError:
    """The queue of an ARN does not exist."""
    return not_found(f"The resource that you specified for the {parameter} parameter doesn't exist.")


def invalid_handle(handle: str) -> SqsError:
    """A receipt handle that was never given out by this queue."""
    text = f'The input receipt handle "{handle[:1024]}" is not a valid receipt handle.'
    return SqsError("ReceiptHandleIsInvalid", text)


def unknown_attribute(name: str) -> SqsError:
    """A queue attribute that does not exist, or not on this kind of queue."""
    return SqsError("InvalidAttributeName", f"Unknown Attribute {name[:256]}.")


def invalid_attribute(name: str, reason: str = "") -> SqsError:
    """A queue attribute with a value it cannot have."""
    more = f" Reason: {reason}" if reason else ""
    return SqsError("InvalidAttributeValue", f"Invalid value for the parameter {name}.{more}")


def batch_too_long(limit: int, size: int) -> SqsError:
    """The entries of a batch are too large together."""
    text = f"Batch requests cannot be longer than {limit} bytes. You have sent {size} bytes."
    return SqsError("BatchRequestTooLong", text)
