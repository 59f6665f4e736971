"""How long `engine serve` takes until it is ready, by the number of functions.

    python -m tests.bench.start_many [COUNT]

Each function has an `http` event; their handlers are in one file, or each in its own.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HANDLER = "def handler(event, context):\n    return {'statusCode': 200, 'body': 'ok'}\n"


def configure(folder: Path, count: int, *, own: bool) -> Path:
    """An engine.toml of so many functions."""
    tables = []
    for number in range(count):
        module = f"app{number}" if own else "app"
        if own or number == 0:
            (folder / f"{module}.py").write_text(HANDLER)
        tables.append(
            f'[functions.f{number}]\nhandler = "{module}.handler"\n'
            f'[[functions.f{number}.events]]\ntype = "http"\nmethod = "GET"\npath = "/f{number}/{{id}}"\n'
        )
    file = folder / "engine.toml"
    file.write_text("\n".join(tables))
    return file


def seconds(file: Path) -> tuple[float, float]:
    """Wall and CPU seconds until the line with the addresses."""
    listeners = [part for name in ("http", "aws", "admin") for part in (f"--{name}", "127.0.0.1:0")]
    began_s = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "engine", "serve", "--config", str(file), *listeners],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        assert b"ready" in process.stdout.readline()
        wall_s = time.perf_counter() - began_s
        ticks = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        process.send_signal(signal.SIGTERM)
    return wall_s, sum(map(int, ticks)) / 100


def main(count: int) -> None:
    """Print a line for each way to lay them out."""
    for own in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            wall_s, cpu_s = seconds(configure(Path(folder), count, own=own))
        where = "a file each" if own else "one file"
        print(f"{count} functions, {where}: ready in {wall_s:.2f} s, {cpu_s:.2f} s of CPU")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 10_000)
