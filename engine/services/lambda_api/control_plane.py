"""What the control plane works with: the function registry, the package store and the engine."""

from __future__ import annotations

import hashlib
import logging
import os
import sys
from base64 import b64encode
from binascii import Error as NotBase64
from binascii import a2b_base64
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import anyio

from engine.core.function import Function
from engine.core.variables import EXEC_WRAPPER
from engine.errors import EngineError
from engine.packages.archive import ArchiveError
from engine.packages.deployment import Deployment
from engine.packages.layers import unfit_runtimes, unused_modules
from engine.packages.records import LATEST, FunctionRecord, StoredState, Url, Version
from engine.packages.store import PackageStore
from engine.ports import FunctionUrlHost, Offload, QueueMappings
from engine.registry import names, resolve
from engine.services.lambda_api.errors import ApiError, invalid_parameter, request_too_large
from engine.services.lambda_api.event_source_mapping_settings import busy_reader, settings_of
from engine.services.lambda_api.function_registry import FunctionRegistry

_log = logging.getLogger("engine.lambda")

BODY_LIMIT_BYTES: Final = 70_167_211
"""Of a request that may carry an archive."""

Spawn = Callable[..., object]
"""Starts a coroutine function with its arguments, in a task group that outlives the request."""


class CodeStore(Protocol):
    """Reads archives that are not in the request but in S3."""

    async def fetch(self, bucket: str, key: str, version: str | None, /) -> bytes:
        """The bytes of an object. Raises ApiError with Lambda's message for an error of S3."""


class NoCodeStore:
    """For an engine without S3."""

    async def fetch(self, _bucket: str, _key: str, _version: str | None, /) -> bytes:
        """Raise ApiError."""
        message = (
            "Error occurred while GetObject. S3 Error Code: NoSuchBucket. S3 Error Message: This engine has "
            "no S3: send the archive itself, as ZipFile."
        )
        raise invalid_parameter(message)


class NoFunctionUrls:
    """For an engine without a listener for HTTP events."""

    def open(
        self, _url_id: str, _function: str, _qualifier: str | None, _cors: Mapping[str, Any] | None = None
    ) -> None:
        """Raise ApiError."""
        raise invalid_parameter("This engine serves no function URLs: it has no listener for HTTP events.")

    def close(self, _url_id: str) -> None:
        """Does nothing."""

    def address(self, _url_id: str) -> str:
        """Empty: there is no URL."""
        return ""


class CodePackage(NamedTuple):
    """An archive that was unpacked into a folder of its own."""

    folder: str
    size: int
    sha256: str


