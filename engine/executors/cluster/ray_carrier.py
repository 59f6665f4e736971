"""Has Ray start the agents of a cluster, one on each of its nodes: by a process that talks to Ray."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import secrets
import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Final

from engine.core.cluster_config import RayConfig
from engine.errors import EngineError
from engine.executors.host_variables import host_variables

NOT_INSTALLED: Final = (
    "Ray is not installed: pip install 'invocation-engine[ray]', or start agents yourself with `engine agent`"
)

_DRIVER: Final = "engine.executors.cluster.ray_driver"
_READY_S: Final = 60.0
_CLOSE_S: Final = 8.0
_PAUSE_S: Final = 2.0
_LONGEST_PAUSE_S: Final = 60.0


class RayRefused(EngineError):
    """The cluster cannot be used, or is not: one sentence."""


class RayCarrier:
    """Keeps one agent on each node of a Ray cluster, also on those that come later."""

    def __init__(self, config: RayConfig, say: Callable[[str], object]) -> None:
        """`say` takes a line for whoever runs the engine."""
        self._config = config
        self._say = say
        self._owner = secrets.token_hex(8)
        self._order: dict[str, Any] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._wished = 0

    async def open(self, listener: tuple[str, int], secret: bytes) -> None:
        """Join the cluster and begin to place agents. `secret` is of ASCII characters.

        Raises:
            RayRefused: Ray is not installed, the cluster is not there, or asks nobody for a token.
        """
        if find_spec("ray") is None:
            raise RayRefused(NOT_INSTALLED)
        host, port = listener
        config = self._config
        self._order = {
            "address": config.address,
            "namespace": config.namespace or f"invocation-engine-{self._owner}",
            "owner": self._owner,
            "host": "" if _is_any(host) else host,
            "port": port,
            "secret": secret.decode("ascii"),
            "insecure": config.insecure,
            "autoscaler": config.autoscaler,
        }
        await self._start()
        self._keeper = asyncio.get_running_loop().create_task(self._keep())

    def wish(self, agents: int) -> None:
        """Say how many agents would be of use."""
        if agents != self._wished:
            self._wished = agents
            self._send({"wish": agents})

    async def close(self) -> None:
        """End the agents and what has placed them."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        if self._process is not None:
            await self._end(self._process, _CLOSE_S)

    def _send(self, message: dict[str, Any]) -> None:
        if (
            self._process is not None
            and self._process.stdin is not None
            and not self._process.stdin.is_closing()
        ):
            self._process.stdin.write(json.dumps(message).encode() + b"\n")

    async def _start(self) -> None:
        """Start the process and wait until it has joined the cluster, or says why it does not."""
        process = self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", _DRIVER, str(os.getpid())),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,  # Ray's own noise; what concerns people comes by stdout
            start_new_session=True,  # Ctrl-C is for the engine
            env=dict(host_variables()),
        )
        self._send(self._order)
        try:
            message = await asyncio.wait_for(self._read(process), _READY_S)
        except TimeoutError:
            message = {"ended": f"Ray has not answered for {_READY_S:.0f} s"}
        except BaseException:
            await self._end(process, 0)
            raise
        if message is None or "ended" in message:
            await self._end(process, 0)
            raise RayRefused((message or {}).get("ended", "the process that talks to Ray has ended"))
        if self._wished:
            self._send({"wish": self._wished})

    async def _read(self, process: asyncio.subprocess.Process) -> dict[str, Any] | None:
        """Its next message; None: it has ended."""
        assert process.stdout is not None
        line = await process.stdout.readline()
        message: dict[str, Any] | None = json.loads(line) if line.endswith(b"\n") else None
        return message

    async def _keep(self) -> None:
        """Pass on what the process says; start another when it ends, as it does when the cluster is lost."""
        while True:
            process = self._process
            assert process is not None
            why = ""
            while (message := await self._read(process)) is not None:
                if "ended" in message:
                    why = f" ({message['ended']})"
                else:
                    self._say(message["say"])
            await process.wait()
            self._say(f"the connection to Ray is lost{why}, and with it all agents: it is tried again")
            await self._again()

    async def _again(self) -> None:
        why, pause_s = "", _PAUSE_S
        while True:
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            try:
                await self._start()
            except RayRefused as refused:
                if str(refused) != why:
                    why = str(refused)
                    self._say(f"{why}; it is tried again")
            else:
                self._say("the connection to Ray is there again")
                return

    async def _end(self, process: asyncio.subprocess.Process, within_s: float) -> None:
        """Close its input, which ends it; after `within_s` seconds by force."""
        if process.stdin is not None:
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), within_s)
        except TimeoutError:
            if process.returncode is None:
                process.kill()
            await process.wait()


def _is_any(host: str) -> bool:
    """Whether a listener is on all addresses of the machine, so that its host says nothing to others."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False
