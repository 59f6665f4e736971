"""Sends connections to stubbed hosts to their stubs: copied as `sitecustomize.py` beside `redirect.json`.

Python imports it at its start, because the folder is on PYTHONPATH, in the engine and in every interpreter
of a handler's. So it needs the standard library alone. The table is by `host:port`: the address that stands
for the host, and the port of the stub on 127.0.0.1.

Names are resolved to an address of their own, by which a later connection is known: some clients resolve
first, and then connect to the address with the port that they had. Clients that do both in C (c-ares,
libcurl, awscrt, gRPC) are not reached.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import socket
import sys
from typing import Any

_STUBS = "127.0.0.1"


class Redirect:
    """The table, and the functions of `socket` and `uvloop` that look into it."""

    def __init__(self, table: dict[str, list[Any]]) -> None:
        self._places: dict[tuple[str, int], int] = {}
        self._addresses: dict[tuple[str, int], str] = {}
        for place, (address, stub_port) in table.items():
            host, _, port = place.rpartition(":")
            self._addresses[host, int(port)] = address
            self._places[host, int(port)] = self._places[address, int(port)] = stub_port

    def address(self, host: Any, port: Any) -> Any:
        """What stands for `host`; `host` itself if nothing does."""
        name = _name(host)
        if name is None:
            return host
        if port is None:  # any port: which one shows when it connects
            return next((one for (known, _), one in self._addresses.items() if known == name), host)
        try:
            return self._addresses.get((name, int(port)), host)
        except ValueError:
            known = {"http": 80, "https": 443}.get(port if isinstance(port, str) else "")
            return self._addresses.get((name, known or 0), host)

    def port(self, host: Any, port: Any) -> int | None:
        """The stub's port for a connection there; None if it is not redirected."""
        name = _name(host)
        return None if name is None or not isinstance(port, int) else self._places.get((name, port))

    def patch_socket(self) -> None:
        """For clients that use `socket`, with threads or on asyncio's own loop."""
        resolve, by_name = socket.getaddrinfo, socket.gethostbyname
        connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

        def getaddrinfo(host: Any, port: Any, *args: Any, **options: Any) -> Any:
            return resolve(self.address(host, port), port, *args, **options)

        def gethostbyname(host: Any) -> Any:
            return by_name(self.address(host, None))

        def target(address: Any) -> Any:
            if not isinstance(address, tuple) or len(address) < 2:
                return address
            port = self.port(address[0], address[1])
            return address if port is None else (_STUBS, port)

        socket.getaddrinfo = getaddrinfo
        socket.gethostbyname = gethostbyname
        socket.socket.connect = lambda self, address: connect(self, target(address))  # type: ignore[method-assign]
        socket.socket.connect_ex = lambda self, address: connect_ex(self, target(address))  # type: ignore[method-assign]

    def patch_uvloop(self, loop: Any) -> None:
        """For clients on uvloop, which resolves and connects in C."""
        resolve, connect = loop.getaddrinfo, loop.create_connection

        async def getaddrinfo(self_: Any, host: Any, port: Any, **options: Any) -> Any:
            return await resolve(self_, self.address(host, port), port, **options)

        async def create_connection(
            self_: Any, factory: Any, host: Any = None, port: Any = None, **options: Any
        ) -> Any:
            stub = self.port(host, port)
            if stub is not None:
                if options.get("ssl") and options.get("server_hostname") is None:
                    options["server_hostname"] = host
                host, port = _STUBS, stub
            return await connect(self_, factory, host, port, **options)

        loop.getaddrinfo, loop.create_connection = getaddrinfo, create_connection


class UvloopFinder:
    """Patches `uvloop` as soon as something imports it."""

    def __init__(self, redirect: Redirect) -> None:
        self._redirect = redirect

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """The module's own spec, whose loader patches when it has run."""
        if name != "uvloop":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def exec_module(module: Any) -> None:
                load(module)
                self._redirect.patch_uvloop(module.Loop)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _name(host: Any) -> str | None:
    if isinstance(host, (bytes, bytearray)):
        host = bytes(host).decode("latin-1")
    return host.lower().rstrip(".") if isinstance(host, str) else None


def _install() -> None:
    """Redirect; then go on with the `sitecustomize` that this one hides, and leave no trace on the path."""
    folder = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(folder, "redirect.json"), encoding="utf-8") as file:
        redirect = Redirect(json.load(file))
    redirect.patch_socket()
    sys.meta_path.insert(0, UvloopFinder(redirect))
    sys.path[:] = [path for path in sys.path if os.path.abspath(path) != folder]
    own = sys.modules.pop("sitecustomize")
    if importlib.util.find_spec("sitecustomize") is not None:
        importlib.import_module("sitecustomize")
    else:
        sys.modules["sitecustomize"] = own  # an import ends with its module there


if __name__ == "sitecustomize":
    _install()
