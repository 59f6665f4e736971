"""Pages of lists: sorted by name, with a token that names the last one shown."""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from engine.services.eventbridge.errors import invalid

T = TypeVar("T")

_PAGE: Final = 100


def page_of(found: Mapping[str, T], params: Mapping[str, Any]) -> tuple[list[T], dict[str, str]]:
    """The page that `Limit` and `NextToken` ask for, and the `NextToken` of the next, in a dict.

    Raises:
        ServiceError: The token is none.
    """
    names = sorted(found)
    if (token := params.get("NextToken")) is not None:
        last = _decoded(token)
        names = [name for name in names if name > last]
    limit = params.get("Limit") or _PAGE
    shown = names[:limit]
    more = {"NextToken": urlsafe_b64encode(shown[-1].encode()).decode()} if len(names) > limit else {}
    return [found[name] for name in shown], more


def _decoded(token: str) -> str:
    try:
        return b64decode(token, b"-_", validate=True).decode()
    except ValueError:
        raise invalid("Invalid pagination token.") from None
