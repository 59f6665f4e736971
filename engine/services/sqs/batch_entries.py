"""The entries of a batch operation: read and checked, and the results of each by its id.

Source: SQS API reference, "SendMessageBatch", "DeleteMessageBatch", "ChangeMessageVisibilityBatch"; recorded
answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.json_values import UNREADABLE
from engine.services.sqs.errors import MISSING, entry_code, invalid_value, missing, sqs_error
from engine.services.sqs.parameters import Params, structures, text
from engine.services.sqs.queue_attributes import QueueAttributes
from engine.services.sqs.request import Result
from engine.services.sqs.send_request import SendRequest, read_send_request

MAX_ENTRIES: Final = 10
_ENTRY_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,80}", re.ASCII)


class BatchEntry(NamedTuple):
    """One entry of a batch.

    Attributes:
        label: The API's name of the entry with its number from 1: `SendMessageBatchRequestEntry.1`.
        id: Distinct within the batch.
        params: All members of the entry.
    """

    label: str
    id: str
    params: dict[str, Any]

    def send_request(self, policy: QueueAttributes, trace: str | None) -> SendRequest | ServiceError:
        """The message to send, of a request that came with `trace`, or what is wrong with it.

        Raises:
            ServiceError: A member cannot be read at all, which fails the whole batch.
        """
        try:
            return read_send_request(self.params, policy, trace)
        except ServiceError as error:
            if error.code == UNREADABLE:
                raise
            if not self.params.get("MessageBody"):
                return missing(f"{self.label}.MessageBody")
            return invalid_value(error.message) if error.code == MISSING else error

    def body_bytes(self) -> int:
        """Size of the body, which is what an entry that is wrong counts for in its batch."""
        return len((text(self.params, "MessageBody") or "").encode())


def batch_result(entries: Iterable[BatchEntry], results: Iterable[Result | ServiceError]) -> Result:
    """`Successful` and `Failed`, each in the order of the entries, and left out if it is empty."""
    successful: list[Result] = []
    failed: list[Result] = []
    for entry, result in zip(entries, results, strict=True):
        if isinstance(result, ServiceError):
            fault = {"SenderFault": True, "Code": entry_code(result), "Message": result.message}
            failed.append({"Id": entry.id, **fault})
        else:
            successful.append({"Id": entry.id, **result})
    lists = {"Successful": successful, "Failed": failed}
    return {name: found for name, found in lists.items() if found}


def read_entries(params: Params, name: str) -> list[BatchEntry]:
    """The entries of a batch. `name` is what the API calls one of them.

    Raises:
        ServiceError: There are none or too many, or an id is missing, malformed or repeated: the call fails.
    """
    if params.get("Entries") is None:
        raise missing("Entries")
    entries = structures(params, "Entries")
    if not entries:
        raise sqs_error("EmptyBatchRequest", f"There should be at least one {name} in the request.")
    if len(entries) > MAX_ENTRIES:
        reason = f"Maximum number of entries per request are {MAX_ENTRIES}. You have sent {len(entries)}."
        raise sqs_error("TooManyEntriesInBatchRequest", reason)
    read: dict[str, BatchEntry] = {}
    for number, members in enumerate(entries, 1):
        label, entry_id = f"{name}.{number}", text(members, "Id")
        if entry_id is None:
            raise missing(f"{label}.Id")
        if _ENTRY_ID.fullmatch(entry_id) is None:
            reason = (
                "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can "
                "be at most 80 letters long."
            )
            raise sqs_error("InvalidBatchEntryId", reason)
        if entry_id in read:
            raise sqs_error("BatchEntryIdsNotDistinct", f"Id {entry_id} repeated.")
        read[entry_id] = BatchEntry(label, entry_id, members)
    return list(read.values())
