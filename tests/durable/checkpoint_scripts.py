"""Checkpoints by chance, for a service to take or refuse: what the SDK sends, and what it never would."""

from __future__ import annotations

import random
from typing import Any, Final

_ACTIONS: Final = {
    "STEP": ("START", "SUCCEED", "FAIL", "RETRY"),
    "CONTEXT": ("START", "SUCCEED", "FAIL"),
    "WAIT": ("START", "CANCEL"),
    "CALLBACK": ("START",),
    "CHAINED_INVOKE": ("START",),
    "EXECUTION": ("SUCCEED", "FAIL"),
}
_TARGETS: Final = (
    "nobody",
    "nobody:$LATEST",
    "arn:aws:lambda:eu-west-1:000000000000:function:other",
    "arn:aws:lambda:us-east-1:111111111111:function:other",
)
_NAMES: Final = {0: {"Name": "a name"}, 1: {"ParentId": "context-0"}, 2: {"SubType": "Own"}}
"""By the numbers of operations. They are said in every update: AWS's runner forgets what is not."""
_WRONG: Final = {"Name": ("another",), "ParentId": ("step-0", "context-2"), "SubType": ("Step",)}
_LONG_S: Final = 3600
"""Nothing comes due while a script runs."""


def script(seed: int, batches: int) -> list[list[dict[str, Any]]]:
    """So many batches of updates; the same for the same seed."""
    chance = random.Random(seed)
    return [_batch(chance) for _ in range(batches)]


def _batch(chance: random.Random) -> list[dict[str, Any]]:
    """An update says no other names than an earlier one of its batch: AWS's runner would not see that."""
    first: dict[str, dict[str, Any]] = {}
    batch = []
    for _ in range(chance.choice((0, 1, 1, 1, 2, 2, 3))):
        update = _update(chance)
        same = first.setdefault(update["Id"], update)
        if same["Type"] == update["Type"]:
            batch.append(update | {member: same[member] for member in _WRONG.keys() & same.keys()})
    return batch


def _update(chance: random.Random) -> dict[str, Any]:
    """One of some operation, mostly of its own type: its id says which that is, and what names it has."""
    [kind] = chance.choices([*_ACTIONS], (40, 28, 10, 10, 10, 2))
    number = chance.randrange(5)
    update: dict[str, Any] = {"Id": f"{kind.lower()}-{number}", "Type": kind}
    if chance.random() < 0.05:
        update["Type"] = kind = chance.choice([*_ACTIONS])
    update["Action"] = action = chance.choice(_ACTIONS[kind if chance.random() < 0.95 else "STEP"])
    for member, name in _NAMES.get(number, {}).items():
        update[member] = chance.choice(_WRONG[member]) if chance.random() < 0.1 else name
    return update | _outcome(chance, kind, action) | _options(chance, kind, action)


def _outcome(chance: random.Random, kind: str, action: str) -> dict[str, Any]:
    """What it has to say; that of a step is right, since AWS's runner does not look if the step is new."""
    payload: dict[str, Any] = {"Payload": '"of a script"'}
    error: dict[str, Any] = {"Error": {"ErrorMessage": "of a script", "ErrorType": "Own"}}
    if kind == "EXECUTION" or (action in ("SUCCEED", "FAIL") and kind != "STEP" and chance.random() < 0.1):
        return payload | error  # refused: an execution goes on to the end of its script
    said = {"SUCCEED": payload, "FAIL": error, "RETRY": chance.choice((payload, error))}
    return said.get(action, {})


def _options(chance: random.Random, kind: str, action: str) -> dict[str, Any]:
    match kind, action:
        case (_, "RETRY"):
            return {"StepOptions": {"NextAttemptDelaySeconds": _LONG_S}}
        case ("WAIT", "START"):
            return {"WaitOptions": {"WaitSeconds": _LONG_S}}
        case ("CALLBACK", "START"):
            return {"CallbackOptions": {"TimeoutSeconds": _LONG_S}}
        case ("CHAINED_INVOKE", "START") if chance.random() < 0.9:
            return {"ChainedInvokeOptions": {"FunctionName": chance.choice(_TARGETS)}}
        case _:
            return {}
