"""Texts that users read, and those that are recorded."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
RECORDED = Path(__file__).parent / "recorded"


def documentation() -> str:
    """README and all pages of docs, but for the decisions, which tell of the past."""
    pages = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
    return "\n".join(page.read_text() for page in pages if page.parent.name != "decisions")


def recorded(name: str) -> list[str]:
    """The lines of that file; none if there is no such file."""
    path = RECORDED / f"{name}.txt"
    return path.read_text().splitlines() if path.exists() else []
