"""Parses what names a function: a name, a partial or a full ARN, each with or without a qualifier.

Source: Lambda API reference, Invoke, `FunctionName`; patterns of botocore's Lambda model.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from engine.core.function import Account
from engine.protocols.aws.errors import ServiceError

# The widest of the model's patterns for names, with its parts named.
_NAME: Final = re.compile(
    r"(?:(?P<arn>arn:(?:aws[a-zA-Z-]*)?:lambda:))?"
    r"(?:(?P<region>(?:eusc-)?[a-z]{2}(?:-gov|-iso[a-z]?)?-[a-z]+-\d):)?"
    r"(?:(?P<account>\d{12}):)?(?:function:)?"
    r"(?P<name>[a-zA-Z0-9\-_.]+)(?::(?P<qualifier>\$LATEST(?:\.PUBLISHED)?|[a-zA-Z0-9\-_]+))?",
    re.ASCII,
)


class Addressed(NamedTuple):
    """A function as a caller addressed it: its name, and the qualifier or None."""

    name: str
    qualifier: str | None


def addressed(text: str, qualifier: str | None, account: Account) -> Addressed:
    """Parse `FunctionName` and the `Qualifier` parameter, if it was given, both checked against the model.

    Raises:
        ServiceError: InvalidParameterValueException for what names no function or two qualifiers,
            ResourceNotFoundException for another region, AccessDeniedException for another account.
    """
    found = _NAME.fullmatch(text)
    if found is None:
        raise ServiceError(400, "InvalidParameterValueException", f"{text} is no function's name or ARN.")
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


def _foreign(text: str, account: Account) -> ServiceError:
    """403: a function of another account, to which the caller has no right. The text is AWS's style."""
    message = (
        f"User: arn:aws:iam::{account.account_id}:root is not authorized to perform this action on resource: "
        f"{text} because no resource-based policy allows it"
    )
    return ServiceError(403, "AccessDeniedException", message)
