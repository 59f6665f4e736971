"""Nodes made on this machine: each with a network, processes, `/tmp` and host name of its own.

All are on one switch, which reaches nothing else. A node ends with all its processes and files when it is
killed, and when this process ends, however it ends.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[1]
_CLONE_NEWNET = 0x40000000
_READY_S = 10
_INIT = """
import os, select, signal
signal.set_wakeup_fd(signals := os.pipe2(os.O_NONBLOCK)[1])
signal.signal(signal.SIGCHLD, lambda *_: None)
os.write(1, b"up\\n")
while True:
    ready, _, _ = select.select([0], [], [], 0.2)
    if ready and not os.read(0, 64):
        os._exit(0)
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
"""
"""The first process of a node: takes in orphans, and ends with this process, whose pipe it reads."""


@cache
def why_not() -> str | None:
    """Why nodes cannot be made here; None if they can."""
    if not sys.platform.startswith("linux"):
        return "network namespaces are Linux's"
    if os.geteuid() != 0:
        return "network namespaces need root"
    try:
        with Switch() as switch:
            switch.add("probe", clock_ahead_s=86_400)
    except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
        return f"namespaces cannot be made here: {getattr(error, 'stderr', None) or error}"
    return None


def _own_tmp() -> str:
    """What gives a node a `/tmp` of its own, in which these sources stay where they lie there."""
    mount = "mount -t tmpfs none /tmp"
    if not ROOT.is_relative_to("/tmp"):
        return mount
    return f"mount --bind {ROOT} /mnt && {mount} && mkdir -p {ROOT} && mount --move /mnt {ROOT}"


class Node:
    """One node. Its processes see neither the machine's network nor those of other nodes' processes."""

    def __init__(self, name: str, address: str, *, clock_ahead_s: int = 0) -> None:
        """Its monotonic clock is `clock_ahead_s` ahead of the machine's: readings of it mean nothing here."""
        self.name = name
        self.address = address
        self._ahead = clock_ahead_s
        spaces = ["--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"]
        ahead = ["--time", f"--monotonic={clock_ahead_s}", f"--boottime={clock_ahead_s}"]
        setup = f'{_own_tmp()} && mount -t tmpfs none /dev/shm && hostname {name} && exec "$@"'
        command = ["unshare", *spaces, *(ahead if clock_ahead_s else []), "sh", "-c", setup, "sh"]
        self._holder = subprocess.Popen(
            [*command, sys.executable, "-I", "-S", "-c", _INIT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._holder.stdout is not None
        ready, _, _ = select.select([self._holder.stdout], [], [], _READY_S)
        if not ready or self._holder.stdout.readline() != b"up\n":
            self.kill()
            raise RuntimeError("a namespace could not be made")
        self.pid = _children(self._holder.pid)[0]
        """Its first process, as this machine counts them."""

    def command(self, *arguments: str | Path) -> list[str]:
        """What runs `arguments` on the node."""
        spaces = ["--net", "--mount", "--uts", "--ipc", "--pid", *(["--time"] if self._ahead else [])]
        return ["nsenter", f"--target={self.pid}", *spaces, f"--wd={os.getcwd()}", *map(str, arguments)]

    def run(self, *arguments: str | Path, **options: Any) -> str:
        """Run a command there; returns what it printed. Raises CalledProcessError."""
        done = subprocess.run(
            self.command(*arguments), check=True, capture_output=True, text=True, timeout=60, **options
        )
        return done.stdout

    def start(self, *arguments: str | Path, **options: Any) -> NodeProcess:
        """Start a command there."""
        return NodeProcess(self.command(*arguments), **options)

    def socket(self) -> socket.socket:
        """A TCP socket of the node's network, for this process."""
        made: list[socket.socket] = []

        def make() -> None:  # a thread of its own: it leaves the network of this process for good
            with open(f"/proc/{self.pid}/ns/net") as network:
                if ctypes.CDLL(None, use_errno=True).setns(network.fileno(), _CLONE_NEWNET) == 0:
                    made.append(socket.socket())

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        if not made:
            raise OSError(f"the network of {self.name} cannot be entered")
        return made[0]

    def connect(self, port: int, host: str | None = None) -> socket.socket:
        """A connection to a port of the node, or to one of `host` from it."""
        connection = self.socket()
        try:
            connection.connect((host or self.address, port))
        except OSError:
            connection.close()
            raise
        return connection

    def processes(self) -> dict[int, str]:
        """Command line of each process of the node but its first, by the number this machine has for it."""
        inside = _space(self.pid)
        others = [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != self.pid]
        return {pid: line for pid in others if _space(pid) == inside and (line := _command_line(pid))}

    def find(self, text: str) -> list[int]:
        """The processes whose command line has `text`, oldest first."""
        return sorted(pid for pid, line in self.processes().items() if text in line)

    @property
    def root(self) -> Path:
        """Its file system, as seen from here."""
        return Path(f"/proc/{self.pid}/root")

    def files(self) -> list[str]:
        """What is in its `/tmp` and `/dev/shm`, but for the sources."""
        entries = (entry for folder in ("tmp", "dev/shm") for entry in (self.root / folder).iterdir())
        return sorted(entry.name for entry in entries if not ROOT.is_relative_to(f"/tmp/{entry.name}"))

    def kill(self) -> None:
        """End all its processes at once, as a power failure would; then wait for that."""
        self._holder.kill()
        self._holder.wait()
        for pipe in (self._holder.stdin, self._holder.stdout):
            if pipe is not None:
                pipe.close()


class NodeProcess(subprocess.Popen):
    """A command on a node: what is sent to it goes to the command itself."""

    def send_signal(self, sig: int) -> None:
        """Send a signal to the command, and not to what waits for it here."""
        for pid in _children(self.pid) if self.poll() is None else ():
            os.kill(pid, sig)

    def stop(self, sig: int = signal.SIGTERM, within_s: float = 15) -> int:
        """End it; returns its exit status. Raises TimeoutExpired."""
        self.send_signal(sig)
        return self.wait(within_s)


class Switch:
    """Connects the nodes; a network namespace of its own, with an address in 10.77.0.0/24 for each."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self._made = 0
        self._switch = Node("switch", "")
        self._do("ip", "link", "add", "switch", "type", "bridge", "mcast_snooping", "0")
        self._do("ip", "link", "set", "switch", "up")

    def add(self, name: str, *, clock_ahead_s: int = 0) -> Node:
        """A further node, connected; in the place of the one of that name, which must have been killed."""
        self._made += 1
        node = Node(name, f"10.77.0.{self._made}", clock_ahead_s=clock_ahead_s)
        self.nodes[name] = node
        port = f"{name}{self._made}"
        link = ("link", "add", "eth0", "netns", str(node.pid), "type", "veth", "peer", "name", port)
        # By the machine's numbers of processes, which only the machine's own /proc knows.
        subprocess.run(
            ["nsenter", f"--target={self._switch.pid}", "--net", "ip", *link], check=True, capture_output=True
        )
        self._do("ip", "link", "set", port, "master", "switch", "up")
        node.run("ip", "address", "add", f"{node.address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            node.run("ip", "link", "set", device, "up")
        return node

    def cut(self, node: Node) -> None:
        """Take the node's link down on the far side: nothing arrives any more, and nobody is told."""
        self._do("ip", "link", "set", self._port(node), "nomaster")

    def mend(self, node: Node) -> None:
        """Take it up again."""
        self._do("ip", "link", "set", self._port(node), "master", "switch")

    def _port(self, node: Node) -> str:
        return f"{node.name}{node.address.rpartition('.')[2]}"

    def _do(self, *command: str) -> None:
        self._switch.run(*command)

    def close(self) -> None:
        """End all nodes."""
        for node in [*self.nodes.values(), self._switch]:
            node.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _children(pid: int) -> Sequence[int]:
    try:
        threads = os.listdir(f"/proc/{pid}/task")
        return [
            int(each)
            for thread in threads
            for each in Path(f"/proc/{pid}/task/{thread}/children").read_text().split()
        ]
    except OSError:
        return []


def _space(pid: int) -> str:
    """The name of its space of process numbers; empty for one that has ended."""
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return ""


def _command_line(pid: int) -> str:
    """Empty for one that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""
