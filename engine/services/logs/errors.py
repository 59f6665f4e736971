"""The errors of CloudWatch Logs.

Source: answers recorded on AWS, where they are known; API reference.
"""

from __future__ import annotations

from typing import Final

from engine.protocols.aws.errors import ServiceError

INVALID: Final = "InvalidParameterException"


def invalid(message: str) -> ServiceError:
    """A parameter cannot be used."""
    return ServiceError(400, INVALID, message)


def invalid_combination(message: str) -> ServiceError:
    """Parameters exclude each other."""
    return ServiceError(400, "ValidationException", message)


def invalid_token() -> ServiceError:
    """`nextToken` is not from an answer of that operation."""
    return invalid("The specified nextToken is invalid.")


def no_group() -> ServiceError:
    """There is no such log group."""
    return ServiceError(400, "ResourceNotFoundException", "The specified log group does not exist.")


def no_stream() -> ServiceError:
    """There is no such log stream in the group."""
    return ServiceError(400, "ResourceNotFoundException", "The specified log stream does not exist.")


def group_exists() -> ServiceError:
    """There is one of that name."""
    return ServiceError(400, "ResourceAlreadyExistsException", "The specified log group already exists")


def stream_exists() -> ServiceError:
    """There is one of that name in the group."""
    return ServiceError(400, "ResourceAlreadyExistsException", "The specified log stream already exists")


def is_protected() -> ServiceError:
    """The group has deletion protection. The wording is ours."""
    return ServiceError(400, "ValidationException", "The specified log group is protected from deletion.")


def too_many() -> ServiceError:
    """There is no room for another group or stream."""
    return ServiceError(400, "LimitExceededException", "Resource limit exceeded.")
