"""Regular expressions of filter patterns, in time that grows as a message does and has a bound.

They have no groups, so Python's `re` needs at most the length of a message to the power of the repetitions:
it is asked where that is little. All else is read a character at a time, with all ways to match at once.
Source: CloudWatch Logs User Guide, "Supported regular expression syntax"; G. Navarro, M. Raffinot, "Flexible
Pattern Matching in Strings", section 4.2 (bit-parallel search with optional and repeatable characters).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from typing import Final

_ALLOWED: Final = re.compile(r"(?:[A-Za-z0-9 :_#=@/;,\-^$?\[\]{}|*+.]|\\[\x20-\x7e])+")
_TOKEN: Final = re.compile(
    r"(?P<bar>\|)|(?P<atom>\\x[0-9A-Fa-f]{2}|\\[dDsSwWnrtfv]|\\[^A-Za-z0-9]"
    r"|\[\^?\]?(?:\\[^A-Za-z0-9]|\\[dDsSwWnrtfv]|\\x[0-9A-Fa-f]{2}|[^\]\\])*\]|[^\\|])"
    r"(?:(?P<sign>[*+?])|\{(?=[0-9,])(?P<least>[0-9]*)(?P<comma>,)?(?P<most>[0-9]*)\})?(?P<lazy>\?)?"
)
_MAX_PLACES: Final = 1024
"""What a pattern of 1,024 characters has, unless it counts to more."""
_LITTLE: Final = 100_000
"""Steps of `re`: about a millisecond."""
_LITTLE_UNREPEATED: Final = 10_000_000
"""The same where nothing is repeated: a step is then a character compared."""
_MOST_READ: Final = 32_768
"""Characters of a message that are read one at a time: less than a quarter of a second, at worst."""

Matcher = Callable[[str], bool]


class _Characters(dict[str, int]):
    """A character to the places that take it."""

    def __init__(self) -> None:
        super().__init__()
        self._places: dict[str, int] = {}

    def add(self, atom: str, place: int) -> None:
        """Let the place take what `atom` matches."""
        self._places[atom] = self._places.get(atom, 0) | place

    def __missing__(self, character: str) -> int:
        found = 0
        for atom, places in self._places.items():
            if re.fullmatch(atom, character, re.ASCII):
                found |= places
        self[character] = found
        return found


class Search:
    """All ways to match at once: a bit for each place in the pattern that may be next.

    Behind the last place of each alternative there is one that takes nothing: it is its end.
    """

    def __init__(self) -> None:
        self.places = self.repetitions = 0
        self._takes = _Characters()
        self._repeated = self._optional = 0
        self._anywhere = self._begin = 0  # where alternatives start: at any character, at the first alone
        self._found = self._found_at_end = 0
        self._skips: list[tuple[int, int]] = []

    def read(self, body: str) -> None:
        """Take in a pattern that `re` takes. Raises ValueError for what no pattern has."""
        for alternative in _alternatives(body):
            anchored, ends = alternative[:1] == [("^", 1, 1)], alternative[-1:] == [("$", 1, 1)]
            start = 1 << self.places
            for atom, least, most in alternative[anchored : len(alternative) - ends]:
                if atom in ("^", "$", "*", "+", "?"):  # anchors inside, possessive repetitions
                    raise ValueError(body)
                self._add(atom, least, most)
            self._begin |= start
            self._anywhere |= 0 if anchored else start
            end = 1 << self.places
            self._found_at_end |= end
            self._found |= 0 if ends else end
            self.places += 1
        self._close()

    def _add(self, atom: str, least: int, most: int | None) -> None:
        self.repetitions += least != most
        count = least + 1 if most is None else most
        if self.places + count > _MAX_PLACES:
            raise ValueError(atom)
        for number in range(count):
            place = 1 << self.places
            self._takes.add(atom, place)
            if number >= least:
                self._optional |= place
                self._repeated |= place if most is None else 0
            self.places += 1

    def _close(self) -> None:
        """Prepare to skip optional places, 1, 2, 4, ... at a time, and skip them at the start."""
        skips, width = self._optional, 1
        while skips:
            self._skips.append((skips, width))
            skips, width = skips & skips >> width, width * 2
        for skips, width in self._skips:
            self._begin |= (self._begin & skips) << width
            self._anywhere |= (self._anywhere & skips) << width

    def finds(self, message: str) -> bool:
        """Whether a part of `message` matches, of its first `_MOST_READ` characters."""
        if len(message) > _MOST_READ:
            return bool(self._run(self._begin, message[:_MOST_READ]) & self._found)
        text = message.removesuffix("\n")
        places = self._run(self._begin, text)
        if places & self._found_at_end:
            return True
        return text != message and bool(self._run(places, "\n") & self._found_at_end)

    def _run(self, places: int, text: str) -> int:
        """The places behind `text`, or behind the part of it that ends with a match."""
        takes, repeated, skips, anywhere = self._takes, self._repeated, self._skips, self._anywhere
        found = self._found
        for character in text:
            if places & found:
                break
            taken = places & takes[character]
            places = taken << 1 | taken & repeated
            for optional, width in skips:
                places |= (places & optional) << width
            places |= anywhere
        return places


def _alternatives(body: str) -> Iterator[list[tuple[str, int, int | None]]]:
    """Each as its characters, with how often each comes at least and at most; None for without a bound."""
    alternative: list[tuple[str, int, int | None]] = []
    at = 0
    while at < len(body):
        found = _TOKEN.match(body, at)
        if found is None:
            raise ValueError(body)
        at = found.end()
        if found["bar"]:
            yield alternative
            alternative = []
        else:
            alternative.append(
                (re.escape(found["atom"]) if found["atom"] in "{}" else found["atom"], *_bounds(found))
            )
    yield alternative


def _bounds(found: re.Match[str]) -> tuple[int, int | None]:
    if found["sign"]:
        return {"*": (0, None), "+": (1, None), "?": (0, 1)}[found["sign"]]
    if found["least"] is None:
        return 1, 1
    least = int(found["least"] or 0)
    if not found["comma"]:
        return least, least
    return least, int(found["most"]) if found["most"] else None


def matcher(body: str) -> Matcher:
    """Whether a part of a message matches `body`.

    Raises:
        ValueError: It is no regular expression of filter patterns, or one that counts too far.
    """
    if _ALLOWED.fullmatch(body) is None:
        raise ValueError(body)
    try:
        with warnings.catch_warnings():  # of what Python may read in another way some day
            warnings.simplefilter("ignore")
            plain = re.compile(body, re.ASCII)
    except (re.error, OverflowError) as error:
        raise ValueError(str(error)) from None
    search = Search()
    search.read(body)
    steps = _LITTLE if search.repetitions else _LITTLE_UNREPEATED
    longest = int((steps / search.places) ** (1 / (1 + search.repetitions)))

    def test(message: str) -> bool:
        if len(message) <= longest:
            return plain.search(message) is not None
        return search.finds(message)

    return test
