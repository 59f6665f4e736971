"""Names of modules that are in an interpreter before a handler's own are: on AWS, and in the engine's."""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder, all_suffixes
from typing import Final

OF_AWS_CLIENT: Final = frozenset(
    """
    __future__ abc atexit codecs collections contextlib copyreg decimal encodings enum functools
    genericpath importlib io itertools json keyword linecache logging marshal math numbers operator
    os posixpath re reprlib site stat string sys textwrap threading time token tokenize traceback
    types warnings weakref zipimport
    """.split()  # noqa: SIM905  # as text it can be read
)
"""What awslambdaric 4.2 has imported of the standard library before it imports a handler.

A file of such a name in a code folder is not what the handler imports on Lambda either.
"""

OF_ENGINE: Final = frozenset(
    """
    _yaml annotated_types anyio click engine engine__mypyc handlers httptools idna
    markdown_it mdurl multipart orjson prometheus_client pydantic pydantic_core pygments
    python_multipart rich simplejson sniffio sortedcontainers typing_extensions typing_inspection
    uvloop watchfiles
    yaml
    """.split()  # noqa: SIM905  # as text it can be read
)
"""The engine's packages, the module of its compiled code, and what it needs: Lambda has none of them."""

IMPORTED_LATE: Final = frozenset(
    """
    calendar difflib email gzip html mimetypes mmap platform pyexpat quopri socketserver sqlite3 timeit
    wsgiref xml
    """.split()  # noqa: SIM905  # as text it can be read
)
"""What of the standard library the engine imports while handlers run: for AWS clients, metrics, errors."""


def modules_in(folder: str) -> dict[str, str]:
    """Name to file of the modules and packages in `folder`; folders without `__init__.py` left out."""
    suffixes = all_suffixes()
    found: dict[str, str] = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                name, dot, rest = entry.name.partition(".")
                init = os.path.join(entry.path, "__init__.py")
                if dot and f".{rest}" in suffixes:
                    found.setdefault(name, entry.path)
                elif not dot and os.path.isfile(init):
                    found[name] = init  # a package goes before a module of its name
    except OSError:
        pass  # not there: that is for the import of the handler to say
    return found


def is_plain_package(folder: str) -> bool:
    """Whether it is a folder with modules below it, and without `__init__.py`."""
    if not os.path.isdir(folder) or os.path.exists(os.path.join(folder, "__init__.py")):
        return False
    suffixes = tuple(all_suffixes())
    return any(name.endswith(suffixes) for _, _, files in os.walk(folder) for name in files)


def clashes(code: str) -> list[tuple[str, str]]:
    """Files in the folder `code` that handlers in the engine's own process could not import, and why not.

    Each with the file of the same module name that the engine, or the standard library for it, has imported
    or is going to import. One process has one module of a name.
    """
    found = []
    for name, file in modules_in(code).items():
        by_engine = name in OF_ENGINE or name in IMPORTED_LATE
        by_engine = by_engine or (name in sys.stdlib_module_names and name in sys.modules)
        if by_engine and name not in OF_AWS_CLIENT and name not in sys.builtin_module_names:
            other = _file_of(name, code)
            if other is not None and not os.path.samefile(other, file):
                found.append((file, other))
    return found


def _file_of(name: str, code: str) -> str | None:
    """Where the module comes from, or would come from if it were not for the folder `code`."""
    module = sys.modules.get(name)
    if module is not None:
        return getattr(module, "__file__", None)
    spec = PathFinder.find_spec(name, [entry for entry in sys.path if os.path.abspath(entry) != code])
    return spec.origin if spec is not None and spec.has_location else None
