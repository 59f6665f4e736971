"""The option `--event`: a file, stdin, JSON itself, or a sample of a source whose fields are set."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import orjson

from engine.cli.options import complain
from engine.runtime.clock import SystemClock
from engine.runtime.ids import request_ids
from engine.sources.samples.template import EventTemplate

F = TypeVar("F", bound=Callable[..., object])

Events = Callable[[], Any]
"""Gives the event of the next invocation."""

_INLINE: Final = re.compile(r'\s*([{["]|-?\d|(null|true|false)\s*$)')
"""How a text begins that is the event itself, if it is not the name of a file."""


def event_option(name: str, what: str, metavar: str = "FILE") -> Callable[[F], F]:
    """The option as the argument `name`; its help says that it is `what`."""
    return click.option(
        "--event",
        name,
        metavar=metavar,
        help=f"{what}: file, - (stdin), JSON, or SOURCE[:FIELD=VALUE,...] of engine events; default: {{}}",
    )


def events_of(text: str | None) -> Events:
    """What gives the events: of a source each with ids and a time of its own. Exits if it cannot be used."""
    template = None if text is None else template_of(text)
    if template is None:
        event = orjson.loads(payload_of(text))
        return lambda: event
    numbers, clock, salt = count(), SystemClock(), request_ids()()
    return lambda: template.event(next(numbers), clock.wall(), salt)


def template_of(text: str) -> EventTemplate | None:
    """The template that `text` names; None if it is something else. Exits if it cannot be used."""
    if text == "-" or _exists(text):
        return None
    try:
        return EventTemplate.named(text)
    except ValueError as error:
        complain([f"--event {error}"])


def payload_of(text: str | None) -> bytes:
    """The JSON of a file, of stdin or in place, as it is written. Exits if it is none."""
    if text is None:
        return b"{}"
    inline = _INLINE.match(text) is not None and not _exists(text)
    try:
        if inline:
            payload = os.fsencode(text)
        else:
            payload = sys.stdin.buffer.read() if text == "-" else Path(text).read_bytes()
        orjson.loads(payload)
    except OSError as error:
        complain([f"--event {text}: {error.strerror}"])
    except orjson.JSONDecodeError as error:
        complain([f"--event {text}: {'no such file, and ' if inline else ''}not JSON: {error}"])
    return payload


def _exists(text: str) -> bool:
    try:
        return os.path.exists(text)
    except ValueError:  # with a zero byte
        return False
