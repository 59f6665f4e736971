"""`/tmp` of each environment's own: a file system of limited size where mounts are allowed, else a folder.

Where `CAP_SYS_ADMIN` is missing (no root, most containers) an environment gets a private folder, named by
`TMPDIR`; what goes to `/tmp` by name is then shared, and the size is looked at after each invocation.
"""

from __future__ import annotations

import errno
import os
import resource
import sys
from collections.abc import Collection
from fcntl import F_DUPFD_CLOEXEC, fcntl
from importlib import import_module
from pathlib import Path
from stat import S_ISDIR
from typing import Any, Final, Protocol

from engine.executors.process.linux import (
    MS_BIND,
    MS_NODEV,
    MS_NOSUID,
    MS_REC,
    MS_SLAVE,
    enter_mounts,
    mount,
    unshare_mounts,
)
from engine.machine.folder_claim import claim

OPT: Final = "/opt"
TMP: Final = "/tmp"  # noqa: S108  # Lambda's; each environment has its own
_APART: Final = 1024
"""Descriptors of mount namespaces have numbers from here, if the limit allows that."""

_OWN_MOUNTS: Final = "/proc/self/ns/mnt"


class TmpDirs(Protocol):
    """The `/tmp` of environments. Used by the process that forks them."""

    mounted: bool
    """Whether `/tmp` itself is their own, and its size is kept by the file system."""

    def enter(
        self, token: int, size_mb: int, kept: int, visible: Collection[str], layers: str | None = None
    ) -> None:
        """Before the fork: make the `/tmp` of `token`, or take over that of `kept` if it is not 0.

        `layers` is a folder whose entries are to be in `/opt`, where that can be.
        """

    def exit(self) -> None:
        """Undo `enter`; after the fork, in the parent."""

    def variables(self, token: int) -> dict[str, str]:
        """Variables that the environment needs besides its own."""

    def forget(self, token: int) -> None:
        """Remove it: the environment has exited, and none takes it over."""

    def close_in_child(self) -> None:
        """In the child: close the parent's descriptors."""


class MountedTmpDirs:
    """A tmpfs for each environment, on `/tmp`, in mount namespaces of their own.

    The namespace outlives its environment until it is forgotten: the environment that takes the place of
    one that was reset enters it, and finds the files. Raises OSError where that is not allowed.
    """

    mounted = True

    def __init__(self, *, snapshot: bool = False) -> None:
        self._snapshot = snapshot  # what is in /tmp when it is covered belongs to every environment
        unshare_mounts()
        # What the machine mounts or unmounts later is seen here too; what is mounted here is seen nowhere.
        mount("none", "/", None, MS_REC | MS_SLAVE)
        self._home = os.open(_OWN_MOUNTS, os.O_RDONLY | os.O_CLOEXEC)
        self._apart = min(_APART, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
        self._namespaces: dict[int, int] = {}
        self._highest = 0  # of their numbers so far

    def enter(
        self, token: int, size_mb: int, kept: int, visible: Collection[str], layers: str | None = None
    ) -> None:
        """See `TmpDirs`."""
        known = self._namespaces.pop(kept, None)
        if known is not None:
            enter_mounts(known)
            self._namespaces[token] = known
            return
        unshare_mounts()
        try:
            if layers is not None and os.path.isdir(OPT):
                _mount_opt(layers)
            _mount_tmp(size_mb, visible, copied=self._snapshot)
            # Numbered apart from all others, so that a child can close thousands of them in one call.
            namespace = os.open(_OWN_MOUNTS, os.O_RDONLY | os.O_CLOEXEC)
            try:
                number = self._namespaces[token] = _numbered_from(self._apart, namespace)
                if number > self._highest:
                    self._highest = number
            finally:
                os.close(namespace)
        except OSError:
            self.exit()  # the next one must not be forked in a namespace that is half done
            raise

    def exit(self) -> None:
        """See `TmpDirs`."""
        enter_mounts(self._home)

    def variables(self, token: int) -> dict[str, str]:
        """None: `/tmp` itself is the environment's own."""
        return {}

    def forget(self, token: int) -> None:
        """See `TmpDirs`."""
        namespace = self._namespaces.pop(token, None)
        if namespace is not None:
            os.close(namespace)

    def close_in_child(self) -> None:
        """See `TmpDirs`."""
        os.close(self._home)
        # Not one by one: to look at the numbers of thousands is to copy the pages that they are on.
        os.closerange(self._apart, self._highest + 1)


class FolderTmpDirs:
    """A folder for each environment below `base`, which the engine removes in the end."""

    mounted = False

    def __init__(self, base: str) -> None:
        self._base = Path(base)
        self._claim = claim(self._base)
        self._names: dict[int, str] = {}
        self._remove = _shutil().rmtree

    def enter(
        self, token: int, size_mb: int, kept: int, visible: Collection[str], layers: str | None = None
    ) -> None:
        """See `TmpDirs`. The size is for the child to look after."""
        name = self._names.pop(kept, None) or f"{os.getpid()}-{token}"
        (self._base / name).mkdir(mode=0o700, exist_ok=True)
        self._names[token] = name

    def exit(self) -> None:
        """Do nothing: `enter` changed nothing in the parent."""

    def variables(self, token: int) -> dict[str, str]:
        """`TMPDIR`, which `tempfile` reads."""
        return {"TMPDIR": str(self._base / self._names[token])}

    def forget(self, token: int) -> None:
        """See `TmpDirs`."""
        name = self._names.pop(token, None)
        if name is not None:
            self._remove(self._base / name, ignore_errors=True)

    def close_in_child(self) -> None:
        """See `TmpDirs`."""
        os.close(self._claim)


def make_tmp_dirs(base: str) -> TmpDirs:
    """Mounts if they are allowed here, else folders below `base`. Changes the mounts of this process."""
    try:
        tmp_dirs = MountedTmpDirs()
        tmp_dirs.enter(0, 1, -1, ())
        tmp_dirs.exit()
        tmp_dirs.forget(0)
    except OSError:
        return FolderTmpDirs(base)
    return tmp_dirs


def tmp_dirs_of_template(base: str, *, mounted: bool) -> TmpDirs:
    """The same for a template: its environments start with what it wrote to its own `/tmp`."""
    return MountedTmpDirs(snapshot=True) if mounted else FolderTmpDirs(base)


def _numbered_from(first: int, descriptor: int) -> int:
    """A copy with that number or a higher one. Raises OSError (EMFILE) if there is none."""
    try:
        return fcntl(descriptor, F_DUPFD_CLOEXEC, first)
    except OSError as error:
        if error.errno == errno.EINVAL:  # the limit is below
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE)) from None
        raise


