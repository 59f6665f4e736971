"""Pages can be read in a narrow window: short lines, and table cells of a sentence or two."""

import re

import pytest

from tests.docs.pages import FENCE, PAGES, ROOT

LINE = 100
"""Characters. Rows of tables cannot be broken, so only their cells are limited."""

CELL = 25
"""Words; code between backticks is one."""

ADDRESS = re.compile(r"\]\([^)]*\)|<?https?://\S+")
CODE = re.compile(r"`[^`]*`")
NAMES = re.compile(r"[\w.]+(?:, [\w.]+)*")

EACH_PAGE = pytest.mark.parametrize(
    "page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES]
)


def lines_outside_code(page):
    """Each line with its number, fenced blocks left out."""
    text = FENCE.sub(lambda found: "\n" * found[0].count("\n"), page.read_text())
    return enumerate(text.splitlines(), start=1)


@EACH_PAGE
def test_lines_are_short(page):
    """Addresses of links are not counted: they cannot be broken, and are not read."""
    long = [
        number
        for number, line in lines_outside_code(page)
        if not line.startswith("|") and len(ADDRESS.sub("", line)) > LINE
    ]

    assert [] == long


@EACH_PAGE
def test_cells_of_tables_are_short(page):
    """What takes more words is prose below the table, or two rows. Lists of label values are not words."""
    long = [
        (number, cell.strip())
        for number, line in lines_outside_code(page)
        if line.startswith("|")
        for cell in CODE.sub("code", line).strip("|").split("|")
        if len(cell.split()) > CELL and not NAMES.fullmatch(cell.strip())
    ]

    assert [] == long
