"""Finds and loads a function's handler, and says in AWS's words why that failed.

Source: Lambda Developer Guide, "Define Lambda function handler in Python"; behaviour of awslambdaric 4.2.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple, TypeVar

from engine.core.served_function import ImportedModuleFor
from engine.errors import EngineError
from engine.executors.marshal import Failure, error_body, exit_error_body, exit_status, failure_of
from engine.executors.module_instances import Modules, source_below

T = TypeVar("T")

_INSTANCE_NUMBER: Final = re.compile(r"#\d+(?=['.])")


class InitError(EngineError):
    """An environment cannot be initialised; has the reason as AWS reports it.

    Attributes:
        error_type: `Runtime.ImportModuleError` and the like, or the bare name of the exception's class.
        message: One sentence, empty for an exit.
        stack: Frames, outermost first, each as `traceback.format_list` gives it.
        exit_status: What the process would have exited with (negative: a signal) if an exception
            that is no `Exception` ended the import, else None.
    """

    def __init__(
        self, error_type: str, message: str, stack: tuple[str, ...] = (), exit_status: int | None = None
    ) -> None:
        super().__init__(error_type, message, stack, exit_status)
        self.error_type, self.message, self.stack = error_type, message, stack
        self.exit_status = exit_status

    def __str__(self) -> str:
        return f"{self.error_type}: {self.message}"

    @property
    def failure(self) -> Failure:
        """For the log line (`marshal.run_log_text`)."""
        return Failure(self.error_type, self.message, self.stack)

    def body(self, request_id: str = "") -> bytes:
        """The payload for whoever waits; only an exit names the invocation that `request_id` is of."""
        if self.exit_status is not None:
            return exit_error_body(request_id, self.exit_status)
        return error_body(self.failure, "")


class Loaded(NamedTuple):
    """A handler ready to be called, and the module instance it lives in.

    Whether `callable` can be called shows when it is: AWS does not look either.
    """

    callable: Any
    is_async: bool
    module: ModuleType
    instance: str


class _Target(NamedTuple):
    """A handler string taken apart: `label` names the module in messages, `dotted` imports it."""

    label: str
    dotted: str
    function: str
    folder: Path


class Loader:
    """Loads handlers from one code folder, then from `sys.path`. Safe to use from several threads.

    The folder is put on `sys.path` by the first load and taken off by `close`. The handler module
    itself is always the one under the folder; for the helper modules it imports see `Modules`.

    Args:
        code: The folder.
        alone: The interpreter is the handler's own, `sys.path` begins with the folder already, and
            nothing is ever unloaded: modules are imported just as AWS's client does it.
        imported_module_for: Which loads give the module as the program itself has imported it: none, one
            at a time, or all of them, whether `fresh` or not.
    """

    def __init__(
        self, code: Path, *, alone: bool = False, imported_module_for: ImportedModuleFor = "none"
    ) -> None:
        self._code = code.absolute()
        self._alone = alone
        self._imported_module_for = imported_module_for
        self._modules: dict[Path, Modules] = {}
        self._shared: dict[tuple[Path, str], tuple[str, ModuleType]] = {}
        self._locks: dict[tuple[Path, str], threading.Lock] = {}

    def load(self, handler: str, *, fresh: bool) -> Loaded:
        """Import the module of `handler`, once for each call (`fresh`) or once for this loader.

        Args:
            handler: `module.function`, `folder/module.function` or `path/to/file.py:function`.
            fresh: Give a module instance of its own, to be let go with `unload`.

        Raises:
            InitError: Whatever goes wrong, including `sys.exit` in the module.
        """
        target = self._target(handler)
        if target.label.split(".")[0] in sys.builtin_module_names:
            message = f"Cannot use built-in module {target.label} as a handler module"
            raise InitError("Runtime.BuiltInModuleConflict", message)
        instance, module = self._import(target, fresh=fresh)
        try:
            found = getattr(module, target.function)
        except AttributeError:
            self.discard(instance, module)
            message = f"Handler '{target.function}' missing on module '{target.label}'"
            raise InitError("Runtime.HandlerNotFound", message) from None
        except BaseException as error:
            self.discard(instance, module)
            raise _init_error(error) from error
        return Loaded(callable=found, is_async=gives_coroutine(found), module=module, instance=instance)

    def share(self, handler: str) -> dict[str, ModuleType | None]:
        """Let the program import the module of `handler` before it is loaded.

        Returns what `sys.modules` has under its name now, for `put_back`.
        """
        try:
            target = self._target(handler)
        except InitError:
            return {}  # said when it is loaded
        self._modules_of(target.folder).extend_path()
        return {target.dotted: sys.modules.get(target.dotted)}

    def unload(self, loaded: Loaded) -> None:
        """Drop a fresh instance. A shared one stays until `close`."""
        if not any(module is loaded.module for _, module in list(self._shared.values())):
            self.discard(loaded.instance, loaded.module)

    def discard(self, instance: str, module: ModuleType) -> None:
        """Drop an instance, shared or not: it must not be used again."""
        self._shared = {key: kept for key, kept in self._shared.items() if kept[1] is not module}
        for modules in list(self._modules.values()):
            modules.drop(instance, module)

    def close(self) -> None:
        """Drop all instances and leave `sys.path` as it was."""
        for modules in self._modules.values():
            modules.close()
        self._shared.clear()

    def name_of(self, handler: str) -> str:
        """The name that the handler's module is to have. Raises InitError if it is malformed."""
        return self._target(handler).function

    def file_of(self, handler: str) -> str | None:
        """The file of the handler's module, found without importing anything; None if there is none.

        Raises:
            InitError, OSError, ValueError: The handler is malformed, or its place cannot be looked at.
        """
        target = self._target(handler)
        file = source_below(str(target.folder), target.dotted)
        if file is not None:
            return file
        found = self._modules_of(target.folder).locate(target.dotted)
        if len(found) <= target.dotted.count(".") or not found[-1].has_location:
            return None
        return found[-1].origin

    def source(self, handler: str) -> tuple[str, str, str] | None:
        """Module, file and name of the handler if it is plainly in a file of the code folder, else None."""
        try:
            target = self._target(handler)
        except InitError:
            return None
        if target.folder != self._code or "." in target.dotted:
            return None
        file = source_below(str(self._code), target.dotted)
        return None if file is None else (target.dotted, file, target.function)

    def _target(self, handler: str) -> _Target:
        """Take `handler` apart as AWS's client does, or by file and function."""
        file, colon, function = handler.rpartition(":")
        if colon and file.endswith(".py"):
            label, path = file.removesuffix(".py"), Path(file).with_suffix("")
            if all(part.isidentifier() for part in path.parts):
                return _Target(label, ".".join(path.parts), function, self._code)
            return _Target(label, path.name, function, (self._code / path).parent)
        try:
            label, function = handler.rsplit(".", 1)
        except ValueError as error:
            raise InitError("Runtime.MalformedHandlerName", f"Bad handler '{handler}': {error}") from None
        return _Target(label, label.replace("/", "."), function, self._code)

    def _modules_of(self, folder: Path) -> Modules:
        return self._modules.setdefault(folder, Modules(folder, self._imported_module_for))

    def _import(self, target: _Target, *, fresh: bool) -> tuple[str, ModuleType]:
        if self._alone:
            if target.folder != self._code:
                sys.path.insert(0, str(target.folder))
            return target.dotted, _run(importlib.import_module, target)
        modules = self._modules_of(target.folder)
        if fresh and self._imported_module_for != "all":
            return _run(modules.run, target)
        key = target.folder, target.dotted
        with self._locks.setdefault(key, threading.Lock()):
            if key not in self._shared:
                self._shared[key] = _run(modules.run, target)
            return self._shared[key]


