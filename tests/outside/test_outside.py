"""What users rely on stays: names, commands, keys, metrics. The recorded files grow by addition.

A removal or a rename breaks somebody's program: it needs a page in docs/decisions.
"""

import re

import pytest

from tests.outside.checks import EXAMPLES, documented
from tests.outside.record import difference, subjects
from tests.outside.texts import RECORDED, recorded

SUBJECTS = subjects()
COMMAND = "python -m tests.outside.record"

pytestmark = pytest.mark.real_time


_UNTOLD = pytest.mark.pure_only("compiled classes do not tell their parameters")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=_UNTOLD if name == "python_names" else ()) for name in SUBJECTS]
)
def test_everything_recorded_is_still_there_and_what_is_new_is_recorded(name):
    """Line by line; a changed default is one that is gone."""
    missing, added = difference(name, SUBJECTS[name]())

    assert [] == missing, "\n".join(("Gone; a removal or a rename needs a page in docs/decisions:", *missing))
    assert [] == added, "\n".join((f"New, and to stay; run {COMMAND}:", *added))


def test_every_subject_has_its_file_and_every_file_its_subject():
    """None is left out, and none is empty."""
    assert sorted(SUBJECTS) == sorted(path.stem for path in RECORDED.glob("*.txt")), f"run {COMMAND}"
    assert all(recorded(name) for name in SUBJECTS)


def test_every_documented_configuration_has_a_copy():
    """It is checked for ever, whatever becomes of the page."""
    kept = {path.read_text() for path in EXAMPLES.glob("*.toml")}

    assert [] == [text for text in documented() if text not in kept], f"run {COMMAND}"


def test_every_metric_of_the_engine_is_documented_with_its_type():
    """The page of a running engine and the tables of the documentation name the same."""
    types = {line for line in SUBJECTS["metrics_documented"]() if re.fullmatch(r"engine_\w+ \w+", line)}

    assert types == {line for line in SUBJECTS["metrics_page"]() if line.startswith("engine_")}
