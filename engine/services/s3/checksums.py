"""Checksums of objects: the algorithms S3 knows, from the libraries that compute them best.

CRC32 is zlib's, the SHAs and MD5 are hashlib's. CRC32C and CRC64NVME come from AWS's own runtime, which is
an extra (`pip install invocation-engine[s3]`): without it, and for small pieces until it is loaded, they are
computed in Python, some 10 MB a second.
Source: Amazon S3 User Guide, "Checking object integrity in Amazon S3".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import sys
import zlib
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Final, NamedTuple, Protocol

from engine.services.s3.errors import S3Error, not_implemented

CRC32C: Final = 0x82F63B78
CRC64NVME: Final = 0x9A6C9329AC4BC9B5
COMPOSITE: Final = "COMPOSITE"
FULL_OBJECT: Final = "FULL_OBJECT"
_WORTH_LOADING_BYTES: Final = 65_536
"""From here on AWS's runtime is loaded for a CRC: in Python so much takes 6 ms."""


class Hasher(Protocol):
    """A hash object of hashlib, or one like it."""

    def update(self, data: bytes | memoryview, /) -> object:
        """Add `data`."""

    def digest(self) -> bytes:
        """The digest of all data so far."""


Step = Callable[[bytes | memoryview, int], int]
"""Continues a CRC, 0 at the beginning, over more bytes."""


class _Crc:
    """A CRC as a `Hasher`."""

    def __init__(self, step: Step, size: int) -> None:
        self._step, self._size, self._value = step, size, 0

    def update(self, data: bytes | memoryview, /) -> None:
        self._value = self._step(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size, "big")


class Algorithm(NamedTuple):
    """A checksum algorithm of S3.

    Attributes:
        name: As in `x-amz-checksum-algorithm`.
        size: Bytes of the digest.
        hasher: Makes a new one.
        whole: Whether the parts of a multipart upload can be summed up as one (`FULL_OBJECT`).
    """

    name: str
    size: int
    hasher: Callable[[], Hasher]
    whole: bool

    def summed(self, pieces: Iterable[bytes | memoryview]) -> bytes:
        """The digest of the pieces one after the other."""
        hasher = self.hasher()
        for piece in pieces:
            hasher.update(piece)
        return hasher.digest()

    def check(self, data: bytes, value: str) -> None:
        """Raise S3Error BadDigest if `value` is not the checksum of `data`."""
        hasher = self.hasher()
        hasher.update(data)
        if b64(hasher.digest()) != value:
            raise self.mismatch()

    def mismatch(self) -> S3Error:
        """A checksum that was sent is not that of what it is about."""
        return S3Error("BadDigest", f"The {self.name} you specified did not match the calculated checksum.")

    @property
    def header(self) -> str:
        """Name of the header that carries the value."""
        return f"x-amz-checksum-{self.name.lower()}"

    @property
    def member(self) -> str:
        """Name of the XML element that carries the value."""
        return f"Checksum{self.name}"


@cache
def step_in_python(polynomial: int, size: int) -> Step:
    """The step of a CRC whose polynomial is given with its bits reversed, as both here are."""
    ones, table = (1 << 8 * size) - 1, list(range(256))
    for _ in range(8):
        table = [value >> 1 ^ (polynomial if value & 1 else 0) for value in table]

    def step(data: bytes | memoryview, value: int) -> int:
        value ^= ones
        for byte in data:
            value = table[(value ^ byte) & 0xFF] ^ value >> 8
        return value ^ ones

    return step


def _native_step(name: str) -> Step | None:
    """The step of AWS's runtime; None without the extra `s3`. Loading it holds the interpreter for 80 ms.

    It is sought each time: it may only be that no descriptor was left to load it with.
    """
    try:
        from awscrt import checksums
    except ImportError:
        return None
    step: Step = getattr(checksums, name)
    return step


def _crc(name: str, size: int, polynomial: int) -> Callable[[], Hasher]:
    def step(data: bytes | memoryview, value: int) -> int:
        is_worth_it = len(data) >= _WORTH_LOADING_BYTES or "awscrt.checksums" in sys.modules
        native = _native_step(name) if is_worth_it else None
        return (native or step_in_python(polynomial, size))(data, value)

    return lambda: _Crc(step, size)


_ALL: Final = (
    Algorithm("CRC32", 4, lambda: _Crc(zlib.crc32, 4), whole=True),
    Algorithm("CRC32C", 4, _crc("crc32c", 4, CRC32C), whole=True),
    Algorithm("CRC64NVME", 8, _crc("crc64nvme", 8, CRC64NVME), whole=True),
    Algorithm("SHA1", 20, lambda: hashlib.sha1(usedforsecurity=False), whole=False),
    Algorithm("SHA256", 32, hashlib.sha256, whole=False),
)
ALGORITHMS: Final[Mapping[str, Algorithm]] = {algorithm.name: algorithm for algorithm in _ALL}
BY_HEADER: Final[Mapping[str, Algorithm]] = {algorithm.header: algorithm for algorithm in _ALL}
UNKNOWN_ALGORITHMS: Final = frozenset({"SHA512", "MD5", "XXHASH64", "XXHASH3", "XXHASH128"})
"""Newer ones that S3 takes and this store does not."""


class Checksum(NamedTuple):
    """What is kept with an object: `value` in base64, with `-N` behind it for a composite one."""

    algorithm: str
    value: str
    kind: str = FULL_OBJECT


def algorithm_named(name: str) -> Algorithm:
    """The algorithm of a name, in any case. Raises S3Error if S3 has none of that name."""
    found = ALGORITHMS.get(name.upper())
    if found is None:
        if name.upper() in UNKNOWN_ALGORITHMS:
            raise not_implemented(f"checksums by {name.upper()}")
        raise S3Error(
            "InvalidRequest",
            "Checksum algorithm provided is unsupported. Please try again with any of the valid types: "
            "[CRC32, CRC32C, CRC64NVME, SHA1, SHA256]",
        )
    return found


def b64(digest: bytes) -> str:
    """Base64 text."""
    return base64.b64encode(digest).decode("ascii")


def unb64(value: str, size: int) -> bytes | None:
    """Decode a digest of `size` bytes from base64; None if `value` is not one."""
    try:
        digest = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None
    return digest if len(digest) == size else None


def md5_hex(pieces: Iterable[bytes | memoryview]) -> str:
    """MD5 in hex, of which S3 makes ETags."""
    summed = hashlib.md5(usedforsecurity=False)
    for piece in pieces:
        summed.update(piece)
    return summed.hexdigest()
