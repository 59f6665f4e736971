"""Pages for those who change the code name files, classes and methods that exist."""

import ast
import re

import pytest

from tests.docs.pages import FENCE, ROOT

TRANSLATION = "0026-plain-words.md"
"""The table of names before and now: its left column does not exist."""

PAGES = [
    ROOT / "CONTRIBUTING.md",
    ROOT / "docs" / "architecture.md",
    *sorted(page for page in (ROOT / "docs" / "decisions").glob("*.md") if page.name != TRANSLATION),
]
CODE = re.compile(r"`([^`\n]+)`")
FILE = re.compile(r"(?:[\w.]+/)*[\w-]+\.py|(?:[\w.]+/)+")
METHOD = re.compile(r"([A-Z]\w+)\.([a-z_]\w*)")
FOLDERS = ("engine", "grafana", "loadtests", "tests", "tools")

NOT_OURS = {
    *("app.py", "config.py", "select.py", "json.py", "logging.py", "click/"),
    *("packages/", "objects/", "objects/blobs/"),
    "ThreadPoolExecutor.submit",
}
"""Files of handlers and of the first design; folders of a state folder; the standard library."""

EACH_PAGE = pytest.mark.parametrize(
    "page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES]
)


@pytest.fixture(scope="module")
def files():
    """The path of every Python file, below the root and below `engine`."""
    paths = [path.relative_to(ROOT) for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    return [f"/{path.as_posix()}" for path in paths]


@pytest.fixture(scope="module")
def members():
    """Class names to the names of what they define or set on `self`."""
    found = {}
    for path in (ROOT / "engine").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, set()).update(defined(node))
    return found


def defined(node):
    """Methods, annotated members and attributes of a class."""
    for part in ast.walk(node):
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
            yield part.name
        elif isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
            yield part.target.id
        elif isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store):
            yield part.attr


def named(page, pattern):
    """What `page` has between backticks, outside blocks, that looks like `pattern`."""
    return [
        found for span in CODE.findall(FENCE.sub("", page.read_text())) if (found := pattern.fullmatch(span))
    ]


@EACH_PAGE
def test_files_that_are_named_exist(page, files):
    """By a path from the root, from `engine/`, or by the end of one."""
    names = {found[0] for found in named(page, FILE)} - NOT_OURS

    assert [] == [
        name for name in names if not (any(f"/{name}" in path for path in files) or (ROOT / name).exists())
    ]


@EACH_PAGE
def test_methods_that_are_named_exist(page, members):
    """`Class.member`, of the engine's own classes."""
    missing = {found[0] for found in named(page, METHOD) if found[2] not in members.get(found[1], ())}

    assert set() == missing - NOT_OURS
