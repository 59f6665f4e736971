"""The Query protocol of older SDKs: parameters as a form, answers in XML.

Source: SQS Developer Guide, "Making Query API requests", "Constructing a response"; the last model of
botocore with this protocol; recorded answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from engine.protocols.http.message import Request
from engine.services.sqs.errors import SqsError, invalid_parameter, invalid_value, malformed
from engine.services.sqs.request import SqsRequest

NAMESPACE: Final = "http://queue.amazonaws.com/doc/2012-11-05/"

_MAX_FIELDS: Final = 2_000
_DEEPEST: Final = 8
_NUMBERS: Final = frozenset(
    {
        "DelaySeconds",
        "MaxNumberOfMessages",
        "MaxNumberOfMessagesPerSecond",
        "MaxResults",
        "VisibilityTimeout",
        "WaitTimeSeconds",
    }
)
_LISTS: Final = {
    "AttributeName": "AttributeNames",
    "MessageAttributeName": "MessageAttributeNames",
    "MessageSystemAttributeName": "MessageSystemAttributeNames",
    "TagKey": "TagKeys",
    "AWSAccountId": "AWSAccountIds",
    "ActionName": "Actions",
}
_MAPS: Final = {
    "Attribute": "Attributes",
    "Tag": "Tags",
    "MessageAttribute": "MessageAttributes",
    "MessageSystemAttribute": "MessageSystemAttributes",
}
_ENTRIES: Final = (
    "SendMessageBatchRequestEntry",
    "DeleteMessageBatchRequestEntry",
    "ChangeMessageVisibilityBatchRequestEntry",
)
_LIST_NAMES: Final = {**_LISTS, **{name: name for name in _LISTS.values()}}
_MAP_NAMES: Final = {**_MAPS, **{name: name for name in _MAPS.values()}, "tags": "Tags"}
_ENTRY_NAMES: Final = frozenset({*_ENTRIES, "Entries"})

_ELEMENTS: Final = {
    "QueueUrls": "QueueUrl",
    "queueUrls": "QueueUrl",
    "Messages": "Message",
    "Failed": "BatchResultErrorEntry",
    "Results": "ListMessageMoveTasksResultEntry",
}
_MAP_ELEMENTS: Final = {
    "Attributes": ("Attribute", "Name", "Value"),
    "MessageAttributes": ("MessageAttribute", "Name", "Value"),
    "Tags": ("Tag", "Key", "Value"),
}
_VOID: Final = frozenset(
    {
        "AddPermission",
        "ChangeMessageVisibility",
        "DeleteMessage",
        "DeleteQueue",
        "PurgeQueue",
        "RemovePermission",
        "SetQueueAttributes",
        "TagQueue",
        "UntagQueue",
    }
)
_ESCAPES: Final = {'"': "&quot;", "\r": "&#xD;"}
_NOT_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


class QueryProtocol:
    """Writes answers."""

    def succeed(self, call: SqsRequest, result: Mapping[str, Any]) -> None:
        """200."""
        name = call.operation
        inner = ""
        if name not in _VOID:
            content = _members(result, f"{name}ResultEntry")
            inner = f"<{name}Result>{content}</{name}Result>" if content else f"<{name}Result/>"
        metadata = f"<ResponseMetadata><RequestId>{call.request_id}</RequestId></ResponseMetadata>"
        text = f'<?xml version="1.0"?><{name}Response xmlns="{NAMESPACE}">{inner}{metadata}</{name}Response>'
        call.request.respond(200, _head(call.request_id), text.encode())

    def fail(self, call: SqsRequest, error: SqsError) -> None:
        """The legacy code."""
        text = (
            f'<?xml version="1.0"?><ErrorResponse xmlns="{NAMESPACE}"><Error><Type>Sender</Type>'
            f"<Code>{error.code}</Code><Message>{_text(error.query_message)}</Message><Detail/></Error>"
            f"<RequestId>{call.request_id}</RequestId></ErrorResponse>"
        )
        call.request.respond(error.status, _head(call.request_id), text.encode())


def read_form(request: Request) -> dict[str, str]:
    """The flat parameters of URL and body; of equal names the last counts. Raises SqsError."""
    _, _, query = request.target.partition(b"?")
    found: dict[str, str] = {}
    for source in (query, request.body):
        try:
            pairs = parse_qsl(
                source.decode("utf-8"), keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict"
            )
        except ValueError:  # UnicodeDecodeError too
            raise malformed("The form cannot be read.") from None
        found.update(pairs)
    return found


def structured(flat: Mapping[str, str]) -> dict[str, Any]:
    """The parameters in the shape of the JSON protocol. Raises SqsError."""
    tree: dict[str, Any] = {}
    for name, value in flat.items():
        *path, last = name.split(".")
        node = tree
        if len(path) > _DEEPEST:
            continue
        for part in path:
            below = node.setdefault(part, {})
            if not isinstance(below, dict):  # `Entries=` and `Entries.1.Id` in one form
                below = node[part] = {}
            node = below
        if not isinstance(node.get(last), dict):
            node[last] = value
    return _structure(tree)


def _structure(tree: Mapping[str, Any]) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for name, node in tree.items():
        if (listed := _LIST_NAMES.get(name)) is not None:
            params.setdefault(listed, []).extend(item for item in _numbered(node) if isinstance(item, str))
        elif (mapped := _MAP_NAMES.get(name)) is not None:
            params.setdefault(mapped, {}).update(_map(_numbered(node), text_values="Message" not in mapped))
        elif name in _ENTRY_NAMES:
            entries = [item if isinstance(item, dict) else {} for item in _numbered(node)]
            params.setdefault("Entries", []).extend(_structure(item) for item in entries)
        elif isinstance(node, str):
            params[name] = _integer(name, node) if name in _NUMBERS else node
    return params


def _integer(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise invalid_parameter(name, text, "Must be an integer.") from None


def _numbered(node: Any) -> list[Any]:
    """The items of `Name.1`, `Name.2`, ... in order; numbers may be missing."""
    if not isinstance(node, dict):
        return []
    for key in node:
        if not (key.isascii() and key.isdecimal() and len(key) <= 9):
            raise invalid_value(f"{key[:100]!r} is not a number of a list's item.")
    return [node[key] for key in sorted(node, key=int)]


def _map(items: list[Any], *, text_values: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in items:
        if not isinstance(item, dict):
            continue
        key = item.get("Name", item.get("Key"))
        value = item.get("Value", "" if text_values else {})
        if isinstance(key, str) and isinstance(value, str) == text_values:
            found[key] = value
    return found


def _head(request_id: str) -> bytes:
    return f"Content-Type: text/xml\r\nx-amzn-RequestId: {request_id}\r\n".encode()


def _members(result: Mapping[str, Any], entry: str) -> str:
    """The members of a structure: lists and maps repeat their element, without a wrapper."""
    parts = []
    for name, value in result.items():
        if isinstance(value, dict):
            element, key_name, value_name = _MAP_ELEMENTS[name]
            for key, item in value.items():
                document = _members(item, entry) if isinstance(item, dict) else _text(item)
                key_part = f"<{key_name}>{_text(key)}</{key_name}>"
                parts.append(f"<{element}>{key_part}<{value_name}>{document}</{value_name}></{element}>")
        elif isinstance(value, list):
            element = _ELEMENTS.get(name, entry)
            write: Callable[[Any], str] = _text if value and isinstance(value[0], str) else _structure_text
            parts += [f"<{element}>{write(item)}</{element}>" for item in value]
        else:
            parts.append(f"<{name}>{_text(value)}</{name}>")
    return "".join(parts)


def _structure_text(item: Mapping[str, Any]) -> str:
    return _members(item, "")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return escape(_NOT_XML.sub("?", str(value)), _ESCAPES)
