"""Archives of functions and layers: from a request to a folder, until nothing needs the folder any more."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from binascii import Error as NotBase64
from binascii import a2b_base64
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from engine.core.function import Function
from engine.packages.archive import ZIPPED_LIMIT_BYTES, ArchiveError
from engine.packages.store import PackageStore
from engine.ports import Offload
from engine.protocols.aws.errors import ServiceError
from engine.services.lambda_api.errors import invalid_parameter, request_too_large
from engine.services.lambda_api.function_registry import FunctionRegistry
from engine.services.lambda_api.routes import ARCHIVES, Call
from engine.services.lambda_api.state_persistence import StatePersistence

Spawn = Callable[..., object]
"""Starts a coroutine function with its arguments, in a task group that outlives the request."""

FetchCode = Callable[[str, str, str | None], Awaitable[bytes]]
"""Returns the bytes of an object in S3: bucket, key, version. Raises ServiceError with Lambda's message."""


class CodePackage(NamedTuple):
    """An archive that was unpacked into a folder of its own. `sha256` is in Base64."""

    folder: str
    size: int
    sha256: str


class CodePackages:
    """Unpacks archives, and removes their folders.

    A folder is removed once no version names it, no environment runs from it, and the state file has ceased
    to name it.
    """

    def __init__(
        self,
        registry: FunctionRegistry,
        package_store: PackageStore,
        persistence: StatePersistence,
        *,
        offload: Offload,
        spawn: Spawn,
        fetch_code: FetchCode | None,
    ) -> None:
        """`fetch_code` is None in an engine without S3."""
        self._registry = registry
        self._package_store = package_store
        self._persistence = persistence
        self._offload = offload
        self._spawn = spawn
        self._fetch_code = fetch_code
        self._running = Counter[str]()  # folders, by how many versions run from them or still finish there

    async def pack(self, code: Mapping[str, Any], layers: list[str], runtime: str) -> CodePackage:
        """Unpack the archive of a request, with the layers (their folders) under it. Raises ServiceError.

        `runtime` is the one the function declares: it says which modules of layers it finds.
        """
        return await self._unpack(await self._archive(code), partial(self._add_code, layers, runtime))

    async def repack(self, folder: str, layers: list[str], runtime: str) -> CodePackage:
        """Unpack the archive of `folder` again, with other layers, or those for another runtime, under it."""
        data = await self._offload(partial(self._package_store.archive, folder))
        return await self._unpack(data, partial(self._add_code, layers, runtime))

    async def pack_layer(self, content: Mapping[str, Any]) -> CodePackage:
        """Unpack the archive of a layer. Raises ServiceError."""
        return await self._unpack(await self._archive(content), self._package_store.add_layer)

    def location(self, call: Call, folder: str) -> str:
        """URL of the archive, at the endpoint that was called."""
        return f"{call.endpoint}{ARCHIVES}{folder}"

    async def archive(self, folder: str) -> bytes | None:
        """The archive of a package that is needed; None if there is none."""
        if folder not in self._registry.state.folders():
            return None
        return await self._offload(partial(self._package_store.archive, folder))

    def bootstrap(self, folder: str) -> Path:
        """The file `bootstrap` of a custom runtime, in the code or in a layer; in the code if in neither."""
        own = self._package_store.task(folder) / "bootstrap"
        of_layers = self._package_store.opt(folder) / "bootstrap"
        return of_layers if of_layers.is_file() and not own.is_file() else own

    def run_started(self, folder: str) -> None:
        """Note that a version runs from `folder`, until `run_ended`."""
        self._running[folder] += 1

    def run_ended(self, function: Function) -> None:
        """Note that a version has ended for good, and remove its folder if nothing else needs it."""
        folder = Path(function.code).parent.name
        if self._running[folder]:  # else it is a function of the configuration
            self._running[folder] -= 1
            self.remove_unused(folder)

    def remove_unused(self, folder: str) -> None:
        """Remove a folder soon, unless a version names it or an environment runs from it."""
        if not self._running[folder] and folder not in self._registry.state.folders():
            del self._running[folder]
            self._spawn(self._remove, folder)

    async def _remove(self, folder: str) -> None:
        """Remove a folder once the state file does not name it either: a kill must not leave a name alone."""
        with suppress(OSError):  # what cannot be saved now is removed at the next start
            await self._persistence.save()
            await self._offload(partial(self._package_store.remove, folder))

    def _add_code(self, layers: list[str], runtime: str, folder: str, data: bytes) -> None:
        self._package_store.add_code(folder, data, layers, runtime)

    async def _unpack(self, data: bytes, add: Callable[[str, bytes], None]) -> CodePackage:
        folder = self._registry.new_id()
        try:
            await self._offload(partial(add, folder, data))
        except ArchiveError as error:
            raise invalid_parameter(error.reason) from None
        digest = await self._offload(partial(hashlib.sha256, data))
        return CodePackage(folder, len(data), b64encode(digest.digest()).decode("ascii"))

    async def _archive(self, code: Mapping[str, Any]) -> bytes:
        if "ImageUri" in code:
            raise invalid_parameter("This engine runs packages of type Zip only, no container images.")
        if "ZipFile" in code:
            if "S3Bucket" in code or "S3Key" in code:
                message = "Please do not provide other FunctionCode parameters when providing a ZipFile."
                raise invalid_parameter(message)
            try:
                data = await self._offload(partial(a2b_base64, code["ZipFile"], strict_mode=True))
            except (NotBase64, ValueError):
                message = "Could not decode ZipFile: it is not Base64-encoded."
                raise ServiceError(400, "SerializationException", message) from None
            if len(data) > ZIPPED_LIMIT_BYTES:
                raise request_too_large(f"Zipped size must be smaller than {ZIPPED_LIMIT_BYTES} bytes")
            return data
        if "S3Bucket" not in code or "S3Key" not in code:
            raise invalid_parameter("Please provide a source for function code.")
        if self._fetch_code is None:
            message = (
                "Error occurred while GetObject. S3 Error Code: NoSuchBucket. S3 Error Message: This engine "
                "has no S3: send the archive itself, as ZipFile."
            )
            raise invalid_parameter(message)
        return await self._fetch_code(code["S3Bucket"], code["S3Key"], code.get("S3ObjectVersion"))