def _run(run: Callable[[str], T], target: _Target) -> T:
    try:
        return run(target.dotted)
    except ImportError as error:
        message = f"Unable to import module '{target.label}': {_plain(error)}"
        raise InitError("Runtime.ImportModuleError", message) from error
    except SyntaxError as error:
        message = f"Syntax error in module '{target.label}': {error}"
        stack = (f'  File "{error.filename}" Line {error.lineno}\n    {error.text}',)
        raise InitError("Runtime.UserCodeSyntaxError", message, stack) from error
    except BaseException as error:
        raise _init_error(error) from error


def _plain(error: ImportError) -> str:
    """Its text without the numbers of module instances, which mean nothing to the user."""
    text = str(error)
    return _INSTANCE_NUMBER.sub("", text) if "#" in (error.name or "") else text


def _init_error(error: BaseException) -> InitError:
    if isinstance(error, Exception):
        return InitError(*failure_of(error))
    return InitError("Runtime.ExitError", "", (), exit_status(error))


def gives_coroutine(handler: Any) -> bool:
    """Whether calling it gives a coroutine; also for partials and objects with an async `__call__`."""
    return inspect.iscoroutinefunction(handler) or (
        not inspect.isroutine(handler)
        and not inspect.isclass(handler)
        and inspect.iscoroutinefunction(getattr(handler, "__call__", None))  # noqa: B004  its kind counts
    )


def gives_async_generator(handler: Any) -> bool:
    """Whether calling it gives an asynchronous generator, as `gives_coroutine` tells of coroutines."""
    return inspect.isasyncgenfunction(handler) or (
        not inspect.isroutine(handler)
        and not inspect.isclass(handler)
        and inspect.isasyncgenfunction(getattr(handler, "__call__", None))  # noqa: B004  its kind counts
    )
