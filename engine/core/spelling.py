"""The suggestion at the end of a message about a name that is not known."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `, did you mean 'x'?` for the name nearest to `word`, or an empty string if none is near.

    Only the first 100 characters of `word` are compared.
    """
    import difflib

    candidates = list(known)
    near = difflib.get_close_matches(word[:100], candidates, n=1)
    if not near:  # names that differ in case only are not near to difflib
        near = [name for name in candidates if name.lower() == word.lower()][:1]
    return f", did you mean {near[0]!r}?" if near else ""
