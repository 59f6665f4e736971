"""Writes engine/protocols/aws/models anew: AWS's own descriptions of the services the engine has.

    python tools/aws_models.py --botocore DIST    from another distribution: a wheel, or an unpacked folder
    python tools/aws_models.py                    from the version of botocore that is named below, by pip

Services that once spoke the Query protocol keep what the last version with it knows: the names of members in
forms and XML as `queryName`, and the codes and statuses of errors as `error`.

A model keeps the names and the structure of botocore's `service-2.json`; what explains to people is left out,
and of a service that is served in part the operations that are not. One operation or shape a line, sorted,
so that a difference between two versions can be read.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

BOTOCORE = "1.44.8"
FOLDER = Path(__file__).parents[1] / "engine" / "protocols" / "aws" / "models"
SERVICES = {
    "events": "events/2015-10-07",
    "lambda": "lambda/2015-03-31",
    "logs": "logs/2014-03-28",
    "s3": "s3/2006-03-01",
    "sns": "sns/2010-03-31",
    "sqs": "sqs/2012-11-05",
}
"""Name of a model's file to its place in botocore's data."""
QUERY_BOTOCORE = "1.29.165"
"""The last version whose description of SQS is that of the Query protocol."""
QUERY_SERVICES = ("sqs",)
QUERY_TODAY = ("sns",)
"""Services that speak the Query protocol, and no other."""
QUERY_NAMES = {"MessageSystemAttributeList": "MessageSystemAttributeName"}
"""Of members of lists that are younger than that version (SQS API reference, "ReceiveMessage")."""
PARTS: Mapping[str, frozenset[str]] = {
    "logs": frozenset(
        {
            "CreateLogGroup",
            "CreateLogStream",
            "DeleteLogGroup",
            "DeleteLogStream",
            "DeleteRetentionPolicy",
            "DeleteSubscriptionFilter",
            "DescribeLogGroups",
            "DescribeLogStreams",
            "DescribeSubscriptionFilters",
            "FilterLogEvents",
            "GetLogEvents",
            "ListLogGroups",
            "ListTagsForResource",
            "ListTagsLogGroup",
            "PutLogEvents",
            "PutLogGroupDeletionProtection",
            "PutRetentionPolicy",
            "PutSubscriptionFilter",
            "TagLogGroup",
            "TagResource",
            "UntagLogGroup",
            "UntagResource",
        }
    )
}
"""Of services that are served in part, the operations whose description is kept."""

_FOR_PEOPLE = frozenset({"documentation", "documentationUrl", "examples"})
_LEFT_OUT = frozenset(
    {"auth", "authtype", "clientContextParams", "staticContextParams", "contextParam", "uid"}
)
"""Of operations, members and metadata: what only clients need to choose hosts and to sign."""

Document = dict[str, Any]


def compiled(model: Document, kept: frozenset[str] | None = None) -> Document:
    """What the engine keeps of a `service-2.json`; of `kept` operations alone, if given."""
    operations = {
        name: _trimmed(operation)
        for name, operation in sorted(model["operations"].items())
        if kept is None or name in kept
    }
    shapes = {name: _shape(shape) for name, shape in model["shapes"].items()}
    reached = sorted(_reached(operations, shapes))
    return {
        "metadata": _trimmed(model["metadata"]),
        "operations": operations,
        "shapes": {name: shapes[name] for name in reached},
    }


def with_query(model: Document, older: Document) -> Document:
    """`model`, compiled, with what `older` says of the Query protocol."""
    shapes = {}
    for name, shape in model["shapes"].items():
        before = older["shapes"].get(name, {})
        shapes[name] = shape = dict(shape)
        if "error" in before:
            shape["error"] = before["error"]
        if "members" in shape:
            members = before.get("members", {})
            shape["members"] = {
                key: _named_in_query(member, members.get(key, {}), older["shapes"])
                for key, member in shape["members"].items()
            }
        for part in {"member", "key", "value"} & shape.keys():
            shape[part] = _named_in_query(shape[part], before.get(part, {}), older["shapes"])
        if name in QUERY_NAMES:
            shape["member"] = {**shape["member"], "queryName": QUERY_NAMES[name]}
    metadata = {**model["metadata"], "xmlNamespace": older["metadata"]["xmlNamespace"]}
    return {**model, "metadata": metadata, "shapes": shapes}


def _named_in_query(reference: Document, before: Document, shapes: Document) -> Document:
    """A name stands at the reference, or at the shape that it is of."""
    name = before.get("locationName") or shapes.get(before.get("shape"), {}).get("locationName")
    return {**reference, "queryName": name} if name else reference


def _shape(shape: Document) -> Document:
    trimmed = _trimmed(shape)
    if "members" in shape:
        trimmed["members"] = {name: _trimmed(member) for name, member in shape["members"].items()}
    return trimmed


def _trimmed(node: Document) -> Document:
    """Keys that mean nothing to a service are dropped; below `members` and the like, names are not keys."""
    return {name: value for name, value in node.items() if name not in _FOR_PEOPLE | _LEFT_OUT}


def _reached(operations: Document, shapes: Document) -> set[str]:
    waiting = list(_named(list(operations.values())))
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _named(shapes[name])
    return found


def _named(node: Any) -> Iterator[str]:
    """The shapes that a description refers to."""
    if isinstance(node, Mapping):
        if isinstance(node.get("shape"), str):
            yield node["shape"]
        for value in node.values():
            yield from _named(value)
    elif isinstance(node, list):
        for value in node:
            yield from _named(value)


def text_of(model: Document) -> str:
    """The model's file."""
    lines = ["{", f' "metadata": {_compact(model["metadata"])},']
    for part in ("operations", "shapes"):
        rows = [f"  {json.dumps(name)}: {_compact(node)}" for name, node in model[part].items()]
        lines += [f' "{part}": {{', ",\n".join(rows), " }" + ("," if part == "operations" else "")]
    return "\n".join([*lines, "}", ""])


