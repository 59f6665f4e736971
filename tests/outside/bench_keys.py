"""The keys of what `make bench` prints."""

from __future__ import annotations

from tests.bench.__main__ import KEYS


def bench_keys() -> list[str]:
    """`key` and `key.key`, without a measurement."""
    return sorted([*KEYS, *(f"{key}.{inner}" for key, keys in KEYS.items() for inner in keys)])
