"""Kills an engine with a state folder at random moments under load, and looks for what it has lost.

    python -m tests.bench.durable_kills [KILLS] [SEED]

Exit code 1 if an acknowledged checkpoint is not in the history, or if a step ran again that was kept.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.durable.kills import kill_at_random


def main(kills: int = 50, seed: int = 1) -> int:
    """Print what was started, killed and found."""
    began_s = time.monotonic()
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        engine = kill_at_random(Path(folder), kills, seed)
        try:
            problems = engine.problems()
        finally:
            engine.stop()
        steps = engine.notes.read_text().count("acknowledged")
    print(f"{kills} kills, seed {seed}, {time.monotonic() - began_s:.0f} s", flush=True)
    print(f"{len(engine.accepted)} executions acknowledged, all succeeded; {steps} steps acknowledged")
    print(*problems or ("no acknowledged checkpoint lost, no kept step ran again",), sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