class ControlPlane:
    """The state of the Lambda API, and the steps that several operations share."""

    def __init__(
        self,
        registry: FunctionRegistry,
        package_store: PackageStore,
        deployment: Deployment,
        function_urls: FunctionUrlHost,
        *,
        offload: Offload,
        spawn: Spawn,
        code_store: CodeStore | None = None,
        mappings: QueueMappings | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`mappings` polls queues, None in an engine without queues; `say` logs a line."""
        self.registry = registry
        self.package_store = package_store
        self.deployment = deployment
        self.function_urls = function_urls
        self.mappings = mappings
        self.offload = offload
        self.busy: set[str] = set()
        self._code_store = code_store or NoCodeStore()
        self._spawn = spawn
        self._log_line = say
        self._running = Counter[str]()  # folders, by how many versions run from them or still finish there
        self._saved = b""
        self._save_lock = anyio.Lock()
        deployment.on_gone(self._release_folder)

    # ---------------------------------------------------------------- running

    async def restore(self, state: StoredState) -> None:
        """Run the functions of the state folder. Called once, before anything is served."""
        self.registry.state = state
        self._saved = _text(self.registry)
        for record in list(state.functions.values()):
            if record.name in self.registry.configured:
                continue  # the configuration's comes first; the other is kept for when it is gone
            for version in record.all_versions():
                await self.run(record, version)
            self.route(record)
            self.share(record)
            for qualifier, url in (
                record.urls.items() if not isinstance(self.function_urls, NoFunctionUrls) else ()
            ):
                self.open_url(record, qualifier, url)
        if self.mappings is not None:
            self._reopen(self.mappings)

    def open_url(self, record: FunctionRecord, qualifier: str, url: Url) -> None:
        """Serve a function URL with its present configuration."""
        self.function_urls.open(
            url.id, record.name, None if qualifier == LATEST else qualifier, url.config.get("Cors")
        )

    def _reopen(self, mappings: QueueMappings) -> None:
        for uuid, kept in self.registry.state.mappings.items():
            read_busy_s = busy_reader(self.registry, kept.function, kept.qualifier)
            settings = settings_of(mappings, kept.config)
            mapping = mappings.open(kept.function, kept.qualifier, settings, read_busy_s, uuid=uuid)
            mapping.modified_s = kept.modified_s

    async def run(self, record: FunctionRecord, version: Version) -> None:
        """Start a version in the engine; a failure is shown by its state."""
        try:
            function = self.function(record, version)
            if function.executor != "auto":  # its module is imported by the first that needs it: 50 ms
                await self.offload(partial(resolve, "executor", function.executor))
            await self.deployment.put(function)
        except EngineError as error:
            _failed(version, str(error))
        except OSError as error:
            _log.error("version %s of %r could not be run: %s", version.version, record.name, error)
            _failed(version, f"The engine's files: {error}")
        except Exception as error:  # a bug of ours: as loud, and nobody waits for the version for ever  # noqa: BLE001
            _log.exception("version %s of %r could not be run", version.version, record.name)
            _failed(version, f"The engine has failed: {error!r}")
        else:
            self._running[version.folder] += 1
            self._warn_of_layers(record.name, version)
            version.update_failed = ""
            version.state, version.reason, version.code = "Active", "", ""
            self.share(record)  # it may have been changed while the version came up
        version.updating = False
        version.revision = self.registry.new_id()

    def _warn_of_layers(self, name: str, version: Version) -> None:
        """Warn if layers have modules for another minor version of Python than the one that runs."""
        declared, here = (
            version.settings["Runtime"],
            f"python{sys.version_info.major}.{sys.version_info.minor}",
        )
        for layer in version.settings.get("Layers", []) if declared.startswith("python") else ():
            for reason in self._misfits(layer):
                self._log_line(f"{name}: layer {layer}: {reason}")
        libraries = self.package_store.opt(version.folder) / "python" / "lib"
        if declared.startswith("python") and declared != here and libraries.is_dir():
            self._log_line(
                f"{name}: its runtime is {declared}, and it runs on {here}: of its layers "
                f"python/lib/{here}/site-packages is used, and that of {declared} is not"
            )

    def _misfits(self, arn: str) -> Iterator[str]:
        """Why a layer, given by the ARN of its version, does not fit the Python that runs."""
        name, number = arn.split(":")[-2:]
        layer = self.registry.state.layers.get(name)
        version = layer.versions.get(number) if layer is not None else None
        if version is not None:
            libraries = self.package_store.opt(version.folder) / "python" / "lib"
            found = os.listdir(libraries) if libraries.is_dir() else []
            unused = unused_modules([f"python/lib/{one}" for one in found])
            if reason := unused or unfit_runtimes(version.runtimes):
                yield reason

    def function(self, record: FunctionRecord, version: Version) -> Function:
        """The engine's `Function` of a version."""
        settings = version.settings
        task = self.package_store.task(version.folder)
        is_python = settings["Runtime"].startswith("python")
        variables = settings.get("Environment", {}).get("Variables", {})
        executor = "runtime"
        if is_python and EXEC_WRAPPER not in variables:
            executor = "process" if "process" in names("executor") else "auto"
        return Function(
            record.name,
            handler=settings["Handler"],
            code=str(task),
            executor=executor,
            memory_mb=settings["MemorySize"],
            timeout_s=float(settings["Timeout"]),
            architecture=settings["Architectures"][0],
            reserved_concurrency=record.reserved,
            environment=_log_variables(settings.get("LoggingConfig", {})) | variables,
            dead_letter_queue=settings.get("DeadLetterConfig", {}).get("TargetArn") or None,
            bootstrap=() if is_python else (str(self.bootstrap(version.folder)),),
            version=version.version,
        )

    def bootstrap(self, folder: str) -> Path | None:
        """The file `bootstrap` of a custom runtime, in the code or in a layer."""
        for place in (self.package_store.task(folder), self.package_store.opt(folder)):
            if (place / "bootstrap").is_file():
                return place / "bootstrap"
        return None

    def route(self, record: FunctionRecord) -> None:
        """Pass the function's aliases and their weights to the engine."""
        routes = {}
        for alias in record.aliases.values():
            rest = 1.0 - sum(alias.weights.values())
            routes[alias.name] = [(alias.version, rest), *alias.weights.items()]
        self.deployment.route(record.name, routes)

    def share(self, record: FunctionRecord) -> None:
        """Pass the function's reserved and provisioned concurrency to the engine."""
        self.deployment.reserve(record.name, record.reserved)
        wanted = Counter[str]()
        for qualifier, provisioned in record.provisioned.items():
            alias = record.aliases.get(qualifier)
            wanted[qualifier if alias is None else alias.version] += provisioned.requested
        for number in record.versions:
            self.deployment.provision(record.name, number, wanted[number])

    # ---------------------------------------------------------------- folders

    async def pack(self, code: Mapping[str, Any], layers: list[str]) -> CodePackage:
        """Unpack the archive of a request, with the layers (their folders) under it. Raises ApiError."""
        return await self._put(await self._archive(code), partial(self._add_code, layers))

    async def repack(self, folder: str, layers: list[str]) -> CodePackage:
        """Unpack the archive of `folder` again, with other layers under it."""
        data = await self.offload(partial(self.package_store.archive, folder))
        return await self._put(data, partial(self._add_code, layers))

    async def pack_layer(self, content: Mapping[str, Any]) -> CodePackage:
        """Unpack the archive of a layer. Raises ApiError."""
        return await self._put(await self._archive(content), self.package_store.add_layer)

    def _add_code(self, layers: list[str], folder: str, data: bytes) -> None:
        self.package_store.add_code(folder, data, layers)

    async def _put(self, data: bytes, add: Callable[[str, bytes], None]) -> CodePackage:
        folder = self.registry.new_id()
        try:
            await self.offload(partial(add, folder, data))
        except ArchiveError as error:
            refuse = request_too_large if error.too_large else invalid_parameter
            raise refuse(error.reason) from None
        digest = await self.offload(partial(hashlib.sha256, data))
        return CodePackage(folder, len(data), b64encode(digest.digest()).decode("ascii"))

    async def _archive(self, code: Mapping[str, Any]) -> bytes:
        if "ImageUri" in code:
            raise invalid_parameter("This engine runs packages of type Zip only, no container images.")
        if "ZipFile" in code:
            if "S3Bucket" in code or "S3Key" in code:
                message = "Please do not provide other FunctionCode parameters when providing a ZipFile."
                raise invalid_parameter(message)
            try:
                return await self.offload(partial(a2b_base64, code["ZipFile"], strict_mode=True))
            except (NotBase64, ValueError):
                message = "Could not decode ZipFile: it is not Base64-encoded."
                raise ApiError(400, "SerializationException", message) from None
        if "S3Bucket" in code and "S3Key" in code:
            return await self._code_store.fetch(code["S3Bucket"], code["S3Key"], code.get("S3ObjectVersion"))
        raise invalid_parameter("Please provide a source for function code.")

    def drop(self, folder: str) -> None:
        """Remove a folder that no version names and no environment runs from."""
        if not self._running[folder] and folder not in self.registry.state.folders():
            del self._running[folder]
            self._spawn(self._remove, folder)

    async def _remove(self, folder: str) -> None:
        """Remove a folder once the state file does not name it either: a kill must not leave a name alone."""
        with suppress(OSError):  # what cannot be saved now is removed at the next start
            await self.save()
            await self.offload(partial(self.package_store.remove, folder))

    def _release_folder(self, function: Function) -> None:
        folder = Path(function.code).parent.name
        if self._running[folder]:  # else it is one of the configuration
            self._running[folder] -= 1
            self.drop(folder)

    # ---------------------------------------------------------------- keeping

    async def save(self) -> None:
        """Write the state if there is a state folder and the state changed. Concurrent calls share writes."""
        if not self.package_store.lasting:
            return
        async with self._save_lock:
            text = _text(self.registry)
            if text != self._saved:
                await self.offload(partial(self.package_store.save, text))
                self._saved = text


def _failed(version: Version, why: str) -> None:
    if version.state == "Active":
        version.update_failed = why
    else:
        version.state, version.reason, version.code = "Failed", why, "InternalError"


def _log_variables(logging: Mapping[str, Any]) -> dict[str, str]:
    """Environment variables for a log's format and level. Source: recorded answers."""
    if logging.get("LogFormat") != "JSON":
        return {}
    level = logging.get("ApplicationLogLevel", "INFO")
    return {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": level}


def _text(registry: FunctionRegistry) -> bytes:
    return registry.state.model_dump_json(indent=1).encode()
