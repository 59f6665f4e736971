"""The code of a handler's module, read before the fork, so that each child only has to run it.

Finding, reading and unmarshalling a module takes a child a millisecond of CPU, and makes it copy some hundred
pages of memory.
"""

from __future__ import annotations

import os
import warnings
from importlib.machinery import FrozenImporter, ModuleSpec
from importlib.util import spec_from_file_location
from types import CodeType

_State = tuple[int, int, int, int]


class CompiledModule:
    """The module `name` in `file`, which nothing else in its folder goes before.

    Attributes:
        spec: What a child is to import it by; None if it has to find it itself.
    """

    def __init__(self, name: str, file: str) -> None:
        self._name, self._file = name, file
        self._folder = os.path.dirname(file)
        self._state: _State | None = None
        self._is_frozen = FrozenImporter.find_spec(name) is not None  # that goes before any file
        self._is_read = False
        self.spec: ModuleSpec | None = None

    def renew(self) -> None:
        """To be called before each fork. The file is read once it was found unchanged at two forks.

        So whatever is to be said of it, an error or a warning, the first child says in its own log.
        """
        if self._is_frozen:
            return
        state = self._look()
        if state is None or state != self._state:
            self._state, self.spec, self._is_read = state, None, False
        elif not self._is_read:
            self._is_read = True
            self.spec = self._read()

    def _look(self) -> _State | None:
        """Changes when the file does, or when another file comes beside it that may go before it."""
        try:
            file, folder = os.stat(self._file), os.stat(self._folder)
        except OSError:
            return None
        return file.st_mtime_ns, file.st_size, file.st_ino, folder.st_mtime_ns

    def _read(self) -> ModuleSpec | None:
        spec = spec_from_file_location(self._name, self._file)
        if spec is None or spec.loader is None:
            return None
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            try:
                code = spec.loader.get_code(self._name)  # type: ignore[attr-defined]  # that of a source file
            except Exception:  # noqa: BLE001  # whatever is wrong with it, a child says
                return None
        if warned or code is None:
            return None
        _prepare(spec, code)
        return spec


def _prepare(spec: ModuleSpec, code: CodeType) -> None:
    """Have the loader give `code` the first time it is asked, and be as any other afterwards."""
    members = vars(spec.loader)

    def get_code(_name: str) -> CodeType:
        del members["get_code"]
        return code

    members["get_code"] = get_code
