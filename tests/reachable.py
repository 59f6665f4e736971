"""How much something remembers, seen from outside."""

from __future__ import annotations

import gc
from types import BuiltinFunctionType, FunctionType, ModuleType

_SHARED = (type, ModuleType, FunctionType, BuiltinFunctionType)


def reachable(*roots: object) -> int:
    """How many objects these keep alive; classes, modules and functions, which are everybody's, apart."""
    seen = {id(root) for root in roots}
    ahead = list(roots)
    while ahead:
        for one in gc.get_referents(ahead.pop()):
            if id(one) not in seen and not isinstance(one, _SHARED):
                seen.add(id(one))
                ahead.append(one)
    return len(seen)
