"""Starts the versions of functions that came as packages."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from engine.core.function import Function
from engine.core.variables import EXEC_WRAPPER, log_variables
from engine.errors import EngineError
from engine.packages.deployment import Deployment
from engine.packages.records import FunctionRecord, Version
from engine.packages.store import PackageStore
from engine.ports import Offload
from engine.registry import names, resolve
from engine.services.lambda_api.apply_record import apply_concurrency
from engine.services.lambda_api.code_packages import CodePackages
from engine.services.lambda_api.durable_config import config_of
from engine.services.lambda_api.function_documents import is_snapshot
from engine.services.lambda_api.function_registry import FunctionRegistry
from engine.services.lambda_api.layers import layer_warnings

_log = logging.getLogger("engine.lambda")


class FunctionRunner:
    """Starts versions in the engine; whether that succeeded shows as the version's state."""

    def __init__(
        self,
        registry: FunctionRegistry,
        package_store: PackageStore,
        packages: CodePackages,
        deployment: Deployment,
        *,
        offload: Offload,
        log_line: Callable[[str], None],
    ) -> None:
        """`log_line` logs a line for the operator."""
        self._registry = registry
        self._package_store = package_store
        self._packages = packages
        self._deployment = deployment
        self._offload = offload
        self._log_line = log_line

    async def run(self, record: FunctionRecord, version: Version) -> None:
        """Start a version. Raises nothing; the revision stays."""
        try:
            function = self._function(record, version)
            if function.executor != "auto":  # its module is imported by the first that needs it: 50 ms
                await self._offload(partial(resolve, "executor", function.executor))
            await self._deployment.put(function)
        except EngineError as error:
            _set_failed(version, str(error))
        except OSError as error:
            _log.error("version %s of %r could not be run: %s", version.version, record.name, error)
            _set_failed(version, f"The engine's files: {error}")
        except Exception as error:  # a bug of the engine: logged, and the version does not stay Pending  # noqa: BLE001
            _log.exception("version %s of %r could not be run", version.version, record.name)
            _set_failed(version, f"The engine has failed: {error!r}")
        else:
            self._packages.run_started(version.folder)
            for warning in self._warnings(version):
                self._log_line(f"{record.name}: {warning}")
            version.update_failed = ""
            version.state, version.reason, version.code = "Active", "", ""
            apply_concurrency(self._deployment, record)  # it may have been changed meanwhile
        version.updating = False

    def _warnings(self, version: Version) -> Iterator[str]:
        runtime = version.settings["Runtime"]
        program = self._packages.bootstrap(version.folder)
        if not runtime.startswith("python") and not os.access(program, os.X_OK):
            yield (
                f"its runtime is {runtime}, and this engine runs Python itself: every invocation will fail, "
                "unless the package or a layer holds an executable bootstrap that serves the Runtime API"
            )
        yield from layer_warnings(self._registry, self._package_store, version)

    def _function(self, record: FunctionRecord, version: Version) -> Function:
        settings = version.settings
        is_python = settings["Runtime"].startswith("python")
        variables = settings.get("Environment", {}).get("Variables", {})
        executor = "runtime"
        if is_python and EXEC_WRAPPER not in variables:
            executor = "process" if "process" in names("executor") else "auto"
        return Function(
            record.name,
            handler=settings["Handler"],
            code=str(self._package_store.task(version.folder)),
            runtime=settings["Runtime"] if is_python else None,
            executor=executor,
            memory_mb=settings["MemorySize"],
            timeout_s=float(settings["Timeout"]),
            ephemeral_storage_mb=settings["EphemeralStorage"]["Size"],
            snapstart=executor == "process" and is_snapshot(version),
            architecture=settings["Architectures"][0],
            reserved_concurrency=record.reserved,
            environment=log_variables(settings["LoggingConfig"]) | variables,
            dead_letter_queue=settings.get("DeadLetterConfig", {}).get("TargetArn") or None,
            bootstrap=() if is_python else (str(self._packages.bootstrap(version.folder)),),
            version=version.version,
            is_package=True,
            durable=config_of(settings),
            log_group=_log_group(record.name, settings["LoggingConfig"]),
        )


def _set_failed(version: Version, reason: str) -> None:
    if version.state == "Active":
        version.update_failed = reason
    else:
        version.state, version.reason, version.code = "Failed", reason, "InternalError"


def _log_group(function: str, logging: Mapping[str, Any]) -> str | None:
    """The log group if it is not the function's usual one."""
    group: str | None = logging.get("LogGroup")
    return None if group == f"/aws/lambda/{function}" else group
