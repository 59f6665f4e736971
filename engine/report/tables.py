"""Rows of text as an HTML table, or as aligned columns for a terminal; the first row is the heading."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

Rows = Iterable[Sequence[str]]


def html_table(rows: Rows, *, text_columns: int = 1) -> str:
    """Return an HTML table; cells after the first `text_columns` are numbers, aligned to the right."""

    def cells(values: Sequence[str], tag: str) -> str:
        return "".join(
            f"<{tag}{' class=n' if column >= text_columns else ''}>{escape(value)}</{tag}>"
            for column, value in enumerate(values)
        )

    head, *body = rows
    lines = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in body)
    table = f"<table><thead><tr>{cells(head, 'th')}</tr></thead><tbody>{lines}</tbody></table>"
    return f"<div class='wide'>{table}</div>"


def text_table(rows: Rows, *, text_columns: int = 1) -> list[str]:
    """Return a line for each row, columns as wide as their widest cell; numbers are aligned to the right."""
    kept = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*kept, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if column < text_columns else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in kept
    ]
