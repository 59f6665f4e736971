"""The code of a handler's module, read before the fork, so that each child only has to run it.

Finding, reading and unmarshalling a module takes a child a millisecond of CPU, and makes it copy some hundred
pages of memory.
"""

from __future__ import annotations

import _frozen_importlib
import os
import sys
import warnings
from importlib.machinery import FrozenImporter, ModuleSpec
from importlib.util import module_from_spec, spec_from_file_location
from types import CodeType, ModuleType, TracebackType
from typing import Any, Final

_State = tuple[int, int, int, int]
_lock_of: Final[Any] = vars(_frozen_importlib)["_get_module_lock"]
"""Gives the lock that the import system holds while it imports the module of a name. The same since 3.9."""


class CannotRun(Exception):
    """It is for the import system to run the module, or to say what went wrong."""


class CompiledModule:
    """The module `name` in `file`, which nothing else in its folder goes before, and `attribute` of it.

    Attributes:
        spec: What a child is to import it by; None if it has to find it itself.
    """

    def __init__(self, name: str, file: str, attribute: str) -> None:
        self._name, self._file, self._attribute = name, file, attribute
        self._folder = os.path.dirname(file)
        self._state: _State | None = None
        # Those go before any file.
        self._is_taken = FrozenImporter.find_spec(name) is not None or name in sys.builtin_module_names
        self._is_read = False
        self._code: CodeType
        self._module: ModuleType
        self._lock: Any
        self.spec: ModuleSpec | None = None

    def renew(self) -> None:
        """To be called before each fork. The file is read once it was found unchanged at two forks.

        So whatever is to be said of it, an error or a warning, the first child says in its own log.
        """
        if self._is_taken:
            return
        state = self._look()
        if state is None or state != self._state:
            self._state, self.spec, self._is_read = state, None, False
        elif not self._is_read:
            self._is_read = True
            self.spec = self._read()

    def run(self) -> Any:
        """In a child: import the module, and return `attribute` of it.

        What the import system does once it has found a module, by less code: its own takes a hundred pages.

        Raises:
            CannotRun: The import system is to import it; by `spec` if there is one. What the module has
                raised is raised there again, under the usual frames.
            BaseException: Whatever came of looking up the attribute.
        """
        spec, modules, name = self.spec, sys.modules, self._name
        if spec is None or name in modules:
            raise CannotRun
        self._lock.acquire()  # threads that the module starts wait for it where they import the module
        try:
            modules[name] = self._module
            try:
                exec(self._code, self._module.__dict__)  # noqa: S102  # this is what an import is
            except BaseException as error:  # noqa: BLE001  # also `sys.exit`
                modules.pop(name, None)
                _give(spec, _raising(error))
                raise CannotRun from None
            if name not in modules:
                _give(spec, _REMOVING)
                raise CannotRun
            module = modules[name] = modules.pop(name)  # what the module has put there, if it has
            vars(spec)["_initializing"] = False
        finally:
            self._lock.release()
        return getattr(module, self._attribute)

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
        self._code, self._module = code, module_from_spec(spec)
        self._lock = _lock_of(self._name)  # there already when a child needs it: to make it takes ten pages
        vars(spec)["_initializing"] = True  # what `import` in other modules sees while it runs
        return spec


def drop_raising(error: BaseException | None) -> None:
    """Remove from the traceback of an exception that `run` has passed on the frame that raised it again."""
    before: TracebackType | None = None
    trace = None if error is None else error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_name == _RAISING and before is not None:
            before.tb_next = trace.tb_next
        before, trace = trace, trace.tb_next


_RAISING: Final = "<engine: raised again>"
_REMOVING: Final = compile("import sys; del sys.modules[__name__]", "<engine: removed again>", "exec")
"""Does what a module did that removed itself. What comes of that is for the import system to say."""


def _raising(error: BaseException) -> CodeType:
    """Code that raises it, with the traceback from the module on."""
    trace = error.__traceback__
    error.__traceback__ = None if trace is None else trace.tb_next
    code = compile("raise ''", __file__, "exec")
    constants: tuple[Any, ...] = tuple(error if one == "" else one for one in code.co_consts)
    return code.replace(co_consts=constants, co_name=_RAISING)


def _give(spec: ModuleSpec, code: CodeType) -> None:
    """Have the loader give `code` the first time it is asked, and be as any other afterwards."""
    members = vars(spec.loader)

    def get_code(_name: str) -> CodeType:
        del members["get_code"]
        return code

    members["get_code"] = get_code
