"""What a request to an engine's AWS listener needs: the account, and a header that names the service."""

from __future__ import annotations

from typing import Final

ACCOUNT: Final = "000000000000"


def authorization(service: str) -> str:
    """A header `Authorization` that names the service; engines check no signature."""
    return (
        f"AWS4-HMAC-SHA256 Credential=loadtest/20260101/us-east-1/{service}/aws4_request, "
        "SignedHeaders=host, Signature=00"
    )
