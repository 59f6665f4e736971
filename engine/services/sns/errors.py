"""SNS's errors, by the names of the API's model and in AWS's words.

Source: the API model of botocore; recorded answers.
"""

from __future__ import annotations

from typing import Final

from engine.core.event_patterns.errors import PatternError
from engine.core.event_patterns.sns_policy import NESTED
from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.router import UNSERVED
from engine.protocols.aws.service_model import service_model

INVALID_PARAMETER: Final = "InvalidParameterException"


def sns_error(code: str, message: str) -> ServiceError:
    """An error of a request, or of one entry of a batch."""
    return ServiceError(service_model("sns").query_status(code), code, message)


def invalid(reason: str) -> ServiceError:
    """400 `InvalidParameter`."""
    return sns_error(INVALID_PARAMETER, f"Invalid parameter: {reason}")


def invalid_value(message: str) -> ServiceError:
    """400 `ParameterValueInvalid`, of message attributes."""
    return sns_error("InvalidParameterValueException", message)


def no_topic() -> ServiceError:
    """404: there is no topic of that ARN here."""
    return sns_error("NotFoundException", "Topic does not exist")


def no_subscription() -> ServiceError:
    """404: there is no subscription of that ARN."""
    return sns_error("NotFoundException", "Subscription does not exist")


def no_resource() -> ServiceError:
    """404, of tags."""
    return sns_error("ResourceNotFoundException", "Resource does not exist")


def unserved(what: str) -> ServiceError:
    """501: AWS has it, the engine has not."""
    return ServiceError(501, UNSERVED, f"{what} is not implemented by this engine")


def bad_policy(error: PatternError, policy: str, prefix: str) -> ServiceError:
    """A filter policy that is none; `prefix` depends on the operation."""
    name = "" if error.reason == NESTED else "FilterPolicy: "
    return invalid(f"{prefix}{name}{error.located(policy)}")
