"""From a handler's result to an HTTP answer: the parts all formats share.

Everything that reads a handler's result raises ValueError for what cannot be sent; the formats turn that
into their front door's answer to a malformed response.
"""

from __future__ import annotations

import json
from binascii import a2b_base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from engine.core.json_document import NotJson
from engine.core.json_pieces import Steps, loads_in_pieces
from engine.protocols.http.server import SERVER_HEADERS, header_block

Answer = tuple[int, bytes, bytes]
"""Status, header lines each ending in CRLF, body."""

SERVER_OWNED: Final = SERVER_HEADERS | {"te", "trailer", "x-amzn-requestid"}
"""Handler headers that are dropped: the server frames and dates the answer itself, and names the request."""

NO_STATUS: Final = "it is no object with a statusCode"
JSON_TYPE: Final = "application/json"
_MAX_HEADS: Final = 256
_MAX_HEAD_BYTES: Final = 1024
_DIGITS: Final = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER: Final = b"0" * 19  # may not fit the 64 bits orjson reads exactly


def parse(body: bytes) -> Any:
    """The result as a JSON value. NaN and infinities, which Python handlers can emit, are let through."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    return _slow_loads(body)


def parse_in_pieces(body: bytes) -> Steps[Any]:
    """The same as `parse`, in steps. Raises ValueError."""
    try:
        return (yield from loads_in_pieces(body))
    except NotJson:
        return parse(body)  # it may hold NaN


def compact(value: Any) -> bytes:
    """`value` as JSON without spaces; falls back to `json` for what orjson refuses (depth, surrogates)."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return _slow_dumps(value)


def _slow_loads(body: bytes) -> Any:
    try:
        return json.loads(body.decode())
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _slow_dumps(value: Any) -> bytes:
    try:
        return json.dumps(value, separators=(",", ":")).encode()
    except RecursionError:
        raise ValueError("nested too deeply") from None


def plain_body(value: Any, source: bytes) -> bytes:
    """The body of a result that is no response object: a string unquoted, anything else compact JSON.

    `source` is the text `value` was read from: integers beyond 64 bits are read again, exactly, and so
    is what orjson cannot read (it would write NaN as null).
    """
    if type(value) is str:
        return text_bytes(value)
    if _LONG_NUMBER in source.translate(_DIGITS) or b"NaN" in source or b"Infinity" in source:
        return _slow_dumps(_slow_loads(source))
    return compact(value)


def text_bytes(text: str) -> bytes:
    """UTF-8; a lone surrogate, which has none, becomes `?`."""
    return text.encode("utf-8", "replace")


def base64_bytes(text: str) -> bytes:
    """Strict base64: padding is required, nothing else may stand in it. Raises ValueError."""
    return a2b_base64(text, strict_mode=True)


def is_encoded(result: Mapping[str, Any]) -> bool:
    """`isBase64Encoded`, which must be a boolean, null or absent."""
    flag = result.get("isBase64Encoded")
    if flag is None or flag is False:
        return False
    if flag is True:
        return True
    raise ValueError("isBase64Encoded is not a boolean")


def http_status(value: Any) -> int:
    """`statusCode` as an integer or as text of three digits (`"201"`), 200 to 599.

    100 to 199 are refused although AWS's models allow them: they are not final answers, and an
    HTTP/1.1 client would wait for another one.
    """
    if type(value) is str and len(value) == 3 and value.isascii() and value.isdecimal():
        value = int(value)
    if type(value) is int and 200 <= value <= 599:
        return value
    raise ValueError("statusCode is not a status")


def header_text(value: Any) -> str:
    """One header value: text as it is, numbers and booleans as JSON writes them."""
    if type(value) is str:
        return value
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) in (int, float):
        return json.dumps(value)
    raise ValueError("a header value is not a string")


def header_map(headers: Any) -> dict[str, Any]:
    """A result's header object; null and absent are empty."""
    if headers is None:
        return {}
    if type(headers) is not dict:
        raise ValueError("headers is not an object")
    return headers


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadRules:
    """What a front door does to a handler's headers. Names are in lower case.

    Attributes:
        left_out: Which are not sent.
        remapped: Which are sent as `x-amzn-Remapped-<name>`.
    """

    left_out: frozenset[str] = frozenset()
    remapped: frozenset[str] = frozenset()


NO_RULES: Final = HeadRules()


class ResponseHeads:
    """Renders handler headers, with the front door's default content type; remembers the last few.

    Most handlers answer with the same headers every time. Only headers whose values are all text are
    remembered (1 and True would be the same key), and only short ones.
    """

    __slots__ = ("_default", "_known", "_left_out", "_remapped")

    def __init__(self, content_type: str = JSON_TYPE, rules: HeadRules = NO_RULES) -> None:
        self._default = ("content-type", content_type)
        self._left_out = SERVER_OWNED | rules.left_out
        self._remapped = rules.remapped
        self._known: dict[tuple[tuple[str, Any], ...], bytes] = {}

    def render(self, headers: Any) -> bytes:
        """Header lines of an object name -> value; null values are left out. Raises ValueError."""
        if headers is None:
            headers = {}
        elif type(headers) is not dict:
            raise ValueError("headers is not an object")
        key = tuple(headers.items())
        try:
            known = self._known.get(key)
        except TypeError:
            known = None  # a list among the values: `header_text` refuses it
        if known is not None:
            return known
        head = self.lines((name, header_text(value)) for name, value in key if value is not None)
        if len(head) <= _MAX_HEAD_BYTES and all(type(value) is str for value in headers.values()):
            if len(self._known) >= _MAX_HEADS:
                self._known.clear()
            self._known[key] = head
        return head

    def lines(self, pairs: Iterable[tuple[str, str]]) -> bytes:
        """Header lines in the given order, by the rules, without those the server owns. Raises ValueError."""
        kept = []
        typed = False
        for name, value in pairs:
            lower = name.lower()
            if lower in self._remapped:
                kept.append((f"x-amzn-Remapped-{name}", value))
                continue
            if lower in self._left_out:
                continue
            typed = typed or lower == "content-type"
            kept.append((name, value))
        if not typed:
            kept.append(self._default)
        return header_block(kept)


def merged_headers(multi: dict[str, Any], single: dict[str, Any]) -> list[tuple[str, str]]:
    """Header lines as a REST API has them: multi-value ones first, a pair in both once. Raises ValueError."""
    pairs = []
    for name, values in multi.items():
        if type(values) is not list:
            raise ValueError("a multiValueHeaders value is not a list")
        pairs += [(name, header_text(value)) for value in values if value is not None]
    sent = {(name.lower(), value) for name, value in pairs}
    for name, value in single.items():
        if value is not None:
            text = header_text(value)
            if (name.lower(), text) not in sent:
                pairs.append((name, text))
    return pairs


def set_cookies(cookies: Any) -> bytes:
    """A header line for each of the cookies in a result. Raises ValueError."""
    if type(cookies) is not list or any(type(cookie) is not str for cookie in cookies):
        raise ValueError("cookies is not a list of strings")
    return header_block(("set-cookie", cookie) for cookie in cookies)


def identified(head: bytes, request_id: str) -> bytes:
    """`head` with the header every answer has: the invocation's request id."""
    return b"%bx-amzn-requestid: %b\r\n" % (head, request_id.encode())
