"""What is sent: events from the command line, from files, from folders of files, or samples of a source."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from engine.load.planning.plan import Mix
from engine.sources.samples.template import EventTemplate


def events_of(texts: Sequence[str], *, whole_files: bool = False) -> tuple[Mix, ...]:
    """Each text is a file, a folder, JSON itself or a sample of a source; all are sent equally often.

    Args:
        texts: None is the event `{}`.
        whole_files: Files are sent as they are, and need not hold JSON: they become objects of a bucket.

    Raises:
        ValueError: With what is wrong.
    """
    return tuple(mix for text in texts for mix in _of(text, whole_files=whole_files)) or (Mix(),)


def _of(text: str, *, whole_files: bool) -> Iterator[Mix]:
    path = Path(text)
    if not _exists(path):
        template = EventTemplate.named(text)
        if template is not None:
            yield Mix(source=template.source, fields=template.fields)
        else:
            yield Mix(event=_inline(text))
        return
    files = sorted(one for one in path.iterdir() if one.is_file()) if path.is_dir() else [path]
    if path.is_dir() and not whole_files:
        files = [one for one in files if one.suffix == ".json"]
    if not files:
        raise ValueError(f"{text}: a folder without {'a file' if whole_files else 'files *.json'}")
    for file in files:
        yield Mix(file=str(file.absolute())) if whole_files else Mix(event=_read(file))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long for a path, or with a zero byte
        return False


def _inline(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        if text.lstrip()[:1] in ("{", "[", '"'):
            raise ValueError(f"{text}: not JSON: {error}") from None
        raise ValueError(
            f"{text}: no such file or folder, and not JSON or a source of `engine events`"
        ) from None


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except OSError as error:
        raise ValueError(f"{file}: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{file}: not JSON: {error}") from None
