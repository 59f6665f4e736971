"""CheckpointDurableExecution as AWS's SDKs send it, read in one go.

It is the operation that durable functions call all the time, and the model's way through it costs more than
all else about it. Here only what is plainly right is taken: anything else takes the way of all operations,
which says what is wrong with it. A test holds that both read alike.
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import unquote

from engine.core.durable.checkpoint_rules import TOO_MANY_UPDATES
from engine.core.durable.plain_updates import is_plain_update
from engine.core.durable.values import MAX_UPDATES
from engine.core.fast_json import JSONDecodeError, loads
from engine.protocols.http.message import Request
from engine.services.lambda_api.errors import invalid_parameter
from engine.services.lambda_api.routes import Call

CHECKPOINT: Final = "CheckpointDurableExecution"

_HEAD: Final = b"/2025-12-01/durable-executions/"
_TAIL: Final = b"/checkpoint"
_ARN: Final = re.compile(rb"[A-Za-z0-9%:$_-]{1,1024}")
_EXECUTION_ARN: Final = re.compile(
    r"arn:[a-zA-Z0-9-]+:lambda:[a-zA-Z0-9-]+:\d{12}:function:[a-zA-Z0-9_-]+:(?:\$LATEST(?:\.PUBLISHED)?|[0-9]+)"
    r"/durable-execution/[a-zA-Z0-9_-]+/[a-zA-Z0-9_-]+",
    re.ASCII,
)
_CLIENT_TOKEN: Final = re.compile(r"[\x21-\x7E]{1,64}", re.ASCII)
_MAX_TOKEN: Final = 2048


def read_checkpoint(request: Request) -> Call | None:
    """The call, checked, if the request is plainly a checkpoint; None: ask `find` and `checked`.

    Raises:
        ServiceError: It has more updates than any execution could take: they are not looked at.
    """
    target = request.target
    if not target.startswith(_HEAD) or not target.endswith(_TAIL) or request.method != "POST":
        return None
    try:
        members = loads(request.body)
    except JSONDecodeError:
        return None
    updates = members.get("Updates") if type(members) is dict else None
    if type(updates) is list and len(updates) > MAX_UPDATES:
        raise invalid_parameter(TOO_MANY_UPDATES)
    arn = _ARN.fullmatch(target, len(_HEAD), len(target) - len(_TAIL))
    if arn is None:
        return None
    name = unquote(arn[0].decode("ascii"))
    if _EXECUTION_ARN.fullmatch(name) is None:
        return None
    return Call(CHECKPOINT, name, {}, members) if _is_plain(members) else None


def _is_plain(members: Any) -> bool:
    if type(members) is not dict:
        return False
    token, updates = members.get("CheckpointToken"), members.get("Updates")
    return (
        type(token) is str
        and 1 <= len(token) <= _MAX_TOKEN
        and _matches(_CLIENT_TOKEN, members.get("ClientToken", "-"))
        and type(updates) is list
        and all(map(is_plain_update, updates))
    )


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return type(value) is str and pattern.fullmatch(value) is not None
