"""Functions of a scenario that stay beside the user's: created through the Lambda API of the engine."""

from __future__ import annotations

import base64
import io
import json
import math
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from engine.config import load_config
from engine.load.aws_requests import ACCOUNT
from engine.load.data_files import CONFIG
from engine.load.planning.plan import Stream
from engine.load.running.wiring import call

_RUNTIME = "python3.11"
_ROLE = f"arn:aws:iam::{ACCOUNT}:role/load"
_FUNCTIONS = "/2015-03-31/functions"


@contextmanager
def kept(streams: Mapping[str, Stream], aws_url: str | None) -> Iterator[None]:
    """Create what streams keep, if the others are the user's; it is deleted at the end.

    Raises:
        LoadTestError: The engine did not create one, or has a function of that name.
    """
    beside_users = any(one.is_users for one in streams.values())
    names = {one.function for one in streams.values() if one.keeps_function and beside_users}
    made: list[str] = []
    try:
        for function in load_config(str(CONFIG)).functions if names and aws_url else ():
            if function.name not in names:
                continue
            wanted = {
                "FunctionName": function.name,
                "Runtime": _RUNTIME,
                "Role": _ROLE,
                "Handler": function.handler,
                "Timeout": math.ceil(function.timeout_s),
                "Code": {"ZipFile": _archive()},
            }
            call(aws_url or "", "POST", _FUNCTIONS, json.dumps(wanted))
            made.append(function.name)
            if function.reserved_concurrency is not None:
                limit = json.dumps({"ReservedConcurrentExecutions": function.reserved_concurrency})
                call(aws_url or "", "PUT", f"/2017-10-31/functions/{function.name}/concurrency", limit)
        yield
    finally:
        for name in made:
            call(aws_url or "", "DELETE", f"{_FUNCTIONS}/{name}")


def _archive() -> str:
    """The file of the scenarios' functions as an archive, in base64."""
    text = io.BytesIO()
    with zipfile.ZipFile(text, "w") as archive:
        archive.write(CONFIG.with_name("functions.py"), "functions.py")
    return base64.b64encode(text.getvalue()).decode()
