"""Payloads and results of megabytes, read and written in steps: between two of them other threads can run.

One call that reads or writes 6 MB of small objects keeps the interpreter for 0.1 to 0.4 s. Only executors
that share the event loop's interpreter need this.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from engine.core.event import Event
from engine.core.fast_json import BUILT_IN_ONLY
from engine.core.json_document import NotJson
from engine.core.json_pieces import Steps, loads_in_pieces
from engine.executors.marshal import Encoded, decode, encode, encode_plain

_PIECE_BYTES: Final = 65_536


def read_document(event: Event) -> Steps[None]:
    """Read the payload of `event` into its document.

    Raises:
        UnmarshalError: It is not JSON.
    """
    try:
        event.document = yield from loads_in_pieces(event.payload)
    except NotJson:
        event.document = decode(event.payload)  # which says why, in the words of AWS's client


def encode_in_pieces(result: Any) -> Steps[Encoded]:
    """Encode a result that `encode_up_to` found too large; the same bytes.

    Other code runs between the steps and may change the result. So it is compared at the end with what it was
    at the beginning, and encoded at once if it has changed.

    Raises:
        MarshalError: As `encode` does.
    """
    yield
    try:
        before = orjson.dumps(result, None, BUILT_IN_ONLY)
        texts: list[str] = []
        yield from _encode_container(result, texts)
        body = "".join(texts).encode()
        yield
        if orjson.dumps(result, None, BUILT_IN_ONLY) == before:
            return body, False
    except (TypeError, ValueError):
        pass  # something that is not built in has come into it
    return encode(result)


def _encode_container(container: Any, texts: list[str]) -> Steps[None]:
    """Append the text of a list, tuple or dict; anything else is one piece."""
    if not isinstance(container, (dict, list, tuple)):
        texts.append(encode_plain(container))
        return
    is_dict = isinstance(container, dict)
    elements: list[Any] = list(container.items() if isinstance(container, dict) else container)
    texts.append("{" if is_dict else "[")
    start, count = 0, 1
    while start < len(elements):
        some: Any = elements[start : start + count]
        size = len(orjson.dumps(dict(some) if is_dict else some, None, BUILT_IN_ONLY))
        if size <= _PIECE_BYTES or count == 1:
            if start:
                texts.append(", ")
            if size <= _PIECE_BYTES:
                texts.append(encode_plain(dict(some) if is_dict else some)[1:-1])
            else:
                element = some[0]
                if is_dict:
                    name, element = element
                    texts.append(f"{encode_plain(name)}: ")
                yield from _encode_container(element, texts)
            start += count
        count = count * 2 if size <= _PIECE_BYTES // 2 else max(1, count // 2)
        yield
    texts.append("}" if is_dict else "]")
