"""Checksums: the published check values, and the same whether AWS's runtime is installed or not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.services.s3.checksums import ALGORITHMS, CRC32C, CRC64NVME, b64, step_in_python, unb64

awscrt = pytest.importorskip("awscrt.checksums", reason="awscrt is not installed")
CHECKED = b"123456789"


def digest(name, *pieces):
    hasher = ALGORITHMS[name].hasher()
    for piece in pieces:
        hasher.update(piece)
    return hasher.digest()


@pytest.mark.parametrize(
    ("name", "expected"),
    [("CRC32", "cbf43926"), ("CRC32C", "e3069283"), ("CRC64NVME", "ae8b14860a799888")],
)
def test_check_values_are_the_published_ones(name, expected):
    assert expected == digest(name, CHECKED).hex()


@pytest.mark.parametrize(
    ("polynomial", "size", "expected"), [(CRC32C, 4, 0xE3069283), (CRC64NVME, 8, 0xAE8B14860A799888)]
)
def test_so_are_those_computed_in_python(polynomial, size, expected):
    assert expected == step_in_python(polynomial, size)(CHECKED, 0)


@given(st.lists(st.binary(max_size=30), max_size=4))
def test_pieces_give_what_the_whole_gives(pieces):
    whole = b"".join(pieces)
    in_python = [0, 0]
    for piece in pieces:
        in_python[0] = step_in_python(CRC32C, 4)(piece, in_python[0])
        in_python[1] = step_in_python(CRC64NVME, 8)(memoryview(piece), in_python[1])

    for name in ALGORITHMS:
        assert digest(name, whole) == digest(name, *pieces)
    assert [awscrt.crc32c(whole), awscrt.crc64nvme(whole)] == in_python


@given(st.binary(max_size=20), st.text(max_size=30))
def test_base64_is_read_only_if_it_is_that_of_a_digest(data, text):
    assert data == unb64(b64(data), len(data))
    assert unb64(b64(data), len(data) + 1) is None
    assert unb64(text, 99) is None
