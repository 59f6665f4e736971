"""What commands ask a running engine over its Lambda API, as an AWS client does."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

from engine.protocols.http.client import HttpClientError, HttpConnection

AWS_URL: Final = "http://127.0.0.1:4566"
"""Where an engine's aws listener is unless its configuration says otherwise."""

_ANSWER_LIMIT_S: Final = 30.0
_JSON: Final = (("Content-Type", "application/json"),)

Document = dict[str, Any]
Parameters = Mapping[str, str | list[str]]


class LambdaRefusal(Exception):
    """The API answered an error; its text is AWS's message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class LambdaClient:
    """Asks over one connection, which `close` ends."""

    def __init__(self, connection: HttpConnection) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, host: str, port: int) -> LambdaClient:
        """Connect. Raises CannotConnect."""
        return cls(await HttpConnection.open(host, port))

    async def call(
        self, method: str, path: str, query: Parameters | None = None, body: Document | None = None
    ) -> Document:
        """What the operation at that path answers; empty if it answers nothing.

        Raises:
            LambdaRefusal: The API refused it.
            HttpClientError: Nothing answers, or not in time, or what answers is no Lambda API.
        """
        target = f"{path}?{urlencode(query, doseq=True)}" if query else path
        content = b"" if body is None else json.dumps(body).encode()
        response = await self._connection.request(method, target, _JSON, content, _ANSWER_LIMIT_S)
        try:
            document: Any = json.loads(response.body or b"{}")
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise HttpClientError(f"status {response.status}, and no answer of the Lambda API")
        if response.status >= 300:
            code = (response.header(b"x-amzn-errortype") or b"").decode("latin-1").partition(":")[0]
            message = document.get("message") or document.get("Message") or f"status {response.status}"
            raise LambdaRefusal(code, str(message))
        return document

    async def pages(
        self, path: str, query: Parameters | None, next_member: str = "NextMarker"
    ) -> AsyncIterator[Document]:
        """The pages of an answer. Raises as `call` does."""
        marker: str | None = None
        while True:
            document = await self.call(
                "GET", path, {**(query or {}), **({"Marker": marker} if marker else {})}
            )
            yield document
            marker = document.get(next_member)
            if not marker:
                return

    def close(self) -> None:
        """End the connection."""
        self._connection.close()


def execution_path(arn: str, action: str = "") -> str:
    """Path of an execution, or of what may be done to it."""
    return f"/2025-12-01/durable-executions/{quote(arn, safe='')}{action and f'/{action}'}"


def executions_path(function: str) -> str:
    """Path of the executions of a function."""
    return f"/2025-12-01/functions/{quote(function, safe='')}/durable-executions"
