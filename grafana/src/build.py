"""Writes what is generated: `python -m grafana.src.build`, or `--check` to see whether it is up to date."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from grafana.src.board import Board
from grafana.src.classic import as_json
from grafana.src.cost import COST
from grafana.src.handlers import HANDLERS
from grafana.src.loadtest import LOADTEST
from grafana.src.rules import texts
from grafana.src.scaling import SCALING

ROOT: Final = Path(__file__).parents[1]
BOARDS: Final[tuple[Board, ...]] = (SCALING, HANDLERS, COST, LOADTEST)


def generated() -> dict[Path, str]:
    """Every generated file and its content."""
    dashboards = {ROOT / "dashboards" / f"{board.uid}.json": as_json(board) for board in BOARDS}
    rules = {ROOT / "prometheus" / "rules" / name: text for name, text in texts().items()}
    return dashboards | rules


def main(arguments: Sequence[str] | None = None) -> int:
    """Write all files, or say which differ."""
    parser = argparse.ArgumentParser(prog="python -m grafana.src.build", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is out of date")
    check = parser.parse_args(arguments).check
    stale = [
        path
        for path, text in generated().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path in stale:
        sys.stdout.write(f"{'out of date' if check else 'written'}: {path.relative_to(ROOT.parent)}\n")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(generated()[path], encoding="utf-8")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
