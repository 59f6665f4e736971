"""Detaches a child process from the engine when a handler on loop or thread forks.

On Lambda a handler that forks leaves its runtime alone: the child has the code, not the way to the service.
Here the child is a copy of the engine, with its listeners, its event loop and its signal handlers. Without
what is done here SIGTERM to a child, as `multiprocessing.Pool` sends it, would wake the engine by the
descriptor they share and stop it, and a child left behind would keep the engine's port.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterable
from typing import Any, NamedTuple, NoReturn

from engine.packages.state_folder import LOCK


class Fork(NamedTuple):
    """What is recorded before a fork.

    `mask`: the thread's signal mask; all are blocked, for one that came before the child is itself would be
    taken by the engine's handler. `descriptors`: of the event loops, and what they watch: they are shared
    with the child, so what the engine closes from now on could not be seen there.
    """

    mask: set[int]
    descriptors: set[int]


def socket_pairs() -> dict[int, str]:
    """Unnamed local sockets, with what the kernel calls them: an event loop wakes itself by a pair.

    Not all event loops watch theirs before a signal has come.
    """
    return {one: _link(one) for one in _descriptors() if _is_of_pair(one)}


def still_open(known: dict[int, str]) -> list[int]:
    """Those of `known` that are what they were."""
    return [one for one, link in known.items() if _link(one) == link]


def prepare(beacons: set[int]) -> Fork:
    """Just before the fork. `beacons`: for each engine a descriptor that its event loop alone watches."""
    mask = set(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())))
    found: set[int] = set()
    for one in _descriptors():
        if _link(one) == "anon_inode:[eventpoll]":
            watched = {int(line.split()[1]) for line in _information(one) if line.startswith("tfd:")}
            if watched & beacons:
                found |= {one, *watched}
    return Fork(mask, found)


def finish(fork: Fork) -> None:
    """Deliver the signals that were blocked: in the parent at once, in the child as the last step."""
    signal.pthread_sigmask(signal.SIG_SETMASK, fork.mask)


def detach_from_engine(fork: Fork, others: Iterable[int]) -> None:
    """In the child: close the engine's descriptors, and give every signal its default action.

    What the event loops watch is the engine's; so is every connection to a port that they listen at, the
    other end of a pipe, what keeps other engines out of a state folder, and `others`.
    """
    wakeup = signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        handler = signal.getsignal(number)
        if callable(handler) and handler is not signal.default_int_handler:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    found = {*fork.descriptors, *others, wakeup} - {-1}
    ports = {port for one in found if (port := _port(one, listening=True))}
    pipes = {link for one in found if (link := _link(one)).startswith("pipe:")}
    for one in _descriptors():
        link = _link(one)
        if link in pipes or _port(one) in ports or (link.endswith(f"/{LOCK}") and _is_locked(one)):
            found.add(one)
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for one in found:  # not closed: objects that own one may close its number, whenever that is
        os.dup2(nothing, one, inheritable=False)
    os.close(nothing)


def end_children() -> None:
    """Kill what handlers started by `multiprocessing` and left: the interpreter would wait for it."""
    processes = sys.modules.get("multiprocessing.process")
    if processes is not None:
        for child in processes.active_children():
            child.kill()


def exit_child(status: int) -> NoReturn:
    """End the child at once: what it would return to is a copy of the engine."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass  # closed, or none
    os._exit(status if status >= 0 else 128 - status)


def exit_instead_of_resuming(loop: Any) -> None:
    """End the child when it returns to its copy of the event loop, on whose thread it was forked."""
    if hasattr(loop, "_run_once"):
        loop._run_once = lambda: exit_child(0)  # asyncio's would look at the selector first
    else:
        loop.call_soon(exit_child, 0)


def _descriptors() -> list[int]:
    """All open descriptors; none on a machine that is not Linux."""
    try:
        return list(map(int, os.listdir("/proc/self/fd")))
    except OSError:
        return []


def _information(descriptor: int) -> list[str]:
    """What proc(5) says of it, in lines."""
    try:
        with open(f"/proc/self/fdinfo/{descriptor}") as file:
            return file.read().splitlines()
    except OSError:
        return []  # closed meanwhile


def _is_locked(descriptor: int) -> bool:
    return any(line.startswith("lock:") and "FLOCK" in line for line in _information(descriptor))


def _link(descriptor: int) -> str:
    """What it is open on, in the kernel's words; empty if it is closed."""
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return ""


def _is_of_pair(descriptor: int) -> bool:
    try:
        one = socket.socket(fileno=descriptor)
    except OSError:
        return False
    try:
        return one.family == socket.AF_UNIX and not one.getsockname()
    finally:
        one.detach()  # it is not ours to close


def _port(descriptor: int, *, listening: bool = False) -> int | None:
    """The local port of a TCP socket, if it is one, and `listening` if that is asked for."""
    try:
        one = socket.socket(fileno=descriptor)
    except OSError:
        return None
    try:
        if one.family not in (socket.AF_INET, socket.AF_INET6):
            return None
        if listening and not one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return None
        port: int = one.getsockname()[1]
        return port
    finally:
        one.detach()  # it is not ours to close
