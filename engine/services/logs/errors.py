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


def no_filter() -> ServiceError:
    """There is no such subscription filter."""
    return ServiceError(400, "ResourceNotFoundException", "The specified subscription filter does not exist.")


def no_function(arn: str) -> ServiceError:
    """There is no such function here. AWS denies access as to another account's; the wording is ours."""
    return ServiceError(
        400, "AccessDeniedException", f"Logs cannot be passed to {arn}: this account has no such function."
    )


def own_logs(arn: str, group: str) -> ServiceError:
    """A function would get its own logs, and log that: each delivery would cause another. Ours."""
    return invalid(f"{arn} would be subscribed to its own logs: what {group} delivers comes back to it.")


def too_many() -> ServiceError:
    """There is no room for another group, stream or subscription filter."""
    return ServiceError(400, "LimitExceededException", "Resource limit exceeded.")
