"""Runtimes that a function may declare.

Source: answers recorded in January 2026.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

RUNTIMES: Final = (
    "nodejs20.x",
    "python3.14",
    "provided.al2023",
    "python3.12",
    "python3.13",
    "nodejs24.x",
    "nodejs22.x",
    "java25",
    "python3.10",
    "python3.11",
    "java21",
    "ruby3.3",
    "ruby3.4",
    "ruby3.2",
    "python3.8",
    "python3.9",
    "java17",
    "nodejs16.x",
    "dotnet10",
    "dotnet8",
    "java11",
    "dotnet6",
    "nodejs18.x",
    "provided.al2",
    "java8.al2",
)
"""In the order of AWS's error text. A layer may name more: the model's whole set, retired ones too."""

RETIRED: Final = MappingProxyType(
    {
        "dotnetcore3.1": "dotnet6",
        "go1.x": "provided.al2023",
        "java8": "java21",
        "nodejs12.x": "nodejs18.x",
        "nodejs14.x": "nodejs20.x",
        "provided": "provided.al2023",
        "python3.7": "python3.12",
        "ruby2.7": "ruby3.2",
    }
)
"""With what AWS's error text recommends instead: recorded in June 2024. Earlier ones are told as unknown."""

SNAPSTART_RUNTIMES: Final = frozenset(
    {
        "java11",
        "java17",
        "java21",
        "java25",
        "python3.12",
        "python3.13",
        "python3.14",
        "dotnet8",
        "dotnet10",
    }
)
"""Source: Lambda Developer Guide, "Improving startup performance with Lambda SnapStart"."""
