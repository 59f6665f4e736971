"""Pages of lists: 100 items, and a token for the next ones."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Final

from engine.services.sns.errors import invalid

_PAGE: Final = 100


def page_of(arns: Sequence[str], token: str | None) -> tuple[Sequence[str], dict[str, str]]:
    """The ARNs after the one that `token` stands for, and `NextToken` if there are more.

    `arns` are sorted. Raises ServiceError if the token is none.
    """
    after = ""
    if token:
        try:
            after = base64.urlsafe_b64decode(token.encode()).decode()
        except (binascii.Error, UnicodeError):
            raise invalid("NextToken") from None
    rest = [arn for arn in arns if arn > after]
    page = rest[:_PAGE]
    if len(rest) <= _PAGE:
        return page, {}
    return page, {"NextToken": base64.urlsafe_b64encode(page[-1].encode()).decode()}
