"""`python -m tests.outside.record`: add to the recorded files what is new outside.

What is recorded and no longer there is printed, and its file left alone; exit code 1. A removal or a rename
needs a page in docs/decisions, and then `--removed`.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import NamedTuple

from tests.outside.bench_keys import bench_keys
from tests.outside.checks import EXAMPLES, checked, documented, examples
from tests.outside.command_line import command_line
from tests.outside.configuration_keys import configuration_keys
from tests.outside.python_names import python_names, registered_names
from tests.outside.served import SHOWN, documented_metrics, served
from tests.outside.texts import RECORDED, recorded


class Difference(NamedTuple):
    """Lines of one file."""

    missing: list[str]
    added: list[str]


def subjects() -> dict[str, Callable[[], list[str]]]:
    """By the names of the recorded files: what finds the lines that are true now."""
    return {
        "bench_keys": bench_keys,
        "command_line": command_line,
        "configuration_keys": configuration_keys,
        "metrics_documented": documented_metrics,
        "python_names": python_names,
        "registered_names": registered_names,
        **{name: partial(checked, path) for name, path in examples().items()},
        **{name: partial(served, name) for name in SHOWN},
    }


def difference(name: str, now: list[str]) -> Difference:
    """What the file has and `now` has not, and the other way round."""
    before = recorded(name)
    return Difference(sorted({*before} - {*now}), sorted({*now} - {*before}))


def keep_new_examples() -> None:
    """Copy the engine.toml examples of the documentation that have no copy yet, named by their function."""
    kept = {path.read_text() for path in EXAMPLES.glob("*.toml")}
    for text in dict.fromkeys(documented()):
        if text not in kept:
            name = next(iter(tomllib.loads(text)["functions"]))
            numbered = (f"{name}{number or ''}.toml" for number in count())
            free = next(file for file in numbered if not (EXAMPLES / file).exists())
            (EXAMPLES / free).write_text(text)


def main() -> int:
    """Write the files anew."""
    parser = argparse.ArgumentParser(prog="python -m tests.outside.record", description=__doc__)
    parser.add_argument("--removed", action="store_true", help="forget what is no longer there")
    removed: bool = parser.parse_args().removed
    keep_new_examples()
    gone = False
    for name, find in subjects().items():
        now = find()
        missing, added = difference(name, now)
        print(f"{name}: {len(now)} lines, {len(added)} new, {len(missing)} missing")
        for line in missing:
            print(f"  missing: {line}")
        if missing and not removed:
            gone = True
        elif missing or added:
            (RECORDED / f"{name}.txt").write_text("".join(f"{line}\n" for line in now))
    return 1 if gone else 0


if __name__ == "__main__":
    sys.exit(main())
