"""Marks the stages of a load in the charts of the engine's console."""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.request import Request, urlopen

_ANSWER_S: Final = 5.0


class PhaseMarks:
    """Marks each stage when it begins, at an engine with a console that takes actions; else does nothing."""

    def __init__(self, admin_url: str | None) -> None:
        """`admin_url`: of the engine's admin listener; None of a server that is no engine."""
        self._console = None if admin_url is None else f"{admin_url}/console"
        self._stage: str | None = None
        self._token: str | None = None

    def begin(self, stage: str) -> None:
        """The load is in that stage; it may have been there before. Never raises."""
        if self._console is None or stage == self._stage:
            return
        self._stage = stage
        try:
            if self._token is None:
                self._token = self._ask("session.json")["token"]
            if self._token is None:
                self._console = None
            else:
                self._ask("phase", {"name": stage})
        except (OSError, ValueError, KeyError):  # a run goes on without marks
            self._console = None

    def _ask(self, page: str, document: dict[str, str] | None = None) -> dict[str, Any]:
        headers = {"content-type": "application/json", "x-console-token": self._token or ""}
        body = None if document is None else json.dumps(document).encode()
        request = Request(f"{self._console}/{page}", body, headers)  # noqa: S310  the engine's own address
        with urlopen(request, timeout=_ANSWER_S) as answer:  # noqa: S310
            found: dict[str, Any] = json.load(answer)
        return found