def size_of(folder: str) -> int:
    """Bytes in the files below `folder`."""
    total = 0
    pending = [folder]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
        except OSError:
            continue  # removed while we looked
    return total


def layers_of(code: str) -> str | None:
    """Where the layers of the package lie whose code is in `code`: beside it, if it has any."""
    folder, name = os.path.split(code)
    layers = os.path.join(folder, "opt")
    return layers if name == "task" and os.path.isdir(layers) else None


def visible_below(root: str, code: str) -> list[str]:
    """Folders below `root` that must stay visible under a mount on it: the code, and Python's own."""
    wanted = {os.path.realpath(path) for path in (code, sys.prefix, sys.base_prefix, *sys.path) if path}
    below = sorted(path for path in wanted if path.startswith(root + os.sep) and os.path.exists(path))
    return [path for path in below if not any(path.startswith(other + os.sep) for other in below)]


def _mount_tmp(size_mb: int, visible: Collection[str], *, copied: bool) -> None:
    options = f"size={size_mb}m,mode=1777"
    if not visible and not copied:
        mount("tmpfs", TMP, "tmpfs", MS_NOSUID | MS_NODEV, options)
        return
    held = [(path, os.open(path, os.O_PATH)) for path in visible]
    before = os.open(TMP, os.O_PATH)
    try:
        mount("tmpfs", TMP, "tmpfs", MS_NOSUID | MS_NODEV, options)
        if copied:  # a template's: what its init wrote is part of the snapshot, as on Lambda
            bound = {os.path.relpath(path, TMP).partition(os.sep)[0] for path in visible}
            _copy(f"/proc/self/fd/{before}", bound)
        for path, descriptor in held:
            _bind(descriptor, path)
    finally:
        os.close(before)
        for _, descriptor in held:
            os.close(descriptor)


def _mount_opt(layers: str) -> None:
    """Show the entries of `layers` in `/opt`, beside those of the machine's that Python needs."""
    kept = visible_below(OPT, layers)
    taken = {os.path.relpath(path, OPT).partition(os.sep)[0] for path in kept}
    with os.scandir(layers) as entries:
        shown = [(f"{OPT}/{entry.name}", entry.path) for entry in entries if entry.name not in taken]
    held = [(path, os.open(source, os.O_PATH)) for path, source in (*shown, *zip(kept, kept))]
    try:
        mount("tmpfs", OPT, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=755")
        for path, descriptor in held:
            _bind(descriptor, path)
    finally:
        for _, descriptor in held:
            os.close(descriptor)


def _bind(descriptor: int, path: str) -> None:
    """Mount on `path` what `descriptor` was opened on."""
    source = f"/proc/self/fd/{descriptor}"
    if S_ISDIR(os.fstat(descriptor).st_mode):
        try:
            os.mkdir(path)
        except OSError:
            os.makedirs(path, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        Path(path).touch()
    mount(source, path, None, MS_BIND | MS_REC)


def _shutil() -> Any:
    """The module, only where it is needed: with all that it imports, each fork would pay for it."""
    return import_module("shutil")


def _copy(source: str, leave_out: set[str]) -> None:
    shutil = _shutil()
    for name in os.listdir(source):
        path, copy = f"{source}/{name}", f"{TMP}/{name}"
        if name in leave_out:
            continue
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.copytree(path, copy, symlinks=True)
        elif os.path.islink(path) or os.path.isfile(path):
            shutil.copy2(path, copy, follow_symlinks=False)