def _compact(node: Any) -> str:
    return json.dumps(node, separators=(",", ":"), ensure_ascii=False)


def read(data: zipfile.Path | Path, place: str) -> Document:
    """One service's description in botocore's data folder; old versions did not pack it."""
    packed, plain = (data / place / f"service-2.json{end}" for end in (".gz", ""))
    content = gzip.decompress(packed.read_bytes()) if packed.exists() else plain.read_bytes()
    document: Document = json.loads(content)
    return document


def data_of(distribution: Path) -> zipfile.Path | Path:
    """Where botocore's data lies in a wheel, or in a folder that holds the package."""
    if distribution.is_file():
        return zipfile.Path(distribution) / "botocore" / "data"
    return distribution / "botocore" / "data"


def downloaded(folder: Path, version: str = BOTOCORE) -> Path:
    """The wheel of that version."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
    subprocess.run([*command, f"botocore=={version}"], check=True, stdout=subprocess.DEVNULL)
    (wheel,) = folder.glob(f"botocore-{version}-*.whl")
    return wheel


def files(distribution: Path, older: Path) -> dict[str, str]:
    """Each file of the models folder by its name, made from `distribution`, and one of `QUERY_BOTOCORE`."""
    found = {}
    for name, place in SERVICES.items():
        model = compiled(read(data_of(distribution), place), PARTS.get(name))
        if name in QUERY_SERVICES + QUERY_TODAY:
            described_by = distribution if name in QUERY_TODAY else older
            model = with_query(model, read(data_of(described_by), place))
        found[f"{name}.json"] = text_of(model)
    return found


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--botocore", type=Path, metavar="DIST", help="a wheel, or an unpacked folder")
    given = parser.parse_args().botocore
    with tempfile.TemporaryDirectory() as name_of_folder:
        folder = Path(name_of_folder)
        older = downloaded(folder, QUERY_BOTOCORE)
        for name, text in files(given or downloaded(folder), older).items():
            (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
