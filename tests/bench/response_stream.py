"""What streamed responses take: the time to the first byte while many are open, and memory.

- 500 function URLs' streams are open, each of which writes a line a second; meanwhile requests for another
  function, one after the other: from a request to the first byte of its body, as a client sees it. The
  engine runs on one core; handlers run on its loop.
- A runtime writes 100 MB by the Runtime API, and a client reads them slowly at first: by how much the
  resident memory of the engine's process grows, at most.

Run: `python tests/bench/response_stream.py [--probes N]`; prints one JSON object. Exit code 1 if a bound is
missed. The figures are of this machine, with all that runs on it beside.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

FIRST_BYTE_MS: Final = 3.0
HELD_MB: Final = 2.0
OPEN: Final = 500
MB: Final = 1 << 20
HERE: Final = Path(__file__).parent
RUNTIME: Final = HERE.parent / "executors/runtime_api/streaming"
CONFIG: Final = f"""
[functions.ticking]
handler = "stream_handlers.ticking"
code = "{HERE}"
executor = "loop"
streaming = "generator"
timeout_s = 900

[functions.once]
handler = "stream_handlers.once"
code = "{HERE}"
executor = "loop"
streaming = "generator"

[functions.flow]
handler = "any.handler"
code = "{RUNTIME}"
executor = "runtime"
timeout_s = 120
""" + "".join(
    f"""
[[functions.{name}.events]]
type = "http"
path = "/{name}"
response_stream = true
"""
    for name in ("ticking", "once", "flow")
)


@contextmanager
def served(core: int | None) -> Iterator[tuple[str, int, int]]:
    """An engine: its host, the port for HTTP events, and its process."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "engine.toml")
        config.write_text(CONFIG)
        command = [sys.executable, "-m", "engine", "serve", "--config", str(config), "--log-format", "off"]
        command += [part for name in ("http", "aws", "admin") for part in (f"--{name}", "127.0.0.1:0")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        try:
            if core is not None:
                os.sched_setaffinity(process.pid, {core})
            assert process.stdout is not None
            host, _, port = json.loads(process.stdout.readline())["http"].rpartition("/")[2].partition(":")
            yield host, int(port), process.pid
        finally:
            process.terminate()
            process.wait()


class Client:
    """One connection, kept."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, host: str, port: int) -> Client:
        return cls(*await asyncio.open_connection(host, port, limit=MB))

    def ask(self, name: str, body: bytes = b"{}") -> None:
        head = f"POST /{name} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        self.writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)

    async def first_byte(self) -> None:
        head = await self.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        await self.reader.readuntil(b"\r\n")
        await self.reader.readexactly(1)

    async def rest(self) -> None:
        await self.reader.readuntil(b"0\r\n\r\n")


async def keep_reading(client: Client) -> None:
    """As a client does that wants all of it."""
    with suppress(ConnectionError):
        while await client.reader.read(MB):
            pass


async def first_bytes(host: str, port: int, probes: int) -> dict[str, Any]:
    """With `OPEN` streams open."""
    readers = []
    for _ in range(OPEN):
        client = await Client.open(host, port)
        client.ask("ticking")
        await client.first_byte()
        readers.append(asyncio.ensure_future(keep_reading(client)))
    probe = await Client.open(host, port)
    took_ms = []
    for number in range(probes + 10):
        began_s = time.perf_counter()
        probe.ask("once")
        await probe.first_byte()
        if number >= 10:
            took_ms.append((time.perf_counter() - began_s) * 1000)
        await probe.rest()
        await asyncio.sleep(0.01)  # so that probes fall anywhere between the lines of the others
    still_open = sum(not reader.done() for reader in readers)
    for reader in readers:
        reader.cancel()
    took_ms.sort()
    return {
        "open_streams": still_open,
        "probes": probes,
        "first_byte_p50_ms": round(took_ms[len(took_ms) // 2], 3),
        "first_byte_p99_ms": round(took_ms[int(len(took_ms) * 0.99)], 3),
    }


def resident_kb(process: int, key: str) -> int:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


async def read_all(host: str, port: int, size_mb: int, pause_s: float) -> float:
    """Read a stream of that size, with a pause after its first byte and some in between; MB a second."""
    client = await Client.open(host, port)
    client.ask("flow", json.dumps({"steps": [["bytes", size_mb * MB]]}).encode())
    await client.first_byte()
    await asyncio.sleep(pause_s)
    began_s, got, paused_mb, tail = time.perf_counter(), 0, 0, b""
    while not tail.endswith(b"\r\n0\r\n\r\n"):
        data = await client.reader.read(MB)
        assert data, "the response was cut"
        got, tail = got + len(data), (tail + data)[-7:]
        if got // MB > paused_mb and got < 10 * MB:
            paused_mb = got // MB
            await asyncio.sleep(pause_s / 10)
    client.writer.close()
    return size_mb / (time.perf_counter() - began_s)


async def memory(host: str, port: int, process: int) -> dict[str, Any]:
    """Of the engine, while 100 MB pass through it."""
    await read_all(host, port, 1, 0.0)  # what is allocated once is not what is asked for
    Path(f"/proc/{process}/clear_refs").write_text("5")  # the peak is what is resident now
    before_kb = resident_kb(process, "VmRSS")
    per_s = await read_all(host, port, 100, 0.5)
    held_mb = max(0, resident_kb(process, "VmHWM") - before_kb) / 1024
    return {"stream_mb": 100, "held_mb": round(held_mb, 2), "mb_per_s": round(per_s)}


async def measure(probes: int, host: str, port: int, process: int) -> dict[str, Any]:
    held = await memory(host, port, process)
    return {**await first_bytes(host, port, probes), **held}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--probes", type=int, default=300)
    probes = parser.parse_args().probes
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(0, set(cores[1:]))
    with served(cores[0]) as (host, port, process):
        report = asyncio.run(measure(probes, host, port, process))
    missed = [
        name
        for name, value, bound in (
            ("first_byte_p50_ms", report["first_byte_p50_ms"], FIRST_BYTE_MS),
            ("held_mb", report["held_mb"], HELD_MB),
            ("open_streams", OPEN - report["open_streams"], 0),
        )
        if value > bound
    ]
    report |= {"at_most": {"first_byte_p50_ms": FIRST_BYTE_MS, "held_mb": HELD_MB}, "missed": missed}
    print(json.dumps(report, indent=2))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
