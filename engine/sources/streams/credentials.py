"""Credentials for requests of stream mappings, found as AWS's SDKs find them.

By botocore where it is installed; without it, only variables of the environment are looked at.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any, Final

import anyio.to_thread

from engine.core.streams.records import ReadFailure
from engine.ports import Clock
from engine.protocols.aws.signing import MADE_UP, Credentials
from engine.sources.streams.port import StreamError

_LONGEST_REASON: Final = 300
_CREDENTIALS_S: Final = 60.0
"""How long credentials are used before they are asked for again: botocore renews those that end."""
_NO_CREDENTIALS: Final = (
    "no credentials for AWS were found (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; files and roles need "
    "botocore: pip install 'invocation-engine[sqs]')"
)


class CredentialFinder:
    """Credentials from the environment, or by botocore's chain: profile, files, role."""

    def __init__(self, clock: Clock, profile: str | None, *, required: bool) -> None:
        self._now, self._profile, self._required = clock.now, profile, required
        self._found: Credentials | None = None
        self._until_s = float("-inf")
        self._session: Any = None

    async def find(self) -> Credentials:
        """Raises StreamError if there are none and made-up ones will not do."""
        if self._found is None or self._now() >= self._until_s:
            found = self._of_environment()
            if found is None and (self._required or self._profile):
                found = await anyio.to_thread.run_sync(self._by_botocore)
            if found is None and self._required:
                raise StreamError(ReadFailure.ERROR, _NO_CREDENTIALS)
            self._found, self._until_s = found or MADE_UP, self._now() + _CREDENTIALS_S
        return self._found

    def _of_environment(self) -> Credentials | None:
        key, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
        if self._profile or not key or not secret:
            return None
        return Credentials(key, secret, os.environ.get("AWS_SESSION_TOKEN") or None)

    def _by_botocore(self) -> Credentials | None:
        """Blocks: it may read files, and ask servers."""
        try:
            session = self._session = self._session or import_module("botocore.session").Session(
                profile=self._profile
            )
            found = session.get_credentials()
            return Credentials(*found.get_frozen_credentials()[:3]) if found is not None else None
        except ModuleNotFoundError:
            return None
        except Exception as error:  # whatever a provider of credentials meets
            reason = " ".join(f"credentials cannot be had: {error}".split())
            raise StreamError(ReadFailure.ERROR, reason[:_LONGEST_REASON]) from error
