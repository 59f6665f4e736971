"""Parses what names a function: a name, a partial or a full ARN, each with or without a qualifier.

Source: Lambda API reference, Invoke, `FunctionName`; patterns of botocore's Lambda model.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from engine.core.function import Account
from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.validation import validation_error, violation

_NAME_PATTERN: Final = (
    r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?"
    r"(function:)?([a-zA-Z0-9-_\.]+)(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?"
)
_QUALIFIER_PATTERN: Final = r"\$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+"
_LONGEST_NAME: Final = 256
_LONGEST_QUALIFIER: Final = 128

# The model's pattern, with its parts named. `-_` in a class of it is meant as two characters.
_NAME: Final = re.compile(
    r"(?:(?P<arn>arn:(?:aws[a-zA-Z-]*)?:lambda:))?"
    r"(?:(?P<region>(?:eusc-)?[a-z]{2}(?:-gov|-iso[a-z]?)?-[a-z]+-\d):)?"
    r"(?:(?P<account>\d{12}):)?(?:function:)?"
    r"(?P<name>[a-zA-Z0-9\-_.]+)(?::(?P<qualifier>\$LATEST(?:\.PUBLISHED)?|[a-zA-Z0-9\-_]+))?",
    re.ASCII,
)
_QUALIFIER: Final = re.compile(r"\$LATEST(?:\.PUBLISHED)?|[a-zA-Z0-9\-_$]+")


class Addressed(NamedTuple):
    """A function as a caller addressed it: its name, and the qualifier or None."""

    name: str
    qualifier: str | None


def addressed(text: str, qualifier: str | None, account: Account) -> Addressed:
    """Parse `FunctionName` (percent-decoded) and the `Qualifier` parameter, if it was given.

    Raises:
        ServiceError: ValidationException for what the API's model forbids, InvalidParameterValueException
            for two qualifiers that differ, ResourceNotFoundException for another region,
            AccessDeniedException for another account.
    """
    violations = _name_violations(text)
    if qualifier:
        violations += _qualifier_violations(qualifier)
    if violations:
        raise validation_error(*violations)
    found = _NAME.fullmatch(text)
    assert found is not None
    own = found["qualifier"]
    if own and qualifier and own != qualifier:
        message = "The derived qualifier from the function name does not match the specified qualifier."
        raise ServiceError(400, "InvalidParameterValueException", message)
    if found["region"] and found["region"] != account.region:
        message = f"Functions from '{found['region']}' are not reachable in this region ('{account.region}')"
        raise ServiceError(404, "ResourceNotFoundException", message)
    if found["account"] and found["account"] != account.account_id:
        raise _foreign(text, account)
    return Addressed(found["name"], own or qualifier or None)


def _name_violations(text: str) -> list[str]:
    violations = []
    if len(text) > _LONGEST_NAME:
        constraint = f"have length less than or equal to {_LONGEST_NAME}"
        violations.append(violation(text, "functionName", constraint))
    if _NAME.fullmatch(text) is None:
        constraint = f"satisfy regular expression pattern: {_NAME_PATTERN}"
        violations.append(violation(text, "functionName", constraint))
    return violations


def _qualifier_violations(qualifier: str) -> list[str]:
    violations = []
    if len(qualifier) > _LONGEST_QUALIFIER:
        constraint = f"have length less than or equal to {_LONGEST_QUALIFIER}"
        violations.append(violation(qualifier, "qualifier", constraint))
    if _QUALIFIER.fullmatch(qualifier) is None:
        constraint = f"satisfy regular expression pattern: {_QUALIFIER_PATTERN}"
        violations.append(violation(qualifier, "qualifier", constraint))
    return violations


def _foreign(text: str, account: Account) -> ServiceError:
    """403: a function of another account, to which the caller has no right. The text is AWS's style."""
    message = (
        f"User: arn:aws:iam::{account.account_id}:root is not authorized to perform this action on resource: "
        f"{text} because no resource-based policy allows it"
    )
    return ServiceError(403, "AccessDeniedException", message)
