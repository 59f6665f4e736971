"""What a handler's source says of it. Only the engine reads it: processes that run handlers import them."""

from __future__ import annotations

from pathlib import Path

from engine.executors.handler_loader import InitError, Loader
from engine.executors.source_names import names_in_file


def looks_async(code: str, handler: str) -> bool | None:
    """Whether the source defines the handler, in the folder `code`, by `async def`; nothing is imported.

    None if that cannot be told without running it: decorated, imported, assigned, defined under
    a condition, not Python source, or not there.
    """
    loader = Loader(Path(code))
    try:
        file = loader.file_of(handler)
        bound = names_in_file(file).names.get(loader.name_of(handler)) if file else None
    except (InitError, OSError, SyntaxError, ValueError, RecursionError):
        return None
    return None if bound is None else bound.is_async
