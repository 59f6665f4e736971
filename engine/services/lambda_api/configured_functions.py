"""FunctionConfiguration documents of functions that the engine's configuration defines.

Left out because the engine has no true values for them: VpcConfig, Layers and the rest of the optional
members. Source: Lambda API reference, FunctionConfiguration.
"""

from __future__ import annotations

import base64
import hashlib
import math
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from engine.core.context import log_group_of
from engine.core.function import Account, Function
from engine.packages.records import LATEST
from engine.services.lambda_api.durable_config import document_of


class Code(NamedTuple):
    """The code of a function, which here is the one file its handler is defined in.

    On AWS this is the uploaded archive, which does not exist here. What the file imports does not count.
    The file is read anew each time, so that an edit shows.

    Attributes:
        size: Bytes of the file; 0 if there is none below the function's `code` folder.
        sha256: Base64 of its SHA-256 (of nothing, if there is no file).
        modified_s: When it was changed last, seconds since the Unix epoch; None if there is no file.
    """

    size: int
    sha256: str
    modified_s: float | None


def code_of(function: Function) -> Code:
    """Read the handler's file. Never raises: a file that cannot be read counts as missing."""
    for path in _candidates(function):
        try:
            if not path.is_file():
                continue
            content = path.read_bytes()
            return Code(len(content), _sha256(content), path.stat().st_mtime)
        except (OSError, ValueError):  # ValueError: a NUL in the name
            continue
    return Code(0, _sha256(b""), None)


def configuration(
    function: Function, account: Account, since_s: float, qualifier: str | None = None
) -> dict[str, Any]:
    """The document of `function`, without `State` and `LastUpdateStatus`, as ListFunctions gives it.

    Args:
        function: Its limits; a timeout of less than whole seconds is rounded up, as the API has integers.
        account: For the ARN, and for the role, which is a made-up one.
        since_s: Wall time of the engine's start: `LastModified` of a function whose file is not found.
        qualifier: What the caller appended to the name: the ARN is qualified then.
    """
    code = code_of(function)
    document: dict[str, Any] = {
        "FunctionName": function.name,
        "FunctionArn": account.function_arn(function.name, qualifier),
        "Runtime": function.runtime or f"python{sys.version_info.major}.{sys.version_info.minor}",
        "Role": f"arn:aws:iam::{account.account_id}:role/{function.name}",
        "Handler": function.handler,
        "CodeSize": code.size,
        "Description": "",
        "Timeout": math.ceil(function.timeout_s),
        "MemorySize": function.memory_mb,
        "LastModified": iso(code.modified_s or since_s),
        "CodeSha256": code.sha256,
        "Version": LATEST,
        "TracingConfig": {"Mode": "PassThrough"},
        "RevisionId": "",
        "PackageType": "Zip",
        "Architectures": [function.architecture],
        "EphemeralStorage": {"Size": 512},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": log_group_of(function)},
    }
    if function.environment:
        document["Environment"] = {"Variables": dict(function.environment)}
    if function.durable is not None:
        document["DurableConfig"] = document_of(function.durable)
    document["RevisionId"] = _revision(document)
    return document


def runtime_version(region: str, runtime: str) -> dict[str, Any]:
    """`RuntimeVersionConfig`: an ARN without an account, the same for one name of a runtime."""
    digest = hashlib.sha256(runtime.encode()).hexdigest()
    return {"RuntimeVersionArn": f"arn:aws:lambda:{region}::runtime:{digest}"}


def _candidates(function: Function) -> tuple[Path, ...]:
    """Where the handler's file may be: `path/to/file.py:function`, or `package.module.function`."""
    folder = Path(function.code)
    file, colon, _ = function.handler.rpartition(":")
    if colon:
        return (folder / file,)
    module = function.handler.rpartition(".")[0].replace(".", "/")
    return (folder / f"{module}.py", folder / module / "__init__.py") if module else ()


def _sha256(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode("ascii")


def iso(wall_s: float) -> str:
    """`2026-01-01T00:00:00.000+0000`."""
    at = datetime.fromtimestamp(wall_s, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}+0000"


def _revision(document: dict[str, Any]) -> str:
    """A UUID that changes whenever anything else in the document does, but for the spelling of the ARN."""
    documented = {key: value for key, value in document.items() if key != "FunctionArn"}
    digest = hashlib.sha256(orjson.dumps(documented, option=orjson.OPT_SORT_KEYS)).digest()
    return str(uuid.UUID(bytes=digest[:16], version=4))
