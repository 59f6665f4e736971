"""What other services ask for outside us-east-1, as far as it is known: dated data, nothing else.

tests/core/price_lists.csv has each of these prices with its source; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SERVICES: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "ap-northeast-1": {
        "logs.cloudwatch": ("0.76",),
        "s3.put": ("0.0000047",),
        "s3.get": ("0.00000037",),
        "s3.storage": ("0.025",),
        "transfer.out": ("0.114", "0.089", "0.086", "0.084"),
    },
    "ap-northeast-2": {
        "apigateway.http": ("0.00000123",),
        "apigateway.rest": ("0.0000035",),
        "apigateway.websocket.messages": ("0.00000114",),
        "apigateway.websocket.minutes": ("0.000000285",),
        "sqs.standard": ("0.0000004",),
    },
    "eu-west-1": {
        "apigateway.http": ("0.00000111", "0.000001"),
        "apigateway.rest": ("0.0000035", "0.00000319", "0.00000271", "0.00000172"),
        "logs.cloudwatch": ("0.57",),
        "sqs.standard": ("0.0000004", "0.0000003", "0.00000024"),
        "sqs.fifo": ("0.0000005", "0.0000004", "0.00000035"),
    },
    "us-west-2": {"sqs.standard": ("0.0000004",)},
}
"""US dollars for one unit by region and meter, lowest band first, the bands as in us-east-1; where only the
first is known, it stands alone."""

OLDEST_LIST: Final[Mapping[str, str]] = {
    "ap-northeast-1": "2026-09-16",
    "ap-northeast-2": "2026-10-01",
    "eu-west-1": "2026-09-11",
    "us-west-2": "2024-09",
}
"""Date of the oldest of the lists that a region's services are from."""
