"""Files of the state folder that say how far each stream mapping is.

    <folder>/<uuid>.json         of a mapping that was made over the Lambda API
    <folder>/<32 digits>.json    of one of the configuration: a hash of its name

A file is one JSON object: the format, the mapping's name, what tells the stream from others of its name, and
a checkpoint for each shard. It is replaced whole. Everything here blocks.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from engine.core.streams.records import (
    PositionType,
    ShardCheckpoint,
    checkpoint_document,
    checkpoint_of,
)
from engine.errors import EngineError
from engine.packages import private_files

MAX_FILE_BYTES: Final = 64 << 20
"""A larger file is neither written nor read. Only states of tumbling windows can make one: 1 MB a shard."""
_FORMAT: Final = 1
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_FILE: Final = re.compile(rf"({_UUID.pattern}|[0-9a-f]{{32}})\.json(\.new)?", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]{1,200}", re.ASCII)
_BY_NUMBER: Final = (PositionType.AT_SEQUENCE_NUMBER, PositionType.AFTER_SEQUENCE_NUMBER)


class CheckpointsUnusable(EngineError):
    """A file of checkpoints is damaged, or cannot be read or written; `path` and `reason` say it."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class StreamCheckpoints(NamedTuple):
    """How far a mapping is.

    Attributes:
        stream: What tells its stream from another one of the same name: `StreamClient.identity`.
        shards: Of each shard.
    """

    stream: str
    shards: tuple[ShardCheckpoint, ...]


class CheckpointFiles:
    """The files of one folder, each found by the name of its mapping: a UUID, or any other text."""

    def __init__(self, folder: Path) -> None:
        """Nothing is read or made yet."""
        self._folder = folder

    def path(self, mapping: str) -> Path:
        """Where the checkpoints of a mapping are."""
        is_uuid = _UUID.fullmatch(mapping) is not None
        stem = mapping if is_uuid else hashlib.sha256(mapping.encode()).hexdigest()[:32]
        return self._folder / f"{stem}.json"

    def load(self, mapping: str) -> StreamCheckpoints | None:
        """What was saved last; None if nothing was.

        Raises:
            CheckpointsUnusable: The file cannot be read, or is not what `save` wrote.
        """
        path = self.path(mapping)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as file:
                text = file.read(MAX_FILE_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CheckpointsUnusable(str(path), f"cannot be read: {error.strerror}") from None
        try:
            if len(text) > MAX_FILE_BYTES:
                raise ValueError(f"is larger than {MAX_FILE_BYTES} bytes")
            return _read(text, mapping)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            reason = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
            raise CheckpointsUnusable(str(path), f"is damaged: {reason}") from None

    def save(self, mapping: str, kept: StreamCheckpoints) -> None:
        """Replace the file: a crash leaves the old one or the new one.

        Raises:
            CheckpointsUnusable: The disk is full, say, or there is too much to keep.
        """
        path = self.path(mapping)
        text = orjson.dumps(
            {
                "format": _FORMAT,
                "mapping": mapping,
                "stream": kept.stream,
                "shards": list(map(checkpoint_document, kept.shards)),
            }
        )
        if len(text) > MAX_FILE_BYTES:
            raise CheckpointsUnusable(str(path), f"would be larger than {MAX_FILE_BYTES} bytes")
        try:
            private_files.make_folder(self._folder)
            private_files.replace(path, text)
        except OSError as error:
            raise CheckpointsUnusable(str(path), f"cannot be written: {error.strerror}") from None

    def remove(self, mapping: str) -> None:
        """Remove the file of a mapping that is deleted. Never raises: the next start removes what is left."""
        with suppress(OSError):
            self.path(mapping).unlink(missing_ok=True)

    def sweep(self, mappings: Iterable[str]) -> None:
        """Remove all files but those of `mappings`; what has another kind of name stays. Never raises."""
        needed = {self.path(mapping).name for mapping in mappings}
        with suppress(OSError), os.scandir(self._folder) as entries:
            for entry in entries:
                if (
                    entry.name not in needed
                    and _FILE.fullmatch(entry.name)
                    and entry.is_file(follow_symlinks=False)
                ):
                    with suppress(OSError):
                        os.unlink(entry.path)


def _read(text: bytes, mapping: str) -> StreamCheckpoints:
    """Raises ValueError, KeyError, TypeError or AttributeError if it is not what `save` wrote."""
    document = orjson.loads(text)
    if document["format"] != _FORMAT:
        raise ValueError(f"it has format {document['format']!r}; this engine reads format {_FORMAT}")
    if document["mapping"] != mapping:
        raise ValueError(f"it is of {document['mapping']!r}")
    stream = document["stream"]
    if not isinstance(stream, str):
        raise TypeError("stream")
    return StreamCheckpoints(stream, tuple(map(_checkpoint, document["shards"])))


def _checkpoint(document: Mapping[str, Any]) -> ShardCheckpoint:
    """The checkpoint, its members of their types and fitting together."""
    made = checkpoint_of(document)
    shard_id: Any = made.shard_id  # these are whatever the file has
    finished: Any = made.finished
    type_, number, timestamp_s = made.position
    is_number = isinstance(number, str) and _NUMBER.fullmatch(number) is not None
    is_time = isinstance(timestamp_s, int | float) and not isinstance(timestamp_s, bool)
    fits = (
        isinstance(shard_id, str)
        and isinstance(finished, bool)
        and (is_number if type_ in _BY_NUMBER else number is None)
        and (is_time if type_ is PositionType.AT_TIMESTAMP else timestamp_s is None)
        and min(made.subshards, default=0) >= 0
        and all(each and min(each) >= 0 for each in made.others)
        and (made.window is None or _is_window(*made.window))
    )
    if not fits:
        raise ValueError(f"shard {made.shard_id!r} has members that do not fit together")
    return made


def _is_window(start_s: Any, state: Any) -> bool:
    return isinstance(start_s, int) and not isinstance(start_s, bool) and isinstance(state, str)
