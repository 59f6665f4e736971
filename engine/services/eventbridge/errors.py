"""The errors of EventBridge.

Source: answers recorded on AWS, where they are known; API reference.
"""

from __future__ import annotations

from engine.protocols.aws.errors import ServiceError


def invalid(message: str) -> ServiceError:
    """A parameter cannot be used."""
    return ServiceError(400, "ValidationException", message)


def not_found(message: str) -> ServiceError:
    """What a request names is not there."""
    return ServiceError(400, "ResourceNotFoundException", message)


def no_bus(name: str) -> ServiceError:
    """There is no such event bus."""
    return not_found(f"Event bus {name} does not exist.")


def no_rule(name: str, bus: str) -> ServiceError:
    """There is no such rule on that bus."""
    return not_found(f"Rule {name} does not exist on EventBus {bus}.")


def too_many() -> ServiceError:
    """There is no room for another one."""
    message = "The requested resource exceeds the maximum number allowed."
    return ServiceError(400, "LimitExceededException", message)


def bad_pattern(reason: str) -> ServiceError:
    """The text is no event pattern."""
    message = f"Event pattern is not valid. Reason: {reason}"
    return ServiceError(400, "InvalidEventPatternException", message)
