"""The body of an invocation: its size, its document, and what AWS says when it is not JSON.

Source: Lambda Developer Guide, "Lambda quotas"; errors of the Invoke API as recorded. The text after
"Could not parse" is that of the Jackson parser AWS uses: token, character and code are right, the
description is the usual one for the case, the column may be off by a few where Jackson reads ahead.
"""

from __future__ import annotations

import re
from typing import Any, Final

from engine.core.json_document import NotJson, loads, read_text
from engine.core.json_pieces import Steps, loads_in_pieces
from engine.protocols.aws.errors import ServiceError

_PREFIX: Final = "Could not parse request body into json: Could not parse payload into json: "
_SOURCE: Final = "[Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled)"
_VALUES: Final = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
_TOKEN: Final = re.compile(r"[^\W\d][\w$]*")
_OUTSIDE_STRINGS: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_LONGEST_TOKEN: Final = 256
_LEAD: Final = 0xC0
_NO_MIDDLE: Final = re.compile(rb"[^\x80-\xbf]")


def document_of(payload: bytes) -> Any:
    """What the handler gets. Raises `ServiceError` (InvalidRequestContentException) if it is not JSON."""
    try:
        return loads(payload)
    except NotJson as error:
        raise _not_json(error, payload) from None


def document_in_pieces(payload: bytes) -> Steps[Any]:
    """The same as `document_of`, in steps. More than `LARGE_BYTES` at once hold the event loop for long."""
    try:
        return (yield from loads_in_pieces(payload))
    except NotJson as error:
        raise _not_json(error, payload) from None


def _not_json(error: NotJson, payload: bytes) -> ServiceError:
    return ServiceError(400, "InvalidRequestContentException", _PREFIX + _jackson_text(error, payload))


def _jackson_text(error: NotJson, payload: bytes) -> str:
    text, at, reason = error.text, error.position, error.reason
    if text is None:
        return _not_utf8(payload, at)
    if at < 0:
        return reason + _location(text, 0)
    if reason.startswith("Unterminated string"):
        return _CUT_OFF + "was expecting closing quote for a string value" + _location(text, len(text))
    if at >= len(text):
        return _CUT_OFF + _END.get(reason, "expected a value") + _location(text, at)
    if reason in ("Expecting value", "Extra data") and (token := _TOKEN.match(text, at)):
        word = token[0][:_LONGEST_TOKEN]
        return f"Unrecognized token '{word}': was expecting {_VALUES}{_location(text, at + len(word))}"
    return _wrong_character(error, text, at) + _location(text, at)


def _not_utf8(payload: bytes, at: int) -> str:
    """Where a value may begin Jackson reads bytes as they are, elsewhere it decodes them (recorded)."""
    before = payload[:at].decode("utf-8-sig")
    try:
        read_text(before)
    except NotJson as error:
        begins_value = error.reason == "Expecting value" and error.position >= len(before)
        if begins_value and not (character := chr(payload[at])).isidentifier():
            what = f"Unexpected character ({_character(character)}): expected a valid value {_VALUES}"
            return what + _location(before, len(before))
    kind, place = "start", at
    if payload[at] >= _LEAD and (found := _NO_MIDDLE.search(payload, at + 1)):
        kind, place = "middle", found.start()
    line_start = before.encode().rfind(b"\n") + 1
    return f"Invalid UTF-8 {kind} byte 0x{payload[place]:x}{_location(before, at, place - line_start + 2)}"


def _wrong_character(error: NotJson, text: str, at: int) -> str:
    reason = error.reason
    if reason.startswith("Invalid \\"):
        return f"Unrecognized character escape {_character(text[at + 1 : at + 2] or text[at])}"
    character = _character(text[at])
    if reason.startswith("Invalid control character"):
        remedy = "has to be escaped using backslash to be included in string value"
        return f"Illegal unquoted character ({character}): {remedy}"
    return f"Unexpected character ({character}): {_expected(error)}"


_CUT_OFF: Final = "Unexpected end-of-input: "
_END: Final = {
    "Expecting value": "expected a valid value " + _VALUES,
    "Expecting ',' delimiter": "expected close marker",
    "Expecting ':' delimiter": "was expecting a colon to separate field name and value",
    "Expecting property name enclosed in double quotes": "expected close marker for Object",
}


def _expected(error: NotJson) -> str:
    reason = error.reason
    if reason.startswith("Expecting property name"):
        return "was expecting double-quote to start field name"
    if reason.startswith("Expecting ':'"):
        return "was expecting a colon to separate field name and value"
    if reason.startswith("Expecting ','"):
        return f"was expecting comma to separate {_open_container(error.before)} entries"
    return f"expected a valid value {_VALUES}"


def _open_container(text: str) -> str:
    """What is open at the end of `text`: `Object` or `Array`."""
    open_brackets = []
    for found in _OUTSIDE_STRINGS.finditer(text):
        if found[0] in "[{":
            open_brackets.append(found[0])
        elif found[0] in "]}":
            open_brackets.pop()
    return "Array" if open_brackets[-1:] == ["["] else "Object"


def _character(character: str) -> str:
    code = ord(character)
    if code < 32 or 127 <= code < 160:
        return f"(CTRL-CHAR, code {code})"
    if code > 255:
        return f"'{character}' (code {code} / 0x{code:x})"
    return f"'{character}' (code {code})"


def _location(text: str, at: int, column: int | None = None) -> str:
    line = text.count("\n", 0, at) + 1
    if column is None:
        column = at - text.rfind("\n", 0, at)
    return f"\n at {_SOURCE}; line: {line}, column: {column}]"
